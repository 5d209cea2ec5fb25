"""Walking a syntax tree: children, nested bodies, variables."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from governance.policy.rego.syntax import (
    Array,
    Call,
    Comprehension,
    Every,
    Expr,
    Head,
    Infix,
    Literal,
    Member,
    Object,
    Ref,
    Rule,
    Scalar,
    SetOf,
    Some,
    SomeIn,
    Term,
    Var,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def subterms(expr: Expr) -> Iterator[Term]:
    """The terms directly inside `expr`; bodies of comprehensions and `every` are not entered."""
    match expr:
        case Ref(head, args):
            yield head
            yield from args
        case Call(_, args):
            yield from args
        case Infix(_, left, right):
            yield left
            yield right
        case Member(key, value, collection) | SomeIn(key, value, collection):
            if key is not None:
                yield key
            yield value
            yield collection
        case Array(items) | SetOf(items):
            yield from items
        case Object(pairs):
            for key, value in pairs:
                yield key
                yield value
        case Every(_, _, domain, _):
            yield domain
        case Some(names):
            yield from names
        case _:
            return


def bodies(expr: Expr) -> Iterator[list[Literal]]:
    """The bodies directly inside `expr`."""
    if isinstance(expr, Comprehension | Every):
        yield expr.body


def terms_of(expr: Expr) -> Iterator[Term]:
    """Every term in `expr` at any depth, itself included when it is one; nested bodies are entered."""
    if isinstance(expr, Scalar | Var | Ref | Call | Infix | Member | Array | SetOf | Object | Comprehension):
        yield expr
    if isinstance(expr, Comprehension):
        for term in (expr.key, expr.value):
            if term is not None:
                yield from terms_of(term)
    for term in subterms(expr):
        yield from terms_of(term)
    for body in bodies(expr):
        yield from terms_of_body(body)


def terms_of_body(body: list[Literal]) -> Iterator[Term]:
    """Every term of every statement, `with` included."""
    for literal in body:
        yield from terms_of(literal.expr)
        for modifier in literal.withs:
            yield from terms_of(modifier.target)
            yield from terms_of(modifier.value)


def bodies_of_rule(rule: Rule) -> Iterator[list[Literal]]:
    """The rule's own body and those of its else branches."""
    if rule.body is not None:
        yield rule.body
    for branch in rule.elses:
        if branch.body is not None:
            yield branch.body


def terms_of_rule(rule: Rule) -> Iterator[Term]:
    """Every term of a rule, head included."""
    head = rule.head
    for term in (*head.ref, *(head.args or ()), head.key, head.value, *(branch.value for branch in rule.elses)):
        if term is not None:
            yield from terms_of(term)
    for body in bodies_of_rule(rule):
        yield from terms_of_body(body)


def statements_of(body: list[Literal]) -> Iterator[Literal]:
    """Every statement of `body` and of the bodies nested in it."""
    for literal in body:
        yield literal
        for term in terms_of(literal.expr):
            for inner in bodies(term):
                yield from statements_of(inner)
        if isinstance(literal.expr, Every):
            yield from statements_of(literal.expr.body)


def declared_in(body: list[Literal]) -> set[str]:
    """Variables that this body itself declares with `:=`, `some` (nested bodies have their own)."""
    names: set[str] = set()
    for literal in body:
        expr = literal.expr
        if isinstance(expr, Infix) and expr.op == ":=":
            names |= pattern_variables(expr.left)
        elif isinstance(expr, Some):
            names |= {name.name for name in expr.names}
        elif isinstance(expr, SomeIn):
            names |= pattern_variables(expr.value) | (pattern_variables(expr.key) if expr.key is not None else set())
    return names


def pattern_variables(term: Term) -> set[str]:
    """Variables that a pattern binds: `[x, {"k": y}]` binds x and y; inside references nothing is bound."""
    match term:
        case Var(name):
            return {name}
        case Array(items) | SetOf(items):
            return set().union(*(pattern_variables(item) for item in items))
        case Object(pairs):
            return set().union(*(pattern_variables(value) for _, value in pairs))
        case _:
            return set()


def rewritten(node: Any, change: Callable[[Any], Any], *, heads: bool = True) -> Any:
    """The tree below `node` with every node replaced by `change(node)`, innermost first, in place where it can be.

    `heads=False` leaves the names of rules as they are.
    """
    if isinstance(node, list):
        return [rewritten(item, change, heads=heads) for item in node]
    if isinstance(node, tuple):
        return tuple(rewritten(item, change, heads=heads) for item in node)
    if not is_dataclass(node):
        return node
    for field in fields(node):
        if heads or not (isinstance(node, Head) and field.name == "ref"):
            setattr(node, field.name, rewritten(getattr(node, field.name), change, heads=heads))
    return change(node)
