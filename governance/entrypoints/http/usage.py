"""`GET /v1/usage`: what running apps used; a key of one tenant sees that tenant's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from governance.broker_wiring import usage_counters_of
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.errors import CallerError, Forbidden
from governance.platform.runtime_usage import BY, Row, period, usage_json, used

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

_NAMES = ("app", "tenant", "since", "until", "by")


async def report(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?app=&tenant=&since=DATE&until=DATE&by=app|tenant|day`: a row each, and their sum."""
    wanted = dict.fromkeys(_NAMES, "") | {"by": "app"} | call.query_of(_NAMES)
    if wanted["by"] not in BY:
        raise CallerError(f"{wanted['by'][:40]!r} is nothing to divide by", where="by", hint=f"use {', '.join(BY)}")
    if identity.tenant:
        if wanted["tenant"] not in {"", identity.tenant}:
            raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="tenant")
        wanted["tenant"] = identity.tenant
    days = period(wanted["since"], wanted["until"])

    def rows() -> list[Row]:
        counters = usage_counters_of(worker.settings)
        try:
            return used(counters, by=wanted["by"], tenant=wanted["tenant"], app=wanted["app"], days=days)
        finally:
            counters.close()

    # In a thread: waiting for the store must not keep decisions waiting.
    return json_answer(usage_json(await asyncio.to_thread(rows), wanted["since"], wanted["until"]))
