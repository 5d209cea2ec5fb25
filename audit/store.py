"""The log on SQLite: leaves, tree hashes as C2SP tiles, openings, subject keys. One writer; readers see whole batches.

`synchronous=FULL` in WAL mode: a commit returns after its fsync. What is deleted is overwritten (`secure_delete`), and
`scrub` empties the write-ahead log, which would keep a copy.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from audit.errors import AuditError, LogInUse, LogTorn, LogUnusable
from audit.log_store import CUSTODY, TILE_HEIGHT, TILE_WIDTH, LogStore
from audit.rows import Batch, Change, Filter, Row, SubjectKey, columns_of
from audit.schema import is_older, migrate_sqlite, revision_of_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = [
    "CUSTODY", "TILE_HEIGHT", "TILE_WIDTH", "Batch", "Change", "Filter", "Row", "Store", "SubjectKey", "columns_of",
    "opening_failure",
]  # fmt: skip

_SCRUB_S = 20.0

_SUBJECTS = "subjects (number INTEGER PRIMARY KEY, subject TEXT NOT NULL UNIQUE, key BLOB NOT NULL) STRICT"


class Store(LogStore):
    """One connection; a thread of its own per instance."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        mode = "ro" if read_only else "rwc"
        self._db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False)
        if not read_only:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            migrate_sqlite(self._db, path)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, reading sees one moment, whatever is written meanwhile."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def is_older(self) -> bool:
        """Whether an earlier version of this program wrote the database."""
        return is_older(revision_of_sqlite(self._db), "log.db")

    def has_tables(self) -> bool:
        """Whether the table for them was made."""
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'leaves'").fetchone() is not None

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        """The rows that a query answers."""
        return self._db.execute(sql, values)

    def append(self, batch: Batch) -> None:
        """Write a batch in one transaction; raises sqlite3.Error and leaves nothing of it behind."""
        rows = batch.rows
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("INSERT INTO leaves VALUES (?,?,?,?,?,?,?,?,?,?,?)", [row[:11] for row in rows])
            db.executemany("INSERT INTO rules_hit VALUES (?,?)", [(rule, r.index) for r in rows for rule in r.rules])
            db.executemany(
                "INSERT INTO connectors_hit VALUES (?,?)", [(c, r.index) for r in rows for c in r.connectors]
            )
            db.executemany(
                "INSERT INTO sealed VALUES (?,?,?)", [(r.index, r.subject, r.opening) for r in rows if r.opening]
            )
            db.executemany("INSERT INTO subjects VALUES (?,?,?)", map(self.wraps().wrapped, batch.keys))
            for change in batch.changes:
                self._take_away(change)
            db.executemany("INSERT OR REPLACE INTO tiles VALUES (?,?,?)", self._grown_tiles(batch.nodes))
            db.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (batch.size, batch.note))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _take_away(self, change: Change) -> None:
        db = self._db
        db.executemany("DELETE FROM sealed WHERE idx = ?", [(index,) for index in change.emptied])
        db.executemany("INSERT OR REPLACE INTO emptied VALUES (?,?)", [(index, change.by) for index in change.emptied])
        if change.subject or change.wraps:
            # Deleting a row overwrites it, but not the copies that earlier splits of its page left behind: the table is
            # made anew, and dropping the old one overwrites its pages whole.
            kept = self._kept_subjects(change)
            db.execute(f"CREATE TABLE new_{_SUBJECTS}")
            db.executemany("INSERT INTO new_subjects VALUES (?,?,?)", kept)
            db.execute("DROP TABLE subjects")
            db.execute("ALTER TABLE new_subjects RENAME TO subjects")
        if change.minimum:
            db.execute(
                "INSERT INTO pruned_apps SELECT app, max(app_sequence) FROM leaves WHERE idx < ? GROUP BY app "
                "ON CONFLICT (app) DO UPDATE SET app_sequence = max(app_sequence, excluded.app_sequence)",
                (change.minimum,),
            )
            for table in ("rules_hit", "connectors_hit", "sealed", "emptied", "leaves"):
                db.execute(f"DELETE FROM {table} WHERE idx < ?", (change.minimum,))  # noqa: S608  our own table names

    def fold(self) -> None:
        """Empty the write-ahead log if nobody reads it: one killed in the middle of an erasure may still hold the key."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def scrub(self) -> None:
        """Empty the write-ahead log, where copies of what was taken away still stand; raises LogInUse while it is read."""
        deadline = time.monotonic() + _SCRUB_S
        while int(self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]):
            if time.monotonic() > deadline:
                raise LogInUse("a reader keeps the write-ahead log from being emptied: end it, and run this again")
            time.sleep(0.05)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


def opening_failure(error: sqlite3.DatabaseError, path: Path) -> AuditError:
    """What an error at opening means: held by another, kept away by the disk, or not a log any more."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LogInUse(f"{path}: another program holds the database ({error}); stop it")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return LogUnusable(f"{path} cannot be opened ({name}: {error}): look after the disk and the folder's rights")
    return LogTorn(f"{path} cannot be read ({error}): restore the database")
