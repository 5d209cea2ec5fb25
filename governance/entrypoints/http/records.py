"""Reading the audit log over HTTP: for the roles that may, and each reading is itself a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.store import Filter
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import recorded_reading
from governance.errors import CallerError, Forbidden

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

_NAMES = ("app", "tenant", "actor", "kind", "effect", "rule", "since", "until")
_MOST = 500


async def listing(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?app=&tenant=&…&limit=&before=`: newest first; `next` is the cursor of the following page, null on the last."""
    wanted = _wanted(call)
    limit = max(1, min(_number(wanted, "limit", 50), _MOST))
    chosen = Filter(**{n: wanted[n] for n in _NAMES if n in wanted}, before=_number(wanted, "before", 0))
    if identity.tenant:
        if chosen.tenant not in {"", identity.tenant}:
            raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="tenant")
        chosen = chosen._replace(tenant=identity.tenant)
    reader = worker.reader()
    found = reader.search(chosen, limit=limit + 1)
    indexes = found[:limit]
    await recorded_reading(worker, identity, {"app": chosen.app, "tenant": chosen.tenant, "records": len(indexes)})
    following = indexes[-1] if len(found) > limit else None
    return json_answer({"records": [reader.record(index) for index in indexes], "next": following})


async def checkpoint(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """The newest signed checkpoint (C2SP tlog-checkpoint)."""
    return Answer(200, worker.reader().checkpoint().encode(), b"text/plain; charset=utf-8")


def _wanted(call: Call) -> dict[str, str]:
    wanted = {}
    for name, values in call.query().items():
        if name not in {*_NAMES, "limit", "before"}:
            raise CallerError(f"{name[:40]!r} is not a filter", hint=f"use {', '.join(_NAMES)}, limit, before")
        if len(values) > 1:
            raise CallerError("stands twice in the query string", where=name)
        wanted[name] = values[0]
    return wanted


def _number(wanted: dict[str, str], name: str, default: int) -> int:
    raw = wanted.get(name, str(default))
    if not raw.isascii() or not raw.isdigit() or len(raw) > 15:
        raise CallerError("has to be a whole number", where=name)
    return int(raw)
