"""The port of the log's store, and everything in it that is the same SQL on every database: reading, and the tree's hashes.

A store adds how it is opened, how one batch becomes durable in one transaction, and what it takes to leave no copy of what was
taken away. Placeholders are written `?`. Tiles are stored as they would be served (height 8: 256 hashes, a partial one while
it grows), level by level, so that publishing them is copying them.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any

from audit.rows import NAMED, Batch, Change, Filter, SubjectKey, comparable, texts_of
from audit.subjects import KEY, Wraps
from audit.tree import Frontier, node_hash, subtree_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

# Kinds that say what became of the log itself: few among many, and asked for at every start.
CUSTODY = ("hold", "erasure", "prune", "key_rotation", "bundle_activated")
CUSTODY_SQL = str(CUSTODY)


class LogStore(ABC):
    """One connection; a thread of its own per instance."""

    wraps: Callable[[], Wraps] = Wraps
    """How subjects' names and keys are stored; set by whoever has the log's key."""

    @abstractmethod
    def rows(self, sql: str, values: Sequence[Any] = ()) -> Iterable[tuple[Any, ...]]:
        """The rows that a query answers."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Inside, reading sees one moment, whatever is written meanwhile."""

    @abstractmethod
    def is_older(self) -> bool:
        """Whether an earlier version of this program wrote the database."""

    @abstractmethod
    def has_tables(self) -> bool:
        """Whether the table for them was made."""

    @abstractmethod
    def append(self, batch: Batch) -> None:
        """Write a batch in one transaction; raises and leaves nothing of it behind."""

    @abstractmethod
    def scrub(self) -> None:
        """Leave no copy of what was taken away, as far as the database lets us; raises LogInUse while one is read."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def _one(self, sql: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return next(iter(self.rows(sql, values)), None)

    def size(self) -> int:
        """How many leaves are stored; none in a database whose tables were not made yet."""
        if not self.has_tables():
            return 0
        return self._number("SELECT coalesce(max(idx) + 1, 0) FROM leaves")

    def _number(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The one number that a query answers; 0 where it answers none."""
        row = self._one(sql, values)
        return int(row[0] or 0) if row else 0

    def head_note(self) -> str:
        """The newest checkpoint's note in the database; empty for an empty log."""
        row = self._one("SELECT note FROM head")
        return str(row[0]) if row else ""

    def minimum(self) -> int:
        """Index of the first leaf that was not pruned."""
        return self._number("SELECT coalesce(min(idx), 0) FROM leaves")

    def app_sequence(self, app: str) -> int:
        """The last sequence number used for an app, pruned records included."""
        return self._number("SELECT max(app_sequence) FROM leaves WHERE app = ?", (app,)) or self.pruned_sequence(app)

    def pruned_sequence(self, app: str) -> int:
        """The last sequence number of an app among the leaves that were pruned."""
        return self._number("SELECT app_sequence FROM pruned_apps WHERE app = ?", (app,))

    def sequences_below(self, minimum: int) -> dict[str, int]:
        """App to the last number of its records before an index, those that are gone already included."""
        found = {str(app): int(number) for app, number in self.rows("SELECT app, app_sequence FROM pruned_apps")}
        last = "SELECT app, max(app_sequence) AS app_sequence FROM leaves WHERE idx < ? GROUP BY app"
        sql = f"SELECT leaf FROM leaves JOIN ({last}) AS last USING (app, app_sequence)"  # noqa: S608  our own words
        for (leaf,) in self.rows(sql, (minimum,)):
            said = json.loads(bytes(leaf))
            found[str(said["public"].get("app", ""))] = said["app_sequence"]
        return found

    def last_time(self) -> str:
        """The newest record's time."""
        row = self._one("SELECT time FROM leaves ORDER BY idx DESC LIMIT 1")
        return str(row[0]) if row else ""

    def tile(self, level: int, index: int) -> bytes:
        """The hashes of one tile, as many as there are; empty when it does not exist."""
        row = self._one("SELECT hashes FROM tiles WHERE level = ? AND idx = ?", (level, index))
        return bytes(row[0]) if row else b""

    def _grown_tiles(self, nodes: Sequence[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
        """(level, index, hashes) of the tiles that new nodes belong to.

        Only hashes at multiples of the tile height are stored; those between are computed from them.
        """
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
        return [(*at, bytes(tile)) for at, tile in tiles.items()]

    def node(self, level: int, index: int) -> bytes:
        """Hash of a complete node, from the nearest stored level below it. Raises KeyError for one that is missing."""
        return node_in(self.tile, level, index)

    def frontier(self, size: int) -> Frontier:
        """The right edge of the tree of `size` leaves, from the tiles; each is read once."""
        tile = cache(self.tile)
        hashes, start = [], 0
        for bit in range(size.bit_length() - 1, -1, -1):
            if size >> bit & 1:
                hashes.append(subtree_hash(start, start + (1 << bit), lambda level, index: node_in(tile, level, index)))
                start += 1 << bit
        return Frontier(size, hashes)

    def leaf(self, index: int) -> bytes | None:
        """A leaf's bytes."""
        row = self._one("SELECT leaf FROM leaves WHERE idx = ?", (index,))
        return bytes(row[0]) if row else None

    def leaves(self, start: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Leaves [start, end) in order."""
        yield from self.rows("SELECT idx, leaf FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx", (start, end))

    def with_openings(self, indexes: Sequence[int]) -> list[tuple[int, bytes, Any, bytes]]:
        """(index, leaf, subject, sealed opening) of some records, ascending; an opening that is gone is empty."""
        marks = ",".join("?" * len(indexes))
        joined = "SELECT l.idx, leaf, subject, sealed FROM leaves l LEFT JOIN sealed o ON o.idx = l.idx"
        found = self.rows(f"{joined} WHERE l.idx IN ({marks}) ORDER BY l.idx", list(indexes))
        return [(int(index), bytes(leaf), subject, bytes(sealed or b"")) for index, leaf, subject, sealed in found]

    def find(self, decision_id: str) -> int | None:
        """Index of the first record of a decision."""
        row = self._one("SELECT min(idx) FROM leaves WHERE decision_id = ?", (decision_id,))
        return None if row is None or row[0] is None else int(row[0])

    def search(self, wanted: Filter, *, limit: int = -1, newest_first: bool = True) -> Iterator[int]:
        """Indexes of the matching records."""
        clauses, values = _where(wanted, self.wraps().tags(wanted.subject))
        order = "DESC" if newest_first else "ASC"
        most = f" LIMIT {limit:d}" if limit >= 0 else ""
        sql = f"SELECT idx FROM leaves{clauses} ORDER BY idx {order}{most}"  # noqa: S608  column names are ours
        for (index,) in self.rows(sql, values):
            yield int(index)

    def custody(self, kind: str) -> list[int]:
        """Indexes of the records of one of the CUSTODY kinds, oldest first."""
        sql = f"SELECT idx FROM leaves WHERE kind IN {CUSTODY_SQL} AND kind = ? ORDER BY idx"  # noqa: S608  our own words
        return [int(index) for (index,) in self.rows(sql, (kind,))]

    def expired(self, kind: str, tenant: str, until: str) -> Iterator[tuple[int, str, str]]:
        """(index, kind, tenant) of records with an opening, of a kind and tenant (empty: any) and from before a time."""
        clauses, values = _where(Filter(kind=kind, tenant=tenant, until=until), [])
        sql = f"SELECT idx, kind, tenant FROM leaves{clauses} AND idx IN (SELECT idx FROM sealed) ORDER BY idx"  # noqa: S608
        yield from self.rows(sql, values)

    def first_to_keep(self, until: str) -> int:
        """Index of the first leaf that may not go: not from before a time, with an opening, or the last one."""
        content = f"SELECT min(idx) FROM sealed WHERE idx NOT IN (SELECT idx FROM leaves WHERE kind IN {CUSTODY_SQL})"  # noqa: S608
        sql = f"SELECT (SELECT max(idx) FROM leaves), (SELECT min(idx) FROM leaves WHERE time >= ?), ({content})"  # noqa: S608
        row = self._one(sql, (comparable(until),)) or ()
        return min((int(index) for index in row if index is not None), default=0)

    def is_found_by(self, leaf: dict[str, Any]) -> bool:
        """Whether the columns that searches use say what the leaf itself says."""
        index, public = leaf["index"], leaf["public"]
        said = (leaf["kind"], leaf["time"], leaf["app_sequence"], *(str(public.get(name, "")) for name in NAMED))
        columns = " = ? AND ".join(("idx", "kind", "time", "app_sequence", *NAMED))
        return self._has(f"SELECT 1 FROM leaves WHERE {columns} = ?", (index, *said)) and all(  # noqa: S608  our own names
            self._has(f"SELECT 1 FROM {table} WHERE {column} = ? AND idx = ?", (text, index))  # noqa: S608
            for table, column, name in (("rules_hit", "rule", "rules"), ("connectors_hit", "connector", "connectors"))
            for text in texts_of(public, name)
        )

    def _has(self, sql: str, values: Sequence[Any]) -> bool:
        return self._one(sql, values) is not None

    def opening(self, index: int) -> tuple[int, bytes] | None:
        """(number of the subject, sealed bytes) of a record's opening."""
        row = self._one("SELECT subject, sealed FROM sealed WHERE idx = ?", (index,))
        return (int(row[0]), bytes(row[1])) if row else None

    def emptied_by(self, index: int) -> int | None:
        """Index of the record that says why this one's opening is gone; None for one that nobody took away."""
        row = self._one("SELECT by FROM emptied WHERE idx = ?", (index,))
        return None if row is None else int(row[0])

    def subject_key(self, subject: str) -> SubjectKey | None:
        """The key of a subject; None when it was never made, or was erased."""
        tags = self.wraps().tags(subject)
        marks = ",".join("?" * len(tags))
        row = self._one(f"SELECT number, subject, key FROM subjects WHERE subject IN ({marks})", tags) if tags else None  # noqa: S608  marks only
        return self.wraps().opened(SubjectKey(*row)) if row else None

    def numbered_key(self, number: int) -> bytes | None:
        """The key that openings name by a number; None when it was erased."""
        row = self._one("SELECT number, subject, key FROM subjects WHERE number = ?", (number,))
        return self.wraps().opened(SubjectKey(*row)).key if row else None

    def has_subjects_in_clear(self) -> bool:
        """Whether an earlier version of this program stored names and keys as they are."""
        return self._has("SELECT 1 FROM subjects WHERE length(key) = ? LIMIT 1", (KEY,))

    def _kept_subjects(self, change: Change) -> list[SubjectKey]:
        """The rows of the table of subjects after a change: without the one whose key is destroyed, wrapped anew if asked."""
        rows = [SubjectKey(*row) for row in self.rows("SELECT number, subject, key FROM subjects")]
        gone = {change.subject, *self.wraps().tags(change.subject)} if change.subject else set()
        kept = [row._replace(key=bytes(row.key)) for row in rows if row.subject not in gone]
        return [change.wraps.wrapped(self.wraps().opened(row)) for row in kept] if change.wraps else kept

    def numbered_keys(self, numbers: Collection[int]) -> dict[int, bytes]:
        """The same for several; those that were erased are not in it."""
        marks = ",".join("?" * len(numbers))
        rows = self.rows(f"SELECT number, subject, key FROM subjects WHERE number IN ({marks})", list(numbers))  # noqa: S608  marks only
        return {int(row[0]): self.wraps().opened(SubjectKey(*row)).key for row in rows}

    def last_subject(self) -> int:
        """The highest number that an opening or a key has, so that none is given twice."""
        both = "SELECT number FROM subjects UNION ALL SELECT subject FROM sealed"
        return self._number(f"SELECT max(number) FROM ({both}) AS numbers")  # noqa: S608  our own words


def node_in(tile_at: Callable[[int, int], bytes], level: int, index: int) -> bytes:
    """Hash of a complete node from the tile of the nearest stored level below it. Raises KeyError for one that is missing."""
    stored, above = divmod(level, TILE_HEIGHT)
    start, width = index << above, 1 << above
    tile = tile_at(stored, start // TILE_WIDTH)
    offset = start % TILE_WIDTH * 32
    hashes = [tile[offset + 32 * i : offset + 32 * i + 32] for i in range(width)]
    if any(len(digest) != 32 for digest in hashes):
        raise KeyError(f"tile {stored}/{start // TILE_WIDTH} is incomplete")
    while len(hashes) > 1:
        hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return hashes[0]


def _where(wanted: Filter, tags: Sequence[str]) -> tuple[str, list[Any]]:
    """The clause of a filter, its subject given by tags; what only the openings say (`text`) is not in it."""
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
        numbers = f"SELECT number FROM subjects WHERE subject IN ({','.join('?' * len(tags)) or 'NULL'})"  # noqa: S608  marks only
        narrow(f"idx IN (SELECT idx FROM sealed WHERE subject IN ({numbers}))", *tags)  # noqa: S608  same
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values
