"""What an app writes to its log: captured up to a cap, and shown without what must not be seen in it.

What that is, somebody above this room says (`port.Mask`). It is asked once a call, about everything that was written, so that a
value that came in pieces is one value. It also sees some of what came before and of what is behind the cap, and none of that
is shown: a value that begins in front of an edge and ends behind it is whole to the mask. Where the mask fails, nothing of the
log is shown but that there was one.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime_adapters.port import Mask

LONGEST_LOG = 16 << 10
"""Bytes of one call that are shown."""
_AROUND = 8 << 10
# Commands to a terminal, and what a terminal does not print: in a log they are nobody's words, and may hide a value's middle.
_COMMANDS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
NO_CHARACTER = "\ufffd"
"""Stands for a byte that is no character, and for one that is not printed."""


def withheld(_text: str) -> Iterable[tuple[int, int, str]]:
    """The mask of whoever brings none: nobody looked, so nothing is shown."""
    raise LookupError("nobody says what must not be seen")


class GuestLog:
    """One app's log. May be written to from another thread than the one that takes."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._lock = threading.Lock()
        self._before = b""
        self._new = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        """Keep what there is room for."""
        with self._lock:
            self._new += data[: max(0, LONGEST_LOG + _AROUND - len(self._new))]

    def taken(self, *, is_over: bool = True) -> str:
        """What was written since the last time, masked. Unless it `is_over`, the line that has no end yet stays."""
        with self._lock:
            end = len(self._new)
            if not is_over and end < LONGEST_LOG + _AROUND:
                end = self._new.rfind(b"\n") + 1
            before, new = self._before, bytes(self._new[:end])
            del self._new[:end]
            self._before = (before + new)[-_AROUND:]
        return self._masked(before, new) if new else ""

    def _masked(self, before: bytes, new: bytes) -> str:
        old, shown, beyond = (_printable(part) for part in _pieces(before, new))
        try:
            spots = sorted(self._mask(old + shown + beyond))
        except Exception as error:  # noqa: BLE001  whatever it was: nobody knows what is in it
            return f"[{len(new)} bytes withheld: {type(error).__name__}]"
        return _without(old + shown + beyond, spots, len(old), len(old) + len(shown))


def _pieces(before: bytes, new: bytes) -> tuple[bytes, bytes, bytes]:
    """What was shown, what is to be, and what is behind the cap; no character is cut in two."""
    end = min(LONGEST_LOG, len(new))
    while end < len(new) and new[end] & 0xC0 == 0x80 and end > LONGEST_LOG - 4:
        end -= 1
    return before, new[:end], new[end:]


def _printable(raw: bytes) -> str:
    return _UNPRINTABLE.sub(NO_CHARACTER, _COMMANDS.sub("", raw.decode("utf-8", "replace").replace("\r\n", "\n")))


def _without(text: str, spots: list[tuple[int, int, str]], start: int, end: int) -> str:
    """`text` from `start` to `end` with a word in brackets for every spot that reaches into it."""
    parts, at = [], start
    for begins, ends, word in spots:
        if ends <= at or begins >= end:
            continue
        if begins >= at:
            parts += [text[at:begins], f"[{word}]"]
        elif at == start:
            parts.append(f"[{word}]")
        # One that begins within the last says nothing of its own; it only makes it longer.
        at = min(ends, end)
    return "".join([*parts, text[at:end]])
