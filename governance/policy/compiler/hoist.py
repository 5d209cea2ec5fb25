"""Making undefined mean what it means in OPA, by lifting terms out of where the engine would misread them.

In OPA a call whose argument is undefined is undefined, and so is the statement around it; under `not` that must not
turn into "true". OPA's own compiler gets there by evaluating the arguments in statements of their own before the call
(`rewriteDynamics` in its compiler). This pass does the same:

    not startswith(input.user, "x-")        ->   __h1 = input.user; not startswith(__h1, "x-")

`Hoist(full=False)` does it for negations, rule heads, `every` domains and membership, which is what the interpreter
needs. `full=True` puts every statement into three-address form, which the compiled executor needs as well, because
there `x := <undefined>` and arithmetic on undefined values do not fail the body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.policy.builtins.registry import ATTEMPT
from governance.policy.rego.printer import term_text
from governance.policy.rego.syntax import (
    Array,
    Call,
    Comprehension,
    Else,
    Every,
    Infix,
    Literal,
    Member,
    Module,
    Object,
    Ref,
    Rule,
    Scalar,
    SetOf,
    Some,
    SomeIn,
    Term,
    Var,
    With,
)
from governance.policy.rego.walk import (
    bodies,
    bodies_of_rule,
    declared_in,
    pattern_variables,
    statements_of,
    subterms,
    terms_of_rule,
)

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

PREFIX = "__h"
_EQUALITIES = frozenset({"==", "="})


class Names(NamedTuple):
    """What names stand for in one module."""

    rules: AbstractSet[str]
    """Rules of its package and its imports: not variables."""
    functions: AbstractSet[str]
    """Functions, as they can be written here: by their own name, an import's, or in full from `data`."""


def hoist(module: Module, names: Names, *, full: bool) -> None:
    """Rewrite `module` in place."""
    for rule in module.rules:
        _Hoist(names, full=full).rule(rule)


