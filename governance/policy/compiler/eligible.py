"""Which modules the fast executor may be tried on: only constructs on which it is known to agree with the interpreter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.policy.builtins.registry import MISSING_IN_ENGINE, OVERRIDDEN
from governance.policy.rego.syntax import (
    Call,
    Comprehension,
    Every,
    Infix,
    Member,
    Object,
    Ref,
    Scalar,
    Some,
    SomeIn,
    Var,
)
from governance.policy.rego.walk import (
    bodies_of_rule,
    pattern_variables,
    statements_of,
    subterms,
    terms_of,
    terms_of_rule,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from governance.policy.rego.syntax import Expr, Literal, Module, Rule, Term

# `walk` relations cannot be looped over there; the others panic or differ.
_EXCLUDED = frozenset({"walk", "strings.count", "json.match_schema", "json.verify_schema", "print", "trace"})


def eligible_trees(trees: Sequence[Module]) -> list[Module]:
    """The modules that the fast executor may be tried on: eligible themselves, as is all that they can reach."""
    kept = list(trees)
    gone = [tree for tree in trees if ineligible_reason(tree)]
    while gone:
        provided = _Places({path for tree in gone for path in _provided(tree)})
        kept = [tree for tree in kept if not any(tree is other for other in gone)]
        gone = [tree for tree in kept if any(map(provided.touch, _reached(tree)))]
    return kept


def needed_trees(trees: Sequence[Module], entrypoints: Sequence[str]) -> list[Module]:
    """The modules that an entry point can reach: what nobody asks for must not keep the rest from compiling."""
    wanted = _Places({tuple(path.split(".")[1:]) for path in entrypoints})
    needed: set[int] = set()
    left = [(number, tree, _provided(tree)) for number, tree in enumerate(trees)]
    while found := [(number, tree) for number, tree, provided in left if any(map(wanted.touch, provided))]:
        needed |= {number for number, _ in found}
        left = [row for row in left if row[0] not in needed]
        wanted = _Places({path for _, tree in found for path in _reached(tree)})
    return [tree for number, tree in enumerate(trees) if number in needed]


class _Places:
    """Places in `data`, and whether another one leads to or through any of them."""

    def __init__(self, paths: set[tuple[str, ...]]) -> None:
        self._paths = paths
        self._on_the_way = {path[:length] for path in paths for length in range(len(path) + 1)}

    def touch(self, path: tuple[str, ...]) -> bool:
        return path in self._on_the_way or any(path[:length] in self._paths for length in range(len(path)))


def _provided(tree: Module) -> set[tuple[str, ...]]:
    """Where in `data` the module's rules stand."""
    heads = (rule.head.ref[0] for rule in tree.rules)
    return {(*tree.package, head.name) for head in heads if isinstance(head, Var)}


def _reached(tree: Module) -> set[tuple[str, ...]]:
    """Every place in `data` that the module reads, as far as it is written out; `()` is all of it."""
    found = {tuple(entry.path[1:]) for entry in tree.imports if entry.path[0] == "data"}
    for rule in tree.rules:
        terms = list(terms_of_rule(rule))
        heads = {id(term.head) for term in terms if isinstance(term, Ref)}
        for term in terms:
            if isinstance(term, Var) and not (term.name == "data" and id(term) in heads):
                found.add(() if term.name == "data" else (*tree.package, term.name))
            elif isinstance(term, Call):
                head, *rest = term.name.split(".")
                found.add(tuple(rest) if head == "data" else (*tree.package, head))
            elif isinstance(term, Ref) and isinstance(term.head, Var) and term.head.name == "data":
                found.add(_constant_path(term))
    return found


def _constant_path(ref: Ref) -> tuple[str, ...]:
    path: list[str] = []
    for argument in ref.args:
        if not isinstance(argument, Scalar) or argument.text[:1] != '"':
            break
        path.append(str(json.loads(argument.text)))
    return tuple(path)


