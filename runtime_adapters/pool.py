"""A pool of workers that run apps: warm instances, admission control, fair share between tenants.

Each worker is a thread with instances of its own, because an instance belongs to the thread that started it. A worker keeps
its latest few apps warm. An instance whose call did not end well is stopped and not used again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters.fair_share import Busy, FairShare, Share
from runtime_adapters.port import Outcome, RuntimeRefusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.port import Instance, Usage

    Start = Callable[[], Instance]
    Meter = Callable[[str, str, Usage, Usage], None]

# A worker keeps this many instances; the one unused for longest goes.
MOST_WARM = 16


class _Job(NamedTuple):
    app: str
    generation: str
    start: Start
    request: bytes
    done: Future[Outcome]


class Pool:
    """Runs calls of many apps. `meter(tenant, app, before, after)` hears what each call used."""

    def __init__(
        self, workers: int, default: Share, shares: dict[str, Share] | None = None, meter: Meter | None = None
    ) -> None:
        self._queue: FairShare[_Job] = FairShare(workers, default, shares)
        self._meter = meter
        self._changed = threading.Condition()
        self._is_closing = False
        self._threads = [threading.Thread(target=self._work, name=f"runtime-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def call(self, tenant: str, app: str, generation: str, start: Start, request: bytes) -> Future[Outcome]:
        """Queue one call. `generation` names what runs (the decision that permitted it): a new one starts anew.

        Raises Busy. The future raises what `start` raised; the outcome of a call is never an exception.
        """
        job = _Job(app, generation, start, request, Future())
        with self._changed:
            if self._is_closing:
                raise Busy("the pool is closing", 1.0)
            self._queue.add(tenant, job)
            self._changed.notify()
        return job.done

    def close(self) -> None:
        """End the calls that run, refuse those that wait, stop every instance."""
        with self._changed:
            self._is_closing = True
            waiting = self._queue.drain()
            self._changed.notify_all()
        for job in waiting:
            job.done.set_exception(Busy("the pool is closing", 1.0))
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        warm: OrderedDict[tuple[str, str, str], Instance] = OrderedDict()
        while (taken := self._next()) is not None:
            tenant, job = taken
            started = time.monotonic()
            if job.done.set_running_or_notify_cancel():
                self._run(tenant, job, warm)
            with self._changed:
                self._queue.done(tenant, time.monotonic() - started)
                self._changed.notify_all()
        for instance in warm.values():
            instance.stop()

    def _next(self) -> tuple[str, _Job] | None:
        with self._changed:
            while True:
                taken = self._queue.take()
                if taken is not None or self._is_closing:
                    return taken
                self._changed.wait()

    def _run(self, tenant: str, job: _Job, warm: OrderedDict[tuple[str, str, str], Instance]) -> None:
        try:
            instance = self._instance(tenant, job, warm)
            before = instance.observe()
            outcome = instance.call(job.request)
        except RuntimeRefusal as refusal:
            job.done.set_exception(refusal)
            return
        except Exception as error:  # noqa: BLE001  the edge of a worker: it lives on, the caller hears of it
            broken = warm.pop((tenant, job.app, job.generation), None)
            if broken is not None:
                broken.stop()
            job.done.set_exception(RuntimeRefusal(f"the runtime failed: {type(error).__name__}"))
            return
        if self._meter is not None:
            self._meter(tenant, job.app, before, instance.observe())
        if outcome.status != "done":
            warm.pop((tenant, job.app, job.generation)).stop()
        job.done.set_result(outcome)

    def _instance(self, tenant: str, job: _Job, warm: OrderedDict[tuple[str, str, str], Instance]) -> Instance:
        key = (tenant, job.app, job.generation)
        for old in [known for known in warm if known[:2] == key[:2] and known != key]:
            warm.pop(old).stop()  # another decision: what the old one permitted is over
        if key not in warm:
            warm[key] = job.start()
        warm.move_to_end(key)
        while len(warm) > MOST_WARM:
            warm.popitem(last=False)[1].stop()
        return warm[key]
