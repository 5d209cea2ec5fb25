"""The second form of a policy: a builtin's error is undefined, as OPA has it when nobody asked for strict errors.

The engine always raises. So every call of a builtin, and every operator that can fail, goes through a Python extension that
answers `[value]` or `[]`: `governance.attempt.f(x)[0]` is undefined where `f(x)` fails. That is slow, and values that cannot
cross into Python end the query; so this form is asked only after the plain one has raised. It is made of modules whose
calls were hoisted: a call that fails has to take the statement with it that it stood in, not a negation around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.policy.builtins.registry import ATTEMPT, available
from governance.policy.builtins.signatures import signatures
from governance.policy.compiler.checks import functions_of
from governance.policy.rego.printer import term_text
from governance.policy.rego.syntax import Call, Infix, Literal, Ref, Scalar, With
from governance.policy.rego.walk import rewritten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    from governance.policy.rego.syntax import Module

_OPERATORS = {"+": "plus", "-": "minus", "*": "mul", "/": "div", "%": "rem", "|": "or", "&": "and"}
# A relation has no one value; these have none at all.
_LEFT_ALONE = frozenset({"walk", "print", "trace"})


def guard(trees: Sequence[Module], wanted: Callable[[Module], bool]) -> None:
    """Rewrite those of the hoisted trees that are wanted in place; the others say which names are functions."""
    known = available() - _LEFT_ALONE - {name.rpartition(".")[2] for name in functions_of(trees)}
    guarded = _Guard(known - _mocked(trees))
    for tree in filter(wanted, trees):
        for rule in tree.rules:
            rewritten(rule, guarded.change)


class _Guard:
    def __init__(self, names: AbstractSet[str]) -> None:
        self._names = names

    def change(self, node: Any) -> Any:
        """A node whose inner calls are guarded, guarded itself."""
        if isinstance(node, Literal):
            self._output(node)
        return self._wrapped(node)

    def _wrapped(self, node: Any) -> Any:
        if isinstance(node, Call) and self._takes(node.name, len(node.args)):
            return _attempt(node.name, node.args, node)
        if isinstance(node, Infix) and node.op in _OPERATORS:
            return _attempt(_OPERATORS[node.op], [node.left, node.right], node)
        return node

    def _takes(self, name: str, count: int) -> bool:
        return name in self._names and count == len(signatures()[name].args)

    def _output(self, literal: Literal) -> None:
        """`f(x, y)` names its result as one more argument."""
        call = literal.expr
        if isinstance(call, Call) and not literal.negated and self._takes(call.name, len(call.args) - 1):
            literal.expr = Infix("=", call.args[-1], _attempt(call.name, call.args[:-1], call), call.line, call.column)


def _attempt(name: str, args: list[Any], at: Call | Infix) -> Ref:
    return Ref(Call(ATTEMPT + name, args, at.line, at.column), [Scalar("0")], at.line, at.column)


def _mocked(trees: Sequence[Module]) -> set[str]:
    """Names that some `with` replaces: those calls have to keep their names."""
    found: set[str] = set()

    def note(node: Any) -> Any:
        if isinstance(node, With):
            found.add(term_text(node.target))
        return node

    for tree in trees:
        rewritten(tree.rules, note)
    return found
