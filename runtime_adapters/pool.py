"""A pool of workers that run apps: warm instances, admission control, fair share between tenants.

Each worker is a thread with instances of its own, because an instance belongs to the thread that started it. A worker keeps
its latest few apps warm, each until nobody called it for a while, what permits it has changed (`forget`), or a call of it did
not end well. What a call may do is asked when a worker takes it up, not when it was queued: a queue may be long.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters.abi import refusal
from runtime_adapters.fair_share import Busy, FairShare, Share
from runtime_adapters.port import Outcome, RuntimeRefusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.port import Broker, Instance, Usage

    Meter = Callable[[str, str, Usage, Usage], None]

# A worker keeps this many instances; the one unused for longest goes.
MOST_WARM = 16
IDLE_S = 60.0
"""So long an instance is kept that nobody calls."""


def _nobody(_raw: bytes, _seconds: float) -> bytes:
    return refusal("not_available", "no call is running")


class Ready(NamedTuple):
    """What one call may have."""

    generation: str
    """What the permission rests on: an instance of another one is not used, and ends."""
    start: Callable[[Broker], Instance]
    ask: Broker = _nobody
    """This call's way out; an instance outlives the call it was started for."""


class _Job(NamedTuple):
    app: str
    ready: Callable[[], Ready]
    request: bytes
    done: Future[Outcome]


class _Door:
    """An instance's way out: that of the call it runs."""

    def __init__(self) -> None:
        self.ask: Broker = _nobody

    def __call__(self, raw: bytes, seconds: float) -> bytes:
        return self.ask(raw, seconds)


class _Warm:
    """An instance that may be called again."""

    def __init__(self, generation: str, instance: Instance, door: _Door) -> None:
        self.generation, self.instance, self.door = generation, instance, door
        self.is_over = False
        self.used_at = time.monotonic()


if TYPE_CHECKING:
    Kept = OrderedDict[tuple[str, str], _Warm]


