"""`/v1/waivers`: proposed by one signed-in person, approved by another, revoked by anybody of these roles; all on record.

Who proposes and who approves is what their keys say, never what a body says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from audit.record import Entry
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import body_of, source_of
from governance.errors import CallerError, Forbidden
from governance.model.moment import new_decision_id, utc_now
from governance.platform.waivers import (
    NOBODY,
    Proposal,
    WaiverStore,
    check_allowed,
    listed,
    place_of,
    public_of,
    question_of,
    sealed_of,
    spec_without_approver,
)

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.request import Json
    from governance.platform.keys import Identity

ENTRY_POINT = "http.waivers"
_MEMBERS = frozenset({"apiVersion", "kind", "metadata", "spec", "name"})


async def listing(worker: Worker, _call: Call, identity: Identity) -> Answer:
    """Every waiver with its state: `in_force`, `expired`, `proposed`, `unreadable`."""
    rows = listed(worker.state, worker.settings.text("waivers"))
    return json_answer({"waivers": [row for row in rows if _concerns(identity, row)]})


async def show(worker: Worker, call: Call, identity: Identity) -> Answer:
    """One waiver of this home."""
    row = WaiverStore(worker.state).held(call.params[0])
    _check_tenant(identity, row)
    return json_answer(row)


async def propose(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A Waiver document without `spec.approver`, or `{name, spec}`. 201; it excuses nothing yet."""
    document = await body_of(worker, call)
    if not isinstance(document, dict) or set(document) - _MEMBERS:
        raise CallerError("a Waiver, or an object with name and spec, is needed", where="/")
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else document.get("name")
    if not isinstance(name, str):
        raise CallerError("has to be a name", where="/metadata/name")
    store = WaiverStore(worker.state)
    spec = spec_without_approver(document.get("spec"), identity.actor, worker.active.rules, store, name)
    _check_tenant(identity, spec)
    store.check_free(name)
    await _ask(worker, call, identity, name, {**spec, "approver": NOBODY})
    proposal = Proposal(name, spec, identity.actor, utc_now(), identity.person)
    await _record(worker, identity, "waiver_proposed", name, spec)
    store.propose(proposal)
    return json_answer({**spec, "name": name, "author": identity.actor, "state": "proposed"}, 201)


async def approve(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Put a proposal of somebody else in force; every worker goes by it within a second."""
    store = WaiverStore(worker.state)
    proposal = store.proposal(call.params[0])
    _check_tenant(identity, proposal.spec)
    spec = store.approved_spec(proposal, identity.actor, identity.person)
    store.check(proposal.name, spec, worker.active.rules)
    await _ask(worker, call, identity, proposal.name, spec)
    place = place_of(proposal.name, spec)
    await _record(worker, identity, "waiver_approved", proposal.name, {**spec, "author": proposal.author}, **place)
    store.add(proposal.name, spec)
    return json_answer({**spec, "name": proposal.name, "author": proposal.author, "state": "in_force"})


async def revoke(worker: Worker, call: Call, identity: Identity) -> Answer:
    """End a waiver, or drop a proposal; it stops within a second."""
    store = WaiverStore(worker.state)
    row = store.held(call.params[0])
    _check_tenant(identity, row)
    await _record(worker, identity, "waiver_revoked", row["name"], row, **place_of(row["name"], None))
    store.revoke(row["name"])
    return json_answer({**row, "state": "revoked"})


async def _ask(worker: Worker, call: Call, identity: Identity, name: str, spec: dict[str, Json]) -> None:
    """Raise Forbidden where the policy refuses such a waiver."""
    question = question_of(name, spec, source_of(call, identity, ENTRY_POINT))
    decision = await worker.line.adecide(question)
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    check_allowed(decision)


async def _record(
    worker: Worker, identity: Identity, kind: str, name: str, spec: dict[str, Json], **more: Json
) -> None:
    public = {
        "decision_id": new_decision_id(), "actor": identity.actor, "entry_point": ENTRY_POINT, "effect": "",
        **public_of(name, spec, author=str(spec.get("author", identity.actor)), **more),
    }  # fmt: skip
    await worker.client.aappend(Entry(kind, utc_now(), public, sealed_of(spec), identity.actor))


def _concerns(identity: Identity, row: dict[str, Any]) -> bool:
    return not identity.tenant or row.get("subject") == f"tenant:{identity.tenant}"


def _check_tenant(identity: Identity, row: dict[str, Any]) -> None:
    if not _concerns(identity, row):
        raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="/spec/subject")
