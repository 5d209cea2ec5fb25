"""`python -m audit.verify PACKAGE`: check an export with Python's standard library and nothing of ours but this room.

What it shows: every record is in the log that the checkpoint speaks of; none of those the export promises is missing,
changed or out of order; what is readable is what was committed to; and one key signed all of it. What it cannot show:
that this key is the right one. Compare it with the key you were given (`--key`), through another channel.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import sys
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from audit.errors import BadPackage
from audit.notes import BadNote, Checkpoint, VerifierKey, opened, parse_checkpoint, parse_verifier_key
from audit.record import opens
from audit.tree import leaf_hash, root_from_inclusion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FORMAT = "microapp-audit-export/1"
MANIFEST, MANIFEST_NOTE, CHECKPOINT, RECORDS = "manifest.json", "manifest.note", "checkpoint", "records.jsonl"
# A record is at most 64 KiB as a leaf; with openings and proof a line stays well below this.
LONGEST_LINE = 32 << 20
_SMALL = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Verified(NamedTuple):
    """What was shown."""

    records: int
    opened: int
    """How many sealed fields are readable and are what was committed to."""
    erased: int
    """How many are committed to but not in the package."""
    checkpoint: Checkpoint
    key: str
    beside: tuple[str, ...] = ()
    """Names that lie in the package and that nobody signed."""


def verify_package(path: str, trusted: str = "") -> Verified:
    """Verify the export at `path` (folder or .zip); raises BadPackage naming the first thing that is wrong.

    `trusted` is the verifier key that has to have signed; without it the key inside the package is used, which shows
    that the package is consistent but not whose it is.
    """
    with _Package(path) as package:
        manifest = package.json(MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise BadPackage(f"{MANIFEST}: not an export of format {FORMAT}")
        key = _key(manifest, trusted)
        _check_manifest(package, key)
        digests = _digests(manifest)
        checkpoint = _checkpoint(package, key, digests)
        records = _Records(manifest, checkpoint)
        digest = hashlib.sha256()
        for number, line in enumerate(package.lines(RECORDS), 1):
            digest.update(line)
            records.check(number, line)
        records.finish(digest.hexdigest())
        _check_files(package, digests)
        beside = [name for name in package.names() if name not in {*digests, MANIFEST, MANIFEST_NOTE}]
    return Verified(records.count, records.opened, records.erased, checkpoint, str(key), tuple(beside))


class _Package:
    """A folder or a zip, read without unpacking: only the names we ask for, never a path from inside."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        if not os.path.isdir(path):
            try:
                self._zip = zipfile.ZipFile(path)
            except (OSError, zipfile.BadZipFile) as error:
                raise BadPackage(f"{path}: neither a folder nor a readable zip: {error}") from error
            names = self._zip.namelist()
            if len(set(names)) != len(names):
                raise BadPackage(f"{path}: a name stands twice in the zip")
            if any(item.compress_type not in _METHODS for item in self._zip.infolist()):
                raise BadPackage(f"{path}: packed by another method than deflate; pack it again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.small(name))
        except (ValueError, RecursionError) as error:
            raise BadPackage(f"{name}: not JSON: {error}") from error

    def small(self, name: str) -> bytes:
        """A small file, whole."""
        with self._open(name) as file, _readable(name):
            raw = file.read(_SMALL + 1)
        if len(raw) > _SMALL:
            raise BadPackage(f"{name}: larger than {_SMALL} bytes")
        return raw

    def lines(self, name: str) -> Iterator[bytes]:
        """A file line by line, each with its newline."""
        with self._open(name) as file:
            while True:
                with _readable(name):
                    line = file.readline(LONGEST_LINE + 1)
                if not line:
                    return
                if len(line) > LONGEST_LINE:
                    raise BadPackage(f"{name}: a line is longer than {LONGEST_LINE} bytes")
                yield line

    def digest(self, name: str) -> str:
        """SHA-256 of a file, hex."""
        total = hashlib.sha256()
        with self._open(name) as file, _readable(name):
            while piece := file.read(1 << 16):
                total.update(piece)
        return total.hexdigest()

    def names(self) -> list[str]:
        """Everything that lies in it."""
        return sorted(self._zip.namelist() if self._zip is not None else os.listdir(self._path))

    def _open(self, name: str) -> BinaryIO:
        try:
            if self._zip is not None:
                return self._zip.open(name)  # type: ignore[return-value]
            return open(os.path.join(self._path, name), "rb")
        except (KeyError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
            raise BadPackage(f"{name}: missing or not readable") from error


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    """A disk that fails, or a zip whose bytes do not unpack to what it says."""
    try:
        yield
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadPackage(f"{name}: cannot be read: {error}") from error


class _Records:
    """The walk over the records."""

    def __init__(self, manifest: dict[str, Any], checkpoint: Checkpoint) -> None:
        self._manifest = manifest
        self._checkpoint = checkpoint
        self._last_index = -1
        self._sequences: dict[str, int] = {}
        self._promises_all = _promises_all(manifest)
        self.count = self.opened = self.erased = 0

    def check(self, number: int, line: bytes) -> None:
        where = f"{RECORDS}:{number}"
        try:
            row = json.loads(line)
            index, leaf = row["index"], row["leaf"].encode("utf-8", "surrogatepass")
            proof = [base64.b64decode(item, validate=True) for item in row["proof"]]
            content = json.loads(leaf)
            name = f"{where}: record {index} (decision {content['public'].get('decision_id', '?')})"
            root = root_from_inclusion(index, self._checkpoint.size, leaf_hash(leaf), proof)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadPackage(f"{where}: not a record with a usable proof: {error}") from error
        if root != self._checkpoint.root:
            raise BadPackage(f"{name} is not the one in the log: it, or its proof, was changed")
        if index <= self._last_index or content.get("index") != index:
            raise BadPackage(f"{name} is out of order")
        self._last_index = index
        self._check_sequence(name, content)
        try:
            self._check_openings(name, content, row.get("openings", {}))
        except (TypeError, AttributeError, RecursionError) as error:
            raise BadPackage(f"{name}: its openings are not of the form they have to be") from error
        self.count += 1

    def _check_sequence(self, name: str, content: dict[str, Any]) -> None:
        """Where the export promises everything of an app, no number of its sequence may be missing, the first included."""
        app, sequence = str(content["public"].get("app", "")), content["app_sequence"]
        last = self._sequences.get(app, 0)
        if self._promises_all and sequence != last + 1:
            raise BadPackage(
                f"{name}: app {app!r} goes from its record {last} to {sequence}; {sequence - last - 1} removed"
            )
        self._sequences[app] = sequence

    def _check_openings(self, name: str, content: dict[str, Any], openings: dict[str, Any]) -> None:
        commitments = content.get("commitments", {})
        for field, opening in openings.items():
            if field not in commitments or not opens(
                commitments[field], str(opening.get("salt")), opening.get("value")
            ):
                raise BadPackage(f"{name}: the value of {field!r} is not the one that was recorded")
            self.opened += 1
        self.erased += len(set(commitments) - set(openings))

    def finish(self, digest: str) -> None:
        expected = self._manifest.get("records")
        if self.count != expected:
            raise BadPackage(
                f"{RECORDS}: {self.count} records, the signed manifest says {expected}: some were removed or added"
            )
        if digest != self._manifest.get("sha256", {}).get(RECORDS):
            raise BadPackage(f"{RECORDS}: not the file that the signed manifest names")


def _promises_all(manifest: dict[str, Any]) -> bool:
    """Whether nothing but the app narrows the export.

    Not where time does: records are numbered in the order they reach the log, and their times are not quite in that order.
    """
    return not set(manifest.get("filter", {})) - {"app", "before"}


def _digests(manifest: dict[str, Any]) -> dict[str, str]:
    """The signed digests by name; raises BadPackage for names that lead out of the package, or that have to be there."""
    digests: dict[str, str] = manifest.get("sha256", {})
    for name in digests:
        if "/" in name or "\\" in name or name in {"", ".", ".."}:
            raise BadPackage(f"{MANIFEST}: {name!r} is not a file of this package")
    for name in (RECORDS, CHECKPOINT):
        if name not in digests:
            raise BadPackage(f"{MANIFEST}: says nothing of {name}")
    return digests


def _key(manifest: dict[str, Any], trusted: str) -> VerifierKey:
    try:
        inside = parse_verifier_key(str(manifest.get("verifier_key", "")))
        key = parse_verifier_key(trusted) if trusted else inside
    except BadNote as error:
        raise BadPackage(f"{MANIFEST}: {error}") from error
    if str(key) != str(inside):
        raise BadPackage(f"{MANIFEST}: signed by {inside}, not by the key you trust")
    return key


def _check_manifest(package: _Package, key: VerifierKey) -> None:
    text = _opened(package, MANIFEST_NOTE, key)
    if text != manifest_text(key.name, package.small(MANIFEST)):
        raise BadPackage(f"{MANIFEST}: not the one that was signed")


def manifest_text(origin: str, manifest: bytes) -> str:
    """What is signed over a manifest; the first line keeps it from being taken for a checkpoint."""
    return f"{origin}/export\n{hashlib.sha256(manifest).hexdigest()}\n"


def _checkpoint(package: _Package, key: VerifierKey, digests: dict[str, str]) -> Checkpoint:
    if package.digest(CHECKPOINT) != digests[CHECKPOINT]:
        raise BadPackage(f"{CHECKPOINT}: not the one this export was made of")
    try:
        checkpoint = parse_checkpoint(_opened(package, CHECKPOINT, key))
    except BadNote as error:
        raise BadPackage(f"{CHECKPOINT}: {error}") from error
    if checkpoint.origin != key.name:
        raise BadPackage(f"{CHECKPOINT}: of log {checkpoint.origin!r}, not {key.name!r}")
    return checkpoint


def _opened(package: _Package, name: str, key: VerifierKey) -> str:
    try:
        return opened(package.small(name).decode(), key)
    except (BadNote, UnicodeDecodeError) as error:
        raise BadPackage(f"{name}: {error}") from error


def _check_files(package: _Package, digests: dict[str, str]) -> None:
    """Other files (CSV …) are what the manifest says."""
    for name, digest in digests.items():
        if name != RECORDS and package.digest(name) != digest:
            raise BadPackage(f"{name}: changed after the export")


def main(argv: Sequence[str], write: Callable[[str], object], complain: Callable[[str], object]) -> int:
    """Exit 0 when everything holds, 1 when something does not, 2 for wrong use."""
    arguments = list(argv)
    trusted = ""
    if "--key" in arguments[:-1]:
        at = arguments.index("--key")
        trusted = arguments[at + 1]
        del arguments[at : at + 2]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        complain("usage: python -m audit.verify PACKAGE [--key VERIFIER_KEY]\n")
        return 2
    try:
        done = verify_package(arguments[0], trusted)
    except BadPackage as error:
        complain(f"NOT VERIFIED: {error}\n")
        return 1
    write(
        f"VERIFIED: {done.records} records are in the log {done.checkpoint.origin!r} of {done.checkpoint.size}, unchanged "
        f"and in order; {done.opened} sealed fields readable as recorded, {done.erased} not included.\n"
    )
    write(f"signed by {done.key}\n")
    if done.beside:
        write(f"Not part of the export, whoever put it there: {', '.join(map(repr, done.beside))}\n")
    if not trusted:
        write("Compare this key with the one you were given; --key does it for you.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout.write, sys.stderr.write))
