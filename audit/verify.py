"""`python -m audit.verify PACKAGE`: check an export with Python's standard library and nothing of ours but this room.

What it shows: every record is in the log that the checkpoint speaks of; none of those the export promises is missing,
changed or out of order; what is readable is what was committed to; the tables hold what the records say; and one key
signed all of it. What it cannot show: that this key is the right one, and that its holder wrote no other history. For
the first compare it with the key you were given (`--key`); for the second bring a checkpoint that you kept (`--pinned`)
or the keys of witnesses that you trust (`--witness`).
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, NamedTuple, Self

from audit.cosignature import check_cosigned
from audit.errors import BadPackage
from audit.exports.plain_views import PLAIN_VIEWS
from audit.multiproof import rebuild
from audit.notes import BadNote, Checkpoint, opened_by_any, parse_checkpoint
from audit.packages import (
    CHECKPOINT,
    COSIGNED,
    LEAVES,
    MANIFEST,
    MANIFEST_NOTE,
    OPENINGS,
    PROOF,
    RECORDS,
    Checked,
    Manifest,
    Package,
    opened_note,
    read_manifest,
    readable,
)
from audit.proofs import MOST_PROOF_BYTES, Trusted, check_proof, looks_like_proof
from audit.pruned import check_pruned
from audit.walk import LEAF_ROW, records_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from audit.walk import Record

_USAGE = """usage: {program} PACKAGE|PROOF [--key KEY] [--pinned FILE] [--witness KEY]… [--decision ID]
  --key KEY        the log's verifier key as you were given it
  --pinned FILE    a checkpoint of this log that you kept: the export has to continue it
  --witness KEY    a witness that has to have cosigned the checkpoint; may be repeated
  --decision ID    after verifying, show this decision, its policy text and its controls
