"""Calls that bind through their last argument, written so that the engine sees the binding.

`f(x, y)` becomes `y = f(x)`: a Python builtin takes exactly its operands, and the engine, which knows the form for its own,
does not count `y` as bound in a nested body. `walk(x, [p, v])` becomes `some [p, v] in [w | walk(x, w)]` for the same reason:
a variable that only `walk` bound would be looped over anew under `not`, and a rule that should fire would not.

As a value, `x := walk(y)` or `walk(y)[1]`, the engine has it undefined without a word, where OPA goes through all pairs. In
a statement that becomes the same loop; where no loop can stand before it, it is refused.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, TypeGuard

from governance.policy.builtins.signatures import signatures
from governance.policy.compiler.checks import CompileError
from governance.policy.rego.syntax import Array, Call, Comprehension, Every, Infix, Literal, SomeIn, Var
from governance.policy.rego.walk import (
    bodies,
    bodies_of_rule,
    pattern_variables,
    rewritten,
    subterms,
    terms_of,
    terms_of_rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.policy.rego.syntax import Expr, Module, Rule, Term

_WALK_OPERANDS = 2


def assign_outputs(tree: Module) -> None:
    """Rewrite the statements of `tree` in place; raises CompileError for a `walk` that cannot be a loop."""
    fresh = count(1)
    for rule in tree.rules:
        known = set().union(*(pattern_variables(argument) for argument in rule.head.args or ()))
        tops = [*bodies_of_rule(rule), *(body for term in _head_terms(rule) for body in _inner_bodies(term))]
        for body in tops:
            _body(body, known, fresh)
        for term in terms_of_rule(rule):
            if _is_value(term):
                raise CompileError(
                    "walk has many values, and none can be taken here",
                    where=f"{tree.file}:{term.line}:{term.column}",
                    hint="write walk(x, [path, value]) as a statement of its own",
                )


def _body(body: list[Literal], outer: set[str], fresh: Iterator[int]) -> None:
    everything = outer.union(*(_binds(literal) for literal in body))
    bound = set(outer)
    found: list[Literal] = []
    for literal in body:
        for inner in _inner_bodies(literal.expr):
            _body(inner, everything - {"_"}, fresh)
        binds = _binds(literal)
        _assign(literal)
        found += _pulled_out(literal, fresh)
        _take_output(literal)
        found += _looped(literal, bound, fresh)
        bound |= binds
    body[:] = found


def _inner_bodies(expr: Expr) -> Iterator[list[Literal]]:
    """The nearest bodies inside an expression; bodies inside those are theirs to rewrite."""
    own = list(bodies(expr))
    if own:
        yield from own
    for term in subterms(expr):
        yield from _inner_bodies(term)


def _head_terms(rule: Rule) -> Iterator[Term]:
    head = rule.head
    yield from (term for term in (head.key, head.value, *head.ref, *(e.value for e in rule.elses)) if term is not None)


def _assign(literal: Literal) -> None:
    expr = literal.expr
    if isinstance(expr, Call) and not literal.negated and _has_output(expr):
        call = Call(expr.name, expr.args[:-1], expr.line, expr.column)
        literal.expr = Infix("=", expr.args[-1], call, expr.line, expr.column)


def _is_value(term: object) -> TypeGuard[Call]:
    """Whether a term is a `walk` that names no output."""
    return isinstance(term, Call) and term.name == "walk" and len(term.args) < _WALK_OPERANDS


def _take_output(literal: Literal) -> None:
    """`x = walk(y)` names its output after all; `:=` declares names of its own, and keeps to its loop's variable."""
    expr = literal.expr
    if literal.negated or not isinstance(expr, Infix) or expr.op != "=":
        return
    call, pattern = (expr.right, expr.left) if _is_value(expr.right) else (expr.left, expr.right)
    if _is_value(call):
        literal.expr = Call("walk", [*call.args, pattern], call.line, call.column)


def _pulled_out(literal: Literal, fresh: Iterator[int]) -> list[Literal]:
    """Loops for the walks deep inside a statement, each of which gives way to the loop's variable."""
    expr = literal.expr
    if literal.negated or isinstance(expr, Every):
        return []
    if isinstance(expr, Infix) and expr.op == "=" and (_is_value(expr.left) or _is_value(expr.right)):
        return []
    loops: list[Literal] = []
    # What a comprehension gives depends on its own variables: no loop outside of it can stand in for it.
    kept = {id(inner) for term in terms_of(expr) if isinstance(term, Comprehension) for inner in terms_of(term)}

    def pull(term: Any) -> Any:
        if not _is_value(term) or id(term) in kept:
            return term
        each = Var(f"__walked{next(fresh)}", term.line, term.column)
        call = Call("walk", [*term.args, each], term.line, term.column)
        walked = Literal(call, False, literal.withs, literal.line, literal.column)
        loops.extend(_looped(walked, set(), fresh))
        return each

    literal.expr = rewritten(expr, pull)
    return loops


def _has_output(call: Call) -> bool:
    """Whether the last argument is the result's name."""
    known = signatures().get(call.name)
    return known is not None and call.name != "walk" and len(call.args) == len(known.args) + 1


def _looped(literal: Literal, bound: set[str], fresh: Iterator[int]) -> list[Literal]:
    """The statement, or for `walk` the loop with a comparison for each part of its pattern that was known before."""
    call = literal.expr
    if not isinstance(call, Call) or call.name != "walk" or literal.negated or len(call.args) != 2:
        return [literal]
    comparisons: list[Literal] = []

    def opened(pattern: Term) -> Term:
        if isinstance(pattern, Array):
            return Array([opened(item) for item in pattern.items])
        if isinstance(pattern, Var) and (pattern.name == "_" or pattern.name not in bound):
            return pattern
        new = Var(f"__walked{next(fresh)}", call.line, call.column)
        same = Infix("=", new, pattern, call.line, call.column)
        comparisons.append(Literal(same, line=literal.line, column=literal.column))
        return new

    each = Var(f"__walked{next(fresh)}", call.line, call.column)
    walked = Call("walk", [call.args[0], each], call.line, call.column)
    inner = Literal(walked, line=literal.line, column=literal.column)
    items = Comprehension("array", None, each, [inner])
    loop = Literal(SomeIn(None, opened(call.args[1]), items), False, literal.withs, literal.line, literal.column)
    return [loop, *comparisons]


def _binds(literal: Literal) -> set[str]:
    """Names that a statement binds or may bind."""
    expr = literal.expr
    if literal.negated:
        return set()
    if isinstance(expr, SomeIn):
        return pattern_variables(expr.value) | (pattern_variables(expr.key) if expr.key is not None else set())
    if isinstance(expr, Infix) and expr.op in {"=", ":="}:
        return pattern_variables(expr.left) | pattern_variables(expr.right)
    if isinstance(expr, Call) and (expr.name == "walk" or _has_output(expr)) and expr.args:
        return pattern_variables(expr.args[-1])
    return set()
