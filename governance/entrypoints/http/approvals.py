"""`/v1/connectors`: the registry's entries, for everybody; their approvals, given and taken back by who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors_registry.digests import digest_of
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import body_of, source_of
from governance.errors import CallerError, NotFound
from governance.model.answer import decision_json
from governance.platform.connector_approvals import Asked, AskedBack, standing
from governance.wiring import registry_of, shipped_connectors

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.platform.keys import Identity

_ENTRY_POINT = "http.connectors"
_IN_SHORT = (
    "name",
    "title",
    "state",
    "owner",
    "review_by",
    "hosts",
    "regions",
    "data_classes",
    "retires_at",
    "replaced_by",
)


async def listing(worker: Worker, _call: Call, _: Identity) -> Answer:
    """Every connector of the registry, in short."""
    rows = registry_of(worker.settings).connectors.values()
    shown = [{**{name: row[name] for name in _IN_SHORT if name in row}, **_standing(worker, row)} for row in rows]
    return json_answer({"connectors": shown})


async def show(worker: Worker, call: Call, _: Identity) -> Answer:
    """One connector as it is registered, with its document's digest and who approved that."""
    found = _registered(worker, call)
    return json_answer({**found, **_standing(worker, found)})


async def approve(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`{as, digest, reason}`: one approval of the document of that digest; a refusal is a 200 with `effect: "deny"`."""
    asked = Asked(_registered(worker, call), worker.approvals, identity, **await _said(worker, call))
    decision = await _decided(worker, call, asked)
    if not decision.is_allowed:
        return json_answer(decision_json(decision))
    await worker.client.aappend(asked.entry(source_of(call, identity, _ENTRY_POINT)))
    worker.approvals.keep(asked)
    return json_answer({**decision_json(decision), **_standing(worker, asked.connector)}, 201)


async def withdraw(worker: Worker, call: Call, identity: Identity) -> Answer:
    """The same body, `"*"` for every document: what was approved no longer is, before that is on record.

    Where the record then fails the caller hears so, and asking again writes it.
    """
    asked = AskedBack(_registered(worker, call), worker.approvals, identity, **await _said(worker, call))
    decision = await _decided(worker, call, asked)
    if not decision.is_allowed:
        return json_answer(decision_json(decision))
    worker.approvals.keep(asked)
    await worker.client.aappend(asked.entry(source_of(call, identity, _ENTRY_POINT)))
    return json_answer({**decision_json(decision), **_standing(worker, asked.connector)})


async def _said(worker: Worker, call: Call) -> dict[str, str]:
    said = await body_of(worker, call)
    if not isinstance(said, dict) or set(said) != {"as", "digest", "reason"}:
        raise CallerError("`as`, `digest` and `reason` are needed", where="/", hint="GET shows the document's digest")
    if not all(isinstance(text, str) for text in said.values()):
        raise CallerError("`as`, `digest` and `reason` are texts", where="/")
    return {"part": said["as"], "digest": said["digest"], "reason": said["reason"]}


async def _decided(worker: Worker, call: Call, asked: Asked) -> Decision:
    decision = await worker.line.knowing(asked).adecide(asked.request(source_of(call, asked.identity, _ENTRY_POINT)))
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return decision


def _registered(worker: Worker, call: Call) -> Json:
    """As the folder has it now: who approves a document does so before a service is started with it."""
    found = registry_of(worker.settings).connectors.get(call.params[0])
    if found is None:
        raise NotFound("there is no such connector", where=call.path, hint="GET /v1/connectors lists them")
    return found


def _standing(worker: Worker, entry: Json) -> dict[str, Json]:
    """What stands with it; `serving`, where this service goes by another document of it until it is started anew."""
    about = standing(entry, worker.approvals, shipped_connectors(worker.active))
    in_use = worker.registry.connectors.get(str(entry["name"]))
    digest = digest_of(in_use) if in_use is not None else ""
    return about if digest == about["digest"] else {**about, "serving": digest}
