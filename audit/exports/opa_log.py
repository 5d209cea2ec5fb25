"""The records as OPA's decision logs have them, one event a line, for whoever has tools for those.

Format: https://www.openpolicyagent.org/docs/latest/management-decision-logs. What may not be read here is named in `erased`
by its pointer, as OPA names what its mask policy took out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from audit.exports.totals import answer_of

if TYPE_CHECKING:
    from pathlib import Path

    from audit.exports.views import Context, Rows
    from audit.walk import Record


def write(rows: Rows, path: Path, context: Context) -> None:
    """Decisions and queries; other records are no decision events."""
    origin = context.verifier_key.split("+")[0]
    with path.open("wb") as file:
        for record in rows():
            if record.leaf["public"].get("revision"):
                text = json.dumps(event(record, origin), separators=(",", ":"), ensure_ascii=True)
                file.write(text.encode() + b"\n")


def event(record: Record, origin: str) -> dict[str, Any]:
    """One decision event."""
    leaf, public = record.leaf, record.leaf["public"]
    body: dict[str, Any] = {
        "labels": {"id": origin, "entry_point": public.get("entry_point", "")},
        "decision_id": public.get("decision_id", ""),
        "trace_id": public.get("trace_id", ""),
        "bundles": {"platform": {"revision": public["revision"]}},
        "path": public.get("path") or f"platform/main/{leaf['kind']}",
        "requested_by": public.get("actor", ""),
        "timestamp": leaf["time"],
        "metrics": {},
        "custom": {"log_index": leaf["index"], "executor": public.get("executor", "")},
    }
    if "input" in record.openings:
        body["input"] = json.loads(record.openings["input"].raw)
    if leaf["kind"] == "query" and "result" in record.openings:
        body["result"] = json.loads(record.openings["result"].raw)
    elif leaf["kind"] != "query":
        body["result"] = {"effect": public.get("effect"), **answer_of(record)}
    places = {"input": "/input", "result": "/result", "answer": "/result"}
    erased = [place for name, place in places.items() if name in leaf["commitments"] and name not in record.openings]
    return {**body, **({"erased": erased} if erased else {})}
