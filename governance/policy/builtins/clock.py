"""What time it is for builtins that compare with now when no time is given: the host's clock, which the host may set."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_clock: list[Callable[[], int]] = [time.time_ns]


def now_ns() -> int:
    """Nanoseconds since 1970 by the clock in force."""
    return _clock[0]()


def set_clock(clock: Callable[[], int] | None) -> None:
    """Use `clock` (nanoseconds since 1970) from now on in this process; None goes back to the wall clock."""
    _clock[0] = clock or time.time_ns
