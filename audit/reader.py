"""Reading the log without writing it: what searches, exports and proofs stand on. May run beside the writer."""

from __future__ import annotations

import json
import sqlite3
import threading
from array import array
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import LogTorn, LogUnusable
from audit.head import check_against_head, read_head
from audit.keys import SigningKey, load_or_make
from audit.log_store import TILE_WIDTH, node_in
from audit.notes import BadNote, Checkpoint, opened_by_any, parse_checkpoint
from audit.openings import Vault
from audit.rotation import lineage, statement_of
from audit.rows import Filter, columns_of
from audit.store import Store, opening_failure
from audit.subjects import Wraps
from audit.tree import EMPTY_ROOT, Frontier, consistency_proof, inclusion_proof, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from audit.log_store import LogStore
    from audit.notes import VerifierKey
    from audit.postgres import Database

COSIGNED = "cosigned"
"""File beside the database: the newest checkpoint that enough witnesses cosigned."""
# A text is looked for by opening one record after the other: a page ends after this many, found or not.
MOST_OPENED = 20_000
# Tiles of 8 KiB that one call keeps at hand.
_MOST_TILES = 64
# Earlier exports that a new one stays comparable with; each costs some hashes in its proof.
_MOST_EXPORTS = 1000


class Page(NamedTuple):
    """Part of a search, newest first."""

    indexes: list[int]
    next: int | None
    """`before` of the following page; None on the last. A page of a text search may be empty and not the last."""


