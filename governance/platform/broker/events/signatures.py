"""Signatures of webhooks: verified for what comes in, made for what goes out.

- `standard`: `id.timestamp.body`, HMAC-SHA256, key in base64 (standardwebhooks.com, 1.0); headers `webhook-id`,
  `webhook-timestamp`, `webhook-signature: v1,…`
- `slack`: `v0:timestamp:body`, HMAC-SHA256 (docs.slack.dev, "Verifying requests from Slack"); `x-slack-request-timestamp`,
  `x-slack-signature: v0=…`
- `stripe`: `timestamp.body`, HMAC-SHA256 (docs.stripe.com, "Webhooks"); `stripe-signature: t=…,v1=…`
- `github`: the body, HMAC-SHA256 (docs.github.com, "Validating webhook deliveries"); `x-hub-signature-256: sha256=…`
- `jwt`: claims `iat` and `request_body_sha256`, and `aud` if it says whom it is for; `authorization: Bearer …` or `webhook-jwt`

What was signed names the message (of `standard` its id), and never the signature, of which some algorithms have many for one
message: whoever sends the same again is known by it. GitHub signs no time, so there only that protects, for as long as it is
remembered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
from typing import TYPE_CHECKING, Any

from governance.errors import DependencyError, NotSignedIn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Headers = Mapping[bytes, bytes]

_MOST_SIGNATURES = 10
_LONGEST_TOKEN = 8192
_PREFIX = "whsec_"
# A shared secret of a JWT; shorter ones can be guessed (RFC 7518, section 3.2).
_SHORTEST_KEY = 32


class BadSignature(NotSignedIn):
    """A webhook whose sender did not prove who they are, or whose proof is of another time."""

    code = "bad_signature"


def verified(
    scheme: str, secret: str, headers: Headers, body: bytes, now: float, window_s: float, names: tuple[str, ...] = ()
) -> str:
    """The digest that names the message. Raises BadSignature; DependencyError where the secret fits no such scheme.

    `window_s`: how far the time that was signed may be from `now`, either way: replays and clocks that differ. `names`: one of
    them a token has to be for that says whom it is for, since a key may sign for others as well.
    """
    check = _SCHEMES.get(scheme)
    if check is None:
        raise DependencyError(f"there is no scheme {scheme[:40]!r}")
    signed = check(secret, headers, body, now, window_s)
    if scheme == "jwt":
        _check_audience(signed, names)
    return hashlib.sha256(scheme.encode() + b"\0" + signed).hexdigest()


def standard_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks. Raises DependencyError for a secret that is no key."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    proof = base64.b64encode(_hmac(_standard_key(secret), signed)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{proof}"}


def _standard(secret: str, headers: Headers, body: bytes, now: float, window_s: float) -> bytes:
    message_id, timestamp = _header(headers, b"webhook-id"), _header(headers, b"webhook-timestamp")
    _check_time(timestamp, now, window_s)
    if "." in message_id:
        # What is signed could be parted in another place: with the time in the id, and a time out of the body.
        raise BadSignature("the message's id holds a full stop")
    signed = f"{message_id}.{timestamp}.".encode() + body
    proof = base64.b64encode(_hmac(_standard_key(secret), signed)).decode()
    given = _header(headers, b"webhook-signature").split(" ")
    _check_one_of([one.removeprefix("v1,") for one in given if one.startswith("v1,")], proof)
    # By the specification it is the same for each attempt at one message, which the time is not.
    return message_id.encode("latin-1")


def _slack(secret: str, headers: Headers, body: bytes, now: float, window_s: float) -> bytes:
    timestamp = _header(headers, b"x-slack-request-timestamp")
    _check_time(timestamp, now, window_s)
    signed = f"v0:{timestamp}:".encode() + body
    _check_one_of([_header(headers, b"x-slack-signature")], f"v0={_hmac(secret.encode(), signed).hex()}")
    return signed


def _stripe(secret: str, headers: Headers, body: bytes, now: float, window_s: float) -> bytes:
    pairs = [part.strip().partition("=")[::2] for part in _header(headers, b"stripe-signature").split(",")]
    times = [value for name, value in pairs if name == "t"]
    if len(times) != 1:
        raise BadSignature("the signature names no time, or two")
    _check_time(times[0], now, window_s)
    signed = f"{times[0]}.".encode() + body
    _check_one_of([value for name, value in pairs if name == "v1"], _hmac(secret.encode(), signed).hex())
    return signed


def _github(secret: str, headers: Headers, body: bytes, _now: float, _window_s: float) -> bytes:
    _check_one_of([_header(headers, b"x-hub-signature-256")], f"sha256={_hmac(secret.encode(), body).hex()}")
    return body


def _jwt(secret: str, headers: Headers, body: bytes, now: float, window_s: float) -> bytes:
    from joserfc import jwt
    from joserfc.errors import JoseError

    key, algorithms = _jwt_key(secret)
    token = (
        headers.get(b"webhook-jwt", b"").decode("latin-1")
        or _header(headers, b"authorization").partition(" ")[2].strip()
    )
    try:
        claims = jwt.decode(token[:_LONGEST_TOKEN], key, algorithms=algorithms).claims
        issued, digest = claims["iat"], claims["request_body_sha256"]
        ends = claims.get("exp", now)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadSignature("the token is not valid, or says nothing about the body") from error
    times = (issued, ends, claims.get("nbf", now))
    # Of NaN, which some libraries write, it holds neither that it is too far away nor that it is not.
    if not all(isinstance(time, int | float) and not isinstance(time, bool) and math.isfinite(time) for time in times):
        raise BadSignature("the token has times that are none")
    if abs(now - issued) > window_s or ends < now - window_s or times[2] > now + window_s:
        raise BadSignature("the token is of another time")
    if not isinstance(digest, str) or not hmac.compare_digest(
        digest.encode(), hashlib.sha256(body).hexdigest().encode()
    ):
        raise BadSignature("the token is of another body")
    # Without the signature: of one by an elliptic curve, anybody who heard it can make another that fits as well.
    return token.rpartition(".")[0].encode("latin-1")


def _check_audience(signed: bytes, names: tuple[str, ...]) -> None:
    """RFC 7519, section 4.1.3: whoever is not among those that a token is for rejects it."""
    part = signed.partition(b".")[2]
    claims = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    if "aud" not in claims:
        return
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if not any(one in names for one in audience):
        raise BadSignature("the token is for somebody else")


_SCHEMES: dict[str, Callable[[str, Headers, bytes, float, float], bytes]] = {
    "standard": _standard, "slack": _slack, "stripe": _stripe, "github": _github, "jwt": _jwt,
}  # fmt: skip


def _hmac(key: bytes, signed: bytes) -> bytes:
    return hmac.digest(key, signed, "sha256")


def _standard_key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DependencyError("the secret is no key of Standard Webhooks", hint="whsec_ and base64") from error
    if not 24 <= len(key) <= 64:
        raise DependencyError("a key of Standard Webhooks has 24 to 64 bytes")
    return key


def _jwt_key(secret: str) -> tuple[Any, list[str]]:
    """The key, and the algorithms that it is for: one that verifies signatures is never used as a shared secret."""
    from joserfc.errors import JoseError
    from joserfc.jwk import JWKRegistry, OctKey

    if not secret.lstrip().startswith("{"):
        if len(secret) < _SHORTEST_KEY:
            raise DependencyError(f"a shared secret of a JWT has at least {_SHORTEST_KEY} characters")
        if secret.lstrip().startswith(("-----BEGIN", "ssh-")):
            # What everybody may know is no shared secret: whoever does could sign with it.
            raise DependencyError("the secret is no shared secret of a JWT", hint="store a public key as a JWK")
        return OctKey.import_key(secret), ["HS256"]
    try:
        read = json.loads(secret)
        algorithms = {"RSA": ["RS256", "PS256"], "EC": ["ES256"], "OKP": ["Ed25519", "EdDSA"]}[read["kty"]]
        return JWKRegistry.import_key(read), algorithms
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise DependencyError("the secret is no public key in JWK form") from error


def _header(headers: Headers, name: bytes) -> str:
    value = headers.get(name, b"")
    if not value:
        raise BadSignature(f"there is no header {name.decode()}")
    return value.decode("latin-1")


def _check_time(text: str, now: float, window_s: float) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise BadSignature("the signature names no time")
    if abs(now - int(text)) > window_s:
        raise BadSignature("the signature is of another time", hint="is the sender's clock right?")


def _check_one_of(given: list[str], expected: str) -> None:
    """Every one is compared, and in constant time."""
    found = [
        hmac.compare_digest(one.encode("latin-1", "replace"), expected.encode()) for one in given[:_MOST_SIGNATURES]
    ]
    if not any(found):
        raise BadSignature("the signature does not fit the body")
