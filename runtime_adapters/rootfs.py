"""Root file systems from tar archives: compared with their digest, unpacked once, never outside their folder."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runtime_adapters.port import BadArtifact, NotWhatWasDecided

if TYPE_CHECKING:
    from runtime_adapters.port import Artifact

LARGEST_ARCHIVE = 2 << 30
LARGEST_CONTENT = 4 << 30
MOST_MEMBERS = 200_000
# Set and not inherited: an app is nobody in its sandbox, and whoever unpacks may have a umask that shuts it out.
_FOLDER = 0o755


# What reading a tar archive raises that is none, packed or not.
BAD_TAR = (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError, zlib.error, lzma.LZMAError)
# All that is told about one member; `tarfile` reads it whole, of whatever size it says it is.
_LONGEST_HEADERS, _MOST_GLOBALS = 1 << 20, 64


class _Headed:
    """A file that gives a member's headers no more than they need. What it holds is read in pieces, and not counted here."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        self.left: int | None = _LONGEST_HEADERS

    def read(self, size: int = -1) -> bytes:
        """As a file does. Raises tarfile.ReadError."""
        if self.left is not None:
            self.left -= size if size >= 0 else _LONGEST_HEADERS
            if self.left < 0:
                raise tarfile.ReadError(f"a member's headers are more than {_LONGEST_HEADERS} bytes")
        return self._file.read(size)


def members_of(archive: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """The members of an archive from `plain_tar` or `tar_of`, all of them before any is read. Raises what `BAD_TAR` names.

    A hard link's content is looked up among them, and that would read on where nobody counts.
    """
    headed, found = archive.fileobj, list[tarfile.TarInfo]()
    if not isinstance(headed, _Headed):
        raise TypeError("an archive that nobody bounds")
    while True:
        headed.left = _LONGEST_HEADERS
        member = archive.next()
        if member is None:
            break
        found.append(member)
        member.pax_headers = {}  # what it said is in the member; the rest could be any amount
        if len(found) > MOST_MEMBERS or len(archive.pax_headers) > _MOST_GLOBALS:
            raise tarfile.ReadError(f"more than {MOST_MEMBERS} files, or {_MOST_GLOBALS} words about all of them")
    headed.left = None
    return found


def plain_tar(file: IO[bytes]) -> tarfile.TarFile:
    """A tar archive that is not packed. Raises what `BAD_TAR` names."""
    return tarfile.open(fileobj=_Headed(file), mode="r:")  # type: ignore[call-overload,no-any-return]  # a file by its methods


def tar_of(file: IO[bytes]) -> tarfile.TarFile:
    """A tar archive, packed or not. Raises what `BAD_TAR` names."""
    begins = file.read(6)
    file.seek(0)
    if begins.startswith(b"\x1f\x8b"):
        return plain_tar(gzip.GzipFile(fileobj=file))  # type: ignore[arg-type]  # typeshed: it is no IO[bytes]
    if begins.startswith(b"BZh"):
        return plain_tar(bz2.BZ2File(file))
    return plain_tar(lzma.LZMAFile(file) if begins == b"\xfd7zXZ\0" else file)


def regular(path: str, flags: int) -> int:
    """An opener that waits for nobody: opening a pipe that no one writes to never ends. Raises BadArtifact."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise BadArtifact(f"{path}: not a plain file")


def unpacked(artifact: Artifact, folder: Path) -> Path:
    """The folder that holds the archive's content, named by its digest. Raises NotWhatWasDecided, BadArtifact."""
    wanted = artifact.sha256.removeprefix("sha256:")
    try:
        with open(artifact.path, "rb", opener=regular) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_ARCHIVE:
                raise BadArtifact(f"{artifact.path}: larger than {LARGEST_ARCHIVE} bytes")
            root = folder / wanted
            if is_whole(root):
                _compare(file, wanted, artifact.path)
                return root
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as copy:
                # What is compared is our own copy: nobody changes the archive between its digest and its unpacking.
                shutil.copyfileobj(file, copy, 1 << 20)
                _compare(copy, wanted, artifact.path)
                return unpack(copy, root, artifact.path)
    except OSError as error:
        raise BadArtifact(f"{artifact.path}: {error.strerror or error}") from error


def is_whole(root: Path) -> bool:
    """Whether an unpacked root is there. One that nobody may enter, left by a host that had modes from its umask, goes."""
    if not root.is_dir():
        return False
    if stat.S_IMODE(root.stat().st_mode) == _FOLDER:
        return True
    shutil.rmtree(root)
    return False


def _compare(file: IO[bytes], wanted: str, named: str) -> None:
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants a plain file of it
    if found != wanted:
        raise NotWhatWasDecided(f"{named} is sha256:{found}, the manifest says sha256:{wanted}")
    file.seek(0)


def unpack(file: IO[bytes], root: Path, named: str) -> Path:
    """A tar archive's content in a folder that appears when it is whole. Raises BadArtifact."""
    temporary = root.with_suffix(f".{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    temporary.chmod(_FOLDER)
    try:
        with tar_of(file) as archive:
            _members(archive, temporary, named)
    except (*BAD_TAR, OSError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise BadArtifact(f"{named}: not a tar archive: {error}") from error
    except BadArtifact:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    try:
        temporary.rename(root)
    except OSError:  # another process was faster, with the same content
        shutil.rmtree(temporary, ignore_errors=True)
    return root


def _members(archive: tarfile.TarFile, root: Path, named: str) -> None:
    total = 0
    for member in members_of(archive):
        total += member.size
        if total > LARGEST_CONTENT:
            raise BadArtifact(f"{named}: unpacks to more than {LARGEST_CONTENT} bytes")
        if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
            raise BadArtifact(f"{named}: {member.name[:100]!r} is a device or pipe")
        places = [member.name, member.linkname] if member.islnk() else [member.name]
        for place in places:
            target = root / place.lstrip("/")
            if ".." in Path(place).parts or not _is_inside(target.parent, root):
                raise BadArtifact(f"{named}: {place[:100]!r} leaves the root file system")
        member.name = member.name.lstrip("/")
        if member.islnk():
            member.linkname = member.linkname.lstrip("/")
        # The app is nobody in its sandbox: what its maker's root may read and run, it may.
        member.mode = _FOLDER if member.isdir() or (member.mode or 0) & 0o111 else 0o644
        if member.name not in {"", "."}:
            _make_folders(root, (root / member.name).parent)
            _make_room(root / member.name, root / member.linkname if member.islnk() else None, named)
            archive.extract(member, root, set_attrs=not member.issym(), numeric_owner=True)


def _make_folders(root: Path, folder: Path) -> None:
    """The folders above a member that no member stands for; whoever makes them else has their modes from our umask."""
    missing = []
    while folder != root and not folder.exists() and not folder.is_symlink():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir()
        one.chmod(_FOLDER)


def _make_room(target: Path, linked: Path | None, named: str) -> None:
    """`tarfile` writes and changes modes through a link that lies where a member goes: so none may lie there."""
    if linked is not None and (linked.is_symlink() or not linked.is_file()):
        raise BadArtifact(f"{named}: {target.name[:100]!r} is a hard link to what is no file of the archive")
    if target.is_symlink():
        target.unlink()


def _is_inside(parent: Path, root: Path) -> bool:
    """Whether a folder, with every link on the way followed, is still below `root`."""
    real = os.path.realpath(parent)
    return real == os.path.realpath(root) or real.startswith(os.path.realpath(root) + os.sep)
