"""API keys: who a program is, which role it has, for which tenant, until when. Only hashes are kept.

A key is `gk_<id>_<secret>`; the secret is 256 random bits, so a plain SHA-256 of it is as hard to turn round as the
secret is to guess. The file is read again when it changed, at most once a second: a revoked key stops within that.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, DependencyError, NotFound, NotSignedIn
from governance.model.moment import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROLES = ("platform", "citizen", "compliance", "auditor", "service")
_LOOK_AGAIN_S = 1.0


class Identity(NamedTuple):
    """Who stands at the door."""

    actor: str
    role: str
    tenant: str
    """Empty: not bound to one."""


class Key(NamedTuple):
    """One stored key."""

    id: str
    digest: str
    role: str
    tenant: str
    created: str
    expires: str
    """RFC 3339, UTC; empty: never."""
    revoked: str
    """When it was revoked; empty: not."""


class KeyStore:
    """Keys in one file below the home folder, readable by this account only."""

    def __init__(self, home: Path) -> None:
        self._path = home / "keys.json"
        self._keys: dict[str, Key] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0

    def identify(self, presented: str) -> Identity:
        """The identity of a presented key; raises NotSignedIn without saying which part was wrong."""
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        # One that was made a moment ago is known at once; a revoked one stops within the second.
        self._refresh(at_once=key_id not in self._keys)
        key = self._keys.get(key_id)
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        known = key.digest if key is not None else "0" * 64
        if not hmac.compare_digest(digest, known) or prefix != "gk" or key is None:
            raise NotSignedIn("the API key is not known", hint="governance key create")
        return _in_force(key)

    def still(self, actor: str) -> Identity:
        """Who signed in with a key before, as long as it is in force; raises NotSignedIn."""
        self._refresh(at_once=True)
        key = self._keys.get(actor.removeprefix("key:"))
        if key is None:
            raise NotSignedIn("the API key is not known", hint="governance key create")
        return _in_force(key)

    def create(self, role: str, tenant: str = "", expires: str = "") -> tuple[Key, str]:
        """A new key and its full text, which is shown once and kept nowhere."""
        if role not in ROLES:
            raise CallerError(f"role {role!r} is not one of {', '.join(ROLES)}")
        key_id, secret = os.urandom(6).hex(), os.urandom(32).hex()
        key = Key(key_id, hashlib.sha256(secret.encode()).hexdigest(), role, tenant, utc_now(), expires, "")
        with self._alone():
            self._keys = {**self._load(), key_id: key}
            self._save()
        return key, f"gk_{key_id}_{secret}"

    def revoke(self, key_id: str) -> Key:
        """Revoke a key; raises NotFound."""
        with self._alone():
            self._keys = self._load()
            key = self._keys.get(key_id)
            if key is None:
                raise NotFound(f"there is no key {key_id!r}", hint="governance key list")
            self._keys[key_id] = key._replace(revoked=key.revoked or utc_now())
            self._save()
        return self._keys[key_id]

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        return sorted(self._load().values(), key=lambda key: key.created)

    def _refresh(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if not at_once and now - self._looked < _LOOK_AGAIN_S and self._stamp is not None:
            return
        self._looked = now
        try:
            status = self._path.stat()
            stamp = status.st_mtime_ns, status.st_ino
        except FileNotFoundError:
            self._keys, self._stamp = {}, None
            return
        if stamp != self._stamp:
            self._keys, self._stamp = self._load(), stamp

    def _load(self) -> dict[str, Key]:
        try:
            raw = self._path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        try:
            return {row["id"]: Key(**row) for row in json.loads(raw)}
        except (ValueError, TypeError, KeyError) as error:
            raise DependencyError("the file of API keys is damaged; nobody is let in", where=str(self._path)) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two commands at once must not lose each other's change: a lost revocation would let somebody back in."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _save(self) -> None:
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump([key._asdict() for key in self._keys.values()], file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def _in_force(key: Key) -> Identity:
    if key.revoked or (key.expires and key.expires <= utc_now()):
        raise NotSignedIn(f"API key {key.id} was revoked or has expired", hint="governance key create")
    return Identity(f"key:{key.id}", key.role, key.tenant)
