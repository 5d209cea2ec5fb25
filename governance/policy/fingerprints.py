"""Fingerprints: what each rule depends on and which parts of `input` it reads, so that two revisions can be compared.

Two rules with the same digest give the same answer for the same input: it covers every module and every base document that
the rule reaches, its metadata and its mode. Both the digest and the reads err on the side of too much: a reference that
cannot be followed counts as reading everything.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from governance.policy.bundle import united_data
from governance.policy.engine import engine_version
from governance.policy.rego.parser import parse_module
from governance.policy.rego.syntax import Array, Call, Comprehension, Every, Ref, Scalar, Var
from governance.policy.rego.walk import bodies, bodies_of_rule, declared_in, statements_of, subterms, terms_of_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.model.request import Json
    from governance.policy.bundle import Bundle
    from governance.policy.metadata import RuleMeta
    from governance.policy.rego.syntax import Expr, Literal, Rule, Term
    from governance.policy.rego.syntax import Module as Tree

_Path = tuple[str, ...]


class Print(NamedTuple):
    """One rule or obligation."""

    digest: str
    reads: tuple[_Path, ...]
    """Paths below `input`; the empty path is all of it."""


class _Scope(NamedTuple):
    """What names mean in one module."""

    names: dict[str, _Path]
    package: _Path
    accessors: dict[_Path, set[int]]
    """Functions that look up `input` at a path they are given, and which arguments may be that path."""
    parameters: frozenset[str] = frozenset()


class _Reached(NamedTuple):
    package: _Path
    text: str
    reads: frozenset[_Path]
    """Paths below `input` and `data`, their root first."""


def prints_of(bundles: Sequence[Bundle], rules: Sequence[RuleMeta], modes: Json) -> str:
    """JSON text `{id: {digest, reads}}` for every rule and obligation."""
    trees = [(parse_module(m.text, m.path, is_v0=m.v0), f"{m.v0}:{m.text}") for b in bundles for m in b.modules]
    accessors: dict[_Path, set[int]] = {}
    for place, index in (found for tree, _ in trees for found in _accessors(tree)):
        accessors.setdefault(place, set()).add(index)
    modules = [_reached(tree, text, accessors) for tree, text in trees]
    rows = modes.get("rules") if isinstance(modes, dict) else None
    mode_of = rows if isinstance(rows, dict) else {}
    data = united_data(bundles)
    found = {}
    for meta in rules:
        reached, reads = _closure(tuple(meta.package.split(".")), modules)
        parts = [
            engine_version(),
            sorted(modules[index].text for index in reached),
            [[path, _at(data, path[1:])] for path in sorted(p for p in reads if p[0] == "data")],
            meta._replace(file="", line=0),
            mode_of.get(meta.id),
        ]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        inputs = sorted(path[1:] for path in reads if path[0] == "input")
        outermost = [p for p in inputs if not any(p != other and p[: len(other)] == other for other in inputs)]
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        found[meta.id] = {"digest": digest, "reads": outermost}
    return json.dumps(found)


def read_prints(text: str) -> dict[str, Print]:
    """The inverse of `prints_of`."""
    return {
        rule: Print(row["digest"], tuple(tuple(path) for path in row["reads"]))
        for rule, row in json.loads(text).items()
    }


def _closure(package: _Path, modules: Sequence[_Reached]) -> tuple[set[int], set[_Path]]:
    """Indexes of the modules that a package's rules may reach, and every path these read."""
    waiting, reached, reads = [package], set[int](), set[_Path]()
    while waiting:
        path = waiting.pop()
        for index, module in enumerate(modules):
            if index not in reached and _touches(module.package, path):
                reached.add(index)
                reads |= module.reads
                waiting += [read[1:] for read in module.reads if read[0] == "data"]
    return reached, reads


def _touches(package: _Path, path: _Path) -> bool:
    shorter = min(len(package), len(path))
    return package[:shorter] == path[:shorter]


def _at(data: Json, path: _Path) -> Json:
    """The base document at a path, or at the deepest place on the way that is no object; a marker where there is none."""
    for segment in path:
        if not isinstance(data, dict):
            return data
        if segment not in data:
            return ["absent"]
        data = data[segment]
    return data


def _accessors(tree: Tree) -> Iterator[tuple[_Path, int]]:
    """Functions with `object.get(input, <a parameter>, …)` in them."""
    for rule in tree.rules:
        open_ones = _parameters(rule)
        parameters = [
            arg.name if isinstance(arg, Var) and arg.name in open_ones else "" for arg in rule.head.args or ()
        ]
        for term in terms_of_rule(rule):
            place = _looked_up(term)
            if isinstance(place, Var) and place.name in parameters and isinstance(rule.head.ref[0], Var):
                yield (*tree.package, rule.head.ref[0].name), parameters.index(place.name)


