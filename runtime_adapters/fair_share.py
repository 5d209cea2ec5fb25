"""Whose call is next: fair queueing between tenants by what they really used, with weights and bounded queues.

Each tenant has a clock of its own that advances by the time its calls took, divided by its weight; the tenant whose clock
is furthest behind is next. One that comes back after a rest starts at the clock of those that are waiting, so that idleness
earns nothing. Source: start-time fair queueing (Goyal, Vin, Cheng 1996), with the cost booked when it is known.

A running call is never taken back, and so the last free worker is kept for a tenant of whom nothing runs: else one tenant holds
every worker, and another waits for the rest of a call each time, whoever's turn it is.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, NamedTuple, TypeVar

Job = TypeVar("Job")
# Booked for a call when it starts, and made good when it ends: else a tenant could start everything at one clock.
_GUESS_S = 0.01


class Busy(Exception):
    """No room for this call; `retry_after_s` is when it is worth asking again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Share(NamedTuple):
    """What one tenant may have of the pool."""

    weight: float = 1.0
    """Twice the weight, twice the time when both want it."""
    most_running: int = 8
    """And of two workers or more one fewer than there are."""
    most_waiting: int = 64


class _Tenant(Generic[Job]):
    def __init__(self, share: Share, clock: float) -> None:
        self.share = share
        self.clock = clock
        self.waiting: deque[Job] = deque()
        self.running = 0


class FairShare(Generic[Job]):
    """Jobs of tenants in the order they should run. Not for several threads at once; its pool holds a lock."""

    def __init__(self, workers: int, default: Share, shares: dict[str, Share] | None = None) -> None:
        """`workers`: how many jobs are run at the same time."""
        self._workers, self._running = workers, 0
        self._default = default
        self._shares = dict(shares or {})
        self._tenants: dict[str, _Tenant[Job]] = {}
        self._last_s = 0.1

    def add(self, tenant: str, job: Job) -> None:
        """Queue a job. Raises Busy when the tenant has as many waiting as it may."""
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = _Tenant(self._shares.get(tenant, self._default), self._now())
        if len(known.waiting) >= known.share.most_waiting:
            wait = self._last_s * len(known.waiting) / max(1, known.share.most_running)
            raise Busy(f"tenant {tenant!r} has {len(known.waiting)} calls waiting already", max(1.0, wait))
        if not known.waiting and not known.running:
            known.clock = max(known.clock, self._now())
        known.waiting.append(job)

    def take(self) -> tuple[str, Job] | None:
        """The next job and whose it is; None when nothing may run now."""
        ready = [(tenant.clock, name) for name, tenant in self._tenants.items() if self._may_run(tenant)]
        if not ready:
            return None
        name = min(ready)[1]
        tenant = self._tenants[name]
        tenant.running += 1
        self._running += 1
        tenant.clock += _GUESS_S / tenant.share.weight
        return name, tenant.waiting.popleft()

    def done(self, name: str, seconds: float) -> None:
        """A job of this tenant ended after `seconds` of a worker's time."""
        tenant = self._tenants[name]
        tenant.running -= 1
        self._running -= 1
        tenant.clock += (seconds - _GUESS_S) / tenant.share.weight
        self._last_s = 0.9 * self._last_s + 0.1 * seconds
        self._let_go(name, tenant)

    def drop(self, name: str, job: Job) -> None:
        """This job is not wanted any longer; one that was taken already is left alone."""
        tenant = self._tenants.get(name)
        if tenant is not None and job in tenant.waiting:
            tenant.waiting.remove(job)
            self._let_go(name, tenant)

    def drain(self) -> list[Job]:
        """Every job that waits, and none of them waits any longer."""
        found = [job for tenant in self._tenants.values() for job in tenant.waiting]
        for tenant in self._tenants.values():
            tenant.waiting.clear()
        return found

    def _may_run(self, tenant: _Tenant[Job]) -> bool:
        if not tenant.waiting or tenant.running >= tenant.share.most_running:
            return False
        return tenant.running == 0 or self._running < self._workers - 1

    def _let_go(self, name: str, tenant: _Tenant[Job]) -> None:
        """Nothing is remembered of who wants nothing and is not ahead of the others."""
        if not tenant.waiting and not tenant.running and tenant.clock <= self._now():
            del self._tenants[name]

    def _now(self) -> float:
        """The clock of the tenant that is furthest behind among those that want something."""
        busy = [tenant.clock for tenant in self._tenants.values() if tenant.waiting or tenant.running]
        return min(busy, default=max((tenant.clock for tenant in self._tenants.values()), default=0.0))
