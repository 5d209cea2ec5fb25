"""Defaults of functions whose name has several parts (`default a.f(_) := 0`), which the engine leaves out.

The function moves under a name of one part, where the engine does keep its default, and what stays at its place hands on:

    default a.f(_) := 0; a.f(x) := 1 if x > 2   ->   a.f(v1) := __f1(v1); default __f1(_) := 0; __f1(x) := 1 if x > 2
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.compiler.checks import CompileError
from governance.policy.rego.syntax import Call, Head, Rule, Scalar, Var

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.policy.rego.syntax import Module, Term


def move_dotted_defaults(trees: Sequence[Module]) -> None:
    """Rewrite those functions of `trees` in place; raises CompileError where another package defines the same one."""
    found = [(tree, rule) for tree in trees for rule in tree.rules if rule.is_default and _parts(rule)]
    for number, (tree, default) in enumerate(found, 1):
        short, head = f"__dotted{number}", default.head
        place = head.ref[:]
        for rule in list(_of_function(trees, tree, default)):
            rule.head.ref = [Var(short, rule.line, rule.column)]
        names: list[Term] = [Var(f"__argument{at}") for at, _ in enumerate(head.args or ())]
        call = Call(short, list(names), default.line, default.column)
        passed_on = Head(place, names, None, call, line=default.line, column=default.column)
        tree.rules.append(Rule(passed_on, None, line=default.line, column=default.column))


def _of_function(trees: Sequence[Module], home: Module, default: Rule) -> Iterator[Rule]:
    """Every rule of the function that `default` speaks of, itself included."""
    path = [*home.package, *_parts(default)]
    for tree in trees:
        for rule in tree.rules:
            if rule.head.args is None or [*tree.package, *(_parts(rule) or _name(rule))] != path:
                continue
            if tree.package != home.package:
                raise CompileError(
                    f"{'.'.join(path)} is defined in two packages and has a default",
                    where=f"{tree.file}:{rule.line}:{rule.column}", hint="define it in one",
                )  # fmt: skip
            yield rule


def _parts(rule: Rule) -> list[str]:
    """The name of a function in parts; empty for everything else, and for a name of one part."""
    if rule.head.args is None or len(rule.head.ref) < 2:
        return []
    return [*_name(rule), *(part.text[1:-1] if isinstance(part, Scalar) else "" for part in rule.head.ref[1:])]


def _name(rule: Rule) -> list[str]:
    first = rule.head.ref[0]
    return [first.name] if isinstance(first, Var) else []
