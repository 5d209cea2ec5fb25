"""What is looked at before a log opens for writing: the lock, the key, the hashes, and what the records say of each other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from audit.errors import LogInUse, LogRolledBack, LogTorn
from audit.head import HeadFile, check_against_head
from audit.keys import SigningKey, load_or_make
from audit.notes import BadNote, opened_by_any, parse_checkpoint
from audit.reader import LogReader, check_leaves, stated_minimum
from audit.store import Store, opening_failure
from audit.tree import EMPTY_ROOT, Frontier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from audit.log_store import LogStore
    from audit.notes import Checkpoint, VerifierKey

# Up to this size the whole log is hashed again at start; beyond it only its tail, and the self-audit does the rest.
CHECKED_AT_START = 50_000


class Opened(NamedTuple):
    """A log that checked out, and what writing it takes."""

    folder: Path
    key: SigningKey
    store: LogStore
    frontier: Frontier
    reader: LogReader
    keep_head: Callable[[str], None]
    """Makes a checkpoint durable outside the database, before anybody is answered."""
    give_back: contextlib.ExitStack
    """Closes everything but the reader."""


def open_embedded(home: Path, origin: str) -> Opened:
    """Open (or make) the log on SQLite in `home`/audit; raises LogInUse, LogRolledBack or LogTorn, each with what to do."""
    folder = home / "audit"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as opened_so_far:
        opened_so_far.callback(os.close, locked(folder))
        try:
            key = load_or_make(folder / "key", origin, may_make=not has_records(folder))
            head = HeadFile(folder / "head")
            opened_so_far.callback(head.close)
            frontier = checked(folder, head.newest(key.verifiers), key.verifiers)
            store = Store(folder / "log.db")
            opened_so_far.callback(store.close)
            store.fold()
            if frontier.size == 0:
                # Before the first record: killed between that one's commit and its head, the log still opens.
                head.write(key.checkpoint(0, EMPTY_ROOT))
            reader = LogReader(home, origin=origin, is_checked=True)
        except sqlite3.DatabaseError as error:
            raise opening_failure(error, folder / "log.db") from error
        return Opened(folder, key, store, frontier, reader, head.write, opened_so_far.pop_all())


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
        return checked_store(store, keys)


def checked_store(store: LogStore, keys: Sequence[VerifierKey]) -> Frontier:
    """The right edge of what a store holds, once it fits its own checkpoint; raises LogTorn."""
    size = store.size()
    try:
        if size:
            _check_hashes(store, size, keys)
        return store.frontier(size)
    except KeyError as error:
        raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error


def _check_hashes(store: LogStore, size: int, keys: Sequence[VerifierKey]) -> None:
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
