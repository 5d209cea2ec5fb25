"""The head file: the newest signed checkpoint, outside the database and fsynced before anybody is answered.

A database that was replaced by an older copy, or whose WAL lost its tail to one flipped bit, looks healthy from inside;
this file is what says that there was more. Two slots are written in turn, so that a torn write leaves the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audit.errors import LogTorn
from audit.notes import BadNote, Checkpoint, VerifierKey, opened, parse_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

SLOT = 1024


class HeadFile:
    """Two slots of 1,024 bytes, each one signed note padded with zeros."""

    def __init__(self, path: Path) -> None:
        self._path = path
        existed = path.exists()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._turn = 0
        if not existed:
            folder = os.open(path.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def write(self, note: str) -> None:
        """Make `note` durable in the older slot; raises OSError when the disk does not take it."""
        raw = note.encode()
        if len(raw) > SLOT:
            raise LogTorn(f"a checkpoint of {len(raw)} bytes does not fit a slot of {SLOT}; shorten the log's origin")
        os.pwrite(self._file, raw.ljust(SLOT, b"\0"), self._turn * SLOT)
        os.fdatasync(self._file)
        self._turn ^= 1

    def newest(self, key: VerifierKey) -> Checkpoint | None:
        """The larger of the valid checkpoints; None for a file that was never written.

        Raises LogTorn when something is written there and nothing of it verifies.
        """
        raw = os.pread(self._file, 2 * SLOT, 0)
        found = [(c, slot) for slot in (0, 1) if (c := _checkpoint(raw[slot * SLOT : (slot + 1) * SLOT], key))]
        if not found:
            if raw.strip(b"\0"):
                raise LogTorn(f"{self._path}: no checkpoint in it verifies with this log's key")
            return None
        newest, slot = max(found, key=lambda pair: pair[0].size)
        self._turn = 1 - slot
        return newest

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _checkpoint(slot: bytes, key: VerifierKey) -> Checkpoint | None:
    try:
        return parse_checkpoint(opened(slot.rstrip(b"\0").decode(), key))
    except (BadNote, UnicodeDecodeError):
        return None
