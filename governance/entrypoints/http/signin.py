"""Who is calling. The actor comes from the credential alone; nothing in a body can say who somebody is."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from governance.errors import CallerError, Forbidden, NotSignedIn
from governance.platform.keys import Identity

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.platform.keys import KeyStore

ANONYMOUS = Identity("anonymous", "", "")
# The API server has no key to send; the network, and TLS with a client certificate at the door, say that it is the one.
API_SERVER = Identity("kube-apiserver", "service", "")
DEVELOPER = Identity("dev:loopback", "service", "")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def signed_in(keys: KeyStore, call: Call, *, is_gateway: bool = False) -> Identity:
    """The identity of the key that was sent, for a gateway in `x-api-key` alone; raises NotSignedIn."""
    sent = "" if is_gateway else call.header(b"authorization")
    key = call.header(b"x-api-key")
    if sent and key:
        raise CallerError("two credentials", where="header authorization", hint="send one")
    if sent:
        scheme, _, key = sent.partition(" ")
        if scheme.lower() != "bearer":
            raise NotSignedIn(f"the scheme {scheme[:20]!r} is not known", hint="send `Authorization: Bearer <key>`")
    if not key.strip():
        raise NotSignedIn("no API key", hint="send `Authorization: Bearer <key>`; `governance key create` makes one")
    return keys.identify(key.strip())


def check_role(identity: Identity, roles: frozenset[str], call: Call) -> None:
    """Raise Forbidden unless a key's role is one of these; none: nobody has to sign in."""
    if roles and identity not in {ANONYMOUS, API_SERVER, DEVELOPER} and identity.role not in roles:
        raise Forbidden(f"the role {identity.role!r} may not do this", where=call.path)


def developer(call: Call) -> Identity:
    """Without sign-in, only for a program on this machine: a page in a browser here must not ask in its user's name.

    Such a page is told by its `Origin`, or, where it gave its own name this machine's address, by the `Host` it used.
    """
    origin = call.header(b"origin")
    if _host_of(f"//{call.header(b'host')}") not in _LOOPBACK or (origin and _host_of(origin) not in _LOOPBACK):
        raise Forbidden(
            "without sign-in this service answers this machine alone", hint="ask 127.0.0.1, or leave out --dev"
        )
    return DEVELOPER


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
