"""Reading the audit log over HTTP: for the roles that may, and each reading is itself a record."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from audit.proving import prove_growth, prove_inclusion
from audit.questions import data_of, who_allowed
from audit.record import text_of
from audit.store import Filter, columns_of
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import body_of, recorded_reading, request_of, source_of
from governance.errors import CallerError, Forbidden, NotFound
from governance.policy.metadata import rules_of_control

if TYPE_CHECKING:
    from audit.reader import LogReader
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

_NAMES = (
    "app",
    "tenant",
    "actor",
    "kind",
    "effect",
    "rule",
    "since",
    "until",
    "trace_id",
    "connector",
    "subject",
    "text",
)
_MOST = 500
# What is looked for is written down, but not what could itself be about a person.
_NOT_WRITTEN_DOWN = frozenset({"subject", "text"})


async def listing(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?app=&tenant=&…&limit=&before=`: newest first; `next` is the cursor of the following page, null on the last."""
    wanted = _wanted(call, {*_NAMES, "control", "limit", "before"})
    limit = max(1, min(_number(wanted, "limit", 50), _MOST))
    values: dict[str, Any] = {name: wanted[name] for name in _NAMES if name in wanted}
    chosen = Filter(**values, before=_number(wanted, "before", 0))
    if "control" in wanted:
        chosen = chosen._replace(rules=rules_of_control(worker.active.rules.values(), wanted["control"]))
    chosen = chosen._replace(tenant=_tenant(identity, chosen.tenant))
    reader = worker.reader()
    # Looking for a text opens record after record: not where other calls would wait behind it.
    found = await asyncio.to_thread(reader.page, chosen, limit) if chosen.text else reader.page(chosen, limit)
    filters = {name: value for name, value in chosen.said().items() if name != "rules"} | _control(wanted)
    said = {name: "given" if name in _NOT_WRITTEN_DOWN else value for name, value in filters.items()}
    what = {"app": chosen.app, "tenant": chosen.tenant, "records": len(found.indexes), "filter": said}
    await recorded_reading(worker, identity, what, _private(filters))
    return json_answer({"records": [reader.record(index) for index in found.indexes], "next": found.next})


async def proof(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?id=DECISION` or `?index=N`: a C2SP tlog-proof. `?since=SIZE`: that the log only grew. `&size=`: in which tree."""
    wanted = _wanted(call, {"id", "index", "since", "size"})
    if len(wanted.keys() - {"size"}) != 1:
        raise CallerError("one of `id`, `index` and `since` is needed", where="query string")
    reader, size = worker.reader(), _number(wanted, "size", 0)
    if "since" in wanted:
        old = _number(wanted, "since", 0)
        text = prove_growth(reader, old, size).text()
        what: dict[str, Any] = {"asked_for": f"proof that it grew from {old}", "records": 0}
    else:
        index = reader.find(wanted["id"]) if "id" in wanted else _number(wanted, "index", 0)
        found = _of_tenant(reader, index, identity)
        text = prove_inclusion(reader, found["index"], size).text()
        app, tenant = (str(found["public"].get(name, "")) for name in ("app", "tenant"))
        what = {"asked_for": f"proof of record {found['index']}", "app": app, "tenant": tenant, "records": 1}
    await recorded_reading(worker, identity, what)
    return Answer(200, text.encode(), b"text/plain; charset=utf-8")


def _of_tenant(reader: LogReader, index: int | None, identity: Identity) -> dict[str, Any]:
    """A record; of other tenants' nothing is said, not even that it is there."""
    try:
        found = columns_of(reader.leaf(-1 if index is None else index))
    except KeyError:
        found = {}
    if not found or (identity.tenant and found["public"].get("tenant") != identity.tenant):
        raise NotFound("there is no such record", where="id or index", hint="GET /v1/audit/records shows what there is")
    return found


async def allowed(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?id=DECISION` or `?app=NAME`: who asked, by which policy it was allowed, which waivers counted."""
    wanted = _wanted(call, {"id", "app", "tenant"})
    if ("id" in wanted) == ("app" in wanted):
        raise CallerError("one of `id` and `app` is needed", where="query string")
    tenant = _tenant(identity, wanted.get("tenant", ""))
    decision_id, app = wanted.get("id", ""), wanted.get("app", "")
    rows = who_allowed(worker.reader(), decision_id=decision_id, app=app, tenant=tenant)
    what = {"asked_for": f"who-allowed {decision_id[:64]}".strip(), "app": app, "tenant": tenant, "records": len(rows)}
    await recorded_reading(worker, identity, what)
    return json_answer({"answers": rows})


async def subject_data(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?subject=`: what a person's data touched: apps, connectors, kinds, destinations, since when."""
    wanted = _wanted(call, {"subject", "tenant"})
    if not wanted.get("subject"):
        raise CallerError("is needed", where="subject")
    tenant = _tenant(identity, wanted.get("tenant", ""))
    found = await asyncio.to_thread(data_of, worker.reader(), wanted["subject"], tenant=tenant)
    what = {"asked_for": "data-of", "tenant": tenant, "records": found["records"]}
    await recorded_reading(worker, identity, what, {"subject": wanted["subject"]})
    return json_answer(found)


async def mask_preview(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A native request in; out comes what its record would hold, after the operator's masks. Decides and records nothing."""
    request = request_of(await body_of(worker, call), identity, source_of(call, identity, "http.audit"))
    entry = worker.line.preview(request)
    said = {name: entry.public.get(name) for name in ("mask", "mask_error", "erased_paths", "masked_paths")}
    sealed = {name: json.loads(text_of(value)) for name, value in entry.sealed.items()}
    return json_answer({"sealed": sealed, **{name: value for name, value in said.items() if value is not None}})


def _tenant(identity: Identity, asked: str) -> str:
    if identity.tenant and asked not in {"", identity.tenant}:
        raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="tenant")
    return identity.tenant or asked


def _private(filters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if name in _NOT_WRITTEN_DOWN}


def _control(wanted: dict[str, str]) -> dict[str, str]:
    return {"control": wanted["control"]} if "control" in wanted else {}


def _wanted(call: Call, known: set[str]) -> dict[str, str]:
    wanted = {}
    for name, values in call.query().items():
        if name not in known:
            raise CallerError(f"{name[:40]!r} is not a filter", hint=f"use {', '.join(sorted(known))}")
        if len(values) > 1:
            raise CallerError("stands twice in the query string", where=name)
        wanted[name] = values[0]
    return wanted


def _number(wanted: dict[str, str], name: str, default: int) -> int:
    raw = wanted.get(name, str(default))
    if not raw.isascii() or not raw.isdigit() or len(raw) > 15:
        raise CallerError("has to be a whole number", where=name)
    return int(raw)
