"""Functions that a `with` replaces (`with data.t.f as 5`), called by their full name everywhere.

The engine replaces the calls that are written as the `with` writes it, and no others: `f(x)` in package `t` went on calling
the real one, so that a test was about something else than it said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.policy.compiler.checks import functions_of
from governance.policy.rego.syntax import Call, Ref, Scalar, Var, With
from governance.policy.rego.walk import bodies, bodies_of_rule, rewritten, statements_of, terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.policy.rego.syntax import Module, Term


def name_mocked_functions(trees: Sequence[Module]) -> None:
    """Rewrite the calls of such functions in `trees`, and what replaces them, in place."""
    functions = functions_of(trees)
    mocked = {_full(tree, _written(with_.target)) for tree in trees for with_ in _withs(tree)} & functions
    if not mocked:
        return
    for tree in trees:

        def change(node: Any, tree: Module = tree) -> Any:
            if isinstance(node, Call) and _full(tree, node.name) in mocked:
                node.name = _full(tree, node.name)
            if isinstance(node, With) and _full(tree, _written(node.target)) in mocked:
                node.target = _reference(_full(tree, _written(node.target)))
            return node

        tree.rules = rewritten(tree.rules, change)


def _withs(tree: Module) -> Iterator[With]:
    for rule in tree.rules:
        inner = (body for term in terms_of_rule(rule) for body in bodies(term))
        for body in (*bodies_of_rule(rule), *inner):
            for literal in statements_of(body):
                yield from literal.withs


def _written(target: Term) -> str:
    """`data.t.f` as dotted text; empty for a path that no function can have."""
    if isinstance(target, Var):
        return target.name
    if not isinstance(target, Ref) or not isinstance(target.head, Var):
        return ""
    parts = [part.text[1:-1] for part in target.args if isinstance(part, Scalar)]
    return ".".join([target.head.name, *parts]) if len(parts) == len(target.args) else ""


def _full(tree: Module, name: str) -> str:
    """From `data`: what `name` is in this module, if it is a function."""
    head, _, rest = name.partition(".")
    if head == "data":
        return name
    for entry in tree.imports:
        if head == (entry.alias or entry.path[-1]):
            return ".".join([*entry.path, *([rest] if rest else [])])
    return ".".join(["data", *tree.package, name])


def _reference(full: str) -> Ref:
    head, *parts = full.split(".")
    return Ref(Var(head), [Scalar(f'"{part}"') for part in parts])
