"""A file that somebody named, as a whole."""

from __future__ import annotations

from governance.errors import CallerError, GovernanceError


def read_whole(path: str, refused: type[GovernanceError] = CallerError) -> bytes:
    """Its bytes; raises `refused`, naming the file, where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}", where=path) from error
