"""Rules that need their own value, refused at load as OPA does: no order of evaluation gives them one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.policy.compiler.checks import CompileError, ref_name
from governance.policy.rego.syntax import Call, Every, Ref, Rule, Scalar, Var
from governance.policy.rego.walk import (
    bodies,
    bodies_of_rule,
    declared_in,
    pattern_variables,
    statements_of,
    terms_of_rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from governance.policy.rego.syntax import Module

_Path = tuple[str, ...]
_Reference = tuple[str | None, ...]


class Recursion(CompileError):
    """A rule that depends on itself."""

    code = "rego_recursion_error"


def check_recursion(trees: Sequence[Module]) -> None:
    """Refuse the first rule that reaches itself through references and calls, naming the way."""
    places: dict[_Path, str] = {}
    wanted: dict[_Path, set[_Reference]] = {}
    names: dict[_Path, set[str]] = {}
    for tree in trees:
        package = ("data", *tree.package)
        names.setdefault(package, set()).update(ref_name(rule).split(".")[0] for rule in tree.rules)
    for tree in trees:
        package = ("data", *tree.package)
        known = {name: (*package, name) for name in names[package]}
        known |= {entry.alias or entry.path[-1]: tuple(entry.path) for entry in tree.imports}
        for rule in tree.rules:
            path = (*package, *ref_name(rule).split("."))
            places.setdefault(path, f"{tree.file}:{rule.line}:{rule.column}")
            wanted.setdefault(path, set()).update(_references(rule, known))
    rules = _Place()
    for path in places:
        rules.add(path)
    graph = {path: sorted({target for ref in refs for target in rules.met(ref)}) for path, refs in wanted.items()}
    _refuse_cycles(graph, places)


def _references(rule: Rule, known: Mapping[str, _Path]) -> Iterator[_Reference]:
    """Documents that a rule reads; its own variables hide rules of the same name."""
    hidden = {name for argument in rule.head.args or () for name in pattern_variables(argument)}
    for body in [*bodies_of_rule(rule), *(body for term in terms_of_rule(rule) for body in bodies(term))]:
        hidden |= declared_in(body)
        for literal in statements_of(body):
            if isinstance(literal.expr, Every):
                hidden |= {v.name for v in (literal.expr.key, literal.expr.value) if v} | declared_in(literal.expr.body)
    inside = {id(term.head) for term in terms_of_rule(rule) if isinstance(term, Ref)}
    for term in terms_of_rule(rule):
        if term is rule.head.ref[0]:
            continue
        if isinstance(term, Var) and id(term) not in inside:
            parts: list[str | None] = [term.name]
        elif isinstance(term, Ref) and isinstance(term.head, Var):
            parts = [term.head.name, *_segments(term)]
        elif isinstance(term, Call):
            parts = list(term.name.split("."))
        else:
            continue
        # All of `data` is for the engine to judge: what is read of it shows only there.
        if parts[0] == "data" and len(parts) > 1 and parts[1] is not None:
            yield tuple(parts)
        elif parts[0] is not None and parts[0] in known and parts[0] not in hidden:
            yield (*known[parts[0]], *parts[1:])


def _segments(ref: Ref) -> Iterator[str | None]:
    """What stands in a reference's brackets; None for what only evaluation can tell."""
    for argument in ref.args:
        is_text = isinstance(argument, Scalar) and argument.text.startswith('"')
        yield str(json.loads(argument.text)) if is_text and isinstance(argument, Scalar) else None


class _Place:
    """One segment of the paths that rules stand at, with what stands below it."""

    __slots__ = ("below", "rule")

    def __init__(self) -> None:
        self.below: dict[str, _Place] = {}
        self.rule: _Path | None = None

    def add(self, path: _Path) -> None:
        place = self
        for segment in path:
            place = place.below.setdefault(segment, _Place())
        place.rule = path

    def all(self) -> Iterator[_Path]:
        if self.rule is not None:
            yield self.rule
        for place in self.below.values():
            yield from place.all()

    def met(self, ref: _Reference) -> Iterator[_Path]:
        """Rules that a reference may read: the one it names, those below it, and the one it reaches into.

        A part of it that is not constant may be anything.
        """
        if not ref:
            yield from self.all()
            return
        if self.rule is not None:
            yield self.rule
        segment, *rest = ref
        for place in self.below.values() if segment is None else filter(None, [self.below.get(segment)]):
            yield from place.met(tuple(rest))


def _refuse_cycles(graph: Mapping[_Path, list[_Path]], places: Mapping[_Path, str]) -> None:
    done: set[_Path] = set()
    for start in graph:
        way: list[_Path] = []
        # Depth first without recursion of our own: a chain of rules may be as long as a bundle.
        stack: list[tuple[_Path, bool]] = [(start, False)]
        while stack:
            path, is_left = stack.pop()
            if is_left:
                done.add(way.pop())
                continue
            if path in way:
                cycle = " -> ".join(".".join(step[1:]) for step in [*way[way.index(path) :], path])
                raise Recursion(f"rule {'.'.join(path[1:])} is recursive: {cycle}", where=places[path])
            if path in done:
                continue
            way.append(path)
            stack.append((path, True))
            stack += [(target, False) for target in graph[path]]
