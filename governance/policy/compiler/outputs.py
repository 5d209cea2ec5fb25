"""Calls that bind through their last argument, written so that the engine sees the binding.

`f(x, y)` becomes `y = f(x)`: a Python builtin takes exactly its operands, and the engine, which knows the form for its own,
does not count `y` as bound in a nested body. `walk(x, [p, v])` becomes `some [p, v] in [w | walk(x, w)]` for the same reason:
a variable that only `walk` bound would be looped over anew under `not`, and a rule that should fire would not.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from governance.errors import RuleError
from governance.policy.builtins.signatures import signatures
from governance.policy.rego.syntax import Array, Call, Comprehension, Infix, Literal, SomeIn, Var
from governance.policy.rego.walk import bodies, bodies_of_rule, pattern_variables, terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.policy.rego.syntax import Expr, Module, Rule, Term


def assign_outputs(tree: Module) -> None:
    """Rewrite the statements of `tree` in place. Raises RuleError for a `walk` whose names cannot be told apart."""
    fresh = count(1)
    for rule in tree.rules:
        outer = set().union(*(pattern_variables(argument) for argument in rule.head.args or ()))
        for body in _all_bodies(rule):
            for literal in body:
                _assign(literal)
                if isinstance(literal.expr, Call) and literal.expr.name == "walk" and not literal.negated:
                    _loop(literal, literal.expr, outer | _bound_before(body, literal), fresh, tree.file)


def _all_bodies(rule: Rule) -> Iterator[list[Literal]]:
    todo = [*bodies_of_rule(rule), *(body for term in terms_of_rule(rule) for body in bodies(term))]
    seen: set[int] = set()
    while todo:
        body = todo.pop()
        if id(body) in seen:
            continue
        seen.add(id(body))
        yield body
        for literal in body:
            todo.extend(bodies(literal.expr))


def _assign(literal: Literal) -> None:
    expr = literal.expr
    if isinstance(expr, Call) and not literal.negated and _has_output(expr):
        call = Call(expr.name, expr.args[:-1], expr.line, expr.column)
        literal.expr = Infix("=", expr.args[-1], call, expr.line, expr.column)


def _has_output(call: Call) -> bool:
    """Whether the last argument is the result's name."""
    known = signatures().get(call.name)
    return known is not None and call.name != "walk" and len(call.args) == len(known.args) + 1


def _loop(literal: Literal, call: Call, bound: set[str], fresh: Iterator[int], file: str) -> None:
    if len(call.args) != 2:
        return
    pattern = call.args[1]
    names = pattern_variables(pattern) - {"_"}
    if not _is_plain(pattern) or names & bound:
        if names - bound:
            raise RuleError(
                "walk binds some names here and compares others", where=f"{file}:{literal.line}:{literal.column}",
                hint="write `walk(x, [path, value])` with new names, and compare after it",
            )  # fmt: skip
        return
    each = Var(f"__walked{next(fresh)}", call.line, call.column)
    walked = Call("walk", [call.args[0], each], call.line, call.column)
    inner = Literal(walked, line=literal.line, column=literal.column)
    literal.expr = SomeIn(None, pattern, Comprehension("array", None, each, [inner]))


def _is_plain(pattern: Term) -> bool:
    """Names in lists: what `some … in` takes apart."""
    return isinstance(pattern, Var) or (isinstance(pattern, Array) and all(map(_is_plain, pattern.items)))


def _bound_before(body: list[Literal], until: Literal) -> set[str]:
    """Names that the statements before this one bind or may bind."""
    found: set[str] = set()
    for literal in body:
        if literal is until:
            break
        found |= _mentioned(literal.expr)
    return found


def _mentioned(expr: Expr) -> set[str]:
    if isinstance(expr, SomeIn):
        return pattern_variables(expr.value) | (pattern_variables(expr.key) if expr.key is not None else set())
    if isinstance(expr, Infix) and expr.op in {"=", ":="}:
        return pattern_variables(expr.left) | pattern_variables(expr.right)
    return set()
