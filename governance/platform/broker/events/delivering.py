"""Delivering: each event is decided on anew for each subscriber, masked for it, and then sent or handed out.

A delivery that is refused, or that its subscriber could not read, is a dead letter at once: trying again changes nothing. One
that failed comes again after a pause that doubles, with chance in it, until its attempts are used up. Every end but success is
a record.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from governance.enforce import masked_payload
from governance.enrich.events import schemas, transform
from governance.enrich.events.declared import named
from governance.errors import CallerError, DependencyError, GovernanceError, InternalError
from governance.model.request import Source
from governance.platform.broker.client_certificates import stored_certificate
from governance.platform.broker.events import flows, signatures
from governance.platform.broker.events.message import STRUCTURED, TRACE_PARENT, Event, from_structured, structured
from governance.platform.broker.sending import SendFailed, Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.pipeline import Pipeline
    from governance.platform.broker.events.outbox import Outbox
    from governance.platform.broker.events.outbox_rows import Delivery
    from governance.platform.broker.events.stream import Stream
    from governance.platform.broker.secrets import Secrets
    from governance.platform.broker.sending import Received, Sender
    from governance.protect.transforms import Keys

ENTRY_POINT = "events"
_LONGEST_PAUSE_S = 3600.0
_MOST_WORDS = 20
_GONE = 410
# Of one subscription side by side, and how long to wait for the first of all to end.
_MOST_EACH, _MOMENT_S = 4, 0.25
STREAM = "stream"


class Undeliverable(CallerError):
    """A delivery that no further attempt would bring to its subscriber."""

    code = "undeliverable"


class Terms(NamedTuple):
    """How patient the exchange is."""

    attempts: int = 24
    pause_s: float = 1.0
    """Before the second attempt; it doubles from one to the next, up to an hour."""
    lease_s: float = 60.0
    """Longer than an attempt may take: afterwards another worker may try."""


class Parts(NamedTuple):
    """What deliveries are made with; `governance.events_wiring` picks it."""

    line: Pipeline
    outbox: Outbox
    spec_of: Callable[[str], Json]
    secrets: Secrets
    sender: Sender
    stream: Stream | None
    """None where none is configured."""
    terms: Terms
    keys: Callable[[], Keys]
    """Of tokens and digests; asked for only where something leaves. Raises DependencyError."""
    clock: Callable[[], float] = time.time
    chance: Callable[[], float] = random.random
    """From 0 to 1, spreads the attempts of many."""


class Handed(NamedTuple):
    """One event as an app fetches it."""

    delivery: str
    """To be named when it has been dealt with."""
    attempt: int
    event: dict[str, Json]


class Deliverer:
    """Belongs to one event loop, as the line and the sender do."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._flights: dict[asyncio.Task[None], tuple[str, str]] = {}

    async def work(self, most: int) -> bool:
        """Begin to send what is due: up to `most` side by side, a few of them for one subscription, so that none holds up all.

        Returns once one of those under way has ended, or after a moment; False where there was nothing to do. Raises
        DependencyError where the outbox failed.
        """
        begun = await self._begun(most)
        if not self._flights:
            return False
        ended, _ = await asyncio.wait(self._flights, timeout=_MOMENT_S, return_when=asyncio.FIRST_COMPLETED)
        self._landed(ended)
        return begun or bool(ended)

    async def drained(self) -> None:
        """Wait until nothing is under way here."""
        while self._flights:
            ended, _ = await asyncio.wait(self._flights)
            self._landed(ended)

    async def _begun(self, most: int) -> bool:
        parts, is_begun = self._parts, False
        waiting = await asyncio.to_thread(parts.outbox.due, parts.clock())
        random.shuffle(waiting)
        for place in waiting:
            busy = sum(other == place for other in self._flights.values())
            room = min(_MOST_EACH - busy, most - len(self._flights))
            if room <= 0:
                continue
            now, lease_s = parts.clock(), parts.terms.lease_s
            for one in await asyncio.to_thread(parts.outbox.claim, now, lease_s, room, place, is_pushed=True):
                self._flights[asyncio.create_task(self._pushed(one))] = place
                is_begun = True
        return is_begun

    def _landed(self, ended: Iterable[asyncio.Task[None]]) -> None:
        failures = []
        for task in ended:
            del self._flights[task]
            failure = task.exception()
            if failure is not None:
                failures.append(failure)
        if failures:
            raise failures[0]

    async def fetch(self, app: str, subscription: str, most: int) -> list[Handed]:
        """What waits for a subscription, decided and masked; each is the caller's until its lease ends, or `settle`."""
        parts = self._parts
        row = named(parts.spec_of(app), "subscribes", subscription) or {}
        claimed = await asyncio.to_thread(
            parts.outbox.claim,
            parts.clock(),
            parts.terms.lease_s,
            most,
            (app, subscription),
            is_pushed=False,
        )
        handed = []
        for one in claimed:
            if "deliver" in row:
                await asyncio.to_thread(parts.outbox.turned, one.number, one.lease, is_pushed=True)
                continue
            event = await self._guarded(one, partial(self._prepared, one))
            if event is not None:
                handed.append(Handed(f"{one.number}.{one.lease}", one.attempts, structured(event)))
        return handed

    async def settle(self, app: str, subscription: str, delivery: str, *, is_done: bool) -> bool:
        """An app says how it fared with what it fetched; False where its lease had ended, and the event comes again."""
        parts = self._parts
        number, _, lease = delivery.partition(".")
        if not number.isascii() or not number.isdigit() or len(number) > 18 or not lease:
            raise CallerError("is not the name of a delivery", where="/delivery")
        of = (app, subscription)
        if is_done:
            return await asyncio.to_thread(parts.outbox.done, int(number), lease, of)
        reason = "its subscriber could not deal with it"
        return await self._failed((int(number), lease), of, reason)

    async def _pushed(self, one: Delivery) -> None:
        try:
            row = named(self._parts.spec_of(one.app), "subscribes", one.subscription) or {}
        except GovernanceError as error:
            await self._retried(one, error)
            return
        if row and "deliver" not in row:
            await asyncio.to_thread(self._parts.outbox.turned, one.number, one.lease, is_pushed=False)
            return
        deliver = row.get("deliver")
        attempt = self._streamed if isinstance(deliver, dict) and deliver.get("via") == STREAM else self._sent
        if await self._guarded(one, partial(attempt, one)) is not None:
            await asyncio.to_thread(self._parts.outbox.done, one.number, one.lease)

    async def _guarded(self, one: Delivery, attempt: Callable[[], Awaitable[Event]]) -> Event | None:
        """The event, where the attempt came to its end; else None, and the delivery was put back or buried."""
        try:
            await self._check_attempts(one)
            return await attempt()
        except Undeliverable as error:
            await asyncio.to_thread(self._parts.outbox.bury, one.number, one.lease, str(error))
        except GovernanceError as error:
            await self._retried(one, error)
        except Exception as error:  # noqa: BLE001  one event that breaks something must not stop the others
            await self._retried(one, InternalError(f"unexpected {type(error).__name__}"))
        return None

    async def _check_attempts(self, one: Delivery) -> None:
        if one.attempts > self._parts.terms.attempts:
            gone = Undeliverable(f"whoever tried it, {one.attempts - 1} times, did not live to say how it went")
            await self._parts.line.arefuse(_of_subscription(one.app, one.subscription), gone)
            raise gone

    async def _retried(self, one: Delivery, error: GovernanceError) -> None:
        await self._failed((one.number, one.lease), (one.app, one.subscription), f"{error.code}: {error.message}")

    async def _failed(self, leased: tuple[int, str], of: tuple[str, str], reason: str) -> bool:
        """An attempt failed; after the last the delivery is given up, on record. False where the lease was another's."""
        given_up: list[str] = []

        def due_after(attempts: int) -> float | None:
            due = self._due_after(attempts)
            if due is None:
                given_up.append(f"delivery {leased[0]} was given up after {attempts} attempts: {reason}")
            return due

        is_ours = await asyncio.to_thread(self._parts.outbox.failed, *leased, reason, due_after, of)
        for said in given_up:
            await self._parts.line.arefuse(_of_subscription(*of), Undeliverable(said))
        return is_ours

    def _due_after(self, attempts: int) -> float | None:
        """When to try again after so many attempts; None after the last."""
        parts = self._parts
        if attempts >= parts.terms.attempts:
            return None
        pause = min(parts.terms.pause_s * 2.0 ** (attempts - 1), _LONGEST_PAUSE_S)
        return parts.clock() + pause * (0.5 + parts.chance() / 2)

    async def _prepared(self, one: Delivery) -> Event:
        """The event as its subscriber may have it. Raises Undeliverable, or what may be different next time."""
        event = from_structured(json.loads(one.body), is_ours=True)
        spec = self._parts.spec_of(one.app)
        row = named(spec, "subscribes", one.subscription) or {}
        source = _source(event, f"subscription:{one.app}/{one.subscription}")
        publisher = event.source.split("/")[2]
        # Where either app cannot be read, a decision would be a no for good; this comes again.
        self._parts.spec_of(publisher)
        destination = {"app": one.app, "subscription": one.subscription}
        tenant = str(event.extensions.get("tenantid", ""))
        request = flows.to_subscriber(publisher, tenant, event, destination, str(row.get("purpose", "")), source)
        decision = await self._parts.line.adecide(request)
        _check(decision)
        try:
            data = masked_payload(event.data, decision)
            if "transform" in row:
                data = transform.transformed(str(row["transform"]), data)
            errors = schemas.errors_of(row["schema"], data) if "schema" in row else []
        except CallerError as error:
            await self._parts.line.arefuse(source, error, request.digest)
            raise Undeliverable(error.message) from error
        if errors:
            broken = Undeliverable(f"does not follow the subscriber's schema at {errors[0]['pointer'] or '/'}")
            await self._parts.line.arefuse(source, broken, request.digest)
            raise broken
        return event._replace(data=data, extensions={**event.extensions, "decisionid": decision.decision_id})

    async def _streamed(self, one: Delivery) -> Event:
        """Prepared, and put where its subscriber reads."""
        event = await self._prepared(one)
        place = (str(self._parts.spec_of(one.app).get("tenant", "")), one.app, one.subscription)
        body = json.dumps(structured(event), separators=(",", ":"), ensure_ascii=False).encode()
        try:
            if self._parts.stream is None:
                raise DependencyError("there is no stream to put it on", hint="GOVERNANCE_EVENTS")
            await self._parts.stream.put(place, _name(one), body)
        except GovernanceError as error:
            await self._parts.line.arefuse(_source(event, f"subscription:{one.app}/{one.subscription}"), error)
            raise
        return event

    async def _sent(self, one: Delivery) -> Event:
        """Prepared, decided on for the address it goes to, signed and sent."""
        parts = self._parts
        event = await self._prepared(one)
        spec = parts.spec_of(one.app)
        row = named(spec, "subscribes", one.subscription) or {}
        deliver = row.get("deliver", {})
        url, tenant = str(deliver.get("url", "")), str(spec.get("tenant", ""))
        source = _source(event, f"subscription:{one.app}/{one.subscription}")
        request = flows.to_address(one.app, tenant, event, url, str(row.get("purpose", "")), source)
        decision = await parts.line.adecide(request)
        _check(decision)
        try:
            event = event._replace(data=masked_payload(event.data, decision, tenant, parts.keys()))
            secret = await asyncio.to_thread(parts.secrets.get, f"{tenant}/{deliver.get('signedWith', '')}")
            message = _message(one, event, url, secret.reveal(), parts.clock())
            if "certificate" in deliver:
                shown = await stored_certificate(parts.secrets, f"{tenant}/{deliver['certificate']}")
                message = message._replace(certificate=shown)
            received = await parts.sender.send(message)
            _check_answer(received)
        except GovernanceError as error:
            await parts.line.arefuse(source, error, request.digest)
            raise
        return event


