"""Who owns what an adapter keeps on disk while it runs: known by a lock that the kernel opens when the owner ends.

Process ids are reused and differ between containers that share a folder; a lock does neither. Whatever carries the name of
an owner without a lock was left behind by somebody who was killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Owner:
    """One adapter of this process; `folder` is common to all that share what is kept."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._id = folder, uuid.uuid4().hex
        made = folder / f".{self._id}"
        # A bare descriptor, closed by the end of the process alone: what an adapter started may outlive the object.
        self._lock = os.open(made, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        made.rename(folder / self._id)  # under its name it is locked from the first moment on

    def new_name(self) -> str:
        """For one thing of this owner's."""
        return f"{self._id}-{uuid.uuid4().hex}"

    def is_gone(self, name: str) -> bool:
        """Whether the owner of `name` has ended."""
        owner = name.partition("-")[0]
        return owner != self._id and _is_unlocked(self._folder / owner)

    def forget_the_gone(self) -> None:
        """Remove the locks of owners that ended; call it when nothing of theirs is left."""
        for path in self._folder.iterdir():
            if not path.name.startswith(".") and self.is_gone(path.name):
                path.unlink(missing_ok=True)


def _is_unlocked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False
    finally:
        os.close(descriptor)
