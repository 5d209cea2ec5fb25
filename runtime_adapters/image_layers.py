"""One root file system out of the layers of an image, before anything is unpacked.

Layers are put together in memory as names: order, whiteouts and links are settled there (OCI image specification 1.1, "Layer
Filesystem Changeset"), and one plain tar archive comes out. What is on no disk yet cannot be written through: a member below a
link, a climbing name, a device or pipe is refused with its name.
"""

from __future__ import annotations

import tarfile
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from runtime_adapters.port import BadArtifact
from runtime_adapters.rootfs import BAD_TAR, LARGEST_CONTENT, MOST_MEMBERS, members_of, plain_tar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_DEEPEST, _LONGEST_NAME = 128, 4096
_WHITEOUT, _OPAQUE, _RESERVED = ".wh.", ".wh..wh..opq", ".wh..wh."


def merged(layers: Sequence[IO[bytes]], scratch: Path) -> IO[bytes]:
    """What tar archives, the lowest first, come to as one; without a name, in `scratch`. Raises BadArtifact."""
    root, total = _Node(None), 0
    with ExitStack() as open_:
        for number, file in enumerate(layers):
            archive = open_.enter_context(_opened(file, number))
            total += _laid(root, archive, number, total)
        return _written(root, scratch)


class _Node:
    """A name in the root file system: what lies there, and what lies below."""

    def __init__(self, member: tarfile.TarInfo | None, source: tuple[int, tarfile.TarFile] | None = None) -> None:
        """No member: a folder that nobody mentioned."""
        self.member, self.source = member, source
        self.below: dict[str, _Node] = {}

    @property
    def is_folder(self) -> bool:
        return self.member is None or self.member.isdir()


def _opened(file: IO[bytes], number: int) -> tarfile.TarFile:
    try:
        return plain_tar(file)
    except BAD_TAR as error:
        raise BadArtifact(f"layer {number} is not a tar archive: {error}") from error


def _laid(root: _Node, archive: tarfile.TarFile, number: int, before: int) -> int:
    """Put a layer on those below it; how many members it has."""
    try:
        members = [(_parts(member.name, number), member) for member in members_of(archive)]
    except BAD_TAR as error:
        raise BadArtifact(f"layer {number} is not a tar archive: {error}") from error
    if before + len(members) > MOST_MEMBERS:
        raise BadArtifact(f"more than {MOST_MEMBERS} files in its layers")
    # What a layer takes away it takes from the layers below, wherever in its archive it says so.
    for parts, _ in members:
        if parts and parts[-1].startswith(_WHITEOUT):
            _take_away(root, parts, number)
    for parts, member in members:
        if parts and not parts[-1].startswith(_WHITEOUT):
            _put(root, parts, member, (number, archive))
    return len(members)


def _parts(name: str, number: int) -> list[str]:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in name:
        raise BadArtifact(f"layer {number}: {name[:100]!r} leaves the root file system")
    if len(parts) > _DEEPEST or len(name) > _LONGEST_NAME:
        raise BadArtifact(f"layer {number}: {name[:100]!r} is deeper or longer than names are")
    if any(part.startswith(_WHITEOUT) for part in parts[:-1]):
        raise BadArtifact(f"layer {number}: {name[:100]!r} lies below a whiteout")
    return parts


def _take_away(root: _Node, parts: list[str], number: int) -> None:
    *folders, mark = parts
    at: _Node | None = root
    for part in folders:
        at = at.below.get(part) if at is not None else None
    name = mark.removeprefix(_WHITEOUT)
    if mark != _OPAQUE and name in {"", ".", ".."}:
        raise BadArtifact(f"layer {number}: {'/'.join(parts)[:100]!r} takes nothing away")
    if at is None:
        return
    if mark == _OPAQUE:
        at.below.clear()
    elif not mark.startswith(_RESERVED):  # AUFS' own marks, which say nothing about files
        at.below.pop(name, None)


def _put(root: _Node, parts: list[str], member: tarfile.TarInfo, source: tuple[int, tarfile.TarFile]) -> None:
    number = source[0]
    if len(member.linkname) > _LONGEST_NAME:
        raise BadArtifact(f"layer {number}: {member.name[:100]!r} leads to a name longer than names are")
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        raise BadArtifact(f"layer {number}: {member.name[:100]!r} is a device or pipe")
    made = _Node(member, source)
    if member.islnk():
        made = _linked(root, member, number)
    at = root
    for part in parts[:-1]:
        at = at.below.setdefault(part, _Node(None))
        if not at.is_folder:
            raise BadArtifact(f"layer {number}: {member.name[:100]!r} lies below what is no folder")
    old = at.below.get(parts[-1])
    if old is not None and old.is_folder and made.is_folder:
        made.below = old.below
    at.below[parts[-1]] = made


def _linked(root: _Node, member: tarfile.TarInfo, number: int) -> _Node:
    """The file that a hard link is another name of."""
    at: _Node | None = root
    for part in _parts(member.linkname, number):
        at = at.below.get(part) if at is not None else None
    if at is None or at.member is None or not at.member.isreg():
        raise BadArtifact(f"layer {number}: {member.name[:100]!r} is a hard link to what is no file of the image")
    return _Node(at.member, at.source)


def _written(root: _Node, scratch: Path) -> IO[bytes]:
    total, names = 0, dict[int, str]()
    with ExitStack() as undone:
        out = undone.enter_context(tempfile.TemporaryFile(dir=scratch))
        archive = undone.enter_context(tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT))
        for name, node in _walk(root):
            first = names.setdefault(id(node.member), name) if node.member is not None else name
            info, content = _info(name, node, first)
            total += info.size
            if total > LARGEST_CONTENT:
                raise BadArtifact(f"the image unpacks to more than {LARGEST_CONTENT} bytes")
            try:
                archive.addfile(info, content)
            except (*BAD_TAR, OSError) as error:
                raise BadArtifact(f"{name[:100]!r} is not whole in its layer: {error}") from error
        archive.close()
        out.seek(0)
        undone.pop_all()
        return out


def _info(name: str, node: _Node, first: str) -> tuple[tarfile.TarInfo, IO[bytes] | None]:
    """A member of our own: place, sort, content and nine bits of mode are all that is taken over."""
    info, member = tarfile.TarInfo(name), node.member
    info.mode = member.mode & 0o777 if member is not None else 0o755
    if member is None or member.isdir():
        info.type = tarfile.DIRTYPE
        return info, None
    if member.issym():
        info.type, info.linkname = tarfile.SYMTYPE, member.linkname
        return info, None
    if first != name:
        info.type, info.linkname = tarfile.LNKTYPE, first
        return info, None
    info.size = member.size
    return info, node.source[1].extractfile(member) if node.source is not None else None


def _walk(root: _Node) -> Iterator[tuple[str, _Node]]:
    waiting = [(name, node) for name, node in sorted(root.below.items(), reverse=True)]
    while waiting:
        name, node = waiting.pop()
        yield name, node
        waiting += [(f"{name}/{part}", below) for part, below in sorted(node.below.items(), reverse=True)]
