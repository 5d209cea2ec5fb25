"""Imports, spelt out: `manifest.classes` is written as `data.platform.lib.manifest.classes`.

The engine keeps an import as if it were a rule of its module. Where a rule of that module was found undefined from another
one (`not answer.is_known`), it takes the import for undefined as well in the next function of the module that it calls: the
function is undefined, and with it whatever should have been refused. A path from `data` is not affected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from governance.policy.rego.syntax import Call, Every, Infix, Ref, Scalar, Some, SomeIn, Var
from governance.policy.rego.walk import pattern_variables, rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.policy.rego.syntax import Import, Module, Rule

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def spell_out_imports(trees: Sequence[Module]) -> None:
    """Rewrite every use of an import in place; a rule that gives its name to a variable of its own is left as it is."""
    for tree in trees:
        paths = {entry.alias or entry.path[-1]: entry.path for entry in tree.imports if _is_document(entry)}
        paths = {alias: path for alias, path in paths.items() if all(map(_PLAIN.fullmatch, path))}
        if paths:
            for rule in tree.rules:
                _spell_out(rule, paths)


def _is_document(entry: Import) -> bool:
    return entry.path[0] in {"data", "input"} and len(entry.path) > 1


def _spell_out(rule: Rule, paths: Mapping[str, list[str]]) -> None:
    bound = _bound(rule)
    meant = {alias: path for alias, path in paths.items() if alias not in bound}

    def change(node: Any) -> Any:
        match node:
            case Var(name) if name in meant:
                head, *parts = meant[name]
                return Ref(Var(head), [Scalar(f'"{part}"') for part in parts], node.line, node.column)
            case Ref(Ref(root, first), more):
                return Ref(root, [*first, *more], node.line, node.column)
            case Call(name):
                alias, dot, rest = name.partition(".")
                node.name = ".".join(meant[alias]) + dot + rest if alias in meant else name
        return node

    rewritten(rule, change, heads=False)


def _bound(rule: Rule) -> set[str]:
    """Every name that the rule, or a body in it, uses for a variable of its own."""
    found: set[str] = set().union(*(pattern_variables(argument) for argument in rule.head.args or ()))

    def note(node: Any) -> Any:
        match node:
            case Infix(":=", left):
                found.update(pattern_variables(left))
            case Some(names):
                found.update(name.name for name in names)
            case SomeIn(key, value):
                found.update(pattern_variables(value) | (pattern_variables(key) if key is not None else set()))
            case Every(key, value):
                found.update(variable.name for variable in (key, value) if variable is not None)
        return node

    rewritten(rule, note)
    return found
