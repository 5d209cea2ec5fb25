"""Reading the audit log over HTTP: for the roles that may, and each reading is itself a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.record import Entry
from audit.store import Filter
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.errors import CallerError
from governance.model.moment import new_decision_id, utc_now

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

_NAMES = ("app", "tenant", "actor", "kind", "effect", "rule", "since", "until")
_MOST = 500


async def listing(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?app=&tenant=&…&limit=&before=`: newest first; `next` is the cursor of the following page."""
    wanted = {name: values[0] for name, values in call.query().items()}
    unknown = sorted(set(wanted) - {*_NAMES, "limit", "before"})
    if unknown:
        raise CallerError(f"{unknown[0]!r} is not a filter", hint=f"use {', '.join(_NAMES)}, limit, before")
    limit = min(_number(wanted, "limit", 50), _MOST)
    chosen = Filter(**{n: wanted[n] for n in _NAMES if n in wanted}, before=_number(wanted, "before", 0))
    if identity.tenant:
        chosen = chosen._replace(tenant=identity.tenant)
    reader = worker.reader()
    indexes = reader.search(chosen, limit=limit)
    public = {
        "decision_id": new_decision_id(), "actor": identity.actor, "entry_point": "http.audit", "effect": "allow",
        "app": chosen.app, "tenant": chosen.tenant, "rules": [], "records": len(indexes),
    }  # fmt: skip
    await worker.client.aappend(Entry("audit_read", utc_now(), public, {}))
    following = indexes[-1] if len(indexes) == limit else None
    return json_answer({"records": [reader.record(index) for index in indexes], "next": following})


async def checkpoint(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """The newest signed checkpoint (C2SP tlog-checkpoint)."""
    return Answer(200, worker.reader().checkpoint().encode(), "text/plain; charset=utf-8")


def _number(wanted: dict[str, str], name: str, default: int) -> int:
    raw = wanted.get(name, str(default))
    if not raw.isascii() or not raw.isdigit():
        raise CallerError(f"{name} has to be a whole number")
    return int(raw)
