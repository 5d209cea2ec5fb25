"""`governance runtime serve`: runs deployed apps for the gateway, which hands calls over on a Unix socket of this account."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from governance.broker_wiring import runtimes_of, usage_counters_of
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def run(options: argparse.Namespace, stderr: TextIO) -> int:
    """Until a signal ends it. The service of the same home has to run: it writes the log and brings the rules."""
    asyncio.run(_serve(options, stderr))
    return 0


async def _serve(options: argparse.Namespace, stderr: TextIO) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from governance.entrypoints.http.app_host import AppHost
    from governance.entrypoints.http.worker import Worker
    from governance.platform.runtime_usage import UsageBook
    from runtime_adapters.fair_share import Share
    from runtime_adapters.pool import Pool

    settings = from_environment(os.environ)
    worker = Worker(settings, is_dev=False)
    book = UsageBook(usage_counters_of(settings), stderr.write)
    pool = Pool(options.threads, Share(), meter=book.meter)
    path = Path(options.socket) if options.socket else settings.home / "apps.sock"
    path.unlink(missing_ok=True)
    # Whoever may write to it is believed about who calls.
    os.umask(0o077)
    host = AppHost(worker, runtimes_of(settings, worker.scan_policy), pool, Path(options.root), _line_on(stderr))
    server = Server(host, uds=path, interface=Interfaces.ASGINL, log_enabled=False)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    care = asyncio.create_task(worker.look_after())
    stderr.write(f"apps: answering on {path}\n")
    stderr.flush()
    try:
        await server.serve()
    finally:
        care.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await care
        await asyncio.to_thread(pool.close)
        await asyncio.to_thread(book.close)
        await worker.close()
        path.unlink(missing_ok=True)


def _line_on(stream: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        stream.write(line + "\n")
        stream.flush()

    return write
