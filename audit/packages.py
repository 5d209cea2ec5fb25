"""Reading an export that nobody has vouched for yet: a folder or a zip, never unpacked, never more than its manifest says.

Every name is a plain file name; the signed manifest gives each file's length, and reading stops there, so that a file that
unfolds into a thousand times its size costs no more than one that does not. Standard library only: auditors run this.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

from audit.errors import BadPackage
from audit.notes import BadNote, VerifierKey, opened_by_any, parse_verifier_key
from audit.rotation import lineage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FORMAT = "microapp-audit-export/2"
MANIFEST, MANIFEST_NOTE, CHECKPOINT = "manifest.json", "manifest.note", "checkpoint"
COSIGNED = "cosigned"
"""The newest checkpoint that witnesses cosigned, where there are any: it may be a little older than the export's own."""
KEYS = "keys.jsonl"
"""Where the log's key was changed: each step from one key to the next, signed by both."""
PRUNED = "pruned.jsonl"
"""Where the records begin behind what was pruned: the log's own records that say so, each with its inclusion proof."""
RECORDS, OPENINGS, LEAVES, PROOF = "records.jsonl", "openings.jsonl", "leaves.bin", "proof.bin"
_HAS_TO_BE = (CHECKPOINT, RECORDS, OPENINGS, LEAVES, PROOF)
# A leaf is at most 64 KiB; the sealed part is bounded by the service's body limit.
LONGEST_LINE = 32 << 20
_SMALL = 1 << 20
# What is read, and hashed, at once: a call for each of a million lines takes as long as the hashing.
_PIECE = 1 << 18
_MOST_FILES = 1000
_UNREADABLE = (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class File(NamedTuple):
    """What the manifest says of one file."""

    sha256: str
    bytes: int


class Manifest(NamedTuple):
    """What was signed."""

    key: VerifierKey
    filter: Mapping[str, Any]
    records: int
    pruned: Mapping[str, int]
    """By app: how many of its first records the log says it no longer has."""
    stops: tuple[int, ...]
    files: Mapping[str, File]
    keys: tuple[VerifierKey, ...]
    """`key`, and those before it that lead to it by rotations that both sides signed."""


class Package:
    """A folder or a zip."""

    def __init__(self, path: str) -> None:
        """Raises BadPackage for what is neither, and for a zip whose names lead out of it."""
        self._path = path
        self._zip: zipfile.ZipFile | None = None
        self._inside = ""
        if not os.path.isdir(path):
            try:
                self._zip = zipfile.ZipFile(path)
            except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
                raise BadPackage(f"{path}: neither a folder nor a readable zip: {error}") from error
            self._inside = _checked_names(self._zip, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._zip is not None:
            self._zip.close()

    def small(self, name: str) -> bytes:
        """A small file, whole."""
        with self.open(name) as file, readable(name):
            raw = file.read(_SMALL + 1)
        if len(raw) > _SMALL:
            raise BadPackage(f"{name}: larger than {_SMALL} bytes")
        return raw

    def names(self) -> list[str]:
        """Everything that lies in it."""
        if self._zip is None:
            return sorted(os.listdir(self._path))
        return sorted(n.removeprefix(self._inside) for n in self._zip.namelist() if n != self._inside)

    def open(self, name: str) -> BinaryIO:
        """A file for reading; raises BadPackage where there is none."""
        try:
            if self._zip is not None:
                return self._zip.open(self._inside + name)  # type: ignore[return-value]
            path = os.path.join(self._path, name)
            if not os.path.isfile(path):  # a pipe or a device would never end
                raise FileNotFoundError(name)
            return open(path, "rb")
        except (KeyError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
            raise BadPackage(f"{name}: missing or not readable") from error


class Checked:
    """One file of the manifest, hashed while it is read; `finish` says whether it was the one that was signed."""

    def __init__(self, package: Package, name: str, file: File) -> None:
        self.name = name
        self._file = file
        self._stream = package.open(name)
        self._digest = hashlib.sha256()
        self._left = file.bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end."""
        with readable(self.name):
            return self._taken(self._stream.read(size))

    def lines(self) -> Iterator[bytes]:
        """Line by line, each with its newline. What goes beyond the signed length is told after the lines before it."""
        rest, has_more = b"", True
        while has_more:
            with readable(self.name):
                piece = self._stream.read(_PIECE)
            has_more = 0 < len(piece) <= self._left
            rest += self._taken(piece[: self._left])
            lines = io.BytesIO(rest).readlines()
            rest = lines.pop() if lines and has_more else b""
            if piece and not has_more and lines and not lines[-1].endswith(b"\n"):
                lines.pop()  # the signed length ends in it
            yield from lines
            if len(rest) > LONGEST_LINE:
                raise BadPackage(f"{self.name}: a line is longer than {LONGEST_LINE} bytes")
        self._taken(piece)  # more than was signed is refused; at the end it is empty

    def pieces(self, width: int) -> Iterator[bytes]:
        """Fixed-width rows; the last may be cut short."""
        kept = b""
        while read := self.read(width << 12):
            kept += read
            whole = len(kept) - len(kept) % width
            yield from (kept[at : at + width] for at in range(0, whole, width))
            kept = kept[whole:]
        if kept:
            yield kept

    def finish(self) -> None:
        """Read what is left; raises BadPackage when the file is not the one that was signed."""
        while self.read(1 << 20):
            pass
        if self._left or self._digest.hexdigest() != self._file.sha256:
            raise BadPackage(f"{self.name}: changed after the export")

    def _taken(self, raw: bytes) -> bytes:
        self._left -= len(raw)
        if self._left < 0:
            raise BadPackage(f"{self.name}: longer than the {self._file.bytes} bytes that were signed")
        self._digest.update(raw)
        return raw


def read_manifest(package: Package, trusted: str) -> Manifest:
    """The manifest, once its signature holds.

    `trusted`: the verifier key that has to have signed, or to lead to the one that did; empty for any.
    """
    raw = package.small(MANIFEST)
    try:
        body = json.loads(raw)
        if body["format"] != FORMAT:
            raise BadPackage(f"{MANIFEST}: not an export of format {FORMAT}")
        keys = _keys(package, str(body["verifier_key"]), trusted, has_steps=KEYS in body["files"])
        manifest = Manifest(
            keys[0],
            dict(body["filter"]),
            _count(body["records"]),
            {str(app): _count(number) for app, number in body["pruned"].items()},
            tuple(_count(stop) for stop in body["stops"]),
            {str(name): File(str(file["sha256"]), _count(file["bytes"])) for name, file in body["files"].items()},
            keys,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadPackage(f"{MANIFEST}: not the manifest of an export: {type(error).__name__}") from error
    if opened_note(package, MANIFEST_NOTE, keys[:1]) != manifest_text(keys[0].name, raw):
        raise BadPackage(f"{MANIFEST}: not the one that was signed")
    for name in manifest.files:
        if not is_plain(name):
            raise BadPackage(f"{MANIFEST}: {name[:60]!r} is not a file of this package")
    for name in _HAS_TO_BE:
        if name not in manifest.files:
            raise BadPackage(f"{MANIFEST}: says nothing of {name}")
    return manifest


def opened_note(package: Package, name: str, keys: Sequence[VerifierKey]) -> str:
    """The text of a note in the package that one of the keys signed."""
    try:
        return opened_by_any(package.small(name).decode(), keys)
    except (BadNote, UnicodeDecodeError) as error:
        raise BadPackage(f"{name}: {error}") from error


def manifest_text(origin: str, manifest: bytes) -> str:
    """What is signed over a manifest; the first line keeps it from being taken for a checkpoint."""
    return f"{origin}/export\n{hashlib.sha256(manifest).hexdigest()}\n"


def is_plain(name: str) -> bool:
    """Whether a name is that of a file right in the package."""
    return name not in {"", ".", ".."} and not set(name) & set("/\\:\0")


@contextlib.contextmanager
def readable(name: str) -> Iterator[None]:
    """A disk that fails, or a zip whose bytes do not unpack to what it says."""
    try:
        yield
    except _UNREADABLE as error:
        raise BadPackage(f"{name}: cannot be read: {error}") from error


def _checked_names(archive: zipfile.ZipFile, path: str) -> str:
    """The one folder that everything in the zip lies in, with its slash, or ""; raises BadPackage for any other layout."""
    items = archive.infolist()
    names = [item.filename for item in items]
    if len(names) > _MOST_FILES:
        raise BadPackage(f"{path}: {len(names)} files; an export has at most {_MOST_FILES}")
    if len(set(names)) != len(names):
        raise BadPackage(f"{path}: a name stands twice in the zip")
    if any(item.compress_type not in _METHODS for item in items):
        raise BadPackage(f"{path}: packed by another method than deflate; pack it again")
    top, slash, _ = names[0].partition("/") if names else ("", "", "")
    inside = top + slash if slash and is_plain(top) and all(name.startswith(top + "/") for name in names) else ""
    for name in names:
        if name != inside and not is_plain(name.removeprefix(inside)):
            raise BadPackage(f"{path}: {name[:60]!r} leads out of the package")
    return inside


def _keys(package: Package, inside: str, trusted: str, *, has_steps: bool) -> tuple[VerifierKey, ...]:
    """The key that signed and those that lead to it; raises BadPackage where the trusted one is not among them."""
    try:
        key = parse_verifier_key(inside)
        wanted = parse_verifier_key(trusted) if trusted else key
    except BadNote as error:
        raise BadPackage(f"{MANIFEST}: {error}") from error
    try:
        steps = [json.loads(line) for line in package.small(KEYS).splitlines()] if has_steps else []
        keys = lineage(key, steps)
    except (BadNote, ValueError, AttributeError, RecursionError) as error:
        said = str(error) if isinstance(error, BadNote) else "not steps from one key to the next"
        raise BadPackage(f"{KEYS}: {said}") from error
    if wanted not in keys:
        raise BadPackage(
            f"{MANIFEST}: signed by {key}, not by the key you trust, and no unbroken chain of rotations leads from that "
            "one to this"
        )
    return keys


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        raise ValueError("not a count")
    return value
