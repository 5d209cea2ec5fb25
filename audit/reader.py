"""Reading the log without writing it: what searches, exports and proofs stand on. May run beside the writer."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from array import array
from typing import TYPE_CHECKING, Any

from audit.errors import LogTorn
from audit.head import check_against_head, read_head
from audit.keys import SigningKey, load_or_make
from audit.notes import BadNote, opened, parse_checkpoint
from audit.openings import Vault
from audit.store import Filter, Store, columns_of, node_in, opening_failure
from audit.tree import EMPTY_ROOT, inclusion_proof, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

# Tiles of 8 KiB that one call keeps at hand.
_MOST_TILES = 64
# Earlier exports that a new one stays comparable with; each costs some hashes in its proof.
_MOST_EXPORTS = 1000


class LogReader:
    """A read-only view; sees whole batches. May be used from any thread."""

    def __init__(self, home: Path, *, origin: str, is_checked: bool = False) -> None:
        """Raises FileNotFoundError where no log was ever written, LogRolledBack or LogTorn where it is not what was signed.

        `is_checked`: the caller has just compared database and head.
        """
        folder = home / "audit"
        if not (folder / "log.db").exists():
            raise FileNotFoundError(f"{folder}: no audit log there yet; the first recorded decision makes it")
        self._key: SigningKey = load_or_make(folder / "key", origin, may_make=False)
        # The writer commits first and writes the head then: read in the other order, the head is never ahead.
        head = None if is_checked else read_head(folder / "head", self._key.verifier)
        with contextlib.ExitStack() as opened_so_far:
            try:
                self._store = Store(folder / "log.db", read_only=True)
                opened_so_far.callback(self._store.close)
                if not is_checked:
                    check_against_head(self._store, head, folder)
            except sqlite3.DatabaseError as error:
                raise opening_failure(error, folder / "log.db") from error
            opened_so_far.pop_all()
        self._vault = Vault(self._store)
        self._lock = threading.Lock()

    @property
    def verifier_key(self) -> str:
        """What auditors check signatures with."""
        return str(self._key.verifier)

    @property
    def signing_key(self) -> SigningKey:
        """For signing export manifests under the log's name."""
        return self._key

    def checkpoint(self) -> str:
        """The newest signed checkpoint; that of the empty log where nothing was written."""
        with self._lock:
            note = self._store.head_note()
        if note:
            return note
        return self._key.checkpoint(0, EMPTY_ROOT)

    def size(self) -> int:
        """Size in the newest checkpoint."""
        return parse_checkpoint(opened(self.checkpoint(), self._key.verifier)).size

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
        """Indexes of the records that match."""
        with self._lock:
            return list(self._store.search(wanted, limit=limit, newest_first=newest_first))

    def indexes(self, wanted: Filter) -> array[int]:
        """As `search`, oldest first, in eight bytes each: a year of an app fits in little memory."""
        with self._lock:
            return array("Q", self._store.search(wanted, limit=-1, newest_first=False))

    def exported_sizes(self) -> set[int]:
        """Sizes of the log at its earlier exports: their checkpoints are in somebody's hands."""
        with self._lock:
            found = list(self._store.search(Filter(kind="export"), limit=_MOST_EXPORTS))
            rows = [row for start in range(0, len(found), 500) for row in self._store.rows(found[start : start + 500])]
        sizes = (columns_of(row[1])["public"].get("size") for row in rows)
        return {size for size in sizes if isinstance(size, int)}

    def batch(self, indexes: Sequence[int]) -> list[tuple[int, bytes, bytes]]:
        """(index, leaf, opening's text) of some records, ascending; the text is empty where nothing can be opened."""
        with self._lock:
            rows = self._store.rows(indexes)
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
        """Inclusion proof of a record in the tree of `size`."""
        tile = self._tiles()
        with self._lock:
            return inclusion_proof(index, size, lambda level, at: node_in(tile, level, at))

    def verify_self(self) -> int:
        """Hash every leaf again and compare what stands beside it; returns how many.

        Raises LogTorn naming the first that does not fit: a leaf, the columns by which it is found, or its opening.
        """
        try:
            own = parse_checkpoint(opened(self.checkpoint(), self._key.verifier))
            with self._lock:
                check_leaves(self._store, 0, own.size)
                if own.size and self._store.frontier(own.size).root() != own.root:
                    raise LogTorn("the stored hashes do not lead to the log's root: restore the database")
                for index in range(own.size):
                    self._check_beside(index)
        except BadNote as error:
            raise LogTorn(f"the checkpoint in the database is not this log's: {error}") from error
        except KeyError as error:
            raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error
        return own.size

    def _check_beside(self, index: int) -> None:
        leaf = columns_of(self._store.leaf(index) or b"{}")
        if not self._store.is_found_by(leaf):
            raise LogTorn(f"record {index} would not be found by what it says: its columns were changed")
        if self._vault.is_damaged(index, leaf["commitments"]):
            raise LogTorn(f"the sealed fields of record {index} are not those that were recorded: restore the database")

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


def check_leaves(store: Store, start: int, size: int) -> None:
    """Leaves [start, size) are there and are what their hashes say; raises LogTorn naming the first that is not."""
    expected = start
    for index, leaf in store.leaves(start, size):
        if index != expected:
            break
        if leaf_hash(leaf) != store.node(0, index):
            raise LogTorn(f"record {index} was changed after it was written: restore the database")
        expected += 1
    if expected != size:
        raise LogTorn(f"record {expected} is missing: restore the database")
