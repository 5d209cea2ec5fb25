"""The audit writer as a process of its own: `python -m governance.entrypoints.http.writer_main`, started by `serve`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys

from audit.errors import AuditError
from audit.log import AuditLog
from audit.writer import Writer
from governance.settings import from_environment


async def _serve() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "GOVERNANCE_SERVE_DEV"}
    settings = from_environment(environ)
    # What lives now lives for good; collecting it again and again costs more than recording.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    log = AuditLog(settings.home, origin=settings.text("log_origin"))
    writer = Writer(log, settings.home)
    await writer.start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await writer.stop()
    log.close()


def main() -> int:
    """Run until a signal; exit 1 with the reason where the log cannot be trusted."""
    try:
        asyncio.run(_serve())
    except (AuditError, OSError) as error:
        sys.stderr.write(f"audit writer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
