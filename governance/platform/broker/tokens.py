"""App tokens: short-lived JWTs (RFC 7519, signed with Ed25519 after RFC 9864) that say which instance of which app is calling.

A token is bound to app, tenant, runtime instance and audience, and lives fifteen minutes at most. The public keys are a JWK
set (RFC 7517); after a rotation the old one verifies until the last token it signed has ended. What is revoked, a token or
an instance, is looked up at every call, on other replicas after a second at most.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import CallerError, DependencyError, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from joserfc.jwk import OKPKey

    from governance.state.port import State

LONGEST_S = 900
AUDIENCE = "connectors"
_ISSUER = "microapp-governance"
_ALGORITHM = "Ed25519"
# Between two machines of one installation; more would stretch the fifteen minutes.
_LEEWAY_S = 5
_LONGEST_TOKEN = 4096
_DOCUMENT = "app-tokens.json"
_NOTHING: dict[str, Any] = {"keys": [], "revoked": {}}


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
    """Signs and verifies. `state` is for this service's eyes alone; `clock` gives seconds since 1970."""

    def __init__(self, state: State, clock: Callable[[], float] = time.time) -> None:
        self._state = state
        self._clock = clock
        self._kept: dict[str, Any] = _NOTHING
        self._keys: dict[str, OKPKey] = {}
        self._stamp: object = None

    def issue(self, caller: Caller, ttl_s: int = LONGEST_S, audience: str = AUDIENCE) -> str:
        """A signed token. Raises CallerError for a life of no seconds or of more than `LONGEST_S`."""
        from joserfc import jwt

        if not 0 < ttl_s <= LONGEST_S:
            raise CallerError(f"a token lives for 1 to {LONGEST_S} seconds", where="/ttl_s")
        self._change(lambda _: None)  # makes the first key, drops those that are over
        signing = self._kept["keys"][-1]["kid"]
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
        until = int(self._clock()) + LONGEST_S + _LEEWAY_S
        self._change(lambda kept: kept["revoked"].update({name: until}))

    def rotate(self) -> str:
        """Sign with a new key from now on; gives its id."""
        made = _made(self._clock())
        self._change(lambda kept: kept["keys"].append(made))
        return str(made["kid"])

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
        times = [claims[name] for name in ("iat", "nbf", "exp")]
        if not all(type(time) is int for time in times):
            raise ValueError("times")
        issued, not_before, ends = times
        if not not_before - _LEEWAY_S <= now < ends or ends - issued > LONGEST_S:
            raise ValueError("time")
        return Caller(*names[:3]), names[3]

    def _refresh(self) -> None:
        stamp = self._state.stamp(_DOCUMENT)
        if stamp != self._stamp:
            self._take(_loaded(self._state.read(_DOCUMENT)))
            self._stamp = stamp

    def _take(self, kept: dict[str, Any]) -> None:
        from joserfc.jwk import OKPKey

        self._kept = kept
        self._keys = {row["kid"]: OKPKey.import_key(row) for row in map(_jwk_of, kept["keys"])}

    def _change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """What is kept, changed and written while no other process does; the first use makes the first key."""
        taken: list[dict[str, Any]] = []

        def changed(held: bytes | None) -> bytes:
            kept = _loaded(held)
            if not kept["keys"]:
                kept["keys"].append(_made(self._clock()))
            edit(kept)
            self._tidy(kept)
            taken.append(kept)
            return json.dumps(kept).encode()

        self._state.change(_DOCUMENT, changed)
        self._take(taken[-1])

    def _tidy(self, kept: dict[str, Any]) -> None:
        """A key is dropped once nothing that it signed can be valid, a revocation once its tokens have ended."""
        now = self._clock()
        rows = kept["keys"]
        ended = [new["created"] + LONGEST_S + _LEEWAY_S <= now for new in rows[1:]]
        kept["keys"] = [row for row, is_over in zip(rows, [*ended, False], strict=True) if not is_over]
        kept["revoked"] = {name: until for name, until in kept["revoked"].items() if until > now}


def _loaded(raw: bytes | None) -> dict[str, Any]:
    try:
        kept = json.loads(raw) if raw is not None else {"keys": [], "revoked": {}}
        return {"keys": list(kept["keys"]), "revoked": dict(kept["revoked"])}
    except (ValueError, KeyError, TypeError) as error:
        raise DependencyError("the keys of app tokens cannot be read; no app calls", where=_DOCUMENT) from error


def _made(now: float) -> dict[str, Any]:
    from joserfc.jwk import OKPKey

    key = OKPKey.generate_key("Ed25519", {"use": "sig", "alg": _ALGORITHM, "kid": os.urandom(8).hex()})
    return {**key.as_dict(private=True), "created": int(now)}


def _jwk_of(row: dict[str, Any]) -> Any:
    return {name: value for name, value in row.items() if name != "created"}
