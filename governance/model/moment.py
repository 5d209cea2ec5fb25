"""Time and identity for a decision: the one place that reads the clock or makes an id, so that both can be injected."""

from __future__ import annotations

import os
import time

# strftime through `time`, not `datetime`: `check` is measured in milliseconds.


def utc_now() -> str:
    """The present as RFC 3339 in UTC with microseconds, fixed width, so that text order is time order."""
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanos // 1000:06d}Z"


def sortable(moment: str) -> tuple[str, str]:
    """RFC 3339 in UTC as something that sorts: whole seconds, then the fraction padded on the right."""
    seconds, _, fraction = moment.removesuffix("Z").partition(".")
    return seconds, fraction.ljust(9, "0")


def new_decision_id() -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
