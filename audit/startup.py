"""What is looked at before a log opens for writing: the lock, the key, the hashes, and what the records say of each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from audit.errors import LogInUse, LogRolledBack, LogTorn
from audit.head import check_against_head
from audit.notes import BadNote, opened_by_any, parse_checkpoint
from audit.reader import check_leaves, stated_minimum
from audit.store import Store
from audit.tree import Frontier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from audit.notes import Checkpoint, VerifierKey

# Up to this size the whole log is hashed again at start; beyond it only its tail, and the self-audit does the rest.
CHECKED_AT_START = 50_000


def checked(folder: Path, head: Checkpoint | None, keys: Sequence[VerifierKey]) -> Frontier:
    """The right edge after the start-up check; raises LogRolledBack or LogTorn.

    Looks through a connection that cannot write: closing one that can would fold a damaged write-ahead log into the
    database and remove it, and with it whatever could still be saved.
    """
    if not (folder / "log.db").exists():
        if head is not None and head.size:
            raise LogRolledBack(f"{folder}/log.db is missing, its signed head says {head.size} records")
        return Frontier()
    with contextlib.closing(Store(folder / "log.db", read_only=True)) as store:
        check_against_head(store, head, folder)
        size = store.size()
        try:
            if size:
                _check_hashes(store, size, keys)
            return store.frontier(size)
        except KeyError as error:
            raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error


def _check_hashes(store: Store, size: int, keys: Sequence[VerifierKey]) -> None:
    try:
        own = parse_checkpoint(opened_by_any(store.head_note(), keys))
    except BadNote as error:
        raise LogTorn(f"the checkpoint in the database is not this log's: {error}") from error
    if own.size != size or store.frontier(size).root() != own.root:
        raise LogTorn(f"the database's {size} records do not fit its own checkpoint of {own.size}: restore it")
    minimum = stated_minimum(store)
    check_leaves(store, max(minimum, size - CHECKED_AT_START), size)


def locked(folder: Path) -> int:
    """Take the writer's lock; it goes with the process, so a killed writer leaves none behind."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LogInUse(f"{folder}: another process writes this log; stop it, or use its service") from error
    return descriptor


def has_records(folder: Path) -> bool:
    """Whether something is there that a key was used for; a second key would only hide that the first is lost."""
    head = folder / "head"
    return (folder / "log.db").exists() or (head.exists() and head.stat().st_size > 0)
