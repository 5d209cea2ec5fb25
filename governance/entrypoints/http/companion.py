"""What the processes beside the workers have in common: settings, signals, an end with their parent, one voice."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from audit.errors import AuditError
from governance.errors import GovernanceError
from governance.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.settings import Settings

    Say = Callable[[str], None]
    Work = Callable[[threading.Event], None]

_LOOK_AT_PARENT_S = 1.0


def run_companion(name: str, begin: Callable[[Settings, Say], Work]) -> int:
    """Work until a signal, or until the parent is gone; exit 1 with the reason where the work cannot begin or go on."""
    settings = from_environment({k: v for k, v in os.environ.items() if k != "GOVERNANCE_SERVE_DEV"})
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    threading.Thread(target=_watch_parent, args=(os.getppid(), stopped), daemon=True).start()

    def say(text: str) -> None:
        sys.stderr.write(f"{name}: {text}\n")
        sys.stderr.flush()

    try:
        begin(settings, say)(stopped)
    except (GovernanceError, AuditError, OSError) as error:
        say(str(error))
        return 1
    return 0


def _watch_parent(parent: int, stopped: threading.Event) -> None:
    while not stopped.wait(_LOOK_AT_PARENT_S):
        if os.getppid() != parent:
            stopped.set()
