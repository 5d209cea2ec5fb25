"""`/v1/decisions`: the service's own API."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from audit.record import Entry
from governance.enrich.scan import masked_texts
from governance.entrypoints.http.asgi import Answer, UnsupportedMedia, json_answer
from governance.errors import CallerError, Forbidden, NotFound, TooLarge
from governance.model.answer import decision_json
from governance.model.moment import new_decision_id, utc_now
from governance.model.request import Source
from governance.normalise.documents import decoded, read_json
from governance.normalise.requests import normalise_document
from governance.platform.decision_events import event_of

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.model.request import Json, Request
    from governance.platform.keys import Identity

SEES_ALL = frozenset({"platform", "compliance", "auditor"})
# Kinds whose yes changes nothing that a later request of the same batch could ask about: decided side by side.
_WITHOUT_EFFECT = frozenset({"connector_call", "data_flow"})
_SIDE_BY_SIDE = 32


async def decide(worker: Worker, call: Call, identity: Identity) -> Answer:
    """One request; a deny is an answer like any other (200)."""
    document = await body_of(worker, call)
    decision = await decided(worker, document, identity, source_of(call, identity, "http.decisions"))
    return json_answer(decision_json(decision), headers=((b"x-decision-id", decision.decision_id.encode()),))


async def batch(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`{"requests": [...]}` in, `{"decisions": [...]}` out, in the same order.

    A request that is none is a deny of its own. Without a durable record of each there is no answer at all.
    """
    source = source_of(call, identity, "http.batch")
    document = await body_of(worker, call)
    requests = document.get("requests") if isinstance(document, dict) else None
    if not isinstance(requests, list):
        raise CallerError("a list of requests is needed", where="/requests")
    if len(requests) > worker.max_batch:
        raise TooLarge(f"more than {worker.max_batch} requests", where="/requests", hint="send several batches")
    answers: list[dict[str, Json]] = []
    for group in _groups(requests):
        answers += await asyncio.gather(*(_one_of_many(worker, request, identity, source) for request in group))
    return json_answer({"decisions": answers})


async def show(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A recorded decision with its opened parts.

    A key bound to a tenant sees that tenant's only; one that may not read the log sees what it asked itself. Reading what
    somebody else asked is a record as well. `?format=opa` gives it as an event of OPA's decision log.
    """
    shape = call.query().get("format", ["json"])[-1]
    if shape not in {"json", "opa"}:
        raise CallerError(f"{shape[:20]!r} is not one of json, opa", where="?format")
    reader = worker.reader()
    index = reader.find(call.params[0])
    record = reader.record(index) if index is not None else None
    if record is None or not _may_see(identity, record):
        raise NotFound("there is no such decision", where=call.path)
    if record["public"].get("actor") != identity.actor:
        await recorded_reading(worker, identity, {"asked_for": call.params[0][:64], "records": 1})
    if shape == "json":
        return json_answer(record)
    event = event_of(record, {"id": worker.settings.text("log_origin")})
    if event is None:
        raise NotFound("that record is no decision", where=call.path)
    return json_answer(event)


async def decided(worker: Worker, document: Json, identity: Identity, source: Source) -> Decision:
    """A native request through the line, for the tenant of the key."""
    decision = await worker.line.adecide(request_of(document, identity, source))
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return decision


def request_of(document: Json, identity: Identity, source: Source) -> Request:
    """A native request for the tenant of the key; raises Forbidden for another's."""
    request = normalise_document(document, source)
    check_tenant(identity, request)
    return request


def check_tenant(identity: Identity, request: Request) -> None:
    """Raise Forbidden where the key is bound to another tenant than the request's."""
    if identity.tenant and request.tenant != identity.tenant:
        raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="/tenant")


async def body_of(worker: Worker, call: Call, limit: int = 0) -> Json:
    """The body as strict JSON, of at most `limit` bytes; 0 stands for the service's limit."""
    limit = limit or worker.max_body
    kind = call.header(b"content-type").partition(";")[0].strip().lower()
    if kind not in {"application/json", ""} and not kind.endswith("+json"):
        raise UnsupportedMedia(f"content type {kind[:60]!r} is not read here", hint="send application/json")
    raw = await call.read(limit, worker.body_timeout_s)
    return read_json(decoded(raw, "body", limit), "body", max_depth=worker.max_depth)


def source_of(call: Call, identity: Identity, entry_point: str) -> Source:
    """Who asks through which door: from the credential, never from the body."""
    return Source(entry_point, identity.actor, (identity.role,) if identity.role else (), "", call.trace.trace_id)


def digest_of(raw: bytes) -> str:
    """How a record names a body that was not understood."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


async def recorded_reading(
    worker: Worker, identity: Identity, what: dict[str, Any], private: dict[str, Any] | None = None
) -> None:
    """Who read the log, and how much of it. `private`: what was looked for, where that is about a person: sealed.

    It is sealed under that person's key, so that erasing the person erases that somebody looked for them by name.
    """
    public = {
        "decision_id": new_decision_id(), "actor": identity.actor, "entry_point": "http.audit", "effect": "allow",
        "app": "", "tenant": identity.tenant, "rules": [], **masked_texts(what),
    }  # fmt: skip
    private = private or {}
    await worker.client.aappend(Entry("audit_read", utc_now(), public, private, str(private.get("subject", ""))))


def _may_see(identity: Identity, record: dict[str, Any]) -> bool:
    public = record["public"]
    if identity.tenant and public.get("tenant") != identity.tenant:
        return False
    return identity.role in SEES_ALL or public.get("actor") == identity.actor


def _groups(requests: list[Json]) -> list[list[Json]]:
    """Runs of requests that may be decided side by side; one that may change something stands alone, in its place."""
    groups: list[list[Json]] = []
    is_open = False
    for request in requests:
        is_harmless = isinstance(request, dict) and request.get("kind") in _WITHOUT_EFFECT
        if is_open and is_harmless and len(groups[-1]) < _SIDE_BY_SIDE:
            groups[-1].append(request)
        else:
            groups.append([request])
        is_open = is_harmless
    return groups


async def _one_of_many(worker: Worker, request: Json, identity: Identity, source: Source) -> dict[str, Json]:
    try:
        return decision_json(await decided(worker, request, identity, source))
    except CallerError as error:
        raw = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")
        decision_id = await worker.line.arefuse(source, error, digest_of(raw))
        worker.telemetry.count("refused", "deny", error.code)
        return {"decision_id": decision_id, "effect": "deny", "error": error.code, "reason": str(error)}
