"""The data key of one installation: what tokens are sealed and digests are keyed with, from the file `data.key` of its home.

Made on first use, readable by its owner alone. Whoever loses it can turn no token back; whoever has it can turn all.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from governance.errors import DependencyError
from governance.protect.transforms import Keys

if TYPE_CHECKING:
    from pathlib import Path

FILE = "data.key"
_SIZE = 96


def data_keys(home: Path) -> Keys:
    """The keys of a home. Raises DependencyError for a file that cannot be read, is cut short, or is open to others."""
    path = home / FILE
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        _make(home)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise DependencyError(f"the data key cannot be read: {error}") from error
    with open(handle, "rb") as file:
        is_open = os.fstat(file.fileno()).st_mode & 0o077
        raw = file.read()
    if is_open or len(raw) != _SIZE:
        raise DependencyError(
            f"{FILE} {'can be read by others' if is_open else f'has {len(raw)} bytes, not {_SIZE}'}",
            hint="restore it from your backup, or chmod 600; a new one turns no old token back",
        )
    return Keys(sealing=raw[:64], digesting=raw[64:])


def _make(home: Path) -> None:
    """Whole or not at all, and never over one that is there: two processes that start together share one key."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = home / f".{FILE}.{os.getpid()}"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_SIZE))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, home / FILE)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
