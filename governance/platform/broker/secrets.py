"""Credentials of connectors: put in, used by the broker, never shown again.

Envelope encryption: each value is sealed with a key of its own (AES-256-GCM), and that key with the store's, which lies in a
file of its own (mode 0600). Both seals are bound to name and version, so that no row can be put in another's place. Whoever
holds a `Secret` has to say `reveal()`; everything else that prints, logs or serialises it gets stars.
"""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from governance.errors import CallerError, DependencyError, NotFound
from governance.model.moment import utc_now

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}")
LONGEST = 16_384
KEY_BYTES, _NONCE_BYTES = 32, 12
NO_SECRET, TAKEN = "governance secret put", "governance secret rotate"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, version INTEGER, rotated TEXT, key BLOB, value BLOB)
"""


class Secret:
    """A value that does not show itself."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a secret is not copied out")


class About(NamedTuple):
    """What may be known of a secret."""

    name: str
    version: int
    rotated: str
    """RFC 3339, UTC."""


class Secrets(Protocol):
    """Where credentials come from."""

    def about(self, name: str) -> About | None:
        """None where there is none. Raises DependencyError."""

    def get(self, name: str) -> Secret:
        """Raises NotFound or DependencyError."""

    def put(self, name: str, value: str) -> About:
        """Store a new value; raises CallerError where the name is taken."""

    def rotate(self, name: str, value: str) -> About:
        """Replace a value. Raises NotFound."""

    def drop(self, name: str) -> None:
        """Forget a value for good; nothing where there is none."""

    def all(self) -> list[About]:
        """Every secret by name, none with its value."""

    def close(self) -> None:
        """Give back what was only lent."""


class EmbeddedSecrets:
    """The store of this installation: `secrets.db` and, elsewhere if wanted, the key that opens it."""

    def __init__(self, folder: Path, key_file: Path | None = None) -> None:
        self._path = folder / "secrets.db"
        self._key_file = key_file or folder / "secrets.key"
        self._lock = threading.Lock()
        self._open: tuple[sqlite3.Connection, tuple[int, int]] | None = None

    def put(self, name: str, value: str) -> About:
        """Store a value under `tenant/handle`; raises CallerError where the name is taken (`rotate` replaces)."""
        if self.about(name) is not None:
            raise CallerError(f"the secret {name} exists already", hint=TAKEN)
        return self._write(name, value, 1)

    def rotate(self, name: str, value: str) -> About:
        """Replace a value; the old one is gone. Raises NotFound."""
        known = self.about(name)
        if known is None:
            raise NotFound(f"there is no secret {name}", hint=NO_SECRET)
        return self._write(name, value, known.version + 1)

    def about(self, name: str) -> About | None:
        """What may be known of a secret."""
        rows = self._rows("SELECT name, version, rotated FROM secrets WHERE name = ?", name)
        return About(*rows[0]) if rows else None

    def all(self) -> list[About]:
        """Every secret by name, none with its value."""
        return [About(*row) for row in self._rows("SELECT name, version, rotated FROM secrets ORDER BY name")]

    def get(self, name: str) -> Secret:
        """The value. Raises NotFound, or DependencyError where the key does not open it."""
        from cryptography.exceptions import InvalidTag

        rows = self._rows("SELECT version, key, value FROM secrets WHERE name = ?", name)
        if not rows:
            raise NotFound(f"there is no secret {name}", hint=NO_SECRET)
        version, wrapped, content = rows[0]
        bound = f"{name}\0{version}".encode()
        try:
            inner = unsealed(self._key(make=False), wrapped, bound)
            return Secret(unsealed(inner, content, bound).decode())
        except (InvalidTag, ValueError) as error:
            raise DependencyError(
                f"the secret {name} does not open with this key", where=str(self._key_file)
            ) from error

    def drop(self, name: str) -> None:
        """Forget a value, and the key that alone opened it; nothing where there is none."""
        self._rows("DELETE FROM secrets WHERE name = ?", name)

    def close(self) -> None:
        """Let go of the file; the next question opens it anew."""
        with self._lock:
            self._drop_connection()

    def _write(self, name: str, value: str, version: int) -> About:
        check_secret(name, value)
        inner = os.urandom(KEY_BYTES)
        bound = f"{name}\0{version}".encode()
        about = About(name, version, utc_now())
        row = (*about, sealed(self._key(make=True), inner, bound), sealed(inner, value.encode(), bound))
        self._rows("INSERT OR REPLACE INTO secrets VALUES (?, ?, ?, ?, ?)", *row)
        return about

    def _key(self, *, make: bool) -> bytes:
        """The store's key; made where there is none yet and nothing is stored."""
        try:
            if make and not self._key_file.exists() and not self.all():
                handle = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "wb") as file:
                    file.write(os.urandom(KEY_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise _no_key(self._key_file, error) from error
        return key_of(self._key_file)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection().execute(statement, values).fetchall()
            except (sqlite3.Error, OSError) as error:
                self._drop_connection()
                raise DependencyError(f"the store of secrets: {error}", where=str(self._path)) from error

    def _connection(self) -> sqlite3.Connection:
        """The connection to the file that stands at the path now: one that was put in its place is another store."""
        if self._open is not None:
            if _same_file(self._path, self._open[1]):
                return self._open[0]
            self._drop_connection()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            database.execute("PRAGMA synchronous = FULL")
            # What is dropped is overwritten: sealed or not, it is nobody's any more.
            database.execute("PRAGMA secure_delete = ON")
            database.execute(_SCHEMA)
            found = self._path.stat()
        except BaseException:
            database.close()
            raise
        self._open = database, (found.st_dev, found.st_ino)
        return database

    def _drop_connection(self) -> None:
        if self._open is not None:
            self._open[0].close()
            self._open = None


def _same_file(path: Path, known: tuple[int, int]) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == known


def check_secret(name: str, value: str) -> None:
    """Raise CallerError for a name or a value that no store takes."""
    if not _NAME.fullmatch(name):
        raise CallerError(f"{name[:130]!r} is not a name for a secret", hint="tenant/handle, in lower case")
    if not value or len(value) > LONGEST or not value.isprintable() or not value.isascii():
        raise CallerError(f"the value of {name} is empty, too long or not plain text")


def key_of(path: Path) -> bytes:
    """The key that opens a store. Raises DependencyError where there is none, or others may read it."""
    try:
        if path.stat().st_mode & 0o077:
            raise DependencyError("others may read the key of the secrets", where=str(path), hint="chmod 600")
        key = path.read_bytes()
    except OSError as error:
        raise _no_key(path, error) from error
    if len(key) != KEY_BYTES:
        raise DependencyError(f"a key is {KEY_BYTES} bytes", where=str(path))
    return key


def _no_key(path: Path, error: OSError) -> DependencyError:
    return DependencyError(
        f"the key of the secrets: {error.strerror}", where=str(path), hint="restore it from its backup"
    )


def age_days(about: About, now: str) -> int:
    """Whole days since the last rotation, at `now` (RFC 3339)."""
    return (datetime.fromisoformat(now) - datetime.fromisoformat(about.rotated)).days


def sealed(key: bytes, value: bytes, bound: bytes) -> bytes:
    """AES-256-GCM, its nonce in front; opens only for the same `bound`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # slow to load; `list` does without

    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, value, bound)


def unsealed(key: bytes, value: bytes, bound: bytes) -> bytes:
    """The inverse. Raises InvalidTag."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key).decrypt(value[:_NONCE_BYTES], value[_NONCE_BYTES:], bound)
