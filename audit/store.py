"""The log on SQLite: leaves, tree hashes as C2SP tiles, openings, subject keys. One writer; readers see whole batches.

`synchronous=FULL` in WAL mode: a commit returns after its fsync. Tiles are stored as they would be served (height 8:
256 hashes, a partial one while it grows), level by level, so that publishing them is copying them. What is deleted is
overwritten (`secure_delete`), and `scrub` empties the write-ahead log, which would keep a copy.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from audit.errors import AuditError, LogInUse, LogTorn, LogUnusable
from audit.rows import NAMED, Batch, Change, Filter, Row, SubjectKey, columns_of, comparable, texts_of
from audit.tree import Frontier, node_hash, subtree_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Batch", "Change", "Filter", "Row", "Store", "SubjectKey", "columns_of", "opening_failure"]

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
SCHEMA_VERSION = 2
_SCRUB_S = 20.0

# Kinds that say what became of the log itself: few among many, and asked for at every start.
CUSTODY = ("hold", "erasure", "prune", "key_rotation", "bundle_activated")
_CUSTODY = str(CUSTODY)
_SUBJECTS = "subjects (number INTEGER PRIMARY KEY, subject TEXT NOT NULL UNIQUE, key BLOB NOT NULL) STRICT"
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS leaves (
    idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL, decision_id TEXT NOT NULL,
    app TEXT NOT NULL, app_sequence INTEGER NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, effect TEXT NOT NULL,
    trace_id TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS leaves_by_app ON leaves (app, app_sequence);
CREATE INDEX IF NOT EXISTS leaves_by_decision ON leaves (decision_id);
CREATE INDEX IF NOT EXISTS leaves_by_tenant ON leaves (tenant, idx);
CREATE INDEX IF NOT EXISTS leaves_by_kind ON leaves (kind, idx) WHERE kind IN {_CUSTODY};
CREATE INDEX IF NOT EXISTS leaves_by_trace ON leaves (trace_id) WHERE trace_id <> '';
CREATE TABLE IF NOT EXISTS rules_hit (rule TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (rule, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS connectors_hit (
    connector TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (connector, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tiles (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealed (idx INTEGER PRIMARY KEY, subject INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS sealed_by_subject ON sealed (subject, idx);
CREATE TABLE IF NOT EXISTS emptied (idx INTEGER PRIMARY KEY, by INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS {_SUBJECTS};
CREATE TABLE IF NOT EXISTS pruned_apps (app TEXT PRIMARY KEY, app_sequence INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, note TEXT NOT NULL);
"""


