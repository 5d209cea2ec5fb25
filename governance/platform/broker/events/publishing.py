"""Publishing: an app's event is decided on, recorded, and then stands in the outbox for everybody who subscribed.

In this order, so that nothing is on its way without a record. Who hears nothing, or an error, publishes again with the same
`source` and `id`: an event that is there already is not taken twice, and one that changed meanwhile is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, NamedTuple

from governance.enforce import masked_payload
from governance.enrich.events.declared import published, subscriptions
from governance.errors import CallerError, Damaged, DependencyError
from governance.model.answer import decision_json
from governance.model.moment import utc_now
from governance.platform.broker.events.flows import to_exchange
from governance.platform.broker.events.message import TRACE_PARENT, structured
from governance.platform.broker.events.outbox_rows import Accepted, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from governance.model.decision import Decision
    from governance.model.request import Json, Source
    from governance.pipeline import Pipeline
    from governance.platform.broker.events.message import Event
    from governance.platform.broker.events.outbox import Outbox
    from governance.platform.broker.events.outbox_rows import Known

_LONGEST_ID = 300


class Conflict(CallerError):
    """Another event was published under this source and id."""

    code = "conflict"
    status = 409


class SubscribersUnknown(DependencyError):
    """What some app subscribed to can be read nowhere any more, so an event would miss it for good."""

    code = "subscribers_unknown"


class Published(NamedTuple):
    """What a publisher hears."""

    decision: Decision | None
    """None for an event that was accepted before."""
    decision_id: str
    deliveries: int = 0

    @property
    def is_accepted(self) -> bool:
        """Whether it is in the outbox, now or since before."""
        return self.decision is None or self.decision.is_allowed


def published_json(said: Published) -> dict[str, Json]:
    """`{effect, decision_id, deliveries?, duplicate?, decision?}`."""
    if said.decision is None:
        return {"effect": "allow", "decision_id": said.decision_id, "duplicate": True}
    found: dict[str, Json] = {"effect": said.decision.effect, "decision": decision_json(said.decision)}
    return {**found, "decision_id": said.decision_id, **({"deliveries": said.deliveries} if said.is_accepted else {})}


class Publisher:
    """Takes events of apps. Belongs to one event loop, as the line does."""

    def __init__(
        self,
        line: Pipeline,
        outbox: Outbox,
        specs: Callable[[], Sequence[tuple[str, Json]]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`specs`: (name, spec of the last allowed deploy) of every app. Raises Damaged where one cannot be known."""
        self._line = line
        self._outbox = outbox
        self._specs = specs
        self._clock = clock

    async def publish(self, app: str, event: Event, source: Source) -> Published:
        """Decide on an event of `app` and take it. Raises CallerError, Conflict, or DependencyError where nothing was taken."""
        if not _is_own(event.source, app):
            raise CallerError(f"an app's events come from {source_of(app)}", where="/source")
        if len(event.id) > _LONGEST_ID:
            raise CallerError(f"has more than {_LONGEST_ID} characters", where="/id")
        digest = _digest(event)
        known = await asyncio.to_thread(self._outbox.known, event.source, event.id)
        if known is not None:
            return _again(known, digest)
        specs = await self._known(source, digest)
        spec = specs.get(app, {})
        request = to_exchange(app, str(spec.get("tenant", "")), event, _purpose(spec, event.type), source)
        decision = await self._line.adecide(request)
        if not decision.is_allowed:
            return Published(decision, decision.decision_id)
        targets = [
            Target(wanted.app, wanted.name, wanted.is_pushed)
            for wanted in subscriptions(specs.items(), app, event.type)
        ]
        accepted = Accepted(
            event.source,
            event.id,
            digest,
            decision.decision_id,
            event.ordering,
            _stored(event, request.tenant, decision),
        )
        is_new = await asyncio.to_thread(self._outbox.add, accepted, targets, self._clock())
        if not is_new:  # published at the same moment by somebody else
            known = await asyncio.to_thread(self._outbox.known, event.source, event.id)
            if known is not None:
                return _again(known, digest)
        return Published(decision, decision.decision_id, len(targets))

    async def _known(self, source: Source, digest: str) -> dict[str, Json]:
        """Specs of all apps. Where one is lost the publisher keeps its event, and tries again: nothing misses a subscriber."""
        try:
            return dict(self._specs())
        except Damaged as error:
            unknown = SubscribersUnknown(
                "what this app subscribed to cannot be read", where=error.where, hint=error.hint
            )
            await self._line.arefuse(source, unknown, digest)
            raise unknown from error


def source_of(app: str) -> str:
    """The `source` that an app's events have, or begin with."""
    return f"/apps/{app}"


def _is_own(source: str, app: str) -> bool:
    """Its own path, or one below it; none that climbs out of it."""
    steps = source.split("/")
    return steps[:3] == ["", "apps", app] and not {".", "..", ""} & set(steps[3:])


def _again(known: Known, digest: str) -> Published:
    if known.digest != digest:
        raise Conflict("another event was published under this source and id", where="/id", hint="ids are used once")
    return Published(None, known.decision_id)


def _digest(event: Event) -> str:
    """Of all that its publisher says; when it is said, and in which trace, may differ between two tries."""
    said = {name: value for name, value in structured(event).items() if name not in {"time", TRACE_PARENT}}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _purpose(spec: Json, event_type: str) -> str:
    declared = published(spec, event_type) or {}
    return str(declared.get("description") or f"events of the type {event_type} for who subscribes to them")


def _stored(event: Event, tenant: str, decision: Decision) -> str:
    """The event as subscribers may get it at most: what no declaration covers is masked before anything is kept."""
    trace = {TRACE_PARENT: f"00-{decision.trace_id}-{decision.decision_id.replace('-', '')[-16:]}-00"}
    kept = event._replace(
        data=masked_payload(event.data, decision),
        time=event.time or utc_now(),
        extensions={**event.extensions, **trace, "tenantid": tenant, "decisionid": decision.decision_id},
    )
    return json.dumps(structured(kept), separators=(",", ":"), ensure_ascii=False)
