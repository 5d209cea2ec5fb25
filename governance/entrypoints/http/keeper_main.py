"""The keeper of bundles as a process of its own: `python -m governance.entrypoints.http.keeper_main`, started by `serve`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from governance.entrypoints.http.companion import run_companion
from governance.wiring import keeper_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.entrypoints.http.companion import Work
    from governance.settings import Settings


def begin(settings: Settings, say: Callable[[str], None]) -> Work:
    """The keeper of this home; SIGHUP has it look at everything again."""
    keeper = keeper_of(settings, say)
    signal.signal(signal.SIGHUP, lambda *_: keeper.shelf.ask_to_rebuild())
    return keeper.run


if __name__ == "__main__":
    sys.exit(run_companion("bundles", begin))
