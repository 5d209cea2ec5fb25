"""App tokens: short-lived JWTs (RFC 7519, signed with Ed25519 after RFC 9864) that say which instance of which app is calling.

A token is bound to app, tenant, runtime instance and audience, and lives fifteen minutes at most. The public keys are a JWK
set (RFC 7517); after a rotation the old one verifies until the last token it signed has ended. What is revoked, a token or
an instance, is looked up at every call: the file is read again whenever it changed.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import CallerError, DependencyError, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from joserfc.jwk import OKPKey

LONGEST_S = 900
AUDIENCE = "connectors"
_ISSUER = "microapp-governance"
_ALGORITHM = "Ed25519"
# Between two machines of one installation; more would stretch the fifteen minutes.
_LEEWAY_S = 5
_LONGEST_TOKEN = 4096


class Caller(NamedTuple):
    """Who stands at the broker's door."""

    app: str
    tenant: str
    instance: str

    @property
    def actor(self) -> str:
        """As records name it."""
        return f"app:{self.app}/{self.instance}"


class AppTokens:
    """Signs and verifies. `folder` belongs to this account alone; `clock` gives seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / "app-tokens.json"
        self._clock = clock
        self._kept: dict[str, Any] = {}
        self._keys: dict[str, OKPKey] = {}
        self._stamp: tuple[int, int] | None = None

    def issue(self, caller: Caller, ttl_s: int = LONGEST_S, audience: str = AUDIENCE) -> str:
        """A signed token. Raises CallerError for a life of no seconds or of more than `LONGEST_S`."""
        from joserfc import jwt

        if not 0 < ttl_s <= LONGEST_S:
            raise CallerError(f"a token lives for 1 to {LONGEST_S} seconds", where="/ttl_s")
        with self._alone() as kept:
            signing = kept["keys"][-1]["kid"]
        now = int(self._clock())
        claims = {
            "iss": _ISSUER, "sub": caller.app, "aud": audience, "tenant": caller.tenant, "instance": caller.instance,
            "iat": now, "nbf": now, "exp": now + ttl_s, "jti": os.urandom(16).hex(),
        }  # fmt: skip
        header = {"alg": _ALGORITHM, "kid": signing, "typ": "app+jwt"}
        return jwt.encode(header, claims, self._keys[signing], algorithms=[_ALGORITHM])

    def verify(self, token: str, audience: str = AUDIENCE) -> Caller:
        """Who holds it; raises NotSignedIn without saying more than its holder may know."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        self._refresh()
        try:
            read = jwt.decode(token[:_LONGEST_TOKEN], KeySet(list(self._keys.values())), algorithms=[_ALGORITHM])
            caller, token_id = self._checked(read.header, read.claims, audience)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotSignedIn("the app token is not valid, or no longer", hint="ask for a new one") from error
        revoked = self._kept["revoked"]
        if f"token:{token_id}" in revoked or caller.actor in revoked:
            raise NotSignedIn("the app token was revoked", hint="ask for a new one")
        return caller

    def revoke(self, name: str) -> None:
        """End a token (`token:<jti>`) or all tokens of an instance (`app:<app>/<instance>`), from the next call on."""
        with self._alone() as kept:
            kept["revoked"][name] = int(self._clock()) + LONGEST_S + _LEEWAY_S

    def rotate(self) -> str:
        """Sign with a new key from now on; gives its id."""
        with self._alone() as kept:
            kept["keys"].append(_made(self._clock()))
            return str(kept["keys"][-1]["kid"])

    def jwks(self) -> dict[str, Any]:
        """The public keys that verify now, as a JWK set."""
        self._refresh()
        return {"keys": [key.as_dict(private=False) for key in self._keys.values()]}

    def _checked(self, header: dict[str, Any], claims: dict[str, Any], audience: str) -> tuple[Caller, str]:
        # The same key signs nothing else today; the type keeps it so.
        if header.get("typ") != "app+jwt" or header.get("kid") not in self._keys:
            raise ValueError("type or key")
        now = self._clock()
        names = [claims[name] for name in ("sub", "tenant", "instance", "jti")]
        if claims["iss"] != _ISSUER or claims["aud"] != audience or not all(isinstance(n, str) and n for n in names):
            raise ValueError("claims")
        issued, not_before, ends = (int(claims[name]) for name in ("iat", "nbf", "exp"))
        if not not_before - _LEEWAY_S <= now < ends or ends - issued > LONGEST_S:
            raise ValueError("time")
        return Caller(*names[:3]), names[3]

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._take({"keys": [], "revoked": {}}, None)
            return
        stamp = status.st_mtime_ns, status.st_ino
        if stamp != self._stamp:
            self._take(self._load(), stamp)

    def _take(self, kept: dict[str, Any], stamp: tuple[int, int] | None) -> None:
        from joserfc.jwk import OKPKey

        self._kept, self._stamp = kept, stamp
        self._keys = {row["kid"]: OKPKey.import_key(row) for row in map(_jwk_of, kept["keys"])}

    def _load(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DependencyError(
                "the keys of app tokens cannot be read; no app calls", where=str(self._path)
            ) from error
        return dict(kept)

    @contextmanager
    def _alone(self) -> Iterator[dict[str, Any]]:
        """What is kept, to be changed and written while no other process does; the first use makes the first key."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            kept = self._load() if self._path.exists() else {"keys": [], "revoked": {}}
            before = json.dumps(kept)
            if not kept["keys"]:
                kept["keys"].append(_made(self._clock()))
            yield kept
            self._tidy(kept)
            if json.dumps(kept) != before:
                self._save(kept)
            self._refresh()
        finally:
            os.close(handle)

    def _tidy(self, kept: dict[str, Any]) -> None:
        """A key is dropped once nothing that it signed can be valid, a revocation once its tokens have ended."""
        now = self._clock()
        rows = kept["keys"]
        ended = [new["created"] + LONGEST_S + _LEEWAY_S <= now for new in rows[1:]]
        kept["keys"] = [row for row, is_over in zip(rows, [*ended, False], strict=True) if not is_over]
        kept["revoked"] = {name: until for name, until in kept["revoked"].items() if until > now}

    def _save(self, kept: dict[str, Any]) -> None:
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)


def _made(now: float) -> dict[str, Any]:
    from joserfc.jwk import OKPKey

    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": _ALGORITHM, "kid": os.urandom(8).hex()})
    return {**key.as_dict(private=True), "created": int(now)}


def _jwk_of(row: dict[str, Any]) -> Any:
    return {name: value for name, value in row.items() if name != "created"}