class LogReader:
    """A read-only view; sees whole batches. May be used from any thread."""

    def __init__(self, home: Path, *, origin: str, is_checked: bool = False, database: Database | None = None) -> None:
        """Raises FileNotFoundError where no log was ever written, LogRolledBack or LogTorn where it is not what was signed.

        `is_checked`: the caller has just compared database and head. `database`: the log stands there, not in `home`.
        """
        folder = home / "audit"
        if database is None and not (folder / "log.db").exists():
            raise FileNotFoundError(f"{folder}: no audit log there yet; the first recorded decision makes it")
        self._folder, self._origin = folder, origin
        self._key_file, self._key_stamp = folder / "key", (0, 0)
        self._key: SigningKey = load_or_make(self._key_file, origin, may_make=False)
        # The writer commits first and writes the head then: read in the other order, the head is never ahead.
        head = None if is_checked else read_head(folder / "head", self._key.verifiers)
        self._store: LogStore = _shared(database) if database else _embedded(folder)
        if not is_checked and (head is not None or database is None):
            try:
                check_against_head(self._store, head, folder)
            except sqlite3.DatabaseError as error:
                self._store.close()
                raise opening_failure(error, folder / "log.db") from error
            except BaseException:
                self._store.close()
                raise
        self._store.wraps = self._wraps
        self._wrapped_by: tuple[SigningKey, Wraps] | None = None
        self._vault = Vault(self._store)
        self._lock = threading.Lock()

    @property
    def verifier_key(self) -> str:
        """What auditors check signatures with."""
        return str(self.signing_key.verifier)

    @property
    def signing_key(self) -> SigningKey:
        """For signing export manifests under the log's name; read again where it was changed meanwhile."""
        status = self._key_file.stat()
        stamp = status.st_mtime_ns, status.st_ino
        if stamp != self._key_stamp:
            self._key, self._key_stamp = load_or_make(self._key_file, self._origin, may_make=False), stamp
        return self._key

    def _wraps(self) -> Wraps:
        key = self.signing_key
        if self._wrapped_by is None or self._wrapped_by[0] is not key:
            self._wrapped_by = key, Wraps(key.seeds)
        return self._wrapped_by[1]

    def checkpoint(self) -> str:
        """The newest signed checkpoint; that of the empty log where nothing was written."""
        with self._lock:
            note = self._store.head_note()
        if note:
            return note
        return self._key.checkpoint(0, EMPTY_ROOT)

    def newest(self) -> Checkpoint:
        """The newest checkpoint, its signature verified."""
        return self._verified(self.checkpoint())

    def size(self) -> int:
        """Size in the newest checkpoint."""
        return self.newest().size

    def size_of(self, note: str) -> int:
        """Size that a checkpoint of this log states, of whichever time; raises BadNote where the log did not sign it."""
        return parse_checkpoint(opened_by_any(note, self.keys())).size

    def keys(self) -> tuple[VerifierKey, ...]:
        """Every key that signed this log and leads to the present one, the newest first."""
        found = lineage(self.signing_key.verifier, self.rotations())
        return (*found, *(key for key in self.signing_key.verifiers if key not in found))

    def rotations(self) -> list[dict[str, str]]:
        """The steps from one signing key to the next, as auditors follow them."""
        publics = [record["public"] for record in self.custody("key_rotation")]
        return [statement_of(public) for public in publics if public.get("change") == "rotate"]

    def minimum(self) -> int:
        """Index of the first record that was not pruned."""
        with self._lock:
            return self._store.minimum()

    def cosigned(self) -> str:
        """The newest checkpoint that enough witnesses cosigned, with their lines; empty where there is none."""
        try:
            return (self._folder / COSIGNED).read_text("utf-8")
        except FileNotFoundError:
            return ""

    def _verified(self, note: str) -> Checkpoint:
        return parse_checkpoint(opened_by_any(note, self.signing_key.verifiers))

    def record(self, index: int) -> dict[str, Any]:
        """A parsed leaf, with `opened` for the sealed fields that can still be read. Raises KeyError."""
        leaf = self.leaf(index)
        with self._lock:
            return {**columns_of(leaf), "opened": self._vault.values(index)}

    def leaf(self, index: int) -> bytes:
        """A leaf's bytes. Raises KeyError."""
        with self._lock:
            leaf = self._store.leaf(index)
        if leaf is None:
            raise KeyError(index)
        return leaf

    def openings(self, index: int) -> dict[str, dict[str, Any]]:
        """`{field: {"salt": hex, "value": …}}` for what can still be opened."""
        with self._lock:
            return self._vault.openings(index)

    def find(self, decision_id: str) -> int | None:
        """Index of a decision's record."""
        with self._lock:
            return self._store.find(decision_id)

    def search(self, wanted: Filter, *, limit: int = -1, newest_first: bool = True) -> list[int]:
        """Indexes of the records that match, a text included: for exports, which read everything anyway."""
        with self._lock:
            found = list(self._store.search(wanted, limit=-1 if wanted.text else limit, newest_first=newest_first))
        if not wanted.text:
            return found
        matching = (index for index in found if self._says(index, wanted.text))
        return [index for _, index in zip(range(limit) if limit >= 0 else iter(int, 1), matching, strict=False)]

    def page(self, wanted: Filter, limit: int) -> Page:
        """At most `limit` indexes, newest first, and where the next page begins."""
        most = MOST_OPENED if wanted.text else limit
        with self._lock:
            found = list(self._store.search(wanted, limit=most + 1))
        looked_at, more = found[:most], len(found) > most
        if not wanted.text:
            return Page(looked_at, looked_at[-1] if more else None)
        indexes: list[int] = []
        for index in looked_at:
            if len(indexes) == limit:
                return Page(indexes, indexes[-1])
            if self._says(index, wanted.text):
                indexes.append(index)
        return Page(indexes, looked_at[-1] if more else None)

    def _says(self, index: int, text: str) -> bool:
        """Whether a text stands in what may be read of a record. It is looked for in JSON, so it is written as JSON is."""
        wanted = json.dumps(text, ensure_ascii=False)[1:-1].casefold()
        try:
            record = self.record(index)
        except KeyError:  # pruned since it was found
            return False
        said = json.dumps([record["kind"], record["public"], record["opened"]], ensure_ascii=False)
        return wanted in said.casefold()

    def custody(self, kind: str, *, since: int = 0) -> Iterator[dict[str, Any]]:
        """Records of one kind that say what became of the log itself (`audit.store.CUSTODY`), oldest first."""
        with self._lock:
            indexes = [index for index in self._store.custody(kind) if index >= since]
        for index in indexes:
            yield self.record(index)

    def took_away(self, since: int) -> bool:
        """Whether a record from an index on says that content or leaves went."""
        return any(True for kind in ("erasure", "prune") for _ in self.custody(kind, since=since))

    def has_opening(self, index: int) -> bool:
        """Whether sealed members are still stored for a record."""
        with self._lock:
            return self._store.opening(index) is not None

    def tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile of height 8, as many as there are; empty where it does not exist."""
        with self._lock:
            return self._store.tile(level, number)

    def leaves(self, start: int, end: int) -> list[bytes]:
        """The leaves [start, end) that are there."""
        with self._lock:
            return [leaf for _, leaf in self._store.leaves(start, end)]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Proof that the tree of `old` leaves is a prefix of that of `new`; empty where either is empty or both are one."""
        if old in {0, new}:
            return []
        with self._lock, _whole_hashes():
            return consistency_proof(old, new, self._store.node)

    def root(self, size: int) -> bytes:
        """Root of the tree of the first `size` leaves. Raises LogTorn where hashes are missing."""
        with self._lock, _whole_hashes():
            return self._store.frontier(size).root()

    def indexes(self, wanted: Filter) -> array[int]:
        """As `search`, oldest first, in eight bytes each: a year of an app fits in little memory."""
        with self._lock:
            return array("Q", self._store.search(wanted, limit=-1, newest_first=False))

    def exported_sizes(self) -> set[int]:
        """Sizes of the log at its earlier exports: their checkpoints are in somebody's hands."""
        with self._lock:
            found = list(self._store.search(Filter(kind="export"), limit=_MOST_EXPORTS))
            rows = [
                row
                for start in range(0, len(found), 500)
                for row in self._store.with_openings(found[start : start + 500])
            ]
        sizes = (columns_of(row[1])["public"].get("size") for row in rows)
        return {size for size in sizes if isinstance(size, int)}

    def batch(self, indexes: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
        """(index, leaf, opening's text) of some records, ascending; the text is empty where nothing can be opened."""
        with self._lock:
            rows = self._store.with_openings(indexes)
            return [(row[0], row[1], text) for row, text in zip(rows, self._vault.texts(rows), strict=True)]

    def nodes(self, wanted: Iterable[tuple[int, int]]) -> list[bytes]:
        """Hashes of complete nodes, given as (level, index); neighbours share the tile they are read from."""
        tile = self._tiles()
        with self._lock:
            return [node_in(tile, level, index) for level, index in wanted]

    def _tiles(self) -> Callable[[int, int], bytes]:
        """Tiles of the store, each read once while it is needed."""
        tiles: dict[tuple[int, int], bytes] = {}

        def tile(level: int, index: int) -> bytes:
            if (level, index) not in tiles:
                if len(tiles) > _MOST_TILES:
                    tiles.clear()
                tiles[level, index] = self._store.tile(level, index)
            return tiles[level, index]

        return tile

    def proof(self, index: int, size: int) -> list[bytes]:
        """Inclusion proof of a record in the tree of `size`. Raises LogTorn where hashes are missing."""
        tile = self._tiles()
        with self._lock, _whole_hashes():
            return inclusion_proof(index, size, lambda level, at: node_in(tile, level, at))

    def verify_self(self) -> int:
        """Hash every leaf again and compare what stands beside it; returns how many.

        Raises LogTorn naming the first that does not fit: a leaf, the columns by which it is found, or its opening.
        """
        try:
            own = self.newest()
        except BadNote as error:
            raise LogTorn(f"the checkpoint in the database is not this log's: {error}") from error
        if own.size and self.root(own.size) != own.root:
            raise LogTorn("the stored hashes do not lead to the log's root: restore the database")
        minimum = self.minimum()
        for start in range(0, own.size, TILE_WIDTH):
            self.verify_part(start, min(start + TILE_WIDTH, own.size))
        return own.size - minimum

    def verify_part(self, start: int, end: int) -> None:
        """The same for the leaves [start, end), and that their hashes lead to those above; raises LogTorn."""
        with self._lock, self._store.snapshot():
            with _whole_hashes():
                first = max(start, stated_minimum(self._store))
                if first < end:
                    check_leaves(self._store, first, end)
                self._check_above(start, end)
            for index in range(first, end):
                self._check_beside(index)

    def _check_above(self, start: int, end: int) -> None:
        """Whole tiles over [start, end) hash to what the level above has, and so on up."""
        size, level, width = self._store.size(), 0, TILE_WIDTH
        while width <= size:
            for number in range(start // width, min((end - 1) // width + 1, size // width)):
                tile = self._store.tile(level, number)
                if Frontier.of(tile).root() != self._store.node(8 * (level + 1), number):
                    raise LogTorn(f"the hashes above record {number * width} are not its own: restore the database")
            level, width = level + 1, width * TILE_WIDTH

    def _check_beside(self, index: int) -> None:
        leaf = columns_of(self._store.leaf(index) or b"{}")
        if not self._store.is_found_by(leaf):
            raise LogTorn(f"record {index} would not be found by what it says: its columns were changed")
        if self._vault.is_damaged(index, leaf["commitments"]):
            raise LogTorn(f"the sealed fields of record {index} are not those that were recorded: restore the database")

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


@contextmanager
def _whole_hashes() -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error


def _embedded(folder: Path) -> LogStore:
    try:
        store = Store(folder / "log.db", read_only=True)
        if store.has_tables() and store.is_older():
            store.close()
            raise LogUnusable(
                f"{folder}/log.db: of an older schema; `governance audit migrate`, or a start of the service, changes it"
            )
    except sqlite3.DatabaseError as error:
        raise opening_failure(error, folder / "log.db") from error
    return store


def _shared(database: Database) -> LogStore:
    from audit.postgres_store import PostgresStore

    store = PostgresStore(database)
    if not store.has_tables():
        store.close()
        raise FileNotFoundError("the database holds no audit log yet; the first recorded decision makes it")
    if store.is_older():
        store.close()
        raise LogUnusable("the database is of an older schema: start a service of this version, which migrates it")
    return store


def check_leaves(store: LogStore, start: int, size: int) -> None:
    """Leaves [start, size) are there and are what their hashes say; raises LogTorn naming the first that is not."""
    expected = start
    tile = lru_cache(maxsize=2)(store.tile)  # read once for its 256 leaves: a query for each would hold up a take-over
    for index, leaf in store.leaves(start, size):
        if index != expected:
            break
        if leaf_hash(leaf) != node_in(tile, 0, index):
            raise LogTorn(f"record {index} was changed after it was written: restore the database")
        expected += 1
    if expected != size:
        raise LogTorn(f"record {expected} is missing: restore the database")


def stated_minimum(store: LogStore) -> int:
    """Index of the first leaf that has to be there: what the newest `prune` record says; 0 where none was written."""
    for index in reversed(store.custody("prune") if store.size() else []):
        try:
            minimum = columns_of(store.leaf(index) or b"{}")["public"].get("minimum", 0)
        except (LogTorn, LookupError, TypeError, AttributeError) as error:
            raise LogTorn(f"record {index} was changed after it was written: restore the database") from error
        if minimum:
            return int(minimum)
    return 0
