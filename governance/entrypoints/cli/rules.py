"""`governance rules …`: test, lint, list, explain, coverage, mutate, eval, impact, vap, import-gatekeeper."""

from __future__ import annotations

import json
import os
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

from governance.errors import NotFound

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.policy.metadata import RuleMeta
    from governance.policy.rule_tests import Report


# Verbs with options of their own: the module of each.
_ELSEWHERE = {
    "eval": "rules_eval", "vap": "rules_vap", "import-gatekeeper": "gatekeeper", "impact": "rules_impact",
}  # fmt: skip


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb."""
    if argv and argv[0] in _ELSEWHERE:
        module = import_module(f"governance.entrypoints.cli.{_ELSEWHERE[argv[0]]}")
        return int(module.run(argv[1:], stdin, stdout, stderr))
    options = _parser().parse_args(argv)
    source = options.rules or _rules_folder()
    if options.verb == "test":
        return _test(source, options, stdout)
    if options.verb == "coverage":
        return _coverage(source, stdout)
    if options.verb == "mutate":
        return _mutate(source, options, stdout)
    if options.verb == "lint":
        return _lint(source, options, stdout)
    if options.verb == "list":
        return _list(source, options, stdout)
    return _explain(source, options.rule, stdout)


def _rules_folder() -> str:
    from governance.policy.locations import data_folder

    return data_folder("rules")


def _test(source: str, options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.policy.rule_tests import run_tests

    report = run_tests(source, only=options.only)
    complete = options.only != "" or not any(c.missed for c in report.coverage)
    if options.format == "json":
        rows = [o._asdict() for o in report.outcomes]
        stdout.write(
            json.dumps({"outcomes": rows, "coverage": [c._asdict() for c in report.coverage]}, indent=2) + "\n"
        )
    elif options.format == "junit":
        stdout.write(_junit(report))
    else:
        _tell(report, stdout, show_coverage=options.only == "")
    return 1 if report.failed or not complete else 0


def _tell(report: Report, stdout: TextIO, *, show_coverage: bool) -> None:
    for outcome in report.failed:
        stdout.write(f"{outcome.file}:{outcome.line}: {outcome.status.upper()} {outcome.name}\n")
        stdout.writelines(f"    {line}\n" for line in outcome.detail.splitlines())
    counts = {s: sum(o.status == s for o in report.outcomes) for s in ("pass", "fail", "error", "skip")}
    missed = [c for c in report.coverage if c.missed] if show_coverage else []
    stdout.writelines(
        f"{row.file}: lines not reached by any test: {', '.join(map(str, row.missed))}\n" for row in missed
    )
    reached = (
        f"; {len(report.coverage) - len(missed)} of {len(report.coverage)} files reached whole" if show_coverage else ""
    )
    told = ", ".join(f"{n} {s}" for s, n in counts.items() if n or s == "pass")
    stdout.write(f"{len(report.outcomes)} tests and cases: {told}{reached}\n")


def _coverage(source: str, stdout: TextIO) -> int:
    from governance.policy.rule_tests import run_tests

    report = run_tests(source)
    for row in report.coverage:
        share = 100 * row.covered // max(1, row.covered + len(row.missed))
        missed = f"  missed: {', '.join(map(str, row.missed))}" if row.missed else ""
        stdout.write(f"{share:>3} %  {row.file}{missed}\n")
    return 1 if any(row.missed for row in report.coverage) else 0


def _mutate(source: str, options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.policy.mutation import mutate, score

    mutants = mutate(source, only=options.only, jobs=options.jobs)
    reached = score(mutants)
    counted = sum(mutant.status != "invalid" for mutant in mutants)
    survivors = [mutant for mutant in mutants if mutant.status == "survived"]
    if options.format == "json":
        rows = [mutant._asdict() for mutant in mutants]
        stdout.write(json.dumps({"score": reached, "mutants": rows}, indent=2, ensure_ascii=False) + "\n")
    else:
        stdout.writelines(f"{m.file}:{m.line}: no test notices: {m.change}\n" for m in survivors)
        stdout.write(f"{counted} mutants, {counted - len(survivors)} noticed: {reached:.1f} %\n")
    return 1 if reached < options.least or not counted else 0


def _junit(report: Report) -> str:
    from xml.sax.saxutils import quoteattr

    rows = []
    for o in report.outcomes:
        inner = (
            ""
            if o.status == "pass"
            else "<skipped/>"
            if o.status == "skip"
            else f"<failure message={quoteattr(o.detail)}/>"
        )
        rows.append(f"  <testcase classname={quoteattr(o.file)} name={quoteattr(o.name)}>{inner}</testcase>")
    failures = len(report.failed)
    head = f'<testsuite name="rules" tests="{len(report.outcomes)}" failures="{failures}">'
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + "\n".join([head, *rows, "</testsuite>"]) + "\n"


def _lint(source: str, options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.policy.lint import lint

    findings, count = lint(source)
    if options.format == "json":
        stdout.write(json.dumps([f._asdict() for f in findings], indent=2) + "\n")
    else:
        stdout.writelines(
            f"{os.path.join(source, f.file)}:{f.line}: {f.severity}: {f.message} [{f.check}]\n" for f in findings
        )
        errors = sum(f.severity == "error" for f in findings)
        stdout.write(f"{count} rules linted: {errors} errors, {len(findings) - errors} warnings\n")
    return 1 if any(f.severity == "error" for f in findings) else 0


def _metas(source: str) -> list[RuleMeta]:
    from governance.policy.build import rules_of
    from governance.policy.bundle import load_bundle

    return [meta for meta in rules_of(load_bundle(source)) if not meta.obligation_type]


def _list(source: str, options: argparse.Namespace, stdout: TextIO) -> int:
    metas = _metas(source)
    if options.format == "json":
        stdout.write(json.dumps([m._asdict() for m in metas], indent=2) + "\n")
        return 0
    stdout.writelines(
        f"{m.id:<12} {m.severity:<9} {m.effect:<17} {m.title}  [{', '.join(m.applies_to)}]\n" for m in metas
    )
    return 0


def _explain(source: str, rule: str, stdout: TextIO) -> int:
    from governance.policy.rule_tests import cases_of

    meta = next((m for m in _metas(source) if m.id.lower() == rule.lower()), None)
    if meta is None:
        raise NotFound(f"there is no rule {rule!r}", hint="governance rules list")
    stdout.write(f"{meta.id}  {meta.title}\n\n{meta.description}\n\n")
    stdout.write(
        f"severity  {meta.severity}, {meta.effect} where it is not met\napplies   {', '.join(meta.applies_to)}\n"
    )
    stdout.write(
        f"controls  {', '.join(meta.controls)}\ncomply    {meta.remediation}\nsource    {os.path.join(source, meta.file)}\n\n"
    )
    for case in cases_of(source):
        if case.file == f"tests/cases/{meta.file.removesuffix('.rego')}.yaml":
            verdict = "; ".join(e.get("message_contains", "not met") for e in case.expect) or "met"
            stdout.write(f"  - {case.description}  ->  {verdict}\n")
    with open(os.path.join(source, meta.file), encoding="utf-8") as file:
        stdout.write("\n" + file.read())
    return 0


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        "governance rules",
        description="The rule pack, or the one given with --rules.",
        epilog="How far a rule goes (shadow, warn, enforce; by tenant, from a date on) is said in data/platform/modes.yaml "
        "or in PolicyMode documents below modes/ of the bundle. Both count from the next release on, and that is on record; "
        "a document that is not understood whole is refused, and the release in force stays.",
    )
    parser.add_argument("--rules", default="", metavar="DIR", help="another folder of rules")
    verbs = parser.add_subparsers(dest="verb", required=True)
    test = verbs.add_parser("test", help="run tests and cases; every line of every rule has to be reached")
    test.add_argument("only", nargs="?", default="", help="only those whose name contains this")
    test.add_argument("--format", choices=("text", "json", "junit"), default="text")
    verbs.add_parser("coverage", help="lines of each rule that tests reach")
    linting = verbs.add_parser("lint", help="what makes a rule hard to trust")
    linting.add_argument("--format", choices=("text", "json"), default="text")
    mutating = verbs.add_parser("mutate", help="change rules in one place each: their tests have to notice")
    mutating.add_argument("only", nargs="?", default="", help="only rules whose file contains this")
    mutating.add_argument("--least", type=float, default=90.0, metavar="PERCENT", help="exit 1 below this (default 90)")
    mutating.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one a core)"
    )
    mutating.add_argument("--format", choices=("text", "json"), default="text")
    listing = verbs.add_parser("list", help="every rule")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    explain = verbs.add_parser("explain", help="what one rule is for, with its cases and its text")
    explain.add_argument("rule", metavar="RULE")
    verbs.add_parser("import-gatekeeper", help="constraint templates and constraints as a bundle (… --help)")
    verbs.add_parser("impact", help="what a candidate would have decided (governance rules impact --help)")
    verbs.add_parser("eval", help="any Rego query, as OPA's `opa eval` (governance rules eval --help)")
    verbs.add_parser("vap", help="for Kubernetes to check by itself, as a ValidatingAdmissionPolicy")
    return parser