class Pool:
    """Runs calls of many apps. `meter(tenant, app, before, after)` hears what each call used."""

    def __init__(
        self,
        workers: int,
        default: Share,
        shares: dict[str, Share] | None = None,
        meter: Meter | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        self._queue: FairShare[_Job] = FairShare(workers, default, shares)
        self._meter, self._idle_s = meter, idle_s
        self._changed = threading.Condition()
        self._is_closing = False
        # A worker changes its own, under the lock; others only say of one that it is over.
        self._kept: list[Kept] = [OrderedDict() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(kept,), name=f"runtime-{number}", daemon=True)
            for number, kept in enumerate(self._kept)
        ]
        for thread in self._threads:
            thread.start()

    def call(
        self, tenant: str, app: str, generation: str, start: Callable[[], Instance], request: bytes
    ) -> Future[Outcome]:
        """As `queue`, for an instance that needs no way out, and a permission that does not change."""
        return self.queue(tenant, app, lambda: Ready(generation, lambda _: start()), request)

    def queue(self, tenant: str, app: str, ready: Callable[[], Ready], request: bytes) -> Future[Outcome]:
        """Queue one call; `ready` is asked by the worker that takes it up.

        Raises Busy. The future raises what `ready` or the start raised; the outcome of a call is never an exception. One
        that is cancelled before a worker takes it up gives its place back.
        """
        job = _Job(app, ready, request, Future())
        with self._changed:
            if self._is_closing:
                raise Busy("the pool is closing", 1.0)
            self._queue.add(tenant, job)
            self._changed.notify()
        job.done.add_done_callback(lambda done: self._give_back(tenant, job) if done.cancelled() else None)
        return job.done

    def forget(self, app: str, but: str = "") -> None:
        """End instances of an app, except those of the generation `but`; one that runs a call, after it."""
        self._end(lambda key, one: key[1] == app and one.generation != but)

    def close(self) -> None:
        """End the calls that run, refuse those that wait, stop every instance."""
        with self._changed:
            self._is_closing = True
            waiting = self._queue.drain()
            self._changed.notify_all()
        for job in waiting:
            if job.done.set_running_or_notify_cancel():
                job.done.set_exception(Busy("the pool is closing", 1.0))
        for thread in self._threads:
            thread.join()

    def _end(self, is_meant: Callable[[tuple[str, str], _Warm], bool]) -> None:
        with self._changed:
            for key, one in ((key, one) for kept in self._kept for key, one in kept.items()):
                one.is_over |= is_meant(key, one)
            self._changed.notify_all()

    def _give_back(self, tenant: str, job: _Job) -> None:
        with self._changed:
            self._queue.drop(tenant, job)

    def _work(self, kept: Kept) -> None:
        while True:
            taken, over = self._next(kept)
            for one in over:
                _stop(one)
            if taken is not None:
                tenant, job = taken
                started = time.monotonic()
                if job.done.set_running_or_notify_cancel():
                    self._run(tenant, job, kept)
                with self._changed:
                    self._queue.done(tenant, time.monotonic() - started)
                    self._changed.notify_all()
            elif not over:
                break
        for one in kept.values():
            _stop(one)

    def _next(self, kept: Kept) -> tuple[tuple[str, _Job] | None, list[_Warm]]:
        """A call to run, or instances to stop: those first, and another worker may take the call. Neither: the pool closes."""
        with self._changed:
            while not self._is_closing:
                now = time.monotonic()
                ended = [key for key, one in kept.items() if one.is_over or now - one.used_at >= self._idle_s]
                if ended:
                    self._changed.notify()
                    return None, [kept.pop(key) for key in ended]
                taken = self._queue.take()
                if taken is not None:
                    return taken, []
                oldest = min((one.used_at for one in kept.values()), default=None)
                self._changed.wait(None if oldest is None else max(0.0, oldest + self._idle_s - now))
            return None, []

    def _run(self, tenant: str, job: _Job, kept: Kept) -> None:
        key = tenant, job.app
        try:
            ready = job.ready()
            one = self._instance(key, ready, kept)
        except Exception as error:  # noqa: BLE001  the edge of a worker: it lives on, the caller hears of it
            job.done.set_exception(error)
            return
        is_well = False
        try:
            outcome = self._called(key, one, ready, job.request)
            is_well = outcome.status == "done"
            job.done.set_result(outcome)
        except RuntimeRefusal as refused:
            job.done.set_exception(refused)
        except Exception as error:  # noqa: BLE001  as above
            job.done.set_exception(RuntimeRefusal(f"the runtime failed: {type(error).__name__}"))
        if is_well:
            one.used_at = time.monotonic()
            return
        with self._changed:
            kept.pop(key, None)
        _stop(one)

    def _called(self, key: tuple[str, str], one: _Warm, ready: Ready, request: bytes) -> Outcome:
        before = one.instance.observe()
        one.door.ask = ready.ask
        try:
            outcome = one.instance.call(request)
        finally:
            one.door.ask = _nobody
        if self._meter is not None:
            self._meter(*key, before, one.instance.observe())
        return outcome

    def _instance(self, key: tuple[str, str], ready: Ready, kept: Kept) -> _Warm:
        """A warm one of this generation, or a new one. What else there is of the app, at any worker, is over."""
        self._end(lambda known, one: known == key and one.generation != ready.generation)
        over = []
        with self._changed:
            one = kept.get(key)
            if one is not None and one.is_over:
                over.append(kept.pop(key))
                one = None
            elif one is not None:
                kept.move_to_end(key)
            while len(kept) >= MOST_WARM and one is None:
                over.append(kept.popitem(last=False)[1])
        for ended in over:
            _stop(ended)
        if one is None:
            door = _Door()
            one = _Warm(ready.generation, ready.start(door), door)
            with self._changed:
                kept[key] = one
        return one


def _stop(one: _Warm) -> None:
    """End an instance; what fails is tried again at once, then said: a worker ends of nothing that an instance does."""
    for is_last in (False, True):
        try:
            one.instance.stop()
        except Exception as error:  # noqa: BLE001  the edge of a worker
            if is_last:
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(f"an instance could not be stopped, and may still be there: {error!r}\n")
        else:
            return