"""
_OF_ANOTHER_FORM = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)


class Verified(NamedTuple):
    """What was shown."""

    records: int
    opened: int
    """How many sealed fields are readable and are what was committed to."""
    erased: int
    """How many are committed to but not in the package."""
    checkpoint: Checkpoint
    key: str
    pruned: int = 0
    """How many older records the log says it no longer has."""
    beside: tuple[str, ...] = ()
    """Names that lie in the package and that nobody signed."""
    older_keys: tuple[str, ...] = ()
    """Keys before this one, each of which signed the step to the next."""


def verify_package(path: str, trusted: Trusted = Trusted()) -> Verified:  # noqa: B008  a tuple does not change
    """Verify the export at `path` (folder or .zip); raises BadPackage naming the first thing that is wrong."""
    with Package(path) as package:
        manifest = read_manifest(package, trusted.key)
        checkpoint = _checkpoint(package, manifest)
        older = {"your checkpoint": _pinned(trusted.pinned, manifest, checkpoint)} if trusted.pinned else {}
        if trusted.witnesses:
            older["what your witnesses cosigned"] = _witnessed(package, manifest, trusted.witnesses)
        _check_tree(package, manifest, checkpoint, older)
        check_pruned(package, manifest, checkpoint)
        count = opened_fields = erased = 0
        with contextlib.ExitStack() as views:
            named = [name for name in PLAIN_VIEWS if name in manifest.files]
            compared = [views.enter_context(_Compared(package, manifest, name)) for name in named]
            for record in records_of(package, manifest):
                count += 1
                opened_fields += len(record.openings)
                erased += len(record.leaf["commitments"]) - len(record.openings)
                for view in compared:
                    view.check(record, count)
            for view in compared:
                view.finish()
        _check_files(package, manifest)
        beside = [name for name in package.names() if name not in {*manifest.files, MANIFEST, MANIFEST_NOTE}]
    return Verified(
        count, opened_fields, erased, checkpoint, str(manifest.key), sum(manifest.pruned.values()), tuple(beside),
        tuple(map(str, manifest.keys[1:])),
    )  # fmt: skip


class _Compared:
    """A table beside the records, compared with what it has to be.

    What it finds is told at the end: where a record was changed the table differs as well, and the record is to be named.
    """

    def __init__(self, package: Package, manifest: Manifest, name: str) -> None:
        self._file = Checked(package, name, manifest.files[name])
        self._rendered = PLAIN_VIEWS[name]()
        self._wrong = ""
        self._same(self._rendered.head(), "its head")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.__exit__()

    def check(self, record: Record, number: int) -> None:
        if not self._wrong:
            expected = self._rendered.row(record.raw, record.leaf, record.openings)
            self._same(expected, f"row {number} (record {record.leaf['index']})")

    def finish(self) -> None:
        if not self._wrong and self._file.read(1):
            self._wrong = f"{self._file.name}: goes on after the last record"
        if self._wrong:
            raise BadPackage(self._wrong)
        self._file.finish()

    def _same(self, expected: bytes, what: str) -> None:
        found = b""
        try:
            while len(found) < len(expected) and (piece := self._file.read(len(expected) - len(found))):
                found += piece
        except BadPackage as error:
            self._wrong = str(error)
        if found != expected:
            self._wrong = self._wrong or f"{self._file.name}: {what} is not what the records say"


def _checkpoint(package: Package, manifest: Manifest) -> Checkpoint:
    with Checked(package, CHECKPOINT, manifest.files[CHECKPOINT]) as file:
        file.finish()
    try:
        checkpoint = parse_checkpoint(opened_note(package, CHECKPOINT, manifest.keys))
    except BadNote as error:
        raise BadPackage(f"{CHECKPOINT}: {error}") from error
    if checkpoint.origin != manifest.key.name:
        raise BadPackage(f"{CHECKPOINT}: of log {checkpoint.origin!r}, not {manifest.key.name!r}")
    return checkpoint


def _witnessed(package: Package, manifest: Manifest, witnesses: Sequence[str]) -> Checkpoint:
    """The checkpoint that every one of the witnesses cosigned; the log signed it as well, or it would not be its own."""
    name = COSIGNED if COSIGNED in manifest.files else CHECKPOINT
    try:
        check_cosigned(package.small(name).decode(), witnesses)
        return parse_checkpoint(opened_note(package, name, manifest.keys))
    except (BadNote, UnicodeDecodeError) as error:
        raise BadPackage(f"{name}: {error}") from error


def _check_tree(package: Package, manifest: Manifest, checkpoint: Checkpoint, older: Mapping[str, Checkpoint]) -> None:
    """The leaves that were signed are in the tree of the checkpoint, and that tree continues the older ones."""
    for name in (LEAVES, PROOF):  # first whether they are the signed ones: a changed hash is to be named, not to puzzle
        with Checked(package, name, manifest.files[name]) as file:
            file.finish()
    with (
        Checked(package, LEAVES, manifest.files[LEAVES]) as leaves,
        Checked(package, PROOF, manifest.files[PROOF]) as proof,
    ):
        rows = ((int.from_bytes(row[:8], "big"), row[8:]) for row in leaves.pieces(LEAF_ROW))
        sizes = {one.size for one in older.values()}
        try:
            tree = rebuild(rows, proof.pieces(32), checkpoint.size, manifest.stops, sizes)
        except ValueError as error:
            raise BadPackage(f"{PROOF}: does not prove these records: {error}") from error
    if manifest.files[LEAVES].bytes != LEAF_ROW * manifest.records:
        raise BadPackage(f"{LEAVES}: not the {manifest.records} records that the manifest says")
    if tree.root() != checkpoint.root:
        raise BadPackage(f"{PROOF}: these records are not in the log of {CHECKPOINT}: an export of another log?")
    for name, one in older.items():
        _check_continues(tree.roots, name, one, checkpoint)


def _check_continues(roots: dict[int, bytes], name: str, older: Checkpoint, checkpoint: Checkpoint) -> None:
    found = checkpoint.root if older.size == checkpoint.size else roots.get(older.size)
    if older.size and found is None:
        raise BadPackage(
            f"{PROOF}: says nothing about the log at its size {older.size}: "
            "ask for an export made with --pinned and your checkpoint"
        )
    if older.size and found != older.root:
        raise BadPackage(
            f"{CHECKPOINT}: this log does not continue the one of {name}: its first {older.size} records "
            "are others. History was rewritten by whoever holds the log's key"
        )


def _pinned(text: str, manifest: Manifest, checkpoint: Checkpoint) -> Checkpoint:
    try:
        older = parse_checkpoint(opened_by_any(text, manifest.keys))
    except BadNote as error:
        raise BadPackage(f"the pinned checkpoint: {error}") from error
    if older.origin != checkpoint.origin:
        raise BadPackage(f"the pinned checkpoint is of the log {older.origin!r}, this export of {checkpoint.origin!r}")
    if older.size > checkpoint.size:
        raise BadPackage(
            f"{CHECKPOINT}: {checkpoint.size} records, your checkpoint has {older.size}: "
            "the export is older than it, or the log was cut"
        )
    return older


def _check_files(package: Package, manifest: Manifest) -> None:
    """All other files are what the manifest says."""
    for name, file in manifest.files.items():
        if name not in {RECORDS, OPENINGS, LEAVES, PROOF, CHECKPOINT, *PLAIN_VIEWS}:
            with Checked(package, name, file) as checked:
                checked.finish()


def main(argv: Sequence[str], write: Callable[[str], object], complain: Callable[[str], object]) -> int:
    """Exit 0 when everything holds, 1 when something does not, 2 for wrong use."""
    options = _options(list(argv))
    write, complain = _plainly(write), _plainly(complain)
    if options is None:
        complain(_USAGE.format(program="python -m audit.verify"))
        return 2
    path, named, witnesses = options
    try:
        trusted = Trusted(named.get("--key", ""), _text(named.get("--pinned", "")), tuple(witnesses))
        if proof := _proof(path):
            write(f"VERIFIED: {check_proof(proof, trusted, named.get('--decision', ''))}.\n{_witnessed_by(trusted)}")
            return 0
        done = verify_package(path, trusted)
        _tell(done, trusted, write)
        if "--decision" in named:
            from audit.show import show

            show(path, named["--decision"], write)
    except BadPackage as error:
        complain(f"NOT VERIFIED: {error}\n")
        return 1
    except _OF_ANOTHER_FORM as error:  # whoever holds the key can sign anything; nothing of it may look like a crash
        complain(f"NOT VERIFIED: something in it is not of the form an export has ({type(error).__name__})\n")
        return 1
    return 0


def _plainly(write: Callable[[str], object]) -> Callable[[str], object]:
    """Text from a package goes to somebody's terminal: what is no letter of it is shown, not obeyed."""

    def plain(letter: str) -> str:
        return letter if letter.isprintable() or letter in "\n\t" else ascii(letter)[1:-1]

    return lambda text: write("".join(map(plain, text)))


