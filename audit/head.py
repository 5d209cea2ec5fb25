"""The head file: the newest signed checkpoint, outside the database and fsynced before anybody is answered.

A database that was replaced by an older copy, or whose WAL lost its tail to one flipped bit, looks healthy from inside;
this file is what says that there was more. Two slots are written in turn, so that a torn write leaves the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audit.errors import LogRolledBack, LogTorn
from audit.notes import BadNote, Checkpoint, VerifierKey, opened_by_any, parse_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from audit.log_store import LogStore

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

    def newest(self, keys: Sequence[VerifierKey]) -> Checkpoint | None:
        """The larger of the valid checkpoints; None for a file that was never written.

        Raises LogTorn when something is written there and nothing of it verifies.
        """
        found = _newest(os.pread(self._file, 2 * SLOT, 0), keys, self._path)
        if found is None:
            return None
        newest, slot = found
        self._turn = 1 - slot
        return newest

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_head(path: Path, keys: Sequence[VerifierKey]) -> Checkpoint | None:
    """The same for somebody who does not write; None also where there is no file."""
    try:
        found = _newest(path.read_bytes()[: 2 * SLOT], keys, path)
    except FileNotFoundError:
        return None
    return found[0] if found else None


def check_against_head(store: LogStore, head: Checkpoint | None, folder: Path) -> None:
    """Raise LogTorn or LogRolledBack unless the store holds everything that `head`, read before it, speaks of."""
    size = store.size()
    if head is None:
        if size:
            raise LogTorn(
                f"{folder}/head is missing beside a log of {size} records: "
                "restore it from the machine or backup the database came from"
            )
        return
    if size < head.size:
        raise LogRolledBack(
            f"the log holds {size} records, its signed head says {head.size}: an older copy of the database, or its "
            "write-ahead log lost its end. Restore the newest copy; do not delete the head file"
        )
    try:
        root = store.frontier(head.size).root()
    except KeyError as error:
        raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error
    if root != head.root:
        raise LogTorn(f"the first {head.size} records are not those the signed head speaks of: restore the database")


def _newest(raw: bytes, keys: Sequence[VerifierKey], path: Path) -> tuple[Checkpoint, int] | None:
    """(checkpoint, slot) of the larger valid one."""
    slots = [raw[:SLOT], raw[SLOT:]]
    # The one that claims more first: when it verifies, the other need not.
    for slot in sorted((0, 1), key=lambda slot: _claimed_size(slots[slot]), reverse=True):
        try:
            return parse_checkpoint(opened_by_any(slots[slot].rstrip(b"\0").decode(), keys)), slot
        except (BadNote, UnicodeDecodeError):
            continue
    if raw.strip(b"\0"):
        raise LogTorn(f"{path}: no checkpoint in it verifies with this log's key")
    return None


def _claimed_size(slot: bytes) -> int:
    """What an unverified slot says; -1 where it says nothing."""
    digits = slot.split(b"\n", 2)[1:2]
    return int(digits[0]) if digits and digits[0].isdigit() and len(digits[0]) < 20 else -1
