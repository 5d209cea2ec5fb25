"""Findings for CI systems: JUnit XML, which lists every rule with pass, fail or skip, and GitHub's workflow annotations."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from governance.entrypoints.cli.findings import shown_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.entrypoints.cli.checked import Checked
    from governance.entrypoints.cli.findings import Finding, Problem, Results

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEVELS = {"deny": "error", "require_approval": "error", "warn": "warning"}


def junit(results: Results) -> str:
    """A suite per thing that was checked, a case per rule; one that only warns, is waived or known is skipped with it."""
    suites = []
    at = 0
    for checked in results.checked:
        own = results.findings[at : at + len(checked.decision.violations)]
        at += len(checked.decision.violations)
        suites.append(_suite(checked, own))
    suites += [_problem(problem) for problem in results.problems]
    body = "".join(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="governance check">\n{body}</testsuites>\n'


def github(results: Results) -> str:
    """`::error file=…` lines, which a workflow run shows at the line in the pull request; then the tally."""
    rows = []
    for finding in results.findings:
        level = "notice" if finding.label in {"waived", "shadowed", "known"} else _LEVELS[finding.violation.effect]
        file, line, column = finding.violation.location or ("", 1, 1)
        title = f"{finding.violation.rule} {finding.label} ({finding.violation.severity})"
        message = f"{finding.violation.message}\nfix: {finding.violation.remediation}"
        rows.append(_annotation(level, file, (line, column), title, message))
    rows += [_annotation("error", p.file, (p.line, p.column), p.code, p.message) for p in results.problems]
    return "".join(rows) + results.tally()


def _suite(checked: Checked, findings: Sequence[Finding]) -> str:
    subject = checked.subject
    name = " ".join(part for part in (shown_path(subject.document.file), subject.name) if part)
    broken: dict[str, list[Finding]] = {}
    for finding in findings:
        broken.setdefault(finding.violation.rule, []).append(finding)
    rules = sorted({*checked.decision.rules_evaluated, *broken})
    failed = [rule for rule in broken if any(f.refuses for f in broken[rule])]
    cases = [_case(rule, name, broken.get(rule, [])) for rule in rules]
    return _xml_suite(name, cases, len(failed), 0, len(broken) - len(failed))


def _problem(problem: Problem) -> str:
    inner = f"<error message={_attribute(problem.message)}/>"
    case = f"<testcase name={_attribute(problem.code)} classname={_attribute(problem.file)}>{inner}</testcase>"
    return _xml_suite(problem.file, [case], 0, 1, 0)


def _case(rule: str, name: str, findings: list[Finding]) -> str:
    told = [f for f in findings if f.refuses]
    excused = [f for f in findings if f not in told]
    inner = "".join(
        f"<failure type={_attribute(f.violation.severity)} message={_attribute(f.violation.message)}>"
        f"{escape(_plain(_where(f)))}</failure>"
        for f in told
    )
    if excused and not told:
        inner = f"<skipped message={_attribute(', '.join(f'{f.label}: {f.violation.message}' for f in excused))}/>"
    return f"<testcase name={_attribute(rule)} classname={_attribute(name)}>{inner}</testcase>"


def _where(finding: Finding) -> str:
    file, line, column = finding.violation.location or ("", 1, 1)
    return f"{file}:{line}:{column}: {finding.violation.path}\nfix: {finding.violation.remediation}"


def _xml_suite(name: str, cases: list[str], failures: int, errors: int, skipped: int) -> str:
    head = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    return f"<testsuite name={_attribute(name)} {head}>\n" + "\n".join(cases) + "\n</testsuite>\n"


def _attribute(text: str) -> str:
    return quoteattr(_plain(text))


def _plain(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _annotation(level: str, file: str, place: tuple[int, int], title: str, message: str) -> str:
    where = f"file={_property(shown_path(file))},line={place[0]},col={place[1]},title={_property(title)}"
    return f"::{level} {where}::{_data(message)}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
