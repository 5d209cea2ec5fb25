"""What a guest sees of time and chance, as the decision has it: clocks by their precision, random bytes by their source.

A coarse clock moves in steps too wide to time another tenant by. A fixed one says one instant; with seeded bytes beside it the
same request gets the same answer, on every host and every day.
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import datetime
from typing import TYPE_CHECKING

from runtime_adapters.port import RuntimeRefusal

if TYPE_CHECKING:
    from runtime_adapters.plan import RuntimePlan

COARSE_NS = 100_000_000
LONGEST_RANDOM = 1 << 20
"""Bytes at a time: the engine's clock does not run while we make them."""


class Senses:
    """Clocks and random bytes of one call."""

    def __init__(self, plan: RuntimePlan) -> None:
        self._fixed_ns = fixed_ns(plan.clock)
        self.resolution_ns = COARSE_NS if plan.clock == "coarse" else 1
        self._started_ns = time.monotonic_ns()
        self._seed = f"{plan.tenant}\0{plan.app}".encode() if plan.randomness == "seeded" else None
        self._drawn = 0

    def wall_ns(self) -> int:
        """Nanoseconds since 1970."""
        return self._fixed_ns if self._fixed_ns is not None else self._coarsened(time.time_ns())

    def monotonic_ns(self) -> int:
        """Nanoseconds since the call began: how long this host runs is none of a guest's business."""
        return 0 if self._fixed_ns is not None else self._coarsened(time.monotonic_ns() - self._started_ns)

    def random(self, length: int) -> bytes:
        """At most `LONGEST_RANDOM` bytes."""
        length = min(length, LONGEST_RANDOM)
        if self._seed is None:
            return os.urandom(length)
        self._drawn += 1
        return hashlib.shake_256(self._seed + self._drawn.to_bytes(8, "big")).digest(length)

    def _coarsened(self, nanoseconds: int) -> int:
        return nanoseconds - nanoseconds % self.resolution_ns


def fixed_ns(clock: str) -> int | None:
    """The instant of a fixed clock, None for one that runs. Raises RuntimeRefusal for what is neither."""
    if clock in {"real", "coarse"}:
        return None
    try:
        at = datetime.fromisoformat(clock)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise RuntimeRefusal(f"a clock {clock[:40]!r}; there is real, coarse, or an instant with its zone")
    return int(at.timestamp()) * 1_000_000_000


def check_senses(plan: RuntimePlan) -> None:
    """Raises RuntimeRefusal for a clock or a source of randomness that is not known here."""
    fixed_ns(plan.clock)
    if plan.randomness not in {"real", "seeded"}:
        raise RuntimeRefusal(f"randomness {plan.randomness[:40]!r}; there is real and seeded")
