"""Calls that name their result as one more argument: `f(x, y)` becomes `y = f(x)`.

The engine knows that form for its own builtins; a Python builtin takes exactly its operands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.builtins.registry import extensions
from governance.policy.rego.syntax import Call, Infix
from governance.policy.rego.walk import bodies, bodies_of_rule, statements_of, terms_of_rule

if TYPE_CHECKING:
    from governance.policy.rego.syntax import Literal, Module


def assign_outputs(tree: Module) -> None:
    """Rewrite the statements of `tree` in place."""
    for rule in tree.rules:
        found = [*bodies_of_rule(rule), *(body for term in terms_of_rule(rule) for body in bodies(term))]
        for body in found:
            for literal in statements_of(body):
                _assign(literal)


def _assign(literal: Literal) -> None:
    expr, table = literal.expr, extensions()
    if isinstance(expr, Call) and expr.name in table and len(expr.args) == table[expr.name].arity + 1:
        call = Call(expr.name, expr.args[:-1], expr.line, expr.column)
        literal.expr = Infix("=", expr.args[-1], call, expr.line, expr.column)
