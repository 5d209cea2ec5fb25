"""API keys: who a program is, which role it has, for which tenant, until when. Only hashes are kept.

A key is `gk_<id>_<secret>`; the secret is 256 random bits, so a plain SHA-256 of it is as hard to turn round as the
secret is to guess. They are read again when they changed: a revoked key stops at once, on other replicas within a second.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, DependencyError, NotFound, NotSignedIn
from governance.model.moment import utc_now

if TYPE_CHECKING:
    from governance.state.port import State

ROLES = ("platform", "citizen", "compliance", "auditor", "service")
_KEYS = "keys.json"
# As a directory names people, and one way to write each: an address would be personal data in every record.
_PERSON = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?", re.ASCII)


class Identity(NamedTuple):
    """Who stands at the door."""

    actor: str
    role: str
    tenant: str
    """Empty: not bound to one."""
    team: str = ""
    """What it speaks for as an owner, in the registry's words; empty: for nothing."""
    person: str = ""
    """Whose key it is; two keys of one person are one person. Empty: nobody's that is known."""


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
    team: str = ""
    person: str = ""
    """Both as in `Identity`."""


class KeyStore:
    """Keys in one document of the state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._keys: dict[str, Key] = {}
        self._stamp: object = None

    def identify(self, presented: str) -> Identity:
        """The identity of a presented key; raises NotSignedIn without saying which part was wrong."""
        prefix, _, rest = presented.partition("_")
        key_id, _, secret = rest.partition("_")
        self._refresh()
        if key_id not in self._keys:  # one that was made a moment ago, maybe on another replica, is known at once
            self._refresh(newest=True)
        key = self._keys.get(key_id)
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
        known = key.digest if key is not None else "0" * 64
        if not hmac.compare_digest(digest, known) or prefix != "gk" or key is None:
            raise NotSignedIn("the API key is not known", hint="governance key create")
        return _in_force(key)

    def still(self, actor: str) -> Identity:
        """Who signed in with a key before, as long as it is in force; raises NotSignedIn."""
        self._refresh(newest=True)
        key = self._keys.get(actor.removeprefix("key:"))
        if key is None:
            raise NotSignedIn("the API key is not known", hint="governance key create")
        return _in_force(key)

    def create(
        self, role: str, tenant: str = "", expires: str = "", team: str = "", person: str = ""
    ) -> tuple[Key, str]:
        """A new key and its full text, which is shown once and kept nowhere."""
        if role not in ROLES:
            raise CallerError(f"role {role!r} is not one of {', '.join(ROLES)}")
        if person and not _PERSON.fullmatch(person):
            raise CallerError(
                "is no person as a directory names them",
                where="--person",
                hint="a login or a personnel number in small letters, such as ana.k; no e-mail address",
            )
        key_id, secret = os.urandom(6).hex(), os.urandom(32).hex()
        digest = hashlib.sha256(secret.encode()).hexdigest()
        key = Key(key_id, digest, role, tenant, utc_now(), expires, "", team, person)
        self._state.change(_KEYS, lambda held: _text({**_parsed(held), key_id: key}))
        return key, f"gk_{key_id}_{secret}"

    def revoke(self, key_id: str) -> Key:
        """Revoke a key; raises NotFound."""
        revoked: list[Key] = []

        def revoke(held: bytes | None) -> bytes:
            keys = _parsed(held)
            if key_id not in keys:
                raise NotFound(f"there is no key {key_id!r}", hint="governance key list")
            keys[key_id] = keys[key_id]._replace(revoked=keys[key_id].revoked or utc_now())
            revoked.append(keys[key_id])
            return _text(keys)

        self._state.change(_KEYS, revoke)
        return revoked[-1]

    def all(self) -> list[Key]:
        """Every key, oldest first."""
        return sorted(_parsed(self._state.read(_KEYS)).values(), key=lambda key: key.created)

    def stamp(self) -> object:
        """Changes whenever a key does."""
        return self._state.stamp(_KEYS)

    def _refresh(self, *, newest: bool = False) -> None:
        stamp = self._state.stamp(_KEYS, newest=newest)
        if stamp != self._stamp:
            self._keys, self._stamp = _parsed(self._state.read(_KEYS)), stamp


def _parsed(raw: bytes | None) -> dict[str, Key]:
    try:
        return {row["id"]: Key(**row) for row in json.loads(raw)} if raw is not None else {}
    except (ValueError, TypeError, KeyError) as error:
        raise DependencyError("the API keys are damaged; nobody is let in", where=_KEYS) from error


def _text(keys: dict[str, Key]) -> bytes:
    return json.dumps([key._asdict() for key in keys.values()]).encode()


def _in_force(key: Key) -> Identity:
    if key.revoked or (key.expires and key.expires <= utc_now()):
        raise NotSignedIn(f"API key {key.id} was revoked or has expired", hint="governance key create")
    return Identity(f"key:{key.id}", key.role, key.tenant, key.team, key.person)
