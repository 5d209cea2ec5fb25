"""The part of an export that everything else follows from: records, openings, leaf hashes and the proof.

Four files grow side by side, batch by batch; after each batch their lengths are noted, so that an interrupted export is
cut back to the last whole batch and goes on from there, under the checkpoint it began with.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from audit.errors import AuditError, LogTorn
from audit.multiproof import Rebuilt, blocks, rebuild
from audit.notes import opened, parse_checkpoint, parse_verifier_key
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

_FILES = (RECORDS, OPENINGS, LEAVES, PROOF)
_BATCH = 500
# Batches between two notes of how far it came.
_NOTED_EVERY = 40
PROGRESS = "progress.json"
_REVISION = re.compile(rb'"revision":("(?:[^"\\\\]|\\\\.)*")')


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
        checkpoint = parse_checkpoint(opened(note, parse_verifier_key(log.verifier_key)))
        self._size, self._root = checkpoint.size, checkpoint.root
        self._stops = stops

    def write(self, wanted: Filter, fields: Sequence[str] | None, tell: Callable[[int, int], None]) -> Written:
        """Write what is not yet there. Raises LogTorn when what was written does not lead to the checkpoint's root."""
        limit = self._size if not wanted.before else min(wanted.before, self._size)
        indexes = self._log.indexes(wanted._replace(before=limit)) if limit else []
        done = self._restored()
        self._check_same(indexes, done)
        tree = self._walked()
        streams: list[BinaryIO] = [(self._folder / name).open("ab") for name in _FILES]
        try:
            for start in range(done, len(indexes), _BATCH):
                chunk = indexes[start : start + _BATCH]
                self._write_batch(streams, tree, chunk, fields)
                if start // _BATCH % _NOTED_EVERY == 0:
                    self._note(streams, start + len(chunk))
                tell(start + len(chunk), len(indexes))
            self._note(streams, len(indexes))
            streams[3].writelines(self._log.nodes(blocks(tree.size, self._size, self._stops)))
        finally:
            for stream in streams:
                stream.close()
        return self._finished(len(indexes), wanted)

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
        self, streams: list[BinaryIO], tree: Rebuilt, chunk: Sequence[int], fields: Sequence[str] | None
    ) -> None:
        records, openings, leaves, proof = streams
        batch = self._log.batch(chunk)
        if len(batch) != len(chunk):
            raise AuditError("records were taken out of the log while they were exported; export again")
        lines, texts, rows = [], [], []
        for index, leaf, text in batch:
            if tree.size != index:
                hashes = self._log.nodes(gap := list(blocks(tree.size, index, self._stops)))
                proof.writelines(hashes)
                for (level, _), digest in zip(gap, hashes, strict=True):
                    tree.add(level, digest)
            digest = leaf_hash(leaf)
            tree.add(0, digest)
            rows.append(index.to_bytes(8, "big") + digest)
            lines.append(leaf)
            text = text if fields is None else _narrowed(text, fields)  # noqa: PLW2901
            if text:
                texts.append(b'{"index":%d,"openings":%s}\n' % (index, text))
        records.write(b"\n".join(lines) + b"\n")
        openings.writelines(texts)
        leaves.write(b"".join(rows))

    def _note(self, streams: list[BinaryIO], records: int) -> None:
        for stream in streams:
            stream.flush()
        state = {"records": records, "lengths": [stream.tell() for stream in streams]}
        unfinished = self._folder / f"{PROGRESS}.new"
        unfinished.write_text(json.dumps(state))
        unfinished.replace(self._folder / PROGRESS)

    def _restored(self) -> int:
        """Cut the files back to the last note; returns how many records they hold."""
        path = self._folder / PROGRESS
        state: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"records": 0, "lengths": [0] * 4}
        for name, length in zip(_FILES, state["lengths"], strict=True):
            with (self._folder / name).open("ab") as file:
                file.truncate(length)
        return int(state["records"])

    def _check_same(self, indexes: Sequence[int], done: int) -> None:
        with (self._folder / LEAVES).open("rb") as file:
            for number in range(done):
                if int.from_bytes(file.read(LEAF_ROW)[:8], "big") != indexes[number : number + 1][0]:
                    raise AuditError(f"{self._folder}: the interrupted export holds other records; remove it")

    def _walked(self) -> Rebuilt:
        """The tree as far as the files go."""
        tree = Rebuilt()
        with (self._folder / LEAVES).open("rb") as leaves, (self._folder / PROOF).open("rb") as proof:
            while row := leaves.read(LEAF_ROW):
                for level, _ in blocks(tree.size, int.from_bytes(row[:8], "big"), self._stops):
                    tree.add(level, proof.read(32))
                tree.add(0, row[8:])
        return tree

    def _finished(self, records: int, wanted: Filter) -> Written:
        """Read everything back once: digests, the root, and what the records name."""
        with (self._folder / LEAVES).open("rb") as leaves, (self._folder / PROOF).open("rb") as proof:
            rows = ((int.from_bytes(row[:8], "big"), row[8:]) for row in iter(lambda: leaves.read(LEAF_ROW), b""))
            tree = rebuild(rows, iter(lambda: proof.read(32), b""), self._size, self._stops, ())
        if tree.root() != self._root:
            raise LogTorn("what the log gave does not lead to its own root; `governance audit check` says where")
        revisions, pruned = self._named(wanted)
        return Written(records, {name: digest_of(self._folder / name) for name in _FILES}, revisions, pruned)

    def _named(self, wanted: Filter) -> tuple[set[str], dict[str, int]]:
        revisions: set[bytes] = set()
        first: dict[str, int] = {}
        with (self._folder / RECORDS).open("rb") as records:
            for number, raw in enumerate(records):
                # Parsing a million records takes longer than all the rest; a quote within a text would be escaped.
                revisions.update(_REVISION.findall(raw))
                if promises_all(_said(wanted)) and (number == 0 or not wanted.app):
                    leaf = json.loads(raw)
                    first.setdefault(str(leaf["public"].get("app", "")), leaf["app_sequence"] - 1)
        named = {json.loads(text) for text in revisions}
        return named - {""}, {app: before for app, before in first.items() if before}


def digest_of(path: Path) -> tuple[str, int]:
    """(SHA-256 in hex, length) of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _narrowed(text: bytes, fields: Sequence[str]) -> bytes:
    kept = {name: opening for name, opening in (parsed(text) if text else {}).items() if name in fields}
    return joined(kept) if kept else b""


def _said(wanted: Filter) -> set[str]:
    return {name for name, value in wanted._asdict().items() if value}
