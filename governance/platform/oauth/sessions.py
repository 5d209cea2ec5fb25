"""A person's session in a browser: begun with their API key, kept as a cookie, ended with the key or after an hour.

Only a digest of the cookie is stored. What belongs to one session alone (the token of a form, the PKCE verifier of a question
to a vendor) is derived from the cookie and stored nowhere: in another browser the same question cannot be finished.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from governance.errors import DependencyError, Forbidden, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from governance.platform.keys import Identity, KeyStore

LIVES_S = 3600
PEOPLE = frozenset({"platform", "citizen", "compliance"})
_HINT = "sign in again"


class Session:
    """One browser's session; `identity` is the person's."""

    __slots__ = ("_secret", "identity")

    def __init__(self, secret: str, identity: Identity) -> None:
        self._secret = secret.encode()
        self.identity = identity

    def derived(self, purpose: str, *about: str) -> str:
        """43 characters (RFC 7636's unreserved ones) that only this session yields, for this purpose and these things."""
        said = "\0".join((purpose, *about)).encode()
        return _text(hmac.digest(self._secret, said, hashlib.sha256))

    def __repr__(self) -> str:
        return f"Session({self.identity.actor}, ***)"


class Sessions:
    """Sessions of one home."""

    def __init__(self, home: Path, keys: KeyStore, clock: Callable[[], float] = time.time) -> None:
        self._path = home / "sessions.db"
        self._keys = keys
        self._clock = clock

    def begin(self, identity: Identity) -> str:
        """The cookie of a new session. Raises Forbidden for a program's or an auditor's key: they consent to nothing."""
        if identity.role not in PEOPLE:
            raise Forbidden(f"a key of the role {identity.role!r} is no person's", hint="use a key of your own")
        secret = _text(os.urandom(32))
        self._run("DELETE FROM sessions WHERE ends <= ?", self._clock())
        self._run("INSERT INTO sessions VALUES (?, ?, ?)", _digest(secret), identity.actor, self._clock() + LIVES_S)
        return secret

    def of(self, secret: str) -> Session:
        """The session of a cookie; raises NotSignedIn once it, or the key it began with, has ended."""
        rows = self._run("SELECT actor, ends FROM sessions WHERE digest = ?", _digest(secret))
        if not rows or rows[0][1] <= self._clock():
            raise NotSignedIn("there is no session, or no longer", hint=_HINT)
        return Session(secret, self._keys.still(rows[0][0]))

    def end(self, secret: str) -> None:
        """Sign out."""
        self._run("DELETE FROM sessions WHERE digest = ?", _digest(secret))

    def _run(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            try:
                self._path.chmod(0o600)
                database.execute("CREATE TABLE IF NOT EXISTS sessions (digest TEXT PRIMARY KEY, actor TEXT, ends REAL)")
                return database.execute(statement, values).fetchall()
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise DependencyError(f"the store of sessions: {error}", where=str(self._path)) from error


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
