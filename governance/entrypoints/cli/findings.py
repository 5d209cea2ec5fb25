"""What `check` says: every violation at its place in a file, with a fingerprint that stays when lines move, and the tally."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from governance.entrypoints.cli.checked import rules_of, tally
from governance.model.decision import ALLOW, DENY, REQUIRE_APPROVAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.entrypoints.cli.checked import Checked
    from governance.errors import CallerError
    from governance.model.decision import Violation
    from governance.normalise.subjects import Subject

_REFUSING = (DENY, REQUIRE_APPROVAL)
_WORDS = ("deny", "require_approval", "warn", "waived", "shadowed", "known", "not decided", "not readable")


class Finding(NamedTuple):
    """One violation at its place."""

    subject: Subject
    violation: Violation
    """Its `path` is a pointer into the document, its `location` is known."""
    fingerprint: str
    """Over rule, file and resource; neither line numbers nor list positions go in where things have names."""
    is_known: bool = False
    """Whether the baseline has it."""

    @property
    def label(self) -> str:
        """Under which word it is counted."""
        if self.violation.waived_by:
            return "waived"
        if self.violation.mode == "shadow":
            return "shadowed"
        return "known" if self.is_known else self.violation.effect

    @property
    def refuses(self) -> bool:
        """Whether the check fails by it."""
        return self.violation.effect in _REFUSING and not self.is_known


class Problem(NamedTuple):
    """Something that could not be decided on: as bad as a violation."""

    file: str
    line: int
    column: int
    code: str
    """`not-readable` or `not-decided`."""
    message: str


class Results(NamedTuple):
    """A whole run."""

    checked: Sequence[Checked]
    findings: Sequence[Finding]
    problems: Sequence[Problem]
    skipped: int

    @property
    def is_refused(self) -> bool:
        """Whether anything stands against an exit code of 0."""
        return bool(self.problems) or any(finding.refuses for finding in self.findings)

    @property
    def rules(self) -> list[str]:
        """Ids of the rules that were evaluated, sorted."""
        return rules_of(self.checked)

    def tally(self) -> str:
        """The last line: everything is counted, what is waived, shadowed or known too."""
        counts = dict.fromkeys(_WORDS, 0)
        for finding in self.findings:
            counts[finding.label] = counts.get(finding.label, 0) + 1
        for problem in self.problems:
            counts[problem.code.replace("-", " ")] += 1
        told = ", ".join(f"{counts[w]} {w.replace('_', ' ')}" for w in _WORDS if counts[w])
        return tally(self.checked, self.skipped, told or "no violations")


def findings_of(checked: Sequence[Checked], known: frozenset[str] = frozenset()) -> list[Finding]:
    """Every violation with its place; positions are looked up only where there is one."""
    seen: dict[str, int] = {}
    return [
        _finding(subject, violation, seen, known) for subject, decision in checked for violation in decision.violations
    ]


def problem_of(error: CallerError, file: str) -> Problem:
    """What could not be read, at the line that the reader named."""
    parts = error.where.removeprefix(file).split(":") if error.where.startswith(file) else []
    line, column = [*(int(part) for part in parts[1:3] if part.isdigit()), 1, 1][:2]
    return Problem(file, line, column, "not-readable", str(error))


def undecided(checked: Sequence[Checked]) -> list[Problem]:
    """Decisions that could not be made."""
    return [
        Problem(subject.document.file, 1, 1, "not-decided", decision.reason)
        for subject, decision in checked
        if decision.error
    ]


def shown_path(file: str) -> str:
    """A file as seen from here, with forward slashes: the same on every machine that checks this repository."""
    if os.path.isabs(file):
        inside = os.path.relpath(file)
        file = file if inside.startswith("..") else inside
    return os.path.normpath(file).replace(os.sep, "/")


def _finding(subject: Subject, violation: Violation, seen: dict[str, int], known: frozenset[str]) -> Finding:
    from governance.normalise.positions import position_of

    document = subject.document
    place = subject.place(violation.path)
    located = violation._replace(path=place, location=(document.file, *position_of(document, place)))
    mark = _fingerprint(subject, violation)
    seen[mark] = seen.get(mark, 0) + 1
    if seen[mark] > 1:
        mark = f"{mark}:{seen[mark]}"
    return Finding(subject, located, mark, mark in known)


def _fingerprint(subject: Subject, violation: Violation) -> str:
    import hashlib

    from governance.normalise.subjects import named_pointer

    parts = (
        violation.rule,
        shown_path(subject.document.file),
        subject.name,
        named_pointer(_resource(subject), violation.path),
        # What was worse than it is now, or is worse now, is another finding: only the sentence holds the value.
        violation.message,
    )
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _resource(subject: Subject) -> dict[str, object]:
    """What the pointer of a violation points into."""
    if subject.document.form != "dockerfile":
        return subject.resource
    from governance.normalise.dockerfile import parsed

    return parsed(subject.document.text, subject.document.file).resource


def text(results: Results) -> str:
    """Lines for people: place, rule, sentence, remedy; the tally last."""
    rows = [_row(finding) for finding in results.findings]
    rows += [f"{p.file}: {p.message}\n" for p in results.problems if p.code == "not-decided"]
    return "".join(rows) + results.tally()


def _row(finding: Finding) -> str:
    violation = finding.violation
    file, line, column = violation.location or (finding.subject.document.file, 1, 1)
    effect = violation.effect if violation.effect != ALLOW else "waived" if violation.waived_by else violation.mode
    label = f"known {effect}" if finding.is_known else effect
    fix = "--fix can mend this" if violation.fix and finding.subject.is_fixable else violation.remediation
    return (
        f"{file}:{line}:{column}: {violation.rule} {label} ({violation.severity}): {violation.message}\n"
        f"    fix: {fix}\n"
    )


def as_json(results: Results) -> str:
    """The decisions as the API gives them, each with its file, document and object."""
    import json

    from governance.model.answer import decision_json

    rows = []
    at = 0
    for subject, decision in results.checked:
        own = results.findings[at : at + len(decision.violations)]
        at += len(decision.violations)
        body = decision_json(decision._replace(violations=tuple(finding.violation for finding in own)))
        for shown, finding in zip(body["violations"], own, strict=True):
            shown |= {"fingerprint": finding.fingerprint, "known": finding.is_known}
        about = {"file": subject.document.file, "document": subject.document.index, "object": subject.base}
        rows.append({**about, "name": subject.name, **body})
    document = {
        "checked": len(results.checked),
        "skipped": results.skipped,
        "unreadable": sum(1 for problem in results.problems if problem.code == "not-readable"),
        "problems": [problem._asdict() for problem in results.problems],
        "results": rows,
    }
    return json.dumps(document, indent=2) + "\n"
