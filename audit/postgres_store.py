"""The log on PostgreSQL: the same tables as on SQLite, written by whoever holds the sequencer's lock in this session.

Two fences stand in every writing transaction: the `head` row must still be of the epoch in which this session was elected and
of the size that the batch builds on, and every inbox entry that the batch writes must still be there. A sequencer that was cut
off, paused or replaced finds neither, and nothing of its batch stays.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from audit.errors import AuditError, BatchRefused, LogInUse, LogUnusable
from audit.log_store import LogStore
from audit.postgres import SCHEMA, failing, revision_of
from audit.schema import is_older

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from audit.postgres import Connection, Database
    from audit.rows import Batch, Change

PLACED = "audit_placed"
"""Channel on which it is said that something was written."""
# An index entry of PostgreSQL holds at most about 2,700 bytes, and text no NUL.
_LONGEST_TEXT = 1000


class PostgresStore(LogStore):
    """One connection. A read-only one comes back after it was lost; a writing one never does: it may not lead any more."""

    def __init__(self, database: Database, *, read_only: bool = True) -> None:
        self._database, self._read_only = database, read_only
        self._in_snapshot = False
        self.epoch = -1
        """Number of the election that this session won; -1: it may not write."""
        self.lost = ""
        """Why this session must not write any more; empty: it may, once it was elected."""
        self.connection: Connection = self._connected()

    def _connected(self) -> Connection:
        connection = self._database.connect()
        with failing("cannot be used"):
            if self._read_only:
                connection.execute("SET default_transaction_read_only = on")
            else:
                connection.execute("SET synchronous_commit = on")
        return connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        """The rows that a query answers, all of them fetched."""
        try:
            with failing("does not answer"):
                return self._fetched(sql, values)
        except LogUnusable:
            if not self._read_only or self._in_snapshot or not self.connection.closed:
                raise
        self.connection = self._connected()
        with failing("does not answer"):
            return self._fetched(sql, values)

    def _fetched(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        bound = [storable(value) if isinstance(value, str) else value for value in values]
        return self.connection.execute(sql.replace("?", "%s").encode(), bound).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Inside, reading sees one moment. An erasure makes the table of keys anew: it waits until this has ended."""
        with failing("does not answer"), self.connection.transaction():
            self._in_snapshot = True
            try:
                self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                self.connection.execute("LOCK TABLE subjects IN ACCESS SHARE MODE")
                yield
            finally:
                self._in_snapshot = False

    def is_older(self) -> bool:
        """Whether an earlier version of this program wrote the database."""
        with failing("does not answer"):
            return is_older(revision_of(self.connection), "the database")

    def has_tables(self) -> bool:
        """Whether the table for them was made."""
        return self._one("SELECT to_regclass(?)", (f"{SCHEMA}.leaves",)) != (None,)

    def append(self, batch: Batch) -> None:
        """Write a batch in one transaction; raises AuditError and leaves nothing of it behind.

        BatchRefused: something in it cannot be stored. Anything else: this session must not write any more, since whether
        the server took the commit is the server's to say.
        """
        if self.lost or self.epoch < 0:
            raise LogInUse(f"this process does not write the log ({self.lost or 'it was not elected'})")
        try:
            with failing("did not take the batch"), self.connection.transaction():
                self._write(batch)
        except BatchRefused:
            raise
        except ValueError as error:  # text that is no UTF-8
            raise BatchRefused(f"it cannot be stored: {error}") from error
        except AuditError as error:
            self.lost = str(error)
            raise

    def _write(self, batch: Batch) -> None:
        run, rows = self.connection.execute, batch.rows
        fence = "UPDATE head SET size = %s, note = %s WHERE one = 1 AND epoch = %s AND size = %s"
        if run(fence, (batch.size, batch.note, self.epoch, batch.size - len(rows))).rowcount != 1:
            raise LogInUse("another process was elected to write the log meanwhile")
        taken = [UUID(bytes=row.entry_id) for row in rows if row.entry_id]
        if taken and run("DELETE FROM inbox WHERE id = ANY(%s)", (taken,)).rowcount != len(taken):
            raise LogInUse("entries of the batch are not in the inbox any more")
        self._copy("leaves", (_leaf_columns(row[:11], row.entry_id) for row in rows))
        self._copy("rules_hit", ((rule, r.index) for r in rows for rule in set(map(storable, r.rules))))
        self._copy("connectors_hit", ((c, r.index) for r in rows for c in set(map(storable, r.connectors))))
        self._copy("sealed", ((r.index, r.subject, r.opening) for r in rows if r.opening))
        self._copy("subjects", map(self.wraps().wrapped, batch.keys))
        for change in batch.changes:
            self._take_away(change)
        tiles = "INSERT INTO tiles VALUES (%s, %s, %s) ON CONFLICT (level, idx) DO UPDATE SET hashes = excluded.hashes"
        for tile in self._grown_tiles(batch.nodes):
            run(tiles, tile)
        run(f"NOTIFY {PLACED}")

    def _copy(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """COPY takes thousands of rows in one round trip; none is not worth the trip."""
        every = list(rows)
        if every:
            with self.connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in every:
                    copy.write_row(row)

    def _take_away(self, change: Change) -> None:
        run = self.connection.execute
        indexes = list(change.emptied)
        run("DELETE FROM sealed WHERE idx = ANY(%s)", (indexes,))
        run(
            "INSERT INTO emptied SELECT unnest(%s::bigint[]), %s ON CONFLICT (idx) DO UPDATE SET by = excluded.by",
            (indexes, change.by),
        )
        if change.subject or change.wraps:
            # Deleting a row leaves its bytes in the table's file: a new table is made, and the old file goes.
            kept = self._kept_subjects(change)
            run("CREATE TABLE new_subjects (LIKE subjects INCLUDING ALL)")
            self._copy("new_subjects", kept)
            run("DROP TABLE subjects")
            run("ALTER TABLE new_subjects RENAME TO subjects")
        if change.minimum:
            run(
                "INSERT INTO pruned_apps SELECT app, max(app_sequence) FROM leaves WHERE idx < %s GROUP BY app "
                "ON CONFLICT (app) DO UPDATE SET app_sequence = greatest(pruned_apps.app_sequence, excluded.app_sequence)",
                (change.minimum,),
            )
            for table in ("rules_hit", "connectors_hit", "sealed", "emptied", "leaves"):
                run(f"DELETE FROM {table} WHERE idx < %s".encode(), (change.minimum,))  # noqa: S608  our own table names

    def scrub(self) -> None:
        """Have the server free what was taken away. Its write-ahead log keeps copies until it reuses the segments."""
        with failing("does not free what was taken away"):
            self.connection.execute("VACUUM sealed")  # the other tables hold no content, and can wait for the server

    def close(self) -> None:
        """Close the connection, and with it give up the sequencer's lock."""
        self.epoch = -1
        self.connection.close()


def storable(text: str) -> str:
    """Text that PostgreSQL stores and indexes, one for each text: NUL is escaped, and what is too long is cut and hashed.

    Columns are only compared for equality, here and in searches, so both sides go through this; the leaf has the text itself.
    """
    if "\0" in text or "\x01" in text:
        text = text.replace("\x01", "\x01\x01").replace("\0", "\x01\x02")
    if len(text) * 4 > _LONGEST_TEXT and len(raw := text.encode()) > _LONGEST_TEXT:
        return f"{text[:64]}\x01#{hashlib.sha256(raw).hexdigest()}"
    return text


def _leaf_columns(columns: Sequence[Any], entry_id: bytes) -> list[Any]:
    index, leaf, *texts = columns
    said = [storable(text) if isinstance(text, str) else text for text in texts]
    return [index, leaf, *said, UUID(bytes=entry_id) if entry_id else None]
