"""The records as OCSF 1.5 events, one a line.

API Activity (6003, profile security_control) for every record, a Compliance Finding (2003) for every violation in it.
Format: https://schema.ocsf.io/1.5.0. The log's own names that OCSF has no place for are in `unmapped`.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from audit.exports.totals import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from audit.exports.views import Context, Rows
    from audit.walk import Record

VERSION = "1.5.0"
_SEVERITY = {"info": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
_SEVERITY_NAMES = {1: "Informational", 2: "Low", 3: "Medium", 4: "High", 5: "Critical"}
_ACTIVITY = {"create": (1, "Create"), "publish": (1, "Create"), "update": (3, "Update"), "delete": (4, "Delete")}
# (action_id, action, disposition_id, disposition): an approval that is missing blocks until it is there.
_VERDICTS = {
    "allow": (1, "Allowed", 1, "Allowed"),
    "warn": (1, "Allowed", 19, "Alert"),
    "deny": (2, "Denied", 2, "Blocked"),
    "require_approval": (2, "Denied", 2, "Blocked"),
}
_UNKNOWN = (0, "Unknown", 0, "Unknown")


def write(rows: Rows, path: Path, context: Context) -> None:
    """Every record with an effect; reading and exporting are API activity as well."""
    with path.open("wb") as file:
        for record in rows():
            for event in events(record, context.verifier_key.split("+")[0]):
                file.write(json.dumps(event, separators=(",", ":"), ensure_ascii=True).encode() + b"\n")


def events(record: Record, origin: str) -> Iterator[dict[str, Any]]:
    """The activity, then its findings."""
    answer = answer_of(record)
    violations = answer.get("violations", [])
    worst = max((_SEVERITY.get(str(v.get("severity")), 1) for v in violations), default=1)
    yield _activity(record, origin, worst, str(answer.get("reason", "")))
    for number, violation in enumerate(violations):
        yield _finding(record, origin, number, violation)


def _activity(record: Record, origin: str, severity: int, reason: str) -> dict[str, Any]:
    leaf, public = record.leaf, record.leaf["public"]
    activity_id, activity = _ACTIVITY.get(str(public.get("action")), (99, str(public.get("action") or leaf["kind"])))
    action_id, action, disposition_id, disposition = _VERDICTS.get(str(public.get("effect")), _UNKNOWN)
    revision = str(public.get("revision", ""))
    policy = {"name": "platform policy", "uid": revision, "is_applied": True}
    return {
        **_base(record, origin, 6003, activity_id, activity, severity),
        "category_name": "Application Activity",
        "class_name": "API Activity",
        "action_id": action_id,
        "action": action,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "status_id": 1 if action_id == 1 else 2 if action_id == 2 else 0,
        "status_detail": reason,
        "actor": {"user": {"uid": str(public.get("actor", "")) or "unknown"}},
        "api": {"operation": str(leaf["kind"]), "request": {"uid": str(public.get("decision_id", ""))}},
        "src_endpoint": {"svc_name": str(public.get("entry_point", "")) or "unknown"},
        "resources": [_app(public)],
        **(
            {"policy": policy, "authorizations": [{"decision": str(public.get("effect", "")), "policy": policy}]}
            if revision
            else {}
        ),
        "unmapped": {
            "log_index": leaf["index"],
            "rules": public.get("rules", []),
            "waivers": public.get("waivers", []),
            "input_digest": public.get("input_digest", ""),
        },
    }


def _finding(record: Record, origin: str, number: int, violation: dict[str, Any]) -> dict[str, Any]:
    public = record.leaf["public"]
    waived, rule = violation.get("waived_by"), str(violation.get("rule", ""))
    controls = [str(control) for control in violation.get("controls", [])]
    uid = f"{public.get('decision_id', record.leaf['index'])}/{number}"
    return {
        **_base(record, origin, 2003, 1, "Create", _SEVERITY.get(str(violation.get("severity")), 1)),
        "category_name": "Findings",
        "class_name": "Compliance Finding",
        "message": str(violation.get("message", "")),
        "status_id": 3 if waived else 1,
        "status": "Suppressed" if waived else "New",
        "finding_info": {"uid": uid, "title": f"{rule} is not met", "created_time": _milliseconds(record.leaf["time"])},
        "compliance": {
            "control": rule,
            "standards": sorted({control.partition(":")[0] for control in controls}),
            "requirements": controls,
            "status_id": 2 if violation.get("effect") in {"allow", "warn"} else 3,
            "status": "Warning" if violation.get("effect") in {"allow", "warn"} else "Fail",
            "status_code": f"waived by {waived}" if waived else str(violation.get("effect", "")),
        },
        "resources": [_app(public)],
        "unmapped": {"log_index": record.leaf["index"], "path": str(violation.get("path", ""))},
    }


def _base(
    record: Record, origin: str, class_uid: int, activity_id: int, activity: str, severity: int
) -> dict[str, Any]:
    profiles = ["security_control"] if class_uid == 6003 else []
    return {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": class_uid // 1000,
        "class_uid": class_uid,
        "type_uid": class_uid * 100 + activity_id,
        "severity_id": severity,
        "severity": _SEVERITY_NAMES[severity],
        "time": _milliseconds(record.leaf["time"]),
        "metadata": {
            "version": VERSION,
            "product": {"name": "Microapp Governance", "vendor_name": "Microapp Governance"},
            "profiles": profiles,
            "log_name": origin,
            "uid": f"{origin}/{record.leaf['index']}",
            "correlation_uid": str(record.leaf["public"].get("trace_id", "")),
        },
    }


def _app(public: dict[str, Any]) -> dict[str, Any]:
    return {"name": str(public.get("app", "")), "type": "microapp", "group": {"name": str(public.get("tenant", ""))}}


def _milliseconds(time: object) -> int:
    """Since 1970; 0 for a time that is none."""
    try:
        return int(datetime.fromisoformat(str(time)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
