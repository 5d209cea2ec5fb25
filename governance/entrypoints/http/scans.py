"""`POST /v1/scans`: what the line would find in a document. Places and kinds, never a value; facts, no decision.

The body is the document, in the format that its content type names. It is looked at in a thread, one at a time in a worker,
so that decisions do not wait for it; the record (digest, size, how many of which kind) is durable before the answer leaves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from audit.record import Entry
from governance.enrich.pii.matching import WorkExceeded
from governance.enrich.presidio_worker import LARGEST
from governance.enrich.scan import scan_document, shown
from governance.entrypoints.http.asgi import Answer, UnsupportedMedia, json_answer
from governance.entrypoints.http.decisions import digest_of
from governance.errors import CallerError, TooLarge
from governance.model.moment import new_decision_id, utc_now

if TYPE_CHECKING:
    from governance.enrich.scan import DocumentFinding
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

ENTRY_POINT = "http.scans"
CONTENT_TYPES = (
    "application/json", "application/x-ndjson", "application/xml", "text/xml", "text/csv", "text/tab-separated-values",
    "application/x-www-form-urlencoded", "text/plain",
)  # fmt: skip
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii"})


async def scan(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A document in, findings out, in its order; `?deep=true` asks Presidio as well. 413 for what takes too much work."""
    media_type, is_deep = _media_type(call), _is_deep(call)
    raw = await call.read(worker.max_body, worker.body_timeout_s)
    _check(raw, LARGEST if is_deep else worker.max_body)
    policy, revision = worker.scan_policy(), worker.serving.active.revision
    deep = worker.deep_scanner if is_deep else None
    async with worker.scanning:
        try:
            findings = await asyncio.to_thread(scan_document, raw, media_type, policy, deep)
            rows = await asyncio.to_thread(lambda: [_row(finding) for finding in findings])
        except WorkExceeded as error:
            # Asking again would not help, so this is no failure of ours.
            raise TooLarge(error.message, hint=error.hint) from error
    counts = dict(sorted(Counter(finding.entity for finding in findings).items()))
    scan_id = new_decision_id()
    about = {
        "content_type": media_type, "bytes": len(raw), "deep": is_deep, "counts": counts, "revision": revision,
        "policy": {"countries": sorted(policy.countries), "least_score": policy.least_score},
    }  # fmt: skip
    public = {
        "decision_id": scan_id, "actor": identity.actor, "entry_point": ENTRY_POINT, "effect": "", "app": "",
        "tenant": identity.tenant, "rules": [], "trace_id": call.trace.trace_id, "input_digest": digest_of(raw), **about,
    }  # fmt: skip
    await worker.client.aappend(Entry("scan", utc_now(), public, {}, ""))
    return json_answer({"scan_id": scan_id, **about, "findings": rows}, headers=((b"x-decision-id", scan_id.encode()),))


def _media_type(call: Call) -> str:
    media_type, _, rest = call.header(b"content-type").partition(";")
    media_type = media_type.strip().lower() or "text/plain"
    charset = rest.lower().partition("charset=")[2].strip(' "')
    if not media_type.endswith(("+json", "+xml")) and media_type not in CONTENT_TYPES:
        raise UnsupportedMedia(
            f"content type {media_type[:60]!r} is not read here", hint=f"send {', '.join(CONTENT_TYPES)}"
        )
    if charset not in _CHARSETS:
        raise UnsupportedMedia(f"charset {charset[:20]!r} is not read here", hint="send UTF-8")
    return media_type


def _is_deep(call: Call) -> bool:
    query = call.query()
    asked = query.get("deep", ["false"])
    if set(query) - {"deep"} or asked not in (["true"], ["false"]):
        raise CallerError("only deep=true or deep=false is known here", where="query string")
    return asked == ["true"]


def _check(raw: bytes, most: int) -> None:
    """Raise for what is no text or too long: what could not be read must not be called clean."""
    if len(raw) > most:
        raise TooLarge(f"more than {most} bytes", where="body", hint="scan it in parts, or without deep=true")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CallerError("is not UTF-8", where=f"body, byte {error.start}", hint="send text in UTF-8") from error
    if not text.strip():
        raise CallerError("is empty", where="body", hint="send the document to look into")


def _row(finding: DocumentFinding) -> dict[str, Any]:
    row: dict[str, Any] = {
        "pointer": shown(finding.pointer),
        "entity": finding.entity,
        "kind": "secret" if finding.is_secret else "pii",
        "score": finding.score,
        "reason": finding.reason,
        "decode": list(finding.decode),
        "span": None if finding.span is None else list(finding.span),
    }
    return row | ({"line": finding.line} if finding.line else {})
