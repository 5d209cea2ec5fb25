"""Where the outbox stands: a SQLite file in the home, or PostgreSQL where replicas share one (GOVERNANCE_DATABASE).

Both speak the same statements, with `?` for values. A transaction that raises leaves nothing behind.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from audit.errors import AuditError
from governance.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from audit.postgres import Connection, Database

    Execute = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]

_BUSY_S = 10.0
_SCHEMA_NAME = "event_exchange"
_LOCK = 0x6576656E
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq {identity}, source TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, decision_id TEXT NOT NULL,
    body TEXT NOT NULL, accepted {real} NOT NULL, UNIQUE (source, id));
CREATE INDEX IF NOT EXISTS events_by_age ON events (accepted);
CREATE TABLE IF NOT EXISTS deliveries (
    number {identity}, seq BIGINT NOT NULL, app TEXT NOT NULL, subscription TEXT NOT NULL, ordering TEXT NOT NULL,
    state TEXT NOT NULL, head INTEGER NOT NULL, pushed INTEGER NOT NULL, attempts INTEGER NOT NULL, due {real} NOT NULL,
    lease TEXT NOT NULL, leased_until {real} NOT NULL, reason TEXT NOT NULL, UNIQUE (seq, app, subscription));
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (pushed, app, subscription, due) WHERE state = 'waiting' AND head = 1;
CREATE INDEX IF NOT EXISTS deliveries_ordered ON deliveries (app, subscription, ordering, seq) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS deliveries_dead ON deliveries (number) WHERE state = 'dead';
CREATE TABLE IF NOT EXISTS firings (
    app TEXT NOT NULL, name TEXT NOT NULL, at {real} NOT NULL, leased_until {real} NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (app, name, at));
"""


_POSTGRES_TYPES = {"identity": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "real": "DOUBLE PRECISION"}


class Store(Protocol):
    """One connection to the tables; safe to use from several threads."""

    skip_locked: str
    """How a statement leaves rows alone that another transaction is about to lease."""

    def transaction(self, *, is_reading: bool = False) -> AbstractContextManager[Execute]:
        """All that is executed within holds, or nothing. Raises DependencyError."""

    def hold(self, execute: Execute, place: tuple[str, str, str]) -> None:
        """Until the end of the transaction nobody else changes who is the head of a key."""

    def scrub(self) -> None:
        """Leave no copy of what was taken away, as far as the database lets us. Raises DependencyError."""

    def close(self) -> None:
        """Let go."""


class SqliteStore:
    """`events.db` below `folder`: one writer at a time, every commit on the disk before it is answered for."""

    skip_locked = ""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "events.db"
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self, *, is_reading: bool = False) -> Iterator[Execute]:
        """Takes the file's write lock at once, so that nothing read within is outdated when it writes."""
        with self._lock:
            try:
                database = self._open()
                database.execute("BEGIN" if is_reading else "BEGIN IMMEDIATE")
                yield lambda statement, values: database.execute(statement, values).fetchall()
                database.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise _unusable(error, str(self._path)) from error
            except BaseException:
                self._drop()
                raise

    def hold(self, execute: Execute, place: tuple[str, str, str]) -> None:
        """Nothing to do: there is one writer."""

    def scrub(self) -> None:
        """Make the file anew, since pages keep shreds of rows that moved, and empty the write-ahead log."""
        with self._lock:
            try:
                database = self._open()
                database.execute("VACUUM")
                is_read, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise _unusable(error, str(self._path)) from error
            if is_read:
                raise DependencyError(
                    "a reader keeps the write-ahead log from being emptied",
                    where=str(self._path),
                    hint="run this again",
                )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._drop()

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._path.chmod(0o600)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            # What was delivered is overwritten, not only unlinked.
            database.execute("PRAGMA secure_delete = ON")
            database.executescript(_TABLES.format(identity="INTEGER PRIMARY KEY AUTOINCREMENT", real="REAL"))
            self._database = database
        return self._database

    def _drop(self) -> None:
        """Close: what was begun is rolled back, and the next transaction opens anew."""
        if self._database is not None:
            self._database.close()
            self._database = None


class PostgresStore:
    """Tables in a schema of their own beside the audit log's; reached as the log is."""

    skip_locked = "FOR UPDATE OF d SKIP LOCKED"

    def __init__(self, database: Database) -> None:
        self._where = database
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self, *, is_reading: bool = False) -> Iterator[Execute]:  # noqa: ARG002  reading needs no lock here
        """One transaction, read committed: what has to hold longer than a statement is locked."""
        from audit.postgres import failing

        with self._lock:
            try:
                with failing("failed"):
                    connection = self._open()
                    with connection.transaction():
                        yield lambda statement, values: _executed(connection, statement, values)
            except AuditError as error:
                self._drop()
                raise _unusable(error, "GOVERNANCE_DATABASE") from error

    def hold(self, execute: Execute, place: tuple[str, str, str]) -> None:
        """An advisory lock on the key; deliveries of one event take theirs in one order, so none wait for each other."""
        if place[2]:
            execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", ("\x1f".join(place),))

    def scrub(self) -> None:
        """Have the server write the tables anew. Its write-ahead log keeps copies until it reuses the segments."""
        from audit.postgres import failing

        with self._lock:
            try:
                with failing("does not free what was taken away"):
                    connection = self._open()
                    for table in ("events", "deliveries"):
                        connection.execute(f"VACUUM FULL {table}".encode())
            except AuditError as error:
                self._drop()
                raise _unusable(error, "GOVERNANCE_DATABASE") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            connection = self._where.connect()
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                # Asked first: `IF NOT EXISTS` locks a table that others work with, and they would wait for each other.
                if connection.execute("SELECT to_regclass(%s)", (f"{_SCHEMA_NAME}.firings",)).fetchone() == (None,):
                    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA_NAME}")
                    connection.execute(f"SET LOCAL search_path = {_SCHEMA_NAME}")
                    connection.execute(_TABLES.format(**_POSTGRES_TYPES).encode())
            connection.execute(f"SET search_path = {_SCHEMA_NAME}")
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _executed(connection: Connection, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    cursor = connection.execute(statement.replace("?", "%s").encode(), values)
    return cursor.fetchall() if cursor.description is not None else []


def _unusable(error: Exception, where: str) -> DependencyError:
    return DependencyError(f"the outbox cannot be used: {error}", where=where, hint="nothing was lost; try again")
