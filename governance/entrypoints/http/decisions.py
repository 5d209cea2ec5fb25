"""`/v1/decisions`: the service's own API."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.errors import CallerError, Forbidden, GovernanceError, NotFound, TooLarge
from governance.model.answer import decision_json
from governance.model.request import Source
from governance.normalise.documents import decoded, read_json
from governance.normalise.requests import normalise_document

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.platform.keys import Identity

_JSON_TYPES = ("application/json", "")


async def decide(worker: Worker, call: Call, identity: Identity) -> Answer:
    """One request; a deny is an answer like any other (200)."""
    source = source_of(call, identity, "http.decisions")
    try:
        document = await body_of(worker, call)
        decision = await _decided(worker, document, identity, source)
    except GovernanceError as error:
        await refused(worker, source, error, call)
        raise
    headers = (("x-decision-id", decision.decision_id),)
    return json_answer(decision_json(decision), headers=headers)


async def batch(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`{"requests": [...]}` in, `{"decisions": [...]}` out, same order; a request that is no request is a deny of its own."""
    source = source_of(call, identity, "http.batch")
    try:
        document = await body_of(worker, call)
        requests = document.get("requests") if isinstance(document, dict) else None
        if not isinstance(requests, list):
            raise CallerError("a list of requests is needed", where="/requests")
        if len(requests) > worker.max_batch:
            raise TooLarge(f"more than {worker.max_batch} requests", where="/requests", hint="send several batches")
    except GovernanceError as error:
        await refused(worker, source, error, call)
        raise
    answers: list[dict[str, Any]] = []
    for request in requests:
        try:
            answers.append(decision_json(await _decided(worker, request, identity, source)))
        except CallerError as error:
            decision_id = await worker.line.arefuse(source, error, _digest(json.dumps(request).encode()))
            answers.append({"decision_id": decision_id, "effect": "deny", "error": error.code, "reason": str(error)})
    return json_answer({"decisions": answers})


async def show(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A recorded decision; a key that is bound to a tenant sees that tenant's only."""
    reader = worker.reader()
    index = reader.find(call.params[0])
    record = reader.record(index) if index is not None else None
    if record is None or (identity.tenant and record["public"].get("tenant") != identity.tenant):
        raise NotFound("there is no such decision", where=call.path)
    return json_answer(record)


async def _decided(worker: Worker, document: Any, identity: Identity, source: Source) -> Decision:
    request = normalise_document(document, source)
    if identity.tenant and request.tenant != identity.tenant:
        raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="/tenant")
    decision = await worker.line.adecide(request)
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return decision


async def body_of(worker: Worker, call: Call) -> Any:
    """The body as strict JSON."""
    kind = call.header(b"content-type").partition(";")[0].strip().lower()
    if kind not in _JSON_TYPES and not kind.endswith("+json"):
        from governance.entrypoints.http.asgi import UnsupportedMedia

        raise UnsupportedMedia(f"content type {kind[:60]!r} is not read here", hint="send application/json")
    raw = await call.read(worker.max_body)
    return read_json(decoded(raw, "body", worker.max_body), "body")


def source_of(call: Call, identity: Identity, entry_point: str) -> Source:
    """Who asks through which door: from the credential, never from the body."""
    return Source(entry_point, identity.actor, (identity.role,) if identity.role else (), "", _trace_id(call))


async def refused(worker: Worker, source: Source, error: GovernanceError, call: Call) -> None:
    """Record a question that could not be understood; what was decided or could not be recorded has its own."""
    if isinstance(error, CallerError):
        await worker.line.arefuse(source, error, _digest(call.body))
        worker.telemetry.count("refused", "deny", error.code)


def _digest(raw: bytes) -> str:
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def _trace_id(call: Call) -> str:
    """The trace id of a W3C `traceparent` header; empty where there is none that is well-formed."""
    parts = call.header(b"traceparent").split("-")
    is_known = len(parts) == 4 and len(parts[1]) == 32 and set(parts[1]) <= set("0123456789abcdef")
    return parts[1] if is_known and set(parts[1]) != {"0"} else ""
