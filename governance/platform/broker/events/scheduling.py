"""Schedules: at its times an app's own event is published, once, by whichever replica is first.

A time that came while nobody ran is made up for within the hour, the latest only. Each time has one event id, so that even two
replicas that both believe it is theirs publish one event.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.events import cron
from governance.enrich.events.declared import rows
from governance.errors import GovernanceError
from governance.model.request import Source
from governance.platform.broker.events.message import Event
from governance.platform.broker.events.publishing import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from governance.model.request import Json
    from governance.platform.broker.events.outbox import Outbox
    from governance.platform.broker.events.publishing import Publisher

_CATCH_UP_S = 3600.0
_LEASE_S = 60.0


class _Clock(NamedTuple):
    """When a schedule comes next, as it was declared."""

    declared: tuple[str, str]
    next_at: float


class Scheduler:
    """Looks at the schedules of all apps; cheap to ask often."""

    def __init__(
        self,
        publisher: Publisher,
        outbox: Outbox,
        specs: Callable[[], Sequence[tuple[str, Json]]],
        app_of: Callable[[str], Json | None],
        say: Callable[[str], None],
    ) -> None:
        self._publisher = publisher
        self._outbox = outbox
        self._specs = specs
        self._app_of = app_of
        self._say = say
        self._clocks: dict[tuple[str, str], _Clock] = {}

    async def tick(self, now: float) -> int:
        """Publish what is due at `now` (seconds since 1970); how many times were dealt with here."""
        fired = 0
        for app, spec in self._specs():
            for row in rows(spec, "schedules"):
                try:
                    fired += await self._look(app, row, now)
                except GovernanceError as error:
                    self._say(f"the schedule {row.get('name')} of {app} has to wait: {error}")
        return fired

    async def _look(self, app: str, row: Json, now: float) -> int:
        name, declared = str(row.get("name", "")), (str(row.get("cron", "")), str(row.get("timezone", "UTC")))
        known = self._clocks.get((app, name))
        if known is not None and known.declared == declared and now < known.next_at:
            return 0
        moment = datetime.fromtimestamp(now, UTC)
        at = cron.last_time(*declared, moment)
        next_at = cron.next_time(*declared, moment).timestamp()
        whose = "done"
        if self._is_due(app, at, now):
            whose = await asyncio.to_thread(self._outbox.fires, app, name, at.timestamp(), now, _LEASE_S)
        if whose == "taken":
            # Whoever has it may fail: looked at again when the lease ends.
            next_at = min(next_at, now + _LEASE_S)
        if whose == "mine":
            await self._fire(app, row, at)
        self._clocks[(app, name)] = _Clock(declared, next_at)
        return int(whose == "mine")

    def _is_due(self, app: str, at: datetime, now: float) -> bool:
        known = self._app_of(app) or {}
        since = datetime.fromisoformat(str(known.get("state_since", "9999-01-01T00:00:00Z")))
        return at >= since and now - at.timestamp() < _CATCH_UP_S

    async def _fire(self, app: str, row: Json, at: datetime) -> None:
        """Publish, then remember that it was; a policy that says no has been asked, and is not asked again."""
        name, moment = str(row.get("name", "")), at.strftime("%Y-%m-%dT%H:%M:%SZ")
        event = Event(
            moment, f"{source_of(app)}/schedules/{name}", str(row.get("type", "")), row.get("data", {}), time=moment
        )
        source = Source("events", f"schedule:{app}/{name}", ("exchange",), "", os.urandom(16).hex())
        await self._publisher.publish(app, event, source)
        await asyncio.to_thread(self._outbox.fired, app, name, at.timestamp())
