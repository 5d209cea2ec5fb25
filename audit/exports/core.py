"""The part of an export that everything else follows from: records, openings, leaf hashes and the proof.

Four files grow side by side, batch by batch; after each batch their lengths are noted, so that an interrupted export is
cut back to the last whole batch and goes on from there, under the checkpoint it began with.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import AuditError, LogTorn
from audit.multiproof import Rebuilt, blocks
from audit.notes import opened_by_any, parse_checkpoint
from audit.packages import LEAVES, OPENINGS, PROOF, RECORDS
from audit.sealed_texts import joined, parsed
from audit.tree import leaf_hash
from audit.walk import LEAF_ROW, Record, promises_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from audit.reader import LogReader
    from audit.sealed_texts import Opening
    from audit.store import Filter

FILES = (RECORDS, OPENINGS, LEAVES, PROOF)
_BATCH = 500
# Batches between two notes of how far it came.
_NOTED_EVERY = 40
# Batches of one file that wait to be written: a megabyte each.
_MOST_PENDING = 2
PROGRESS = "progress.json"
_REVISION = re.compile(rb'"revision":("[^"\\]*(?:\\.[^"\\]*)*")')


class Written(NamedTuple):
    """What the core holds."""

    records: int
    files: dict[str, tuple[str, int]]
    """Name to (SHA-256, length)."""
    revisions: set[str]
    """Policy revisions that its records name."""
    pruned: dict[str, int]
    """Where the export promises everything of an app: how many of its first records the log no longer has."""


class Core:
    """Writes and reads the core files in one folder."""

    def __init__(self, log: LogReader, folder: Path, note: str, stops: Sequence[int]) -> None:
        self._log = log
        self._folder = folder
        checkpoint = parse_checkpoint(opened_by_any(note, log.keys()))
        self._size, self._root = checkpoint.size, checkpoint.root
        self._stops = stops

    def write(self, wanted: Filter, fields: Sequence[str] | None, tell: Callable[[int, int], None]) -> Written:
        """Write what is not yet there. Raises LogTorn when what was written does not lead to the checkpoint's root."""
        limit = self._size if not wanted.before else min(wanted.before, self._size)
        indexes = self._log.indexes(wanted._replace(before=limit)) if limit else []
        done = self._restored()
        with contextlib.ExitStack() as opened_so_far:
            hand = opened_so_far.enter_context(ThreadPoolExecutor(1, "export-files"))
            files = [_Growing(self._folder / name, hand) for name in FILES]
            for file in files:
                opened_so_far.callback(file.close)
            tree, revisions = self._walked(indexes[:done])
            for start in range(done, len(indexes), _BATCH):
                chunk = indexes[start : start + _BATCH]
                revisions.update(_REVISION.findall(self._write_batch(files, tree, chunk, fields)))
                if start // _BATCH % _NOTED_EVERY == 0:
                    self._note(files, start + len(chunk))
                tell(start + len(chunk), len(indexes))
            self._note(files, len(indexes))
            self._fill(files[3], tree, self._size)
        if tree.root() != self._root:
            raise LogTorn("what the log gave does not lead to its own root; `governance audit check` says where")
        digests = {name: file.said() for name, file in zip(FILES, files, strict=True)}
        named = {json.loads(text) for text in revisions} - {""}
        return Written(len(indexes), digests, named, self._pruned(wanted, has_all=len(indexes) == limit))

    def rows(self) -> Iterator[Record]:
        """Every record as the views need it, from the files alone."""
        with (self._folder / RECORDS).open("rb") as records, (self._folder / OPENINGS).open("rb") as openings:
            line = openings.readline()
            for raw in records:
                leaf = json.loads(raw)
                head = b'{"index":%d,"openings":' % leaf["index"]
                found: dict[str, Opening] = {}
                if line.startswith(head):
                    found = parsed(line[len(head) : -2])
                    line = openings.readline()
                yield Record(raw[:-1], leaf, found)

    def _write_batch(
        self, files: list[_Growing], tree: Rebuilt, chunk: Sequence[int], fields: Sequence[str] | None
    ) -> bytes:
        """Returns the records' lines."""
        records, openings, leaves, proof = files
        batch = self._log.batch(chunk)
        if len(batch) != len(chunk):
            raise AuditError("records were taken out of the log while they were exported; export again")
        lines, texts, rows = [], [], []
        for index, leaf, text in batch:
            if tree.size != index:
                self._fill(proof, tree, index)
            digest = leaf_hash(leaf)
            tree.add(0, digest)
            rows.append(index.to_bytes(8, "big") + digest)
            lines.append(leaf)
            kept = text if fields is None else _narrowed(text, fields)
            if kept:
                texts.append(b'{"index":%d,"openings":%s}\n' % (index, kept))
        lines.append(b"")
        joined_lines = b"\n".join(lines)
        records.write(joined_lines)
        openings.write(b"".join(texts))
        leaves.write(b"".join(rows))
        return joined_lines

    def _fill(self, proof: _Growing, tree: Rebuilt, end: int) -> None:
        gap = list(blocks(tree.size, end, self._stops))
        hashes = self._log.nodes(gap)
        proof.write(b"".join(hashes))
        for (level, _), digest in zip(gap, hashes, strict=True):
            tree.add(level, digest)

    def _note(self, files: list[_Growing], records: int) -> None:
        state = {"records": records, "lengths": [file.flushed() for file in files]}
        unfinished = self._folder / f"{PROGRESS}.new"
        unfinished.write_text(json.dumps(state))
        unfinished.replace(self._folder / PROGRESS)

    def _restored(self) -> int:
        """Cut the files back to the last note; returns how many records they hold."""
        path = self._folder / PROGRESS
        state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"records": 0, "lengths": [0] * 4}
        sizes = [(self._folder / name).stat().st_size if (self._folder / name).exists() else 0 for name in FILES]
        if any(size < length for size, length in zip(sizes, state["lengths"], strict=True)):
            state = {"records": 0, "lengths": [0] * 4}  # the machine went down before all of it was on disk
        for name, length in zip(FILES, state["lengths"], strict=True):
            with (self._folder / name).open("ab") as file:
                file.truncate(length)
        return int(state["records"])

    def _walked(self, indexes: Sequence[int]) -> tuple[Rebuilt, set[bytes]]:
        """The tree as far as the files go, and the revisions in them; they have to hold the records `indexes`."""
        tree = Rebuilt()
        with (self._folder / LEAVES).open("rb") as leaves, (self._folder / PROOF).open("rb") as proof:
            for index in indexes:
                row = leaves.read(LEAF_ROW)
                if row[:8] != index.to_bytes(8, "big"):
                    raise AuditError(f"{self._folder}: the interrupted export holds other records; remove it")
                for level, _ in blocks(tree.size, index, self._stops):
                    tree.add(level, proof.read(32))
                tree.add(0, row[8:])
        with (self._folder / RECORDS).open("rb") as records:
            return tree, {text for line in records for text in _REVISION.findall(line)}

    def _pruned(self, wanted: Filter, *, has_all: bool) -> dict[str, int]:
        if has_all or not promises_all(_said(wanted)):
            return {}
        first: dict[str, int] = {}
        with (self._folder / RECORDS).open("rb") as records:
            for raw in records:
                leaf = json.loads(raw)
                first.setdefault(str(leaf["public"].get("app", "")), leaf["app_sequence"] - 1)
                if wanted.app:
                    break
        return {app: before for app, before in first.items() if before}