def ineligible_reason(tree: Module) -> str:
    """Empty when the fast executor may be tried, else why not."""
    for rule in tree.rules:
        reason = _reason(rule)
        if reason:
            return f"{tree.file}:{rule.line}: {reason}"
    return _several_values(tree)


def _reason(rule: Rule) -> str:
    head = rule.head
    if len(head.ref) > 1:
        return "a rule's name is a reference"
    if rule.is_default and head.args is not None:
        return "a function has a default, which is never taken there"
    for body in bodies_of_rule(rule):
        for literal in statements_of(body):
            if literal.withs:
                return "`with` is used"
            if isinstance(literal.expr, Every) and not all(_is_flat(inner) for inner in literal.expr.body):
                return "`every` looks something up, and holds there where that is undefined"
    if any(_nests(term) for term in terms_of_rule(rule)):
        return "a comprehension stands in another, which gives nothing there"
    for term in terms_of_rule(rule):
        if isinstance(term, Member) and term.key is not None:
            return "`k, v in …` is tested, which looks at the value alone there"
        if isinstance(term, Call) and term.name in _EXCLUDED | MISSING_IN_ENGINE | OVERRIDDEN:
            return f"{term.name} is called"
    return ""


def _several_values(tree: Module) -> str:
    """A complete rule with several bodies may conflict, and this executor never says so."""
    seen: dict[str, str] = {}
    known = {"input", "data"} | {entry.alias or entry.path[-1] for entry in tree.imports}
    known |= {rule.head.ref[0].name for rule in tree.rules if isinstance(rule.head.ref[0], Var)}
    for rule in tree.rules:
        head = rule.head
        name = head.ref[0]
        if rule.is_default or head.key is not None or not isinstance(name, Var):
            continue
        value = _constant(rule)
        if value == "" and _iterates(rule, known):
            return f"{tree.file}:{rule.line}: {name.name} may have a value for each of several"
        if name.name in seen and (value == "" or seen[name.name] != value):
            return f"{tree.file}:{rule.line}: {name.name} may have several values"
        seen[name.name] = value
    return ""


def _is_flat(literal: Literal) -> bool:
    """A plain test without lookups by a variable, negation, loops or nested bodies."""
    if literal.negated or isinstance(literal.expr, Some | SomeIn | Every):
        return False
    terms = list(terms_of(literal.expr))
    lookups = [argument for term in terms if isinstance(term, Ref) for argument in term.args]
    return all(isinstance(argument, Scalar) for argument in lookups) and not any(
        isinstance(term, Comprehension) for term in terms
    )


def _nests(term: Term) -> bool:
    return isinstance(term, Comprehension) and any(
        isinstance(inner, Comprehension) for inner in terms_of(term) if inner is not term
    )


def _iterates(rule: Rule, known: AbstractSet[str]) -> bool:
    """Whether a body may hold in several ways: it loops, or a reference has a bracket that nothing else binds."""
    fixed = set(known).union(*(pattern_variables(argument) for argument in rule.head.args or ()))
    statements = [literal.expr for body in bodies_of_rule(rule) for literal in body]
    for expr in statements:
        if isinstance(expr, Infix) and expr.op == ":=":
            fixed |= pattern_variables(expr.left)
    values = [rule.head.value, *(branch.value for branch in rule.elses)]
    return any(isinstance(expr, SomeIn) or _loops(expr, fixed - {"_"}) for expr in [*statements, *values] if expr)


def _loops(expr: Expr, fixed: AbstractSet[str]) -> bool:
    if isinstance(expr, Comprehension):
        return False
    if isinstance(expr, Ref):
        names = set().union(*(pattern_variables(argument) for argument in expr.args))
        if names - fixed:
            return True
    return any(_loops(inner, fixed) for inner in subterms(expr))


def _constant(rule: Rule) -> str:
    """The text of a value that cannot vary; empty where it can."""
    if rule.elses:
        return ""
    if rule.head.value is None:
        return "true"
    return (
        rule.head.value.text if isinstance(rule.head.value, Scalar) else "{}" if rule.head.value == Object([]) else ""
    )
