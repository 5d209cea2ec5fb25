"""Root file systems from tar archives: compared with their digest, unpacked once, never outside their folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runtime_adapters.port import BadArtifact, NotWhatWasDecided

if TYPE_CHECKING:
    from runtime_adapters.port import Artifact

LARGEST_ARCHIVE = 2 << 30
LARGEST_CONTENT = 4 << 30
MOST_MEMBERS = 200_000


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
            if root.is_dir():
                _compare(file, wanted, artifact.path)
                return root
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as copy:
                # What is compared is our own copy: nobody changes the archive between its digest and its unpacking.
                shutil.copyfileobj(file, copy, 1 << 20)
                _compare(copy, wanted, artifact.path)
                return _unpack(copy, root, artifact.path)
    except OSError as error:
        raise BadArtifact(f"{artifact.path}: {error.strerror or error}") from error


def _compare(file: IO[bytes], wanted: str, named: str) -> None:
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants a plain file of it
    if found != wanted:
        raise NotWhatWasDecided(f"{named} is sha256:{found}, the manifest says sha256:{wanted}")
    file.seek(0)


def _unpack(file: IO[bytes], root: Path, named: str) -> Path:
    temporary = root.with_suffix(f".{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o755, parents=True)
    try:
        with tarfile.open(fileobj=file) as archive:
            _members(archive, temporary, named)
    except (tarfile.TarError, EOFError, ValueError) as error:
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
    for number, member in enumerate(archive):
        total += member.size
        if number >= MOST_MEMBERS or total > LARGEST_CONTENT:
            raise BadArtifact(f"{named}: unpacks to more than {MOST_MEMBERS} files or {LARGEST_CONTENT} bytes")
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
        member.mode = (member.mode or 0) & 0o755 | 0o400
        if member.name not in {"", "."}:
            _make_room(root / member.name, root / member.linkname if member.islnk() else None, named)
            archive.extract(member, root, set_attrs=not member.issym(), numeric_owner=True)


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
