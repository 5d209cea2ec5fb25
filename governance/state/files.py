"""The state as files of one home: all its processes see a whole file or none, and one change at a time."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from governance.state.port import Held

_LOCK = "state.lock"


class FileState:
    """Documents below `home`, readable by this account only."""

    def __init__(self, home: str | os.PathLike[str]) -> None:
        self._home = os.fspath(home)

    def pulse(self) -> object:
        """A file that somebody edits says nothing: it has to be looked at."""
        return None

    def stamp(self, name: str, *, newest: bool = False) -> object:  # noqa: ARG002  a file is always the newest
        """Time and identity of a file, or of each in a folder."""
        path = self._path(name)
        try:
            status = os.stat(path)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(status.st_mode):
            return _told(status)
        with os.scandir(path) as found:
            return sorted((entry.name, _told(entry.stat())) for entry in found if _is_whole(entry))

    def read(self, name: str) -> bytes | None:
        """The file's bytes."""
        try:
            with open(self._path(name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Files of a folder; what is half written is not among them."""
        try:
            with os.scandir(self._path(folder)) as found:
                return sorted(f"{folder}/{entry.name}" for entry in found if _is_whole(entry))
        except FileNotFoundError:
            return []

    def change(self, name: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        """Replace a file by rename while no other process changes one."""
        self.change_together((name,), lambda held: (edit(held[0]),))

    def change_together(self, names: Sequence[str], edit: Callable[[Held], Held]) -> None:
        """As `change`, one file after the other."""
        with self._alone():
            before = tuple(map(self.read, names))
            for name, old, new in zip(names, before, edit(before), strict=True):
                if new != old:
                    self._replace(name, new)

    def _replace(self, name: str, content: bytes | None) -> None:
        path = self._path(name)
        if content is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_whole(path, content)

    def _path(self, name: str) -> str:
        return os.path.join(self._home, name)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at once must not lose each other's change: a lost revocation would let somebody back in."""
        import fcntl

        os.makedirs(self._home, mode=0o700, exist_ok=True)
        handle = os.open(self._path(_LOCK), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _is_whole(entry: os.DirEntry[str]) -> bool:
    return entry.is_file() and not entry.name.startswith(".") and not entry.name.endswith(".tmp")


def _told(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_ino


def write_whole(path: str, content: bytes) -> None:
    """Write a file so that it is there whole, on disk, or not at all; readable by this account alone."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
