"""The exchange's worker as a process of its own: `python -m governance.entrypoints.http.events_main`, started by `serve`.

Sends what is due, fires schedules, tidies up, and sees to it that every app's document has its second copy. Several may run, on
one machine or on many: they share the outbox. One that dies in the middle leaves leases that end, and another carries on. The
policy engine is loaded once there is something to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from typing import TYPE_CHECKING

from governance.enrich.events.declared import rows
from governance.entrypoints.http.companion import run_companion
from governance.errors import GovernanceError
from governance.events_wiring import outbox_of, tidy
from governance.wiring import directory_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from governance.enrich.apps import AppDirectory
    from governance.entrypoints.http.companion import Work
    from governance.platform.broker.events.outbox import Outbox
    from governance.settings import Settings

_MOST_AT_ONCE = 16
_IDLE_S, _TROUBLED_S = 0.25, 2.0
_TIDY_S = 3600.0
# The service waits five seconds for it to end.
_LAST_S = 4.0


def begin(settings: Settings, say: Callable[[str], None]) -> Work:
    """The worker of this home."""

    def work(stopped: threading.Event) -> None:
        if _wait_for_work(settings, say, stopped):
            asyncio.run(_work(settings, say, stopped))

    return work


def _wait_for_work(settings: Settings, say: Callable[[str], None], stopped: threading.Event) -> bool:
    """Whether there is something to do; False where it was told to stop first."""
    outbox, directory, tidied = outbox_of(settings), directory_of(settings), -_TIDY_S
    try:
        while not stopped.wait(_IDLE_S):
            if time.monotonic() - tidied > _TIDY_S:
                tidied = time.monotonic()
                try:
                    _look_after(settings, outbox, directory)
                except (GovernanceError, OSError) as error:
                    say(str(error))
            has_schedules = any(rows(spec, "schedules") for _, spec in directory.specs())
            if has_schedules or outbox.due(time.time(), 1):
                return True
    finally:
        outbox.close()
    return False


def _look_after(settings: Settings, outbox: Outbox, directory: AppDirectory) -> None:
    """What subscribed is known even where an app's document is damaged later; what is old goes."""
    directory.keep()
    tidy(settings, outbox, time.time())


async def _work(settings: Settings, say: Callable[[str], None], stopped: threading.Event) -> None:
    from governance.entrypoints.http.worker import Worker, prepare_process
    from governance.platform.broker.events.scheduling import Scheduler

    prepare_process()
    worker = Worker(settings, is_dev=False)
    exchange = worker.exchange
    scheduler = Scheduler(exchange.publisher, exchange.outbox, worker.directory.specs, worker.directory.app, say)
    care = asyncio.create_task(worker.look_after())
    tidied = time.monotonic()
    try:
        while not stopped.is_set():
            pause = _IDLE_S
            try:
                await scheduler.tick(time.time())
                if await exchange.deliverer.work(_MOST_AT_ONCE):
                    pause = 0.0
                if time.monotonic() - tidied > _TIDY_S:
                    tidied = time.monotonic()
                    await asyncio.to_thread(_look_after, settings, exchange.outbox, worker.directory)
            except (GovernanceError, OSError) as error:
                say(str(error))
                pause = _TROUBLED_S
            await asyncio.sleep(pause)
        # What is under way ends, if it does so soon; the rest comes again when its lease ends.
        with contextlib.suppress(TimeoutError, GovernanceError):
            await asyncio.wait_for(exchange.deliverer.drained(), _LAST_S)
    finally:
        care.cancel()
        await worker.close()


if __name__ == "__main__":
    sys.exit(run_companion("events", begin))
