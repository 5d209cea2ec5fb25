"""The log on SQLite: leaves, tree hashes as C2SP tiles, openings, subject keys. One writer; readers see whole batches.

`synchronous=FULL` in WAL mode: a commit returns after its fsync. Tiles are stored as they would be served (height 8:
256 hashes, a partial one while it grows), level by level, so that publishing them is copying them.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import AuditError, BadFilter, LogInUse, LogTorn, LogUnusable
from audit.tree import Frontier, node_hash, subtree_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

_SCHEMA = """
CREATE TABLE IF NOT EXISTS leaves (
    idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL, decision_id TEXT NOT NULL,
    app TEXT NOT NULL, app_sequence INTEGER NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, effect TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS leaves_by_app ON leaves (app, app_sequence);
CREATE INDEX IF NOT EXISTS leaves_by_decision ON leaves (decision_id);
CREATE INDEX IF NOT EXISTS leaves_by_tenant ON leaves (tenant, idx);
CREATE TABLE IF NOT EXISTS rules_hit (rule TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (rule, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tiles (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS openings (idx INTEGER PRIMARY KEY, subject TEXT NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS subject_keys (subject TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, note TEXT NOT NULL);
"""


class Row(NamedTuple):
    """One leaf with the columns that searches use."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    leaf: bytes
    kind: str
    time: str
    decision_id: str
    app: str
    app_sequence: int
    tenant: str
    actor: str
    effect: str
    rules: tuple[str, ...] = ()
    subject: str = ""
    opening: bytes = b""

    def check_storable(self) -> None:
        """Raise ValueError for text that is no UTF-8: found out in the middle of a batch, it would fail the others."""
        for text in (*self[2:10], *self.rules, self.subject):
            str(text).encode()


class Batch(NamedTuple):
    """What one commit writes."""

    rows: Sequence[Row]
    nodes: Sequence[tuple[int, int, bytes]]
    """New complete nodes: (level, index, hash)."""
    keys: Sequence[tuple[str, bytes]]
    """New subjects' keys."""
    size: int
    note: str
    """The checkpoint that covers the batch."""


class Filter(NamedTuple):
    """What to list; empty members do not narrow. `since` and `until` are RFC 3339, `until` not included."""

    app: str = ""
    tenant: str = ""
    actor: str = ""
    kind: str = ""
    effect: str = ""
    rule: str = ""
    since: str = ""
    until: str = ""
    before: int = 0
    """Only records with a smaller index, for paging back; 0 for no limit."""


class Store:
    """One connection; a thread of its own per instance."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        mode = "ro" if read_only else "rwc"
        self._db = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False)
        if not read_only:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)

    def size(self) -> int:
        """How many leaves are stored; none in a database whose tables were not made yet."""
        if self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'leaves'").fetchone() is None:
            return 0
        return int(self._db.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaves").fetchone()[0])

    def head_note(self) -> str:
        """The newest checkpoint's note in the database; empty for an empty log."""
        row = self._db.execute("SELECT note FROM head").fetchone()
        return str(row[0]) if row else ""

    def app_sequence(self, app: str) -> int:
        """The last sequence number used for an app."""
        row = self._db.execute("SELECT max(app_sequence) FROM leaves WHERE app = ?", (app,)).fetchone()
        return int(row[0] or 0)

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
            db.executemany("INSERT INTO leaves VALUES (?,?,?,?,?,?,?,?,?,?)", [row[:10] for row in rows])
            db.executemany("INSERT INTO rules_hit VALUES (?,?)", [(rule, r.index) for r in rows for rule in r.rules])
            db.executemany(
                "INSERT INTO openings VALUES (?,?,?)", [(r.index, r.subject, r.opening) for r in rows if r.opening]
            )
            db.executemany("INSERT INTO subject_keys VALUES (?,?)", batch.keys)
            self._write_nodes(batch.nodes)
            db.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?)", (batch.size, batch.note))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

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
        joined = (
            "SELECT l.idx, leaf, subject, coalesce(sealed, x'') FROM leaves l LEFT JOIN openings o ON o.idx = l.idx"
        )
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

    def is_found_by(self, leaf: dict[str, Any]) -> bool:
        """Whether the columns that searches use say what the leaf itself says."""
        index, public = leaf["index"], leaf["public"]
        row = self._db.execute(
            "SELECT kind, time, app_sequence, decision_id, app, tenant, actor, effect FROM leaves WHERE idx = ?",
            (index,),
        ).fetchone()
        named = ("decision_id", "app", "tenant", "actor", "effect")
        said = (leaf["kind"], leaf["time"], leaf["app_sequence"], *(str(public.get(name, "")) for name in named))
        return row == said and all(
            self._db.execute("SELECT 1 FROM rules_hit WHERE rule = ? AND idx = ?", (str(rule), index)).fetchone()
            for rule in public.get("rules", ())
        )

    def opening(self, index: int) -> tuple[str, bytes] | None:
        """(subject, sealed bytes) of a record's opening."""
        row = self._db.execute("SELECT subject, sealed FROM openings WHERE idx = ?", (index,)).fetchone()
        return (str(row[0]), bytes(row[1])) if row else None

    def subject_key(self, subject: str) -> bytes | None:
        """The key of a subject; None when it was never made, or was erased."""
        row = self._db.execute("SELECT key FROM subject_keys WHERE subject = ?", (subject,)).fetchone()
        return bytes(row[0]) if row else None

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


def columns_of(leaf: bytes) -> dict[str, Any]:
    """The parsed leaf."""
    parsed = json.loads(leaf)
    return dict(parsed)


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []
    for column in ("app", "tenant", "actor", "kind", "effect"):
        value = getattr(wanted, column)
        if value:
            clauses.append(f"{column} = ?")
            values.append(value)
    for clause, moment in (("time >= ?", wanted.since), ("time < ?", wanted.until)):
        if moment:
            clauses.append(clause)
            values.append(_comparable(moment))
    if wanted.before:
        clauses.append("idx < ?")
        values.append(wanted.before)
    if wanted.rule:
        clauses.append("idx IN (SELECT idx FROM rules_hit WHERE rule = ?)")
        values.append(wanted.rule)
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values


def _comparable(moment: str) -> str:
    """RFC 3339 (or a date) as text that sorts among the stored times.

    Without its Z: "…08.5Z" sorts before "…08Z", so that a whole second would miss its own records.
    """
    try:
        parsed = datetime.fromisoformat(moment)
        utc = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadFilter(f"{moment[:40]!r} is not a time: write 2026-03-01T10:00:00Z, or a date") from error
    return utc.strftime("%Y-%m-%dT%H:%M:%S") + (f".{utc.microsecond:06d}" if utc.microsecond else "")