class _Hoist:
    """State for one rule: a counter for fresh names, and which names are rules rather than variables here."""

    def __init__(self, names: Names, *, full: bool) -> None:
        self._globals = set(names.rules) | {"input", "data"}
        self._functions = names.functions
        self._taken = set(self._globals)
        self._full = full
        self._count = 0
        self._line = 0

    def rule(self, rule: Rule) -> None:
        if rule.is_default:
            return
        saved = set(self._globals)
        self._taken = set(self._globals) | _declared_twice(rule)
        for argument in rule.head.args or ():
            self._globals -= pattern_variables(argument)
            self._taken |= pattern_variables(argument)
        body = self._body(rule.body or [], self._head_terms(rule))
        if body or rule.body is not None:
            rule.body = body
        for branch in rule.elses:
            self._else(branch)
        self._globals = saved

    def _head_terms(self, rule: Rule) -> list[tuple[object, str]]:
        head = rule.head
        wanted: list[tuple[object, str]] = [
            (head, name) for name in ("key", "value") if getattr(head, name) is not None
        ]
        return wanted

    def _else(self, branch: Else) -> None:
        wanted: list[tuple[object, str]] = [(branch, "value")] if branch.value is not None else []
        body = self._body(branch.body or [], wanted)
        if body or branch.body is not None:
            branch.body = body

    def _body(self, body: list[Literal], heads: list[tuple[object, str]]) -> list[Literal]:
        """The rewritten body, with the head terms that hang on it evaluated at its end."""
        saved = set(self._globals)
        self._globals -= declared_in(body)
        result: list[Literal] = []
        for literal in body:
            self._literal(literal, result)
        for owner, name in heads:
            term: Term = getattr(owner, name)
            if not _is_plain(term):
                setattr(owner, name, self._lift_parts(term, result, []))
        self._globals = saved
        return result

    # -- statements --------------------------------------------------------------------------------------------------

    def _literal(self, literal: Literal, out: list[Literal]) -> None:
        self._line = literal.line
        for modifier in literal.withs:
            if not self._is_mock(modifier):
                modifier.value = self._atom(modifier.value, out, [])
        expr = literal.expr
        if isinstance(expr, Some):
            out.append(literal)
            return
        if isinstance(expr, Every):
            self._every(expr, literal, out)
        elif isinstance(expr, SomeIn):
            if self._full or not isinstance(expr.collection, Var | Ref):
                expr.collection = self._atom(expr.collection, out, literal.withs)
            else:
                expr.collection = self._inside(expr.collection, out, literal.withs)
        elif literal.negated or self._full or _has_member(expr):
            literal.expr = self._statement(expr, literal, out)
        else:
            literal.expr = self._nested(expr)
        out.append(literal)

    def _is_mock(self, modifier: With) -> bool:
        """Whether a function stands in for another: then its name is no value that could be evaluated."""
        value = modifier.value
        if isinstance(value, Var):
            return value.name in self._functions
        if not isinstance(value, Ref):
            return False
        target = modifier.target.head if isinstance(modifier.target, Ref) else modifier.target
        is_document = isinstance(target, Var) and target.name in {"input", "data"}
        return not is_document or term_text(value) in self._functions

    def _every(self, expr: Every, literal: Literal, out: list[Literal]) -> None:
        expr.domain = self._atom(expr.domain, out, literal.withs)
        saved = set(self._globals)
        self._globals -= {expr.value.name} | ({expr.key.name} if expr.key is not None else set())
        # The engine takes a variable of `every` that first appears in a bracket for one that loops over what is there.
        # The fast executor is given no `every` with such a bracket.
        variables = [] if self._full else [v for v in (expr.key, expr.value) if v is not None and v.name != "_"]
        first = [Literal(Call("is_array", [Array([variable])]), line=self._line) for variable in variables]
        expr.body = [*first, *self._body(expr.body, [])]
        self._globals = saved

    def _statement(self, expr: Term, literal: Literal, out: list[Literal]) -> Term:
        """A statement whose parts are evaluated before it; its own outermost operation stays where it is."""
        withs = literal.withs
        match expr:
            case Infix(op, left, right) if op in _EQUALITIES or op == ":=":
                if op == ":=" and self._full:
                    return Infix(self._binding(left), left, self._atom(right, out, withs), expr.line, expr.column)
                keep = literal.negated or not self._full
                sides = [
                    self._side(side, out, withs) if keep else self._atom(side, out, withs) for side in (left, right)
                ]
                return Infix(op, sides[0], sides[1], expr.line, expr.column)
            case _:
                return self._inside(expr, out, withs)

    def _binding(self, left: Term) -> str:
        """`=` where the name is new to the whole rule: the fast executor orders statements by `=` better than by `:=`."""
        names = pattern_variables(left)
        if names & self._taken:
            return ":="
        self._taken |= names
        return "="

    def _side(self, term: Term, out: list[Literal], withs: list[With]) -> Term:
        """One side of an equality under `not`: a reference stays, since undefined there means "not equal"."""
        is_attempt = isinstance(term, Ref) and isinstance(term.head, Call) and term.head.name.startswith(ATTEMPT)
        if isinstance(term, Ref) and not is_attempt:
            return self._inside(term, out, withs)
        if isinstance(term, Var):
            return term
        return self._atom(term, out, withs)

    # -- terms -------------------------------------------------------------------------------------------------------

    def _inside(self, term: Term, out: list[Literal], withs: list[With]) -> Term:
        """`term` with its arguments evaluated before; the term itself is not."""
        match term:
            case Ref(head, args):
                base = head if isinstance(head, Var) else self._atom(head, out, withs)
                return Ref(base, [self._atom(argument, out, withs) for argument in args], term.line, term.column)
            case Call(name, args):
                return Call(name, [self._atom(argument, out, withs) for argument in args], term.line, term.column)
            case Infix(op, left, right):
                parts = [self._atom(side, out, withs) for side in (left, right)]
                return Infix(op, parts[0], parts[1], term.line, term.column)
            case Member(key, value, collection):
                named = self._atom(key, out, withs) if key is not None else None
                parts = [self._atom(part, out, withs) for part in (value, collection)]
                return Member(named, parts[0], parts[1], term.line, term.column)
            case Var():
                # `not some_rule`: lifted out of the negation, an undefined rule would silence the whole body.
                return term
            case _:
                return self._lift_parts(term, out, withs)

    def _atom(self, term: Term, out: list[Literal], withs: list[With]) -> Term:
        """`term` as something that is defined where it is used: a scalar, a variable, or a fresh name for the rest."""
        match term:
            case Scalar():
                return term
            case Var(name):
                return self._fresh(term, out, withs) if name in self._globals else term
            case Ref() | Call() | Infix() | Member():
                return self._fresh(self._inside(term, out, withs), out, withs)
            case _:
                lifted = self._lift_parts(term, out, withs)
                return self._fresh(lifted, out, withs) if self._full and isinstance(lifted, Comprehension) else lifted

    def _lift_parts(self, term: Term, out: list[Literal], withs: list[With]) -> Term:
        """A composite with its members as atoms; a comprehension with its own body rewritten."""
        match term:
            case Array(items):
                return Array([self._atom(item, out, withs) for item in items])
            case SetOf(items):
                return SetOf([self._atom(item, out, withs) for item in items])
            case Object(pairs):
                return Object([(self._atom(k, out, withs), self._atom(v, out, withs)) for k, v in pairs])
            case Comprehension():
                return self._comprehension(term)
            case _:
                return self._atom(term, out, withs)

    def _comprehension(self, term: Comprehension) -> Comprehension:
        heads: list[tuple[object, str]] = [(term, name) for name in ("key", "value") if getattr(term, name) is not None]
        term.body = self._body(term.body, heads)
        return term

    def _nested(self, term: Term) -> Term:
        """A positive statement for the interpreter: only the bodies nested in it are rewritten."""
        match term:
            case Ref(head, args):
                return Ref(self._nested(head), [self._nested(a) for a in args], term.line, term.column)
            case Call(name, args):
                return Call(name, [self._nested(a) for a in args], term.line, term.column)
            case Infix(op, left, right):
                return Infix(op, self._nested(left), self._nested(right), term.line, term.column)
            case Member(key, value, collection):
                named = self._nested(key) if key is not None else None
                return Member(named, self._nested(value), self._nested(collection), term.line, term.column)
            case Array(items):
                return Array([self._nested(item) for item in items])
            case SetOf(items):
                return SetOf([self._nested(item) for item in items])
            case Object(pairs):
                return Object([(self._nested(k), self._nested(v)) for k, v in pairs])
            case Comprehension():
                return self._comprehension(term)
            case _:
                return term

    def _fresh(self, term: Term, out: list[Literal], withs: list[With]) -> Var:
        self._count += 1
        name = Var(f"{PREFIX}{self._count}")
        out.append(Literal(Infix("=", name, term), False, [With(w.target, w.value) for w in withs], self._line))
        return name