def _parameters(rule: Rule) -> frozenset[str]:
    """Names that stand for what a caller hands in, wherever in the rule they are: those that nothing in it declares anew."""
    names = {arg.name for arg in rule.head.args or () if isinstance(arg, Var)}
    inside = [body for term in terms_of_rule(rule) for body in bodies(term)]
    for literal in (literal for body in [*bodies_of_rule(rule), *inside] for literal in statements_of(body)):
        names -= declared_in([literal])
        if isinstance(literal.expr, Every):
            names -= {name.name for name in (literal.expr.key, literal.expr.value) if name is not None}
    return frozenset(names)


def _looked_up(expr: Expr) -> Term | None:
    """The path of `object.get(input, path, default)`."""
    if not isinstance(expr, Call) or expr.name != "object.get" or len(expr.args) != 3:
        return None
    document = expr.args[0]
    return expr.args[1] if isinstance(document, Var) and document.name == "input" else None


def _reached(tree: Tree, text: str, accessors: dict[_Path, set[int]]) -> _Reached:
    names: dict[str, _Path] = {"input": ("input",), "data": ("data",)}
    names |= {entry.alias or entry.path[-1]: tuple(entry.path) for entry in tree.imports if entry.path[0] in names}
    scope = _Scope(names, tuple(tree.package), accessors)
    found = {path for rule in tree.rules for path in _reads_of_rule(rule, scope)}
    return _Reached(scope.package, text, frozenset(found))


def _reads_of_rule(rule: Rule, scope: _Scope) -> Iterator[_Path]:
    head = rule.head
    scope = scope._replace(parameters=_parameters(rule))
    for term in (*head.ref[1:], *(head.args or ()), head.key, head.value, *(branch.value for branch in rule.elses)):
        if term is not None:
            yield from _reads(term, scope)
    for body in bodies_of_rule(rule):
        yield from _reads_of_body(body, scope)


def _reads_of_body(body: Sequence[Literal], scope: _Scope) -> Iterator[_Path]:
    for literal in body:
        yield from _reads(literal.expr, scope)
        for modifier in literal.withs:
            yield from _reads(modifier.target, scope)
            yield from _reads(modifier.value, scope)


def _reads(expr: Expr, scope: _Scope) -> Iterator[_Path]:
    if isinstance(expr, Var):
        yield from _named(expr, (), scope)
    elif isinstance(expr, Ref) and isinstance(expr.head, Var):
        yield from _named(expr.head, expr.args, scope)
        for argument in expr.args:
            yield from _reads(argument, scope)
    elif (place := _looked_up(expr)) is not None:
        if not (isinstance(place, Var) and place.name in scope.parameters):  # else its callers say which path
            yield ("input", *_constants(_segments(place)))
        for argument in list(subterms(expr))[1:]:
            yield from _reads(argument, scope)
    else:
        yield from _reads_inside(expr, scope)


def _reads_inside(expr: Expr, scope: _Scope) -> Iterator[_Path]:
    if isinstance(expr, Call):
        yield from _called(expr, scope)
    if isinstance(expr, Comprehension):
        for term in (expr.key, expr.value):
            if term is not None:
                yield from _reads(term, scope)
    for term in subterms(expr):
        yield from _reads(term, scope)
    for body in bodies(expr):
        yield from _reads_of_body(body, scope)


def _named(name: Var, arguments: Sequence[Term], scope: _Scope) -> Iterator[_Path]:
    if name.name in scope.names:
        yield (*scope.names[name.name], *_constants(arguments))


def _segments(place: Term) -> Sequence[Term]:
    return place.items if isinstance(place, Array) else [place]


def _called(call: Call, scope: _Scope) -> Iterator[_Path]:
    first, _, rest = call.name.partition(".")
    path = (*scope.names[first], *(rest.split(".") if rest else ())) if first in scope.names else ()
    if path:
        yield path
    for index in scope.accessors.get(path[1:] if path else (*scope.package, call.name), ()):
        if index < len(call.args):
            yield ("input", *_constants(_segments(call.args[index])))


def _constants(arguments: Sequence[Term]) -> Iterator[str]:
    """The leading segments of a reference that are plain texts; behind the first other one anything may be meant."""
    for argument in arguments:
        if not isinstance(argument, Scalar) or not argument.text.startswith('"'):
            return
        yield str(json.loads(argument.text))
