"""Which variables a statement needs, and which it binds: the two questions that safety asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.builtins.registry import available
from governance.policy.rego.printer import term_text
from governance.policy.rego.syntax import (
    Array,
    Call,
    Comprehension,
    Every,
    Expr,
    Infix,
    Literal,
    Member,
    Object,
    Ref,
    Scalar,
    Some,
    SomeIn,
    Term,
    Var,
)
from governance.policy.rego.walk import declared_in, subterms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from governance.policy.rego.syntax import With


def wildcard(number: int) -> str:
    """The name of a variable that nobody wrote; each `_` is one of its own."""
    return f"_@{number}"


def _name(var: Var) -> str:
    return wildcard(id(var)) if var.name == "_" else var.name


def needs(literal: Literal, constants: AbstractSet[str]) -> set[str]:
    """Variables of a statement that must have a value, nested bodies left out."""
    expr = literal.expr
    if isinstance(expr, Some):
        return set()
    found = set(_variables(expr, constants))
    for modifier in literal.withs:
        found |= _with_variables(modifier, constants)
    return found


def _variables(expr: Expr, constants: AbstractSet[str]) -> Iterator[str]:
    if isinstance(expr, Var):
        if expr.name not in constants:
            yield _name(expr)
        return
    if isinstance(expr, Comprehension):
        return
    for term in subterms(expr):
        yield from _variables(term, constants)


def _with_variables(modifier: With, constants: AbstractSet[str]) -> set[str]:
    """Variables of a `with` value; a builtin's name there is a function that stands in for another."""
    value = modifier.value
    head = value.head if isinstance(value, Ref) else value
    if isinstance(head, Var) and head.name not in constants:
        parts = [a.text.strip('"') for a in value.args if isinstance(a, Scalar)] if isinstance(value, Ref) else []
        if ".".join([head.name, *parts]) in available():
            return set()
    return set(_variables(value, constants))


def closures_in(literal: Literal) -> Iterator[Comprehension | Every]:
    """The nested bodies of a statement, outermost ones only."""
    yield from _closures(literal.expr)
    for modifier in literal.withs:
        yield from _closures(modifier.value)


def _closures(expr: Expr) -> Iterator[Comprehension | Every]:
    if isinstance(expr, Comprehension | Every):
        yield expr
    if isinstance(expr, Comprehension):
        return
    for term in subterms(expr):
        yield from _closures(term)


def free_in_closures(literal: Literal, constants: AbstractSet[str]) -> set[str]:
    """Variables in nested bodies that those do not declare themselves."""
    return {name for closure in closures_in(literal) for name in _free(closure, constants)}


def _free(closure: Comprehension | Every, constants: AbstractSet[str]) -> set[str]:
    own = declared_in(closure.body)
    heads: list[Term] = []
    if isinstance(closure, Every):
        own |= {closure.value.name} | ({closure.key.name} if closure.key is not None else set())
    else:
        heads = [term for term in (closure.key, closure.value) if term is not None]
    body = [*closure.body, *(Literal(head) for head in heads)]
    found = {name for inner in body for name in needs(inner, constants) | free_in_closures(inner, constants)}
    return found - own


class Binder:
    """Binds variables of one statement, given what is bound before it."""

    def __init__(self, bound: AbstractSet[str], constants: AbstractSet[str], arities: dict[str, int]) -> None:
        self._bound = set(bound)
        self._before = frozenset(bound)
        self._constants = constants
        self._arities = arities

    def outputs(self, literal: Literal) -> set[str]:
        """Variables that the statement binds, as far as what it needs for that is bound."""
        expr = literal.expr
        if any(_with_variables(modifier, self._constants) - self._bound for modifier in literal.withs):
            return set()
        if literal.negated:
            # Calls in arguments are evaluated before the negation, so they bind; the negated call itself does not.
            for term in subterms(expr):
                self._nested_calls(term)
            return self._bound - self._before
        self._brackets(expr)
        if isinstance(expr, Infix) and expr.op in {"=", ":="}:
            known = -1
            while known < len(self._bound):  # a part may bind what another part of the same pattern waits for
                known = len(self._bound)
                self._unify(expr.left, expr.right)
        elif isinstance(expr, SomeIn):
            self._some(expr)
        elif isinstance(expr, Call):
            names_output = len(expr.args) == self._arities.get(expr.name, -1) + 1
            if names_output and not any(self._open(argument) for argument in expr.args[:-1]):
                self._bound |= self._pattern(expr.args[-1])
        return self._bound - self._before

    def _nested_calls(self, term: Expr) -> None:
        if isinstance(term, Call | Infix | Member):
            self._brackets(term)
        elif not isinstance(term, Comprehension):
            for inner in subterms(term):
                self._nested_calls(inner)

    def _brackets(self, expr: Expr) -> None:
        """Binds what stands in the brackets of each reference whose head is bound."""
        if isinstance(expr, Comprehension):
            return
        if isinstance(expr, Ref):
            if isinstance(expr.head, Var):
                if self._open(expr.head):
                    return
            else:
                self._brackets(expr.head)
            for argument in expr.args:
                self._brackets(argument)
            for argument in expr.args:
                self._bound |= self._pattern(argument)
            return
        for term in subterms(expr):
            self._brackets(term)

    def _some(self, expr: SomeIn) -> None:
        if self._open(expr.collection):
            return
        for pattern in (expr.key, expr.value):
            if pattern is not None:
                self._bound |= self._pattern(pattern)

    def _unify(self, left: Term, right: Term) -> None:
        match left, right:
            case (Array(ours), Array(theirs)) if len(ours) == len(theirs):
                for one, other in zip(ours, theirs, strict=True):
                    self._unify(one, other)
            case (Object(ours), Object(theirs)):
                values = {term_text(key): value for key, value in theirs}
                for key, value in ours:
                    if term_text(key) in values:
                        self._unify(value, values[term_text(key)])
            case _:
                for one, other in ((left, right), (right, left)):
                    if not self._open(other):
                        self._bound |= self._pattern(one)

    def _open(self, term: Term) -> bool:
        """Whether something in `term` is not bound yet."""
        return bool(set(_variables(term, self._constants)) - self._bound)

    def _pattern(self, term: Term) -> set[str]:
        """Variables that a pattern binds; sets, calls and references bind none."""
        match term:
            case Var():
                return set(_variables(term, self._constants))
            case Array(items):
                return set().union(*(self._pattern(item) for item in items))
            case Object(pairs):
                return set().union(*(self._pattern(value) for _, value in pairs))
            case _:
                return set()
