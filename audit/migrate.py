"""The log moves from SQLite into PostgreSQL: all of it in one transaction, with the same tree head, or nothing.

Order: nobody writes (the home's lock, and no elected sequencer), the log checks out, rows are copied, every copied leaf is
hashed again and must lead to the signed root, commit, and the old file is put aside. Killed in between, it is run again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING, Any

from audit.errors import LogInUse, LogTorn, LogUnusable
from audit.head import HeadFile
from audit.keys import load_or_make
from audit.notes import opened_by_any, parse_checkpoint
from audit.postgres import failing, migrate
from audit.postgres_store import PostgresStore, storable
from audit.reader import check_leaves, stated_minimum
from audit.sequencer import LOCK
from audit.startup import checked, locked
from audit.store import TILE_WIDTH, Store, opening_failure
from audit.tree import Frontier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from audit.notes import Checkpoint
    from audit.postgres import Database

_TABLES = {
    "leaves": "idx, leaf, kind, time, decision_id, app, app_sequence, tenant, actor, effect, trace_id",
    "rules_hit": "rule, idx",
    "connectors_hit": "connector, idx",
    "tiles": "level, idx, hashes",
    "sealed": "idx, subject, sealed",
    "emptied": "idx, by",
    "subjects": "number, subject, key",
    "pruned_apps": "app, app_sequence",
}


def move(home: Path, origin: str, database: Database) -> Checkpoint:
    """Move the log of a home; returns its tree head. Raises AuditError saying why not, and then nothing was moved."""
    folder = home / "audit"
    if not (folder / "log.db").exists():
        raise LogUnusable(f"{folder}: no audit log on SQLite there")
    with contextlib.ExitStack() as opened:
        opened.callback(os.close, locked(folder))
        key = load_or_make(folder / "key", origin, may_make=False)
        head = HeadFile(folder / "head")
        opened.callback(head.close)
        checked(folder, head.newest(key.verifiers), key.verifiers)
        old = opened.enter_context(contextlib.closing(Store(folder / "log.db", read_only=True)))
        note = old.head_note()
        if not note:
            raise LogUnusable(f"{folder}: the log is empty; start the service with GOVERNANCE_DATABASE instead")
        new = opened.enter_context(contextlib.closing(PostgresStore(database, read_only=False)))
        migrate(new.connection)
        checkpoint = parse_checkpoint(opened_by_any(note, key.verifiers))
        try:
            if new.head_note() != note:
                _copy(old, new, note, checkpoint)
        except sqlite3.DatabaseError as error:
            raise opening_failure(error, folder / "log.db") from error
        head.write(note)  # where the database was ahead of it, it catches up
    _put_aside(folder)
    return checkpoint


def _copy(old: Store, new: PostgresStore, note: str, checkpoint: Checkpoint) -> None:
    run = new.connection.execute
    with failing("does not take the log"), new.connection.transaction():
        if run("SELECT pg_try_advisory_xact_lock(%s)", (LOCK,)).fetchone() != (True,):
            raise LogInUse(
                "a replica writes the log in that database: move into an empty one, with no service running on it"
            )
        row = run("SELECT size, note FROM head WHERE one = 1 FOR UPDATE").fetchone()
        if row != (0, "") or new.size():
            raise LogUnusable("the database holds another log already: move into an empty one")
        with old.snapshot():
            for table, columns in _TABLES.items():
                _copy_table(new, table, columns, old.rows(f"SELECT {columns} FROM {table}"))  # noqa: S608  our own names
        run("UPDATE head SET size = %s, note = %s, epoch = epoch + 1", (checkpoint.size, note))
        check_copy(new, checkpoint)


def _copy_table(new: PostgresStore, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
    with new.connection.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row([storable(value) if isinstance(value, str) else value for value in row])


def check_copy(new: PostgresStore, checkpoint: Checkpoint) -> None:
    """Raises LogTorn unless every leaf that has to be there hashes to what the signed root was made of."""
    try:
        edge = Frontier()
        for number in range(-(-checkpoint.size // TILE_WIDTH)):
            tile = new.tile(0, number)
            for place in range(0, len(tile), 32):
                edge.append(tile[place : place + 32])
        if (edge.size, edge.root()) != (checkpoint.size, checkpoint.root):
            raise LogTorn("the copy does not have the root that was signed; nothing was moved")
        check_leaves(new, stated_minimum(new), checkpoint.size)
        if new.frontier(checkpoint.size).root() != checkpoint.root:
            raise LogTorn("the copy's upper hashes do not lead to the root that was signed; nothing was moved")
    except KeyError as error:
        raise LogTorn(f"the copy's hashes are incomplete ({error.args[0]}); nothing was moved") from error


def _put_aside(folder: Path) -> None:
    """A service that is started without the setting finds its database missing, and does not write a second history."""
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        if (folder / name).exists():
            (folder / name).rename(folder / name.replace("log.db", "log.db.moved"))
