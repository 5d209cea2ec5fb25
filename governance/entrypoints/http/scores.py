"""`GET /v1/scores`: compliance of the apps as the log shows it; reading it is a record, like every reading of the log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import recorded_reading
from governance.errors import Forbidden
from governance.model.moment import utc_now
from governance.platform.scores import days_between, score, score_json, trend, trend_json

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

_NAMES = ("app", "tenant", "since", "until")


async def report(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`?app=&tenant=&since=DATE&until=DATE`: the score now, its rule set, how each app stands; with `since` the trend."""
    wanted = dict.fromkeys(_NAMES, "") | call.query_of(_NAMES)
    if identity.tenant:
        if wanted["tenant"] not in {"", identity.tenant}:
            raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="tenant")
        wanted["tenant"] = identity.tenant
    now, reader = utc_now(), worker.reader()
    scope = {"now": now, "revision": worker.active.revision, "app": wanted["app"], "tenant": wanted["tenant"]}
    days = days_between(wanted["since"], wanted["until"] or now) if wanted["since"] else []
    # In a thread: a long log must not keep decisions waiting. The policy engine is not touched there.
    found = await asyncio.to_thread(lambda: score(reader, **scope))
    body = score_json(found, worker.active.rules)
    if days:
        body["trend"] = trend_json(await asyncio.to_thread(lambda: trend(reader, days=days, **scope)))
    await recorded_reading(worker, identity, {"app": wanted["app"], "tenant": wanted["tenant"], "scores": body["apps"]})
    return json_answer(body)