class Store:
    """One connection; a thread of its own per instance."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        mode = "ro" if read_only else "rwc"
        self._db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False)
        if not read_only:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA secure_delete=ON")
            if self.has_tables() and self.is_older():
                raise LogUnusable(
                    f"{path}: written by a version before {SCHEMA_VERSION} of its schema; export it with that one"
                )
            self._db.executescript(_SCHEMA)
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

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
        return int(self._db.execute("PRAGMA user_version").fetchone()[0]) < SCHEMA_VERSION

    def has_tables(self) -> bool:
        """Whether the table for them was made."""
        return self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'leaves'").fetchone() is not None

    def size(self) -> int:
        """How many leaves are stored; none in a database whose tables were not made yet."""
        if not self.has_tables():
            return 0
        return int(self._db.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaves").fetchone()[0])

    def head_note(self) -> str:
        """The newest checkpoint's note in the database; empty for an empty log."""
        row = self._db.execute("SELECT note FROM head").fetchone()
        return str(row[0]) if row else ""

    def minimum(self) -> int:
        """Index of the first leaf that was not pruned."""
        return int(self._db.execute("SELECT coalesce(min(idx), 0) FROM leaves").fetchone()[0])

    def app_sequence(self, app: str) -> int:
        """The last sequence number used for an app, pruned records included."""
        row = self._db.execute("SELECT max(app_sequence) FROM leaves WHERE app = ?", (app,)).fetchone()
        return int(row[0] or self.pruned_sequence(app))

    def pruned_sequence(self, app: str) -> int:
        """The last sequence number of an app among the leaves that were pruned."""
        row = self._db.execute("SELECT app_sequence FROM pruned_apps WHERE app = ?", (app,)).fetchone()
        return int(row[0]) if row else 0

    def last_time(self) -> str:
        """The newest record's time."""
        row = self._db.execute("SELECT time FROM leaves ORDER BY idx DESC LIMIT 1").fetchone()
        return str(row[0]) if row else ""

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
            db.executemany("INSERT INTO subjects VALUES (?,?,?)", batch.keys)
            for change in batch.changes:
                self._take_away(change)
            self._write_nodes(batch.nodes)
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
        if change.subject:
            # Deleting a row overwrites it, but not the copies that earlier splits of its page left behind: the table is
            # made anew, and dropping the old one overwrites its pages whole.
            db.execute(f"CREATE TABLE new_{_SUBJECTS}")
            db.execute("INSERT INTO new_subjects SELECT * FROM subjects WHERE subject <> ?", (change.subject,))
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

    def _write_nodes(self, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        """Only hashes at multiples of the tile height are stored; those between are computed from them."""
        tiles: dict[tuple[int, int], bytearray] = {}
        for level, index, digest in nodes:
            if level % TILE_HEIGHT:
                continue
            at = level // TILE_HEIGHT, index // TILE_WIDTH
            tile = tiles.get(at)
            if tile is None:
                tile = tiles[at] = bytearray(self.tile(*at) if index % TILE_WIDTH else b"")
            del tile[index % TILE_WIDTH * 32 :]
            tile += digest
        self._db.executemany(
            "INSERT OR REPLACE INTO tiles VALUES (?,?,?)", [(*at, bytes(tile)) for at, tile in tiles.items()]
        )

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of one tile, as many as there are; empty when it does not exist."""
        row = self._db.execute("SELECT hashes FROM tiles WHERE level = ? AND idx = ?", (level, index)).fetchone()
        return bytes(row[0]) if row else b""

    def node(self, level: int, index: int) -> bytes:
        """Hash of a complete node, from the nearest stored level below it. Raises KeyError for one that is missing."""
        return node_in(self.tile, level, index)

    def frontier(self, size: int) -> Frontier:
        """The right edge of the tree of `size` leaves, from the tiles."""
        hashes, start = [], 0
        for bit in range(size.bit_length() - 1, -1, -1):
            if size >> bit & 1:
                hashes.append(subtree_hash(start, start + (1 << bit), self.node))
                start += 1 << bit
        return Frontier(size, hashes)

    def leaf(self, index: int) -> bytes | None:
        """A leaf's bytes."""
        row = self._db.execute("SELECT leaf FROM leaves WHERE idx = ?", (index,)).fetchone()
        return bytes(row[0]) if row else None

    def leaves(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Leaves [start, end) in order."""
        yield from self._db.execute(
            "SELECT idx, leaf FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end)
        )

    def rows(self, indexes: Sequence[int]) -> list[tuple[int, bytes, Any, bytes]]:
        """(index, leaf, subject, sealed opening) of some records, ascending; an opening that is gone is empty."""
        marks = ",".join("?" * len(indexes))
        joined = "SELECT l.idx, leaf, subject, coalesce(sealed, x'') FROM leaves l LEFT JOIN sealed o ON o.idx = l.idx"
        sql = f"{joined} WHERE l.idx IN ({marks}) ORDER BY l.idx"
        return self._db.execute(sql, list(indexes)).fetchall()

    def find(self, decision_id: str) -> int | None:
        """Index of the first record of a decision."""
        row = self._db.execute("SELECT min(idx) FROM leaves WHERE decision_id = ?", (decision_id,)).fetchone()
        return None if row is None or row[0] is None else int(row[0])

    def search(self, wanted: Filter, *, limit: int = -1, newest_first: bool = True) -> Iterator[int]:
        """Indexes of the matching records."""
        clauses, values = _where(wanted)
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT idx FROM leaves{clauses} ORDER BY idx {order} LIMIT ?"  # noqa: S608  column names are ours
        for (index,) in self._db.execute(sql, [*values, limit]):
            yield int(index)

    def custody(self, kind: str) -> list[int]:
        """Indexes of the records of one of the CUSTODY kinds, oldest first."""
        sql = f"SELECT idx FROM leaves WHERE kind IN {_CUSTODY} AND kind = ? ORDER BY idx"  # noqa: S608  our own words
        return [int(index) for (index,) in self._db.execute(sql, (kind,))]

    def expired(self, kind: str, tenant: str, until: str) -> Iterator[tuple[int, str, str]]:
        """(index, kind, tenant) of records with an opening, of a kind and tenant (empty: any) and from before a time."""
        clauses, values = _where(Filter(kind=kind, tenant=tenant, until=until))
        sql = f"SELECT idx, kind, tenant FROM leaves{clauses} AND idx IN (SELECT idx FROM sealed) ORDER BY idx"  # noqa: S608
        yield from self._db.execute(sql, values)

    def first_to_keep(self, until: str) -> int:
        """Index of the first leaf that may not go: not from before a time, with an opening, or the last one."""
        content = f"SELECT min(idx) FROM sealed WHERE idx NOT IN (SELECT idx FROM leaves WHERE kind IN {_CUSTODY})"  # noqa: S608
        sql = f"SELECT (SELECT max(idx) FROM leaves), (SELECT min(idx) FROM leaves WHERE time >= ?), ({content})"  # noqa: S608
        row = self._db.execute(sql, (comparable(until),)).fetchone()
        return min((int(index) for index in row if index is not None), default=0)

    def is_found_by(self, leaf: dict[str, Any]) -> bool:
        """Whether the columns that searches use say what the leaf itself says."""
        index, public = leaf["index"], leaf["public"]
        row = self._db.execute(
            "SELECT kind, time, app_sequence, decision_id, app, tenant, actor, effect, trace_id FROM leaves WHERE idx = ?",
            (index,),
        ).fetchone()
        said = (leaf["kind"], leaf["time"], leaf["app_sequence"], *(str(public.get(name, "")) for name in NAMED))
        return row == said and all(
            self._db.execute(f"SELECT 1 FROM {table} WHERE {column} = ? AND idx = ?", (text, index)).fetchone()  # noqa: S608
            for table, column, name in (("rules_hit", "rule", "rules"), ("connectors_hit", "connector", "connectors"))
            for text in texts_of(public, name)
        )

    def opening(self, index: int) -> tuple[int, bytes] | None:
        """(number of the subject, sealed bytes) of a record's opening."""
        row = self._db.execute("SELECT subject, sealed FROM sealed WHERE idx = ?", (index,)).fetchone()
        return (int(row[0]), bytes(row[1])) if row else None

    def emptied_by(self, index: int) -> int | None:
        """Index of the record that says why this one's opening is gone; None for one that nobody took away."""
        row = self._db.execute("SELECT by FROM emptied WHERE idx = ?", (index,)).fetchone()
        return None if row is None else int(row[0])

    def subject_key(self, subject: str) -> SubjectKey | None:
        """The key of a subject; None when it was never made, or was erased."""
        row = self._db.execute("SELECT number, subject, key FROM subjects WHERE subject = ?", (subject,)).fetchone()
        return SubjectKey(*row) if row else None

    def numbered_key(self, number: int) -> bytes | None:
        """The key that openings name by a number; None when it was erased."""
        row = self._db.execute("SELECT key FROM subjects WHERE number = ?", (number,)).fetchone()
        return bytes(row[0]) if row else None

    def last_subject(self) -> int:
        """The highest number that an opening or a key has, so that none is given twice."""
        row = self._db.execute(
            "SELECT max(coalesce((SELECT max(number) FROM subjects), 0), coalesce((SELECT max(subject) FROM sealed), 0))"
        ).fetchone()
        return int(row[0])

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


def node_in(tile_of: Callable[[int, int], bytes], level: int, index: int) -> bytes:
    """Hash of a complete node from the tile of the nearest stored level below it. Raises KeyError for one that is missing."""
    stored, above = divmod(level, TILE_HEIGHT)
    start, width = index << above, 1 << above
    tile = tile_of(stored, start // TILE_WIDTH)
    offset = start % TILE_WIDTH * 32
    hashes = [tile[offset + 32 * i : offset + 32 * i + 32] for i in range(width)]
    if any(len(digest) != 32 for digest in hashes):
        raise KeyError(f"tile {stored}/{start // TILE_WIDTH} is incomplete")
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def opening_failure(error: sqlite3.DatabaseError, path: Path) -> AuditError:
    """What an error at opening means: held by another, kept away by the disk, or not a log any more."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LogInUse(f"{path}: another program holds the database ({error}); stop it")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return LogUnusable(f"{path} cannot be opened ({name}: {error}): look after the disk and the folder's rights")
    return LogTorn(f"{path} cannot be read ({error}): restore the database")


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    """The clause of a filter; what only the openings say (`text`) is not in it."""
    clauses: list[str] = []
    values: list[Any] = []

    def narrow(clause: str, *bound: Any) -> None:
        clauses.append(clause)
        values.extend(bound)

    for column in ("app", "tenant", "actor", "kind", "effect"):
        if value := getattr(wanted, column):
            narrow(f"{column} = ?", value)
    if wanted.trace_id:
        narrow("trace_id <> '' AND trace_id = ?", wanted.trace_id)
    if wanted.since:
        narrow("time >= ?", comparable(wanted.since))
    if wanted.until:
        narrow("time < ?", comparable(wanted.until))
    if wanted.before:
        narrow("idx < ?", wanted.before)
    if wanted.rule:
        narrow("idx IN (SELECT idx FROM rules_hit WHERE rule = ?)", wanted.rule)
    if wanted.rules:
        marks = ",".join("?" * len(wanted.rules))
        narrow(f"idx IN (SELECT idx FROM rules_hit WHERE rule IN ({marks}))", *wanted.rules)  # noqa: S608  marks only
    if wanted.connector:
        narrow("idx IN (SELECT idx FROM connectors_hit WHERE connector = ?)", wanted.connector)
    if wanted.subject:
        whose = "SELECT idx FROM sealed WHERE subject = (SELECT number FROM subjects WHERE subject = ?)"
        narrow(f"idx IN ({whose})", wanted.subject)
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values