def _of_subscription(app: str, subscription: str) -> Source:
    """Where the event itself, and so its trace, is not at hand."""
    return Source(ENTRY_POINT, f"subscription:{app}/{subscription}", ("exchange",), "", "")


def _source(event: Event, actor: str) -> Source:
    """All that happens to an event belongs to the trace in which it was published."""
    trace = str(event.extensions.get(TRACE_PARENT, "")).split("-")
    return Source(ENTRY_POINT, actor, ("exchange",), "", trace[1] if len(trace) > 1 else "")


def _check(decision: Decision) -> None:
    if decision.is_allowed:
        return
    if decision.error:
        # The policy gave no answer: that is a no, and one that may be different in a moment.
        raise DependencyError(f"decision {decision.decision_id} is a no without an answer ({decision.error})")
    rules = sorted({violation.rule for violation in decision.violations})[:_MOST_WORDS]
    raise Undeliverable(f"decision {decision.decision_id} refused it: {', '.join(rules) or decision.effect}")


def _name(one: Delivery) -> str:
    """The same for each attempt, whoever makes it: who receives it twice can tell."""
    said = f"{one.source}\n{one.id}\n{one.app}\n{one.subscription}"
    return f"evt_{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def _message(one: Delivery, event: Event, url: str, secret: str, now: float) -> Sent:
    """The request as it leaves: the event in structured mode, signed after Standard Webhooks."""
    parts = urlsplit(url)
    body = json.dumps(structured(event), separators=(",", ":"), ensure_ascii=False).encode()
    headers = {"Content-Type": STRUCTURED, **signatures.standard_headers(secret, _name(one), int(now), body)}
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        raise Undeliverable("the address has letters that are not ASCII")
    return Sent("POST", (parts.hostname or "").removesuffix("."), target, headers, body)


def _check_answer(received: Received) -> None:
    if received.status == _GONE:
        raise Undeliverable("the receiver says that it is gone for good (410)")
    if not 200 <= received.status < 300:
        raise SendFailed(f"the receiver answered {received.status}")
