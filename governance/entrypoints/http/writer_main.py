"""The audit writer as a process of its own: `python -m governance.entrypoints.http.writer_main`, started by `serve`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvloop

from audit.care import Care
from audit.errors import AuditError
from audit.writer import Writer
from governance.errors import GovernanceError
from governance.log_wiring import database_of, open_log
from governance.platform.withdrawals import Withdrawals
from governance.platform.witnesses import log_witnesses
from governance.settings import from_environment

if TYPE_CHECKING:
    from audit.log import AuditLog
    from audit.shared import SharedLog
    from governance.settings import Settings


async def _serve() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "GOVERNANCE_SERVE_DEV"}
    settings = from_environment(environ)
    # What lives now lives for good; collecting it again and again costs more than recording.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    log = open_log(settings)
    try:
        care = _care(log, settings)
    except (AuditError, GovernanceError):
        log.close()
        raise
    writer = Writer(log, settings.home)
    await writer.start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await writer.stop()
    care.stop()
    log.close()


def _care(log: AuditLog | SharedLog, settings: Settings) -> Care:
    """Witnesses and self-audit; raises AuditError for a log that its witnesses disown."""
    withdrawals = Withdrawals(settings.home, log.reader, log.append)
    return Care(
        log, settings.home, origin=settings.text("log_origin"), witnesses=log_witnesses(settings),
        self_audit_s=settings.number("self_audit_s"), complain=sys.stderr.write,
        database=database_of(settings), follow=withdrawals.step,
    )  # fmt: skip


def main() -> int:
    """Run until a signal; exit 1 with the reason where the log cannot be trusted."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve())
    except (AuditError, GovernanceError, OSError) as error:
        sys.stderr.write(f"audit writer: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
