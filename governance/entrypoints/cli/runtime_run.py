"""`governance runtime run NAME`: decide the app's deploy again, start it in the sandbox that was decided on, call it once."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TextIO

from governance.broker_wiring import broker_of, runtimes_of, usage_counters_of
from governance.documents.files import read_whole
from governance.log_wiring import attestor_of, open_recorder
from governance.settings import from_environment
from governance.wiring import active_of, directory_of, parts_for, registry_of, scan_policy_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator
    from pathlib import Path

    from governance.platform.broker.running import Host, Ran
    from governance.settings import Settings


def run(options: argparse.Namespace, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """The app's answer on standard output; exit 1 where the policy says no, or the app was stopped."""
    from pathlib import Path

    body = stdin.buffer.read() if options.input == "-" else read_whole(options.input) if options.input else b""
    ran = ran_once(from_environment(os.environ), options.name, Path(options.root), body)
    if ran.outcome is None:
        stderr.write(f"refused: {ran.decision.reason}\n")
        stderr.writelines(f"  {v.rule}: {v.message}\n" for v in ran.decision.violations)
        return 1
    stderr.write(ran.outcome.log)
    if ran.outcome.status != "done":
        stderr.write(f"stopped ({ran.outcome.status}): {ran.outcome.detail}\n")
        return 1
    stdout.write(ran.outcome.output.decode("utf-8", "replace") + "\n")
    return 0


def ran_once(settings: Settings, name: str, root: Path, body: bytes) -> Ran:
    """Start the app in this process and call it."""
    from governance.platform.broker.running import run as run_app

    async def once() -> Ran:
        async with hosting(settings, root) as host:
            return await run_app(host, name, body)

    return asyncio.run(once())


@asynccontextmanager
async def hosting(settings: Settings, root: Path, workers: int = 1) -> AsyncIterator[Host]:
    """A host of apps in this process and its event loop, with the log of this home for itself."""
    from governance.pipeline import Pipeline
    from governance.platform.broker.preparing import Preparing
    from governance.platform.broker.running import Host
    from governance.platform.runtime_usage import UsageBook
    from runtime_adapters.fair_share import Share
    from runtime_adapters.pool import Pool

    active = active_of(settings)
    with open_recorder(settings) as recorder:
        # Starting again what was deployed changes nothing about it: no directory is written to.
        registry = registry_of(settings)
        parts = parts_for(settings, lambda: active, registry)._replace(recorder=recorder, enforcement=None)
        line = Pipeline(parts)
        book = UsageBook(usage_counters_of(settings), sys.stderr.write)
        broker, pool = broker_of(settings, line, registry), Pool(workers, Share(), meter=book.meter)
        adapters = runtimes_of(settings, scan_policy_of(lambda: active))
        try:
            sign, app_of = attestor_of(settings), directory_of(settings).app
            yield Host(line, broker, recorder, adapters, pool, settings.home, root, sign, Preparing(), app_of)
        finally:
            await asyncio.to_thread(pool.close)
            await asyncio.to_thread(book.close)
            await broker.close()
