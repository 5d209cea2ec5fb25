"""`/v1/events`, `/v1/subscriptions`, `/v1/hooks`: events of apps, what they subscribed to, and webhooks from outside."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from audit.record import Entry
from governance.enrich.events.declared import Subscription, rows
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.connectors import caller_of
from governance.entrypoints.http.decisions import body_of, digest_of
from governance.errors import CallerError, NotFound
from governance.model.moment import new_decision_id, utc_now
from governance.model.request import Source
from governance.normalise.requests import is_app_name
from governance.platform.broker.events.hooks import Delivered
from governance.platform.broker.events.message import STRUCTURED, from_binary, from_structured
from governance.platform.broker.events.publishing import published_json

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.request import Json
    from governance.platform.broker.events.outbox_rows import Delivery
    from governance.platform.broker.events.publishing import Published
    from governance.platform.keys import Identity

_MOST_AT_ONCE = 100
_MOST_DEAD = 500
_BATCH = "application/cloudevents-batch+json"


async def publish(worker: Worker, call: Call, _: Identity) -> Answer:
    """A CloudEvent in structured or binary mode: 202 accepted, 200 for one that was there already, or was refused."""
    caller = caller_of(worker, call)
    kind = call.header(b"content-type").partition(";")[0].strip().lower()
    if kind == _BATCH:
        raise CallerError("events are published one by one", where="header content-type")
    if kind == STRUCTURED:
        event = from_structured(await body_of(worker, call))
    else:
        event = from_binary(call.headers, await call.read(worker.max_body, worker.body_timeout_s), worker.max_body)
    source = Source("http.events", caller.actor, ("app",), "", call.trace.trace_id)
    said = await worker.exchange.publisher.publish(caller.app, event, source)
    _count(worker, said)
    return json_answer(published_json(said), 202 if said.decision is not None and said.is_accepted else 200)


async def pull(worker: Worker, call: Call, _: Identity) -> Answer:
    """`{max?}`: events that wait for a subscription of the calling app, each decided on and masked for it."""
    caller, name = caller_of(worker, call), _subscription(call)
    asked = await body_of(worker, call)
    most = asked.get("max", 10) if isinstance(asked, dict) and not set(asked) - {"max"} else 0
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= _MOST_AT_ONCE:
        raise CallerError(f"a whole number from 1 to {_MOST_AT_ONCE}", where="/max")
    handed = await worker.exchange.deliverer.fetch(caller.app, name, most)
    return json_answer({"events": [one._asdict() for one in handed]})


async def acknowledge(worker: Worker, call: Call, _: Identity) -> Answer:
    """`{done?: [delivery], failed?: [delivery]}`; `late` names those whose lease had ended, which come again."""
    caller, name = caller_of(worker, call), _subscription(call)
    asked = await body_of(worker, call)
    if not isinstance(asked, dict) or set(asked) - {"done", "failed"}:
        raise CallerError("`done` and `failed`, lists of deliveries", where="/")
    late = []
    for member in ("done", "failed"):
        found = asked.get(member, [])
        if not isinstance(found, list) or len(found) > _MOST_AT_ONCE or not all(isinstance(one, str) for one in found):
            raise CallerError(f"a list of at most {_MOST_AT_ONCE} deliveries", where=f"/{member}")
        for one in found:
            is_done = member == "done"
            if not await worker.exchange.deliverer.settle(caller.app, name, one, is_done=is_done):
                late.append(one)
    return json_answer({"late": late})


async def hook(worker: Worker, call: Call, _: Identity) -> Answer:
    """A webhook: 202 taken, 200 for one that was taken before or refused by policy, 401 where the signature does not fit."""
    body = await call.read(worker.max_body, worker.body_timeout_s)
    delivered = Delivered(call.headers, body, call.trace.trace_id, digest_of(body))
    received = await worker.exchange.hooks.receive(call.params[0], delivered)
    if received.published is None:
        return json_answer({"challenge": received.challenge})
    said = received.published
    _count(worker, said)
    is_new = said.decision is not None and said.is_accepted
    effect = "allow" if said.decision is None else said.decision.effect
    return json_answer({"effect": effect, "decision_id": said.decision_id}, 202 if is_new else 200)


async def listing(worker: Worker, _call: Call, identity: Identity) -> Answer:
    """Who subscribed to what; a key of a tenant sees its own apps'."""
    found = []
    for app, spec in worker.directory.specs():
        if identity.tenant and spec.get("tenant") != identity.tenant:
            continue
        for row in rows(spec, "subscribes"):
            about = {member: row[member] for member in ("name", "type", "purpose") if member in row}
            pushed = Subscription(app, str(row.get("name", "")), row).is_pushed
            found.append({"app": app, **about, "publisher": row.get("app"), "pushed": pushed})
    return json_answer({"subscriptions": found})


async def dead(worker: Worker, _call: Call, identity: Identity) -> Answer:
    """Dead letters without what they hold; a key of a tenant sees its own apps'."""
    letters = await asyncio.to_thread(worker.exchange.outbox.dead, _MOST_DEAD)
    return json_answer({"dead": [letter_json(one) for one in letters if _is_seen(worker, identity, one)]})


async def retry(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A dead letter tries again, on record."""
    number = call.params[0]
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise NotFound("there is no such dead letter", where=call.path, hint="GET /v1/events/dead lists them")
    letter = await asyncio.to_thread(worker.exchange.outbox.letter, int(number))
    if not _is_seen(worker, identity, letter):
        raise NotFound("there is no such dead letter", where=call.path, hint="GET /v1/events/dead lists them")
    public = {
        "decision_id": new_decision_id(), "actor": identity.actor, "entry_point": "http.events", "effect": "allow",
        "app": letter.app, "tenant": identity.tenant, "rules": [], "delivery": letter.number,
        "trace_id": call.trace.trace_id,
    }  # fmt: skip
    await worker.client.aappend(Entry("event_retried", utc_now(), public, {}))
    await asyncio.to_thread(worker.exchange.outbox.retry, letter.number, time.time())
    return json_answer({"retried": letter.number}, 202)


def letter_json(one: Delivery) -> dict[str, Json]:
    """A dead letter in short."""
    return {
        "number": one.number, "app": one.app, "subscription": one.subscription, "source": one.source, "id": one.id,
        "attempts": one.attempts, "reason": one.reason,
    }  # fmt: skip


def _is_seen(worker: Worker, identity: Identity, one: Delivery) -> bool:
    return not identity.tenant or worker.directory.spec_of(one.app).get("tenant") == identity.tenant


def _subscription(call: Call) -> str:
    name = call.params[0]
    if not is_app_name(name):
        raise NotFound("there is no such subscription", where=call.path)
    return name


def _count(worker: Worker, said: Published) -> None:
    if said.decision is not None:
        worker.telemetry.count(said.decision.kind, said.decision.effect, said.decision.error or "")
