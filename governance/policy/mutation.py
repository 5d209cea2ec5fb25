"""Mutation testing of a rule pack: a rule is changed in one place, and its tests have to notice.

What changes: comparisons and arithmetic, negations, statements that are left out, numbers and booleans, entries of lists. A
mutant that does not compile says nothing and is not counted; one that every test passes is a line that no test holds.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import GovernanceError
from governance.policy.bundle import load_bundle
from governance.policy.metadata import metadata_of
from governance.policy.rego.parser import parse_module
from governance.policy.rego.printer import Printer, expr_text, literal_text
from governance.policy.rego.syntax import Array, Infix, Literal, Scalar, SetOf
from governance.policy.rego.walk import bodies, bodies_of_rule, terms_of_rule
from governance.policy.rule_tests import cases_of, outcomes_of, test_modules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from governance.policy.bundle import Bundle
    from governance.policy.compiler.compile import Module
    from governance.policy.rego.syntax import Module as Tree
    from governance.policy.rule_tests import Case

_FLIPS = {"==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+", "*": "/", "/": "*"}
_OTHER = {"true": "false", "false": "true"}


class Mutant(NamedTuple):
    """One change and what became of it."""

    file: str
    line: int
    change: str
    status: str
    """killed | survived | invalid"""


class _Site(NamedTuple):
    line: int
    change: str
    apply: Callable[[], object]


def mutate(source: str, *, only: str = "", jobs: int = 1) -> list[Mutant]:
    """Every mutant of the rules whose file contains `only`, in the order of the files, from `jobs` processes."""
    bundle = load_bundle(source)
    rules = [m for m in bundle.modules if only in m.path and metadata_of(m.text, m.path) is not None]
    find = partial(_mutants, bundle, test_modules(source), cases_of(source))
    if jobs < 2 or len(rules) < 2:
        return [mutant for rule in rules for mutant in find(rule)]
    # Only here: one process needs none of this. A fresh interpreter each, since an engine belongs to its thread.
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return [mutant for found in pool.map(find, rules) for mutant in found]


def score(mutants: Sequence[Mutant]) -> float:
    """Percent of the mutants that say something which were noticed; 100 where there are none."""
    counted = [mutant for mutant in mutants if mutant.status != "invalid"]
    return 100.0 if not counted else 100 * sum(m.status == "killed" for m in counted) / len(counted)


def _mutants(bundle: Bundle, tests: Sequence[Module], cases: Sequence[Case], module: Module) -> list[Mutant]:
    """The mutants of one rule."""
    stem = module.path.removesuffix(".rego")
    own_tests = [m for m in tests if m.path == f"tests/{stem}_test.rego"]
    own_cases = [case for case in cases if case.file == f"tests/cases/{stem}.yaml"]
    shared = [m for m in tests if not m.path.endswith("_test.rego")]
    # Everything else that is no rule with metadata: the library that rules stand on.
    library = [m for m in bundle.modules if metadata_of(m.text, m.path) is None]
    found: list[Mutant] = []
    near = bundle._replace(modules=(module, *library))
    for number in range(len(_sites(parse_module(module.text, module.path)))):
        tree = parse_module(module.text, module.path)
        site = _sites(tree)[number]
        site.apply()
        changed = module._replace(text=Printer().module(tree))
        status = _status(near._replace(modules=(changed, *library)), [*shared, *own_tests], own_cases)
        found.append(Mutant(module.path, site.line, site.change, status))
    return found


def _status(bundle: Bundle, tests: Sequence[Module], cases: Sequence[Case]) -> str:
    try:
        outcomes = outcomes_of(bundle, tests, cases)
    except GovernanceError:
        return "invalid"
    return "killed" if any(o.status in {"fail", "error"} for o in outcomes) else "survived"


def _sites(tree: Tree) -> list[_Site]:
    """Every place that can be changed, always in the same order."""
    found: list[_Site] = []
    for rule in tree.rules:
        tops = [*bodies_of_rule(rule), *(body for term in terms_of_rule(rule) for body in bodies(term))]
        for body in tops:
            found += _statement_sites(body)
        for node, line in nodes(rule, rule.line):
            found += _node_sites(node, line)
    return found


def nodes(node: Any, line: int) -> Iterator[tuple[Any, int]]:
    """Every node below `node` with the nearest line above it."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from nodes(item, line)
    elif is_dataclass(node):
        line = getattr(node, "line", 0) or line
        yield node, line
        for field in fields(node):
            yield from nodes(getattr(node, field.name), line)


def _statement_sites(body: list[Literal]) -> Iterator[_Site]:
    for literal in body:
        text = literal_text(literal)[:60]
        if literal.negated:
            yield _Site(literal.line, f"`{text}` without its not", partial(setattr, literal, "negated", False))
        if len(body) > 1:
            yield _Site(literal.line, f"without `{text}`", partial(body.remove, literal))


def _node_sites(node: Any, line: int) -> Iterator[_Site]:
    if isinstance(node, Infix) and node.op in _FLIPS:
        other = _FLIPS[node.op]
        yield _Site(line, f"{node.op} to {other} in `{expr_text(node)[:60]}`", partial(setattr, node, "op", other))
    elif isinstance(node, Scalar) and (node.text in _OTHER or node.text.lstrip("-").isdigit()):
        other = _OTHER.get(node.text) or str(int(node.text) + 1)
        yield _Site(line, f"{node.text} to {other}", partial(setattr, node, "text", other))
    elif isinstance(node, Array | SetOf) and len(node.items) > 1:
        for number in range(len(node.items)):
            yield _Site(line, f"a list without its entry {number + 1}", partial(node.items.pop, number))
