"""`governance runtime serve`: runs deployed apps for the gateway, which hands calls over on a Unix socket of this account.

The host is a process of its own below one that does nothing but start it again: a decision that takes too long ends the process
that makes it (`http/worker.py`), and one app's call must not take every other app with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from governance.broker_wiring import runtimes_of, usage_counters_of
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


# Between two hosts; longer each time that one did not last, for what ends it at once is no call.
_PAUSE_S, _LONGEST_PAUSE_S, _LASTED_S = 0.1, 5.0, 30.0


def run(options: argparse.Namespace, stderr: TextIO) -> int:
    """Until a signal ends it. The service of the same home has to run: it writes the log and brings the rules."""

    def serve() -> int:
        asyncio.run(_serve(options, stderr))
        return 0

    return _Keeper(stderr).kept(serve)


class _Keeper:
    """Starts a host, and another when a signal ended it that was not meant for this command."""

    def __init__(self, stderr: TextIO) -> None:
        self._stderr, self._host, self._is_over = stderr, 0, False

    def kept(self, serve: Callable[[], int]) -> int:
        """The exit code of the host; in the host itself, what `serve` gives."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        pause = _PAUSE_S
        while True:
            begun = time.monotonic()
            self._host = os.fork()
            if self._host == 0:
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, signal.SIG_DFL)
                return 0 if self._is_over else serve()
            if self._is_over:  # between the fork and its number
                os.kill(self._host, signal.SIGTERM)
            code = os.waitstatus_to_exitcode(os.waitpid(self._host, 0)[1])
            self._host = 0
            if code >= 0 or self._is_over:
                return max(0, code)
            pause = _PAUSE_S if time.monotonic() - begun > _LASTED_S else min(2 * pause, _LONGEST_PAUSE_S)
            self._stderr.write(f"apps: {signal.Signals(-code).name} ended the host; another one starts\n")
            self._stderr.flush()
            if not self._rested(pause):
                return 0

    def _rested(self, seconds: float) -> bool:
        """Whether nobody ended the command meanwhile."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._is_over:
            time.sleep(_PAUSE_S)
        return not self._is_over

    def _end(self, number: int, _frame: object) -> None:
        self._is_over = True
        if self._host:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._host, number)


async def _serve(options: argparse.Namespace, stderr: TextIO) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from governance.entrypoints.http.app_host import AppHost
    from governance.entrypoints.http.worker import Worker
    from governance.platform.runtime_usage import UsageBook
    from runtime_adapters.fair_share import Share
    from runtime_adapters.pool import Pool

    settings = from_environment(os.environ)
    worker = Worker(settings, is_dev=False, beside=options.threads)
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
