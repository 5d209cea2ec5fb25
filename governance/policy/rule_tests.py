"""Testing rules: Rego tests, readable cases, and which lines of each rule they reach.

A Rego test is a rule `test_…` in a package below `tests`; one that starts with `todo_` is skipped and counted. A case is
`{description, input, data?, expect: [{path, message_contains?}]}` in `tests/cases/<domain>/<rule>.yaml`. Everything runs
on the interpreter, compiled exactly as it serves.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import NoAnswer, RuleError
from governance.policy.active import engine_for
from governance.policy.bundle import load_bundle
from governance.policy.compiler.compile import Module, compile_policy
from governance.policy.metadata import metadata_of, package_of
from governance.policy.rego.parser import parse_module
from governance.policy.rego.printer import expr_text, literal_text, path_text, term_text
from governance.policy.rego.syntax import Infix, Rule, Var
from governance.policy.rego.walk import bodies_of_rule, statements_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json
    from governance.policy.bundle import Bundle
    from governance.policy.engine import Engine
    from governance.policy.rego.syntax import Module as Tree

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "="})


class Outcome(NamedTuple):
    """One test or case."""

    name: str
    file: str
    line: int
    status: str
    """pass | fail | error | skip"""
    detail: str = ""
    """For a failure: what was expected against what was got."""


class Coverage(NamedTuple):
    """Lines of one rule file that tests and cases reach."""

    file: str
    covered: int
    missed: tuple[int, ...]


class Report(NamedTuple):
    """A whole run."""

    outcomes: tuple[Outcome, ...]
    coverage: tuple[Coverage, ...]

    @property
    def failed(self) -> list[Outcome]:
        """What did not pass."""
        return [o for o in self.outcomes if o.status in {"fail", "error"}]


class Case(NamedTuple):
    """One readable case."""

    file: str
    number: int
    """Which case of the file, from 0."""
    description: str
    input: Json
    data: Json
    expect: list[Json]


def run_tests(source: str, *, only: str = "") -> Report:
    """Run every test and case of the bundle folder `source` whose name contains `only`.

    Raises RuleError when there is nothing to run: no tests is not the same as no failures.
    """
    bundle = load_bundle(source)
    modules = test_modules(source)
    trees = [parse_module(module.text, module.path) for module in modules]
    compiled = compile_policy([*bundle.modules, *modules], data=bundle.data, strict=True)
    engine = engine_for(compiled)
    engine.enable_coverage()
    found = [(tree, rule) for tree in trees for rule in tree.rules if _is_test(rule) and only in _name(tree, rule)]
    outcomes = [_run_one(engine, tree, rule) for tree, rule in found]
    outcomes += [_run_case(engine, bundle, case) for case in cases_of(source) if only in case.file]
    if not outcomes:
        raise RuleError("0 tests found", where=source, hint="tests are rules named test_… below rules/tests")
    failing = {o.name for o in outcomes if o.status == "fail"}
    told = _explained(bundle, modules, [(t, r) for t, r in found if _name(t, r) in failing])
    outcomes = [o._replace(detail=told.get(o.name, o.detail)) for o in outcomes]
    return Report(tuple(outcomes), tuple(_coverage(engine, bundle, compiled.origins)))


def outcomes_of(bundle: Bundle, tests: Sequence[Module], cases: Sequence[Case]) -> list[Outcome]:
    """What these tests and cases say of these rules; raises RuleError where they do not compile together."""
    engine = engine_for(compile_policy([*bundle.modules, *tests], data=bundle.data, strict=True))
    trees = [parse_module(module.text, module.path) for module in tests]
    told = [_run_one(engine, tree, rule) for tree in trees for rule in tree.rules if _is_test(rule)]
    return told + [_run_case(engine, bundle, case) for case in cases]


def test_modules(source: str) -> list[Module]:
    """The Rego files below `tests`."""
    found = []
    base = os.path.join(source, "tests")
    for folder, _, files in sorted(os.walk(base)):
        for file in sorted(files):
            if file.endswith(".rego"):
                path = os.path.join(folder, file)
                with open(path, encoding="utf-8") as stream:
                    found.append(Module(os.path.relpath(path, source), stream.read()))
    return found


def cases_of(source: str) -> list[Case]:
    """Every readable case; raises RuleError naming file and number of one that is malformed."""
    import yaml

    found: list[Case] = []
    base = os.path.join(source, "tests", "cases")
    for folder, _, files in sorted(os.walk(base)):
        for file in sorted(files):
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as stream:
                rows = yaml.load(stream, Loader=yaml.CSafeLoader)
            short = os.path.relpath(path, source)
            for index, row in enumerate(rows or []):
                if not isinstance(row, dict) or not {"description", "input", "expect"} <= set(row):
                    raise RuleError("a case needs description, input and expect", where=f"{short} case {index + 1}")
                found.append(Case(short, index, row["description"], row["input"], row.get("data"), row["expect"]))
    return found


def _is_test(rule: Rule) -> bool:
    head = rule.head.ref[0]
    return isinstance(head, Var) and head.name.startswith(("test_", "todo_test_")) and not rule.is_default


def _name(tree: Tree, rule: Rule) -> str:
    head = rule.head.ref[0]
    return f"{path_text(tree.package)}.{head.name if isinstance(head, Var) else ''}"


def _run_one(engine: Engine, tree: Tree, rule: Rule) -> Outcome:
    name = _name(tree, rule)
    if name.rpartition(".")[2].startswith("todo_"):
        return Outcome(name, tree.file, rule.line, "skip")
    try:
        answer = engine.rule(f"data.{name}", "{}")
    except NoAnswer as error:
        return Outcome(name, tree.file, rule.line, "error", str(error))
    return Outcome(name, tree.file, rule.line, "pass" if answer.text == "true" else "fail")


def _run_case(engine: Engine, bundle: Bundle, case: Case) -> Outcome:
    """A case sits beside its rule: cases/<domain>/<rule>.yaml speaks of <domain>/<rule>.rego."""
    rule_file = case.file.removeprefix("tests/cases/").rsplit(".", 1)[0] + ".rego"
    module = next((m for m in bundle.modules if m.path == rule_file), None)
    name = f"{case.file} case {case.number + 1}: {case.description}"
    if module is None:
        return Outcome(name, case.file, 1, "error", f"there is no rule {rule_file}")
    chosen = engine if case.data is None else _with_data(bundle, case.data)
    try:
        text = chosen.rule(f"data.{package_of(module.text, module.path)}.deny", json.dumps(case.input)).text
    except NoAnswer as error:
        return Outcome(name, case.file, 1, "error", str(error))
    got = json.loads(text) if text is not None else []
    problem = _difference(case.expect, got)
    return Outcome(name, case.file, 1, "fail" if problem else "pass", problem)


def _with_data(bundle: Bundle, data: Json) -> Engine:
    merged = {**bundle.data, "platform": {**bundle.data.get("platform", {}), **data.get("platform", data)}}
    return engine_for(compile_policy(bundle.modules, data=merged, strict=True))


def _difference(expect: Sequence[Json], got: Sequence[Json]) -> str:
    """Empty where every violation is expected and every expectation is met, one for one."""
    left = list(got)
    for wanted in expect:
        match = next((v for v in left if _meets(v, wanted)), None)
        if match is None:
            return f"expected {json.dumps(wanted)}\n     got {json.dumps(list(got))}"
        left.remove(match)
    return f"expected no further violation\n     got {json.dumps(left)}" if left else ""


def _meets(violation: Json, wanted: Json) -> bool:
    return violation.get("path") == wanted.get("path") and wanted.get("message_contains", "") in violation.get(
        "message", ""
    )


def _explained(bundle: Bundle, modules: Sequence[Module], failing: Sequence[tuple[Tree, Rule]]) -> dict[str, str]:
    """For each failing test its first statement that does not hold, with the values on both sides.

    The sides become rules of their own in the test's package, and are evaluated there.
    """
    told: dict[str, str] = {}
    for tree, rule in failing:
        for index, literal in enumerate(rule.body or []):
            probe = _probe(tree, rule, index)
            try:
                engine = engine_for(compile_policy([*bundle.modules, *modules, probe], data=bundle.data, strict=True))
                values = [engine.rule(f"data.{path_text(tree.package)}.probe_{n}", "{}").text for n in (0, 1, 2)]
            except (RuleError, NoAnswer):
                continue
            if values[0] == "true":
                continue
            where = f"{tree.file}:{literal.line}: {literal_text(literal)}"
            sides = (
                f"\n     got {_flat(values[1])}\nexpected {_flat(values[2])}" if isinstance(literal.expr, Infix) else ""
            )
            told[_name(tree, rule)] = f"this does not hold: {where}{sides}"
            break
    return told


def _flat(text: str | None) -> str:
    return "undefined" if text is None else json.dumps(json.loads(text))


def _probe(tree: Tree, rule: Rule, index: int) -> Module:
    body = rule.body or []
    before = [literal_text(literal) for literal in body[:index]]
    literal = body[index]
    lines = [f"package {path_text(tree.package)}"]
    lines += [
        f"import {path_text(e.path)}" + (f" as {e.alias}" if e.alias else "")
        for e in tree.imports
        if e.path[0] == "data"
    ]
    lines.append("probe_0 if { " + "; ".join([*before, literal_text(literal)]) + " }")
    expr = literal.expr
    sides = (expr.left, expr.right) if isinstance(expr, Infix) and expr.op in _COMPARISONS else (None, None)
    withs = literal_text(literal).removeprefix(("not " if literal.negated else "") + expr_text(expr))
    for number, side in enumerate(sides, 1):
        if side is not None:
            steps = "; ".join([*before, f"value := {term_text(side)}{withs}"])
            lines.append(f"probe_{number} := value if {{ {steps} }}")
        else:
            lines.append(f"probe_{number} := null")
    return Module("probe.rego", "\n".join(lines) + "\n")


def _statement_lines(module: Module) -> tuple[int, ...]:
    rules = parse_module(module.text, module.path, is_v0=module.v0).rules
    lines = {literal.line for rule in rules for body in bodies_of_rule(rule) for literal in statements_of(body)}
    return tuple(sorted(lines | {rule.line for rule in rules}))


def _coverage(engine: Engine, bundle: Bundle, origins: dict[str, list[int]]) -> list[Coverage]:
    """By line of the source: reached when any of what was made of it was."""
    report = engine.coverage()
    found = []
    for module in bundle.modules:
        if metadata_of(module.text, module.path) is None:
            continue
        lines = report.get(module.path)
        if lines is None:  # nothing of it was evaluated at all
            found.append(Coverage(module.path, 0, _statement_lines(module)))
            continue
        source = origins[module.path]
        covered = {source[line - 1] for line in lines["covered"] if line <= len(source)}
        missed = {source[line - 1] for line in lines["not_covered"] if line <= len(source)} - covered
        found.append(Coverage(module.path, len(covered), tuple(sorted(missed))))
    return found
