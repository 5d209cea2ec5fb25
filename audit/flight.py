"""Flight slots: what a worker is about to decide, in a file that outlives it.

Layout: 4 bytes of length (0: nothing in flight), then JSON `[public fields, time]`. The length is written last on take-off
and first on landing, so that a reader never sees half a text as whole.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4096
_IDS = ("decision_id", "actor", "app")
_LENGTH = struct.Struct("<I")


class FlightSlot:
    """One worker's slot; the file is removed when the worker ends in good order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            # Written, not only sized: on a full disk a hole in a mapped file would kill the process when it is filled.
            if os.write(descriptor, bytes(SIZE)) != SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            self._map = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)

    def take_off(self, public: dict[str, Any], time: str) -> None:
        """Note what is being decided; a text that does not fit is cut down to its ids."""
        raw = json.dumps([public, time]).encode()
        if len(raw) > SIZE - _LENGTH.size:
            # 600 characters of at most 6 bytes, with the names and the time, stay below the size of a slot.
            ids = {name: str(public[name])[:200] for name in _IDS if name in public}
            raw = json.dumps([ids, time[:40]], ensure_ascii=False).encode("utf-8", "surrogatepass")
        self._map[_LENGTH.size : _LENGTH.size + len(raw)] = raw
        self._map[: _LENGTH.size] = _LENGTH.pack(len(raw))

    def land(self) -> None:
        """Nothing is in flight any more."""
        self._map[: _LENGTH.size] = _LENGTH.pack(0)

    def close(self) -> None:
        """Remove the slot."""
        self._map.close()
        self.path.unlink(missing_ok=True)


def read_slot(path: str) -> list[tuple[dict[str, Any], str]]:
    """What was in flight in a slot whose worker is gone: none or one; the file is removed."""
    try:
        with open(path, "rb") as file:
            raw = file.read(SIZE)
        os.unlink(path)
        (length,) = _LENGTH.unpack(raw[: _LENGTH.size])
        if not length:
            return []
        public, time = json.loads(raw[_LENGTH.size : _LENGTH.size + length])
    except (OSError, ValueError, struct.error):
        return []
    return [(public, time)]
