"""Findings as SARIF 2.1.0, as code scanning of GitHub, GitLab and Azure reads it.

`level` follows the rule's severity and never says more than the effect; what is waived carries a suppression, what is in
shadow mode is informational, and what a baseline knows is `unchanged`. Source: OASIS SARIF 2.1.0; GitHub, "SARIF support for
code scanning" (security-severity, partialFingerprints).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from governance import __version__
from governance.entrypoints.cli.findings import shown_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.entrypoints.cli.findings import Finding, Problem, Results
    from governance.model.request import Json
    from governance.policy.metadata import RuleMeta

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
_SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "1.0"}


class Row(NamedTuple):
    """One result, before it is SARIF."""

    rule: str
    file: str
    line: int
    column: int
    message: str
    level: str
    fingerprint: str = ""
    more: Json = None
    """Further members of the result."""


def sarif(results: Results, rules: Mapping[str, RuleMeta], *, has_baseline: bool = False) -> str:
    """One run: every rule that was evaluated with its help, every finding, every problem."""
    evaluated = set(results.rules) | {finding.violation.rule for finding in results.findings}
    descriptors = [_descriptor(rules[name]) for name in sorted(evaluated) if name in rules]
    codes = sorted({problem.code for problem in results.problems})
    descriptors += [_problem_descriptor(code) for code in codes]
    rows = [_of_finding(finding, has_baseline=has_baseline) for finding in results.findings]
    rows += [_of_problem(problem) for problem in results.problems]
    revision = next((c.decision.revision for c in results.checked), "")
    return document(descriptors, rows, {"revision": revision, "skipped": results.skipped})


def document(descriptors: Sequence[Json], rows: Sequence[Row], properties: Json) -> str:
    """SARIF text of one run of this program."""
    index = {descriptor["id"]: number for number, descriptor in enumerate(descriptors)}
    driver = {
        "name": "governance",
        "semanticVersion": __version__,
        "version": __version__,
        "rules": list(descriptors),
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True}],
        "results": [_result(row, index) for row in rows],
        "properties": properties,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def descriptor(name: str, title: str, text: str, severity: str, tags: Sequence[str] = ()) -> Json:
    """A rule as SARIF describes it."""
    return {
        "id": name,
        "name": name.replace("-", ""),
        "shortDescription": {"text": title},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {
            "tags": ["security", *tags],
            "precision": "very-high",
            "security-severity": _SCORES[severity],
            "problem.severity": {"note": "recommendation"}.get(_LEVELS[severity], _LEVELS[severity]),
        },
    }


def level_of(severity: str) -> str:
    """SARIF's word for a severity."""
    return _LEVELS[severity]


def _descriptor(meta: RuleMeta) -> Json:
    about = descriptor(meta.id, meta.title, meta.description or meta.title, meta.severity, meta.controls)
    text = f"{meta.description or meta.title}\n\nFix: {meta.remediation}"
    markdown = (
        f"{meta.description or meta.title}\n\n**Fix:** {meta.remediation}\n\nControls: {', '.join(meta.controls)}"
    )
    return {**about, "help": {"text": text, "markdown": markdown}}


def _problem_descriptor(code: str) -> Json:
    titles = {
        "not-readable": "A file that has to be checked could not be read",
        "not-decided": "The policy gave no answer, which is never a yes",
    }
    return descriptor(code, titles[code], f"{titles[code]}. Mend it, then check again.", "high")


def _of_finding(finding: Finding, *, has_baseline: bool) -> Row:
    violation = finding.violation
    file, line, column = violation.location or (finding.subject.document.file, 1, 1)
    level = _LEVELS[violation.severity]
    if violation.effect == "warn" and level == "error":
        level = "warning"
    more: dict[str, Json] = {
        "properties": {
            "pointer": violation.path,
            "effect": violation.effect,
            "mode": violation.mode,
            "severity": violation.severity,
            "remediation": violation.remediation,
        }
    }
    if finding.label == "shadowed":
        more["kind"], level = "informational", "none"
    if violation.waived_by:
        more["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": f"waiver {violation.waived_by}"}
        ]
    if has_baseline:
        more["baselineState"] = "unchanged" if finding.is_known else "new"
    return Row(violation.rule, file, line, column, violation.message, level, finding.fingerprint, more)


def _of_problem(problem: Problem) -> Row:
    return Row(problem.code, problem.file, problem.line, problem.column, problem.message, "error")


def _result(row: Row, index: Mapping[str, int]) -> Json:
    result = {
        "ruleId": row.rule,
        "level": row.level,
        "message": {"text": row.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(shown_path(row.file))},
                    "region": {"startLine": row.line, "startColumn": row.column},
                }
            }
        ],
        **(row.more or {}),
    }
    if row.rule in index:
        result["ruleIndex"] = index[row.rule]
    if row.fingerprint:
        result["partialFingerprints"] = {"governance/v1": row.fingerprint}
    return result
