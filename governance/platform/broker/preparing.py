"""Getting an app's code ready, beside the event loop that every other app's calls come through.

A module may take its compiler a minute, a machine seconds to boot for its snapshot. So each is prepared in a thread, few at a
time, and callers of one app wait for one another: the second finds ready what the first one made. Limits of time are the
adapters' own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Adapter, Artifact, Prepared

_AT_ONCE = 8


class Preparing:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[Prepared]] = set()

    async def prepared(self, adapter: Adapter, plan: RuntimePlan, artifact: Artifact) -> Prepared:
        """As `adapter.prepare`, and raises what that raises. A caller who gives up takes nobody's turn: it lasts to its end."""
        task = asyncio.ensure_future(self._in_turn(adapter, plan, artifact))
        self._running.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: asyncio.Task[Prepared]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, also where nobody waits any more

    async def _in_turn(self, adapter: Adapter, plan: RuntimePlan, artifact: Artifact) -> Prepared:
        # Modules share nothing but the machine; of an engine that boots or unpacks, one is prepared at a time.
        name = artifact.sha256 if plan.runtime_class == "wasm" else plan.runtime_class
        turn = self._turns.setdefault(name, asyncio.Lock())
        async with turn, self._room:
            return await _beside(adapter, plan, artifact)


async def _beside(adapter: Adapter, plan: RuntimePlan, artifact: Artifact) -> Prepared:
    """In a thread that nobody waits for at the end of the process, as executors' threads are."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Prepared] = loop.create_future()

    def tell(prepared: Prepared | None, error: Exception | None) -> None:
        if done.cancelled():
            return
        if prepared is None:
            done.set_exception(error or RuntimeError("nothing was prepared"))
        else:
            done.set_result(prepared)

    def prepare() -> None:
        prepared, failed = None, None
        try:
            prepared = adapter.prepare(plan, artifact)
        except Exception as error:  # noqa: BLE001  the edge of a thread: whoever waits hears of it
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, prepared, failed)

    threading.Thread(target=prepare, name="prepare", daemon=True).start()
    return await done