def _tell(done: Verified, trusted: Trusted, write: Callable[[str], object]) -> None:
    write(
        f"VERIFIED: {done.records} records are in the log {done.checkpoint.origin!r} of {done.checkpoint.size}, unchanged "
        f"and in order; {done.opened} sealed fields readable as recorded, {done.erased} not included.\n"
    )
    write(f"signed by {done.key}\n")
    if trusted.key.strip() in done.older_keys:
        steps = done.older_keys.index(trusted.key.strip()) + 1
        write(
            f"The key you trust leads to this one by {steps} rotations, each signed by both keys: keep the newer one.\n"
        )
    if done.pruned:
        write(f"Records of the log say that {done.pruned} older ones were pruned; nothing here shows what they were.\n")
    if trusted.pinned:
        write("It continues the checkpoint that you kept.\n")
    write(_witnessed_by(trusted))
    if done.beside:
        write(f"Not part of the export, whoever put it there: {', '.join(map(repr, done.beside))}\n")
    if not trusted.key:
        write("Compare this key with the one you were given; --key does it for you.\n")


def _witnessed_by(trusted: Trusted) -> str:
    return f"Cosigned by {len(trusted.witnesses)} witnesses that you trust.\n" if trusted.witnesses else ""


def _proof(path: str) -> bytes:
    """The text of a single proof; empty where something else lies there."""
    if not os.path.isfile(path):
        return b""
    with readable(path), open(path, "rb") as file:
        raw = file.read(MOST_PROOF_BYTES + 1)
    if not looks_like_proof(raw):
        return b""
    if len(raw) > MOST_PROOF_BYTES:
        raise BadPackage(f"{path}: a proof is no longer than {MOST_PROOF_BYTES} bytes")
    return raw


def _options(arguments: list[str]) -> tuple[str, dict[str, str], list[str]] | None:
    """(package, options by name, witnesses); None for wrong use."""
    named: dict[str, str] = {}
    witnesses: list[str] = []
    paths: list[str] = []
    while arguments:
        word = arguments.pop(0)
        if not word.startswith("-"):
            paths.append(word)
        elif word not in {"--key", "--pinned", "--witness", "--decision"} or not arguments or word in named:
            return None
        elif word == "--witness":
            witnesses.append(arguments.pop(0))
        else:
            named[word] = arguments.pop(0)
    return (paths[0], named, witnesses) if len(paths) == 1 else None


def _text(path: str) -> str:
    """A pinned checkpoint: the file, or that in an older package."""
    if not path:
        return ""
    try:
        if path.endswith(".zip") or not path.endswith(CHECKPOINT):
            with contextlib.suppress(BadPackage), Package(path) as older:
                return older.small(CHECKPOINT).decode()
        with open(path, "rb") as file, readable(path):
            return file.read(1 << 16).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadPackage(f"{path}: no checkpoint there") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout.write, sys.stderr.write))
