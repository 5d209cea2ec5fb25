"""A person's session in a browser: begun with their API key, kept as a cookie, ended with the key or after an hour.

Only a digest of the cookie is stored, in the state that all replicas share. What belongs to one session alone (the token of a
form, the PKCE verifier of a question to a vendor) is derived from the cookie and stored nowhere: in another browser the same
question cannot be finished.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from typing import TYPE_CHECKING, Any

from governance.errors import Forbidden, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.platform.keys import Identity, KeyStore
    from governance.state.port import State

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
    """Sessions of this installation; spread by their digests over 256 documents, from which what is over goes with the next."""

    def __init__(self, state: State, keys: KeyStore, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._keys = keys
        self._clock = clock

    def begin(self, identity: Identity) -> str:
        """The cookie of a new session. Raises Forbidden for a program's or an auditor's key: they consent to nothing."""
        if identity.role not in PEOPLE:
            raise Forbidden(f"a key of the role {identity.role!r} is no person's", hint="use a key of your own")
        secret = _text(os.urandom(32))
        self._change(secret, [identity.actor, self._clock() + LIVES_S])
        return secret

    def of(self, secret: str) -> Session:
        """The session of a cookie; raises NotSignedIn once it, or the key it began with, has ended."""
        row = self._row(secret)
        if row is None:  # one that began a moment ago, maybe on another replica, is known at once
            self._state.stamp(_place(secret), newest=True)
            row = self._row(secret)
        if row is None or row[1] <= self._clock():
            raise NotSignedIn("there is no session, or no longer", hint=_HINT)
        return Session(secret, self._keys.still(row[0]))

    def end(self, secret: str) -> None:
        """Sign out: here at once, on other replicas within a second."""
        self._change(secret, None)

    def _row(self, secret: str) -> Any:
        return json.loads(self._state.read(_place(secret)) or b"{}").get(_digest(secret))

    def _change(self, secret: str, row: list[Any] | None) -> None:
        def edit(held: bytes | None) -> bytes:
            rows = {name: one for name, one in json.loads(held or b"{}").items() if one[1] > self._clock()}
            rows[_digest(secret)] = row
            return json.dumps({name: one for name, one in rows.items() if one is not None}).encode()

        self._state.change(_place(secret), edit)


def _place(secret: str) -> str:
    return f"sessions/{_digest(secret)[:2]}.json"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
