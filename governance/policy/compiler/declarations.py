"""Where names are declared: once in a body, before they are used; and what a default may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.compiler.binding import needs
from governance.policy.compiler.checks import CompileError
from governance.policy.rego.syntax import Call, Comprehension, Every, Infix, Literal, Member, Ref, Var
from governance.policy.rego.walk import bodies, bodies_of_rule, declared_in, subterms, terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.policy.rego.syntax import Module, Rule, Term


def check_declarations(trees: Sequence[Module]) -> None:
    """Refuse a name that is used above its declaration or declared twice, and a default that needs evaluation."""
    for tree in trees:
        for rule in tree.rules:
            if rule.is_default and rule.head.value is not None and _needs_evaluation(rule.head.value):
                raise CompileError("a default cannot contain a variable, reference or call", where=_at(tree, rule))
            for body in _every_body(rule):
                _check_body(tree, body)


def declared_later(body: list[Literal]) -> dict[int, set[str]]:
    """For each statement (by identity) the names that this body declares only after it."""
    found: dict[int, set[str]] = {}
    later: set[str] = set()
    for literal in reversed(body):
        found[id(literal)] = set(later)
        later |= declared_in([literal])
    return found


def _check_body(tree: Module, body: list[Literal]) -> None:
    later = declared_later(body)
    above: set[str] = set()
    for literal in body:
        own = declared_in([literal])
        used = needs(literal, frozenset()) & later[id(literal)] - own
        twice = own & above - {"_"}
        for name in sorted(used - above) or sorted(twice):
            problem = "referenced" if name in used else "declared"
            raise CompileError(
                f"var {name} {problem} above", where=f"{tree.file}:{literal.line}:{max(literal.column, 1)}"
            )
        above |= own


def _every_body(rule: Rule) -> Iterator[list[Literal]]:
    for body in [*bodies_of_rule(rule), *(inner for term in terms_of_rule(rule) for inner in bodies(term))]:
        yield from _with_every(body)


def _with_every(body: list[Literal]) -> Iterator[list[Literal]]:
    yield body
    for literal in body:
        if isinstance(literal.expr, Every):
            yield from _with_every(literal.expr.body)


def _needs_evaluation(term: Term) -> bool:
    if isinstance(term, Comprehension):
        return False
    if isinstance(term, Var | Ref | Call | Infix | Member):
        return True
    return any(_needs_evaluation(inner) for inner in subterms(term))


def _at(tree: Module, rule: Rule) -> str:
    return f"{tree.file}:{rule.line}:{max(rule.column, 1)}"