class _Growing:
    """A file that is appended to and hashed while it grows; what it holds already is hashed first.

    Writing and hashing hold no interpreter lock: `hand`, a thread, does both while the next records are read.
    """

    def __init__(self, path: Path, hand: Executor) -> None:
        with path.open("rb") as old:
            self._digest = hashlib.file_digest(old, "sha256")
        self._file = path.open("ab")
        self._length = self._file.tell()
        self._hand, self._pending = hand, deque[Future[None]]()

    def write(self, raw: bytes) -> None:
        """Hand over some bytes; raises what went wrong with earlier ones."""
        self._settle(_MOST_PENDING)
        self._pending.append(self._hand.submit(self._put, raw))
        self._length += len(raw)

    def _put(self, raw: bytes) -> None:
        self._file.write(raw)
        self._digest.update(raw)

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()

    def flushed(self) -> int:
        """Its length, once everything is with the system."""
        self._settle(0)
        self._file.flush()
        return self._length

    def said(self) -> tuple[str, int]:
        """(SHA-256 in hex, length)."""
        return self._digest.hexdigest(), self._length

    def close(self) -> None:
        """Once everything is on the disk; raises what went wrong."""
        with self._file:
            self._settle(0)
            self._file.flush()
            os.fsync(self._file.fileno())


def digest_of(path: Path) -> tuple[str, int]:
    """(SHA-256 in hex, length) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _narrowed(text: bytes, fields: Sequence[str]) -> bytes:
    kept = {name: opening for name, opening in (parsed(text) if text else {}).items() if name in fields}
    return joined(kept) if kept else b""


def _said(wanted: Filter) -> set[str]:
    return {name for name, value in wanted._asdict().items() if value}