def _declared_twice(rule: Rule) -> set[str]:
    """Names that more than one body of the rule declares, or a nested one: they keep the scope that `:=` gives them."""
    outer = [declared_in(body) for body in bodies_of_rule(rule)]
    nested = [
        declared_in(body) for term in terms_of_rule(rule) for body in bodies(term) if isinstance(term, Comprehension)
    ]
    seen: set[str] = set().union(*nested)
    for body in bodies_of_rule(rule):
        for literal in statements_of(body):
            if isinstance(literal.expr, Every):
                seen |= declared_in(literal.expr.body)
    for names in outer:
        seen |= names & set().union(*(other for other in outer if other is not names))
    return seen


def _has_member(term: Term) -> bool:
    """Whether `x in y` stands somewhere in it: for the interpreter that is false, not undefined, where x is undefined."""
    if isinstance(term, Comprehension):
        return False
    return isinstance(term, Member) or any(_has_member(inner) for inner in subterms(term))


def _is_plain(term: Term) -> bool:
    """Whether a head term needs nothing evaluated: scalars, and composites of them."""
    match term:
        case Scalar():
            return True
        case Array(items) | SetOf(items):
            return all(_is_plain(item) for item in items)
        case Object(pairs):
            return all(_is_plain(k) and _is_plain(v) for k, v in pairs)
        case _:
            return False
