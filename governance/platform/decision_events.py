"""A record of the log as an event of OPA's decision log, for whoever collects those.

Nothing leaves that the log itself does not keep: what was masked there is masked here, and `masked` says where; what was
erased is named in `erased`. Source: https://www.openpolicyagent.org/docs/management-decision-logs
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from governance.model.pointer import to_pointer
from governance.model.request import KINDS
from governance.normalise.requests import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

_DECISIONS = KINDS | {"query", "refused", "not_carried_out"}
_MASK = re.compile(r"\[[A-Za-z0-9_]+\]")


def event_of(record: dict[str, Any], labels: dict[str, str]) -> dict[str, Json] | None:
    """The event of a decision; None for a record of something else."""
    kind, public, opened = record["kind"], record["public"], record["opened"]
    if kind not in _DECISIONS:
        return None
    event: dict[str, Json] = {
        "labels": labels,
        "decision_id": public.get("decision_id", ""),
        "trace_id": public.get("trace_id", ""),
        "bundles": {"main": {"revision": public["revision"]}} if public.get("revision") else {},
        "path": public["path"].strip("/") if kind == "query" else f"platform/main/{kind}",
        "requested_by": public.get("actor", ""),
        "timestamp": record["time"],
        "req_id": record["index"] + 1,
        "custom": {
            "effect": public.get("effect", ""), "app": public.get("app", ""), "tenant": public.get("tenant", ""),
            "rules": public.get("rules", []), "waivers": public.get("waivers", []), "kind": kind,
            "entry_point": public.get("entry_point", ""), "executor": public.get("executor", ""),
        },
    }  # fmt: skip
    if public.get("error"):
        event["error"] = {"code": public["error"], "message": str(_reason(opened))}
    event |= {name: opened[source] for name, source in _contents(kind).items() if source in opened}
    erased = [
        f"/{name}"
        for name, source in _contents(kind).items()
        if source in record["commitments"] and source not in opened
    ]
    if erased:
        event["erased"] = erased
    masked = list(_masked(record)) if "input" in event else []
    if masked:
        event["masked"] = masked
    return event


def without_contents(event: dict[str, Json]) -> dict[str, Json]:
    """An event that is too large to be taken, without what makes it large."""
    kept = {name: value for name, value in event.items() if name not in {"input", "result", "masked"}}
    return {**kept, "erased": [f"/{name}" for name in ("input", "result") if name in event]}


def _contents(kind: str) -> dict[str, str]:
    """Member of the event to sealed field of the record."""
    return {"input": "input", "result": "result" if kind == "query" else "answer"}


def _reason(opened: dict[str, Any]) -> Json:
    answer = opened.get("answer")
    return answer.get("reason", "") if isinstance(answer, dict) else ""


def _masked(record: dict[str, Any]) -> Iterator[str]:
    """Pointers to what the log masked; none where the input is, to the byte, what was decided on."""
    document, public = record["opened"]["input"], record["public"]
    asked = {"path": public["path"], "input": document} if record["kind"] == "query" else document
    text = canonical(asked)
    if "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() != public.get("input_digest"):
        yield from (to_pointer(path) for path in _places(document, ("input",)))


def _places(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str) and ("[masked]" in value or _MASK.fullmatch(value)):
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*path, key))
