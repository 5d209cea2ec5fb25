"""The keeper as a process of its own: `python -m governance.entrypoints.http.keeper_main`, started by `serve`."""

from __future__ import annotations

import os
import signal
import sys
import threading

from governance.errors import GovernanceError
from governance.settings import from_environment
from governance.wiring import keeper_of

_LOOK_AT_PARENT_S = 1.0


def main() -> int:
    """Follow the sources until a signal."""
    settings = from_environment({k: v for k, v in os.environ.items() if k != "GOVERNANCE_SERVE_DEV"})
    stopped = threading.Event()
    try:
        keeper = keeper_of(settings, say)
    except GovernanceError as error:
        say(str(error))
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    signal.signal(signal.SIGHUP, lambda *_: keeper.shelf.ask_to_rebuild())
    threading.Thread(target=_watch_parent, args=(os.getppid(), stopped), daemon=True).start()
    keeper.run(stopped)
    return 0


def say(text: str) -> None:
    """Tell the operator."""
    sys.stderr.write(f"bundles: {text}\n")
    sys.stderr.flush()


def _watch_parent(parent: int, stopped: threading.Event) -> None:
    while not stopped.wait(_LOOK_AT_PARENT_S):
        if os.getppid() != parent:
            stopped.set()


if __name__ == "__main__":
    sys.exit(main())
