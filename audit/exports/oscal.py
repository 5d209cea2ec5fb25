"""The records as OSCAL assessment results: one finding per control, each pointing at the records it stands on.

Format: NIST OSCAL 1.1.3, assessment-results. A million allows are one number in a finding, not a million observations; the
records themselves are in the package, and the observations name their places in the log.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING, Any

from audit.exports.totals import ControlTotals, Totals

if TYPE_CHECKING:
    from pathlib import Path

    from audit.exports.views import Context, Rows

_VERSION = "1.1.3"
_NO_TOKEN = re.compile(r"[^A-Za-z0-9._-]+")


def write(rows: Rows, path: Path, context: Context) -> None:
    """One document."""
    totals = Totals()
    for record in rows():
        totals.add(record)
    body = {"assessment-results": document(totals, context)}
    path.write_text(json.dumps(body, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace")


def document(totals: Totals, context: Context) -> dict[str, Any]:
    """The assessment results of a period."""
    served = {control for controls in context.controls.values() for control in controls}
    controls = sorted(served | set(totals.controls))
    checked = [(control, totals.controls.get(control, ControlTotals())) for control in controls]
    scope = ", ".join(f"{name} {value}" for name, value in context.filter.items()) or "everything"
    origin = context.verifier_key.split("+")[0]
    result: dict[str, Any] = {
        "uuid": _uuid(context, "result"),
        "title": f"Policy decisions recorded in {origin}",
        "description": f"{context.records} records; asked for: {scope}.",
        "start": totals.first or context.created,
        "end": totals.last or context.created,
        "reviewed-controls": {"control-selections": [_selection(controls)]},
    }
    if checked:
        result["observations"] = [_observation(context, *one) for one in checked]
        result["findings"] = [_finding(context, *one) for one in checked]
    return {
        "uuid": _uuid(context, "document"),
        "metadata": {
            "title": "Assessment results of the policy decisions",
            "last-modified": context.created,
            "version": context.created,
            "oscal-version": _VERSION,
        },
        "import-ap": {"href": f"#{_uuid(context, 'plan')}"},
        "results": [result],
        "back-matter": {"resources": [_plan(context)]},
    }


def _selection(controls: list[str]) -> dict[str, Any]:
    if not controls:
        return {"description": "No record names a control.", "include-all": {}}
    return {"include-controls": [{"control-id": control_id(control)} for control in controls]}


def _observation(context: Context, control: str, total: ControlTotals) -> dict[str, Any]:
    places = ", ".join(map(str, total.places))
    evidence = f"records at the places {places} of the log" if places else "no record of a violation"
    return {
        "uuid": _uuid(context, f"observation {control}"),
        "description": f"{total.failed} violations of rules that serve {control}, and {total.waived} that were waived.",
        "methods": ["TEST"],
        "types": ["control-objective"],
        "collected": context.created,
        "relevant-evidence": [{"href": "records.jsonl", "description": evidence}],
    }


def _finding(context: Context, control: str, total: ControlTotals) -> dict[str, Any]:
    rules = ", ".join(f"{rule} ({count})" for rule, count in total.rules.most_common())
    return {
        "uuid": _uuid(context, f"finding {control}"),
        "title": " ".join(control.split()) or "a control without a name",
        "description": f"Rules not met: {rules}." if rules else "Every decision met the rules that serve this control.",
        "target": {
            "type": "objective-id",
            "target-id": control_id(control),
            "status": {"state": "not-satisfied" if total.failed else "satisfied"},
        },
        "related-observations": [{"observation-uuid": _uuid(context, f"observation {control}")}],
    }


def _plan(context: Context) -> dict[str, Any]:
    return {
        "uuid": _uuid(context, "plan"),
        "title": "Assessment plan",
        "description": "Every request is decided by the rules of the platform before it may happen, and recorded.",
    }


def control_id(control: str) -> str:
    """A control's name as an OSCAL token, which begins with a letter or an underscore."""
    token = _NO_TOKEN.sub("_", control).lower()
    return token if token[:1].isalpha() else f"_{token}"


def _uuid(context: Context, what: str) -> str:
    """The same export gives the same names."""
    said = json.dumps([context.verifier_key, context.created, dict(context.filter), what], sort_keys=True, default=str)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, said))
