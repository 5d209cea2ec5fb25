"""A person in a browser: their session's cookie, the forms they send, and where the service is for them."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from governance.entrypoints.http.asgi import UnsupportedMedia
from governance.errors import CallerError, Forbidden, NotSignedIn
from governance.platform.oauth.sessions import LIVES_S

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call, Headers
    from governance.entrypoints.http.worker import Worker
    from governance.platform.oauth.sessions import Session

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LARGEST_FORM, _MOST_FIELDS = 16_384, 20


def base_url(worker: Worker, call: Call) -> str:
    """This service's address for browsers. The Host of a request says it only on this machine: anybody may send any."""
    known = worker.settings.text("public_url").rstrip("/")
    if known:
        return known
    host = call.header(b"host")
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        name = ""
    if name not in _LOOPBACK:
        raise CallerError("nobody said where browsers reach this service", where="GOVERNANCE_PUBLIC_URL")
    return f"{call.scheme}://{host}"


def session_of(worker: Worker, call: Call) -> Session:
    """The person's session; raises NotSignedIn."""
    secret = _cookie(worker, call)
    if not secret:
        raise NotSignedIn("you are not signed in")
    return worker.sessions.of(secret)


def cookie(worker: Worker, call: Call, secret: str) -> Headers:
    """The header that keeps a session in the browser; an empty secret ends it there."""
    age = LIVES_S if secret else 0
    # Lax: the vendor's redirect back to us is a navigation and has to bring it; a form elsewhere must not.
    said = f"{_name(worker, call)}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}"
    return ((b"set-cookie", (f"{said}; Secure" if _is_https(worker, call) else said).encode("ascii")),)


def ended(worker: Worker, call: Call) -> None:
    """End the session of this browser."""
    worker.sessions.end(_cookie(worker, call))


async def form_of(worker: Worker, call: Call) -> dict[str, str]:
    """A form's fields, each once. Raises Forbidden for one that another site sent."""
    origin = call.header(b"origin")
    own = urlsplit(base_url(worker, call))
    if origin and origin != f"{own.scheme}://{own.netloc}":
        raise Forbidden("this form comes from another site", where="header origin")
    kind = call.header(b"content-type").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise UnsupportedMedia(f"content type {kind[:60]!r} is not a form")
    raw = await call.read(_LARGEST_FORM, worker.body_timeout_s)
    try:
        fields = parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise CallerError("the form cannot be read", where="body") from error
    if any(len(values) > 1 for values in fields.values()):
        raise CallerError("a field stands there twice", where="body")
    return {name: values[0] for name, values in fields.items()}


def check_form(fields: dict[str, str], wanted: str) -> None:
    """Raise Forbidden for a form that this session was not shown."""
    if not hmac.compare_digest(fields.get("form", "").encode("utf-8", "replace"), wanted.encode()):
        raise Forbidden("this form was not made for your session", hint="open the page again")


def _cookie(worker: Worker, call: Call) -> str:
    try:
        found = SimpleCookie(call.header(b"cookie")).get(_name(worker, call))
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _name(worker: Worker, call: Call) -> str:
    # With the prefix a browser takes it from this very host over TLS alone; without TLS it takes none with it.
    return "__Host-governance" if _is_https(worker, call) else "governance"


def _is_https(worker: Worker, call: Call) -> bool:
    return base_url(worker, call).startswith("https://")
