"""io.jwt.decode, io.jwt.verify_* and io.jwt.decode_verify: signed tokens (JWS, compact form) as OPA treats them.

`verify_*` looks at the signature alone: with the algorithm of its name, whatever the token's header says. Who also needs
expiry, audience and issuer checked calls `decode_verify`, which answers `[valid, header, payload]`.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.policy.builtins.base64_text import decode_url
from governance.policy.builtins.json_text import parse_object
from governance.policy.builtins.jws import is_signed
from governance.policy.builtins.keys import Key, verification_keys
from governance.policy.builtins.operands import BuiltinError, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT_HEADERS = ("alg", "kid", "typ", "cty")
_KNOWN_HEADERS = frozenset([*_TEXT_HEADERS, "crit"])
_TEXT_CONSTRAINTS = ("secret", "alg", "iss", "aud")
# A token may carry a token; nobody needs more than a few.
_MOST_NESTED = 16


class Token(NamedTuple):
    """The three parts as written."""

    header: str
    payload: str
    signature: str

    @property
    def message(self) -> bytes:
        """What is signed."""
        return f"{self.header}.{self.payload}".encode()


class Constraints(NamedTuple):
    """What a token has to meet."""

    keys: tuple[Key, ...]
    alg: str
    iss: str
    aud: str
    seconds: float
    """The time to compare `exp` and `nbf` with, since 1970."""


def decode(text: str) -> list[Any]:
    """`[header, payload, signature in hex]` of a token; nothing is verified."""
    for _ in range(_MOST_NESTED):
        token = _split(text)
        header = _header(token)
        payload = _text(token.payload, "payload")
        if "cty" in header and not isinstance(header["cty"], str):
            raise BuiltinError("cty: must be a string")
        if header.get("cty") != "JWT":
            return [header, parse_object(payload), _decoded(token.signature, "signature").hex()]
        text = payload.strip("\"'")
    raise BuiltinError("JWT is nested too deeply")


def verify_with_key(algorithm: str, text: str, certificate: str) -> bool:
    """Whether a token is signed with one of the keys, by the one algorithm."""
    token = _split(text)
    keys = verification_keys(certificate)
    signature = _decoded(token.signature, "signature")
    header = _header(token)
    _check_header(header)
    return _is_by_any(keys, header, token, signature, algorithm, is_strict=False)


def verify_with_secret(algorithm: str, text: str, secret: str) -> bool:
    """Whether a token carries the right HMAC for a shared secret."""
    token = _split(text)
    return is_signed(algorithm, secret.encode(), token.message, _decoded(token.signature, "signature"))


def decode_verify(text: str, wanted: dict[Any, Any]) -> list[Any]:
    """`[true, header, payload]` if the token is signed and meets every constraint, else `[false, {}, {}]`."""
    refused: list[Any] = [False, {}, {}]
    constraints = _constraints(wanted)
    for _ in range(_MOST_NESTED):
        token = _split(text)
        header = _header(token)
        if not _check_header(header) or (constraints.alg and constraints.alg != header["alg"]):
            return refused
        signature = _decoded(token.signature, "signature")
        if not _is_by_any(constraints.keys, header, token, signature, header["alg"], is_strict=True):
            return refused
        body = _text(token.payload, "payload")
        if header.get("cty", "").upper() != "JWT":
            payload = parse_object(body)
            return [True, header, payload] if _meets(payload, constraints) else refused
        text = body
    raise BuiltinError("JWT is nested too deeply")


def _split(text: str) -> Token:
    parts = text.split(".")
    if len(parts) != 3:
        raise BuiltinError(f"encoded JWT must have 3 sections, found {len(parts)}")
    return Token(*parts)


def _decoded(part: str, name: str) -> bytes:
    try:
        return decode_url(part)
    except BuiltinError as error:
        raise BuiltinError(f"JWT {name} had invalid encoding: {error}") from None


def _text(part: str, name: str) -> str:
    return _decoded(part, name).decode("utf-8", "replace")


def _header(token: Token) -> dict[str, Any]:
    header = parse_object(_text(token.header, "header"))
    if "enc" in header:
        raise BuiltinError("JWT is a JWE object, which is not supported")
    return header


def _check_header(header: dict[str, Any]) -> bool:
    """Whether the header may be acted on; raises BuiltinError for values of the wrong type (RFC 7515, 4.1)."""
    for name in _TEXT_HEADERS:
        if name in header and not isinstance(header[name], str):
            raise BuiltinError(f"{name}: must be a string")
    critical = header.get("crit", ["-"])
    if not isinstance(critical, list) or not any(isinstance(name, str) for name in critical):
        raise BuiltinError("crit: must be a nonempty list of strings")
    unknown = set(header) - _KNOWN_HEADERS
    return bool(header.get("alg")) and not any(isinstance(name, str) and name in unknown for name in critical)


def _is_by_any(
    keys: tuple[Key, ...], header: dict[str, Any], token: Token, signature: bytes, algorithm: str, *, is_strict: bool
) -> bool:
    """Whether a key verifies: the one the token names if it is there, else any that is not for another algorithm."""
    name = header.get("kid", "")
    named = [key for key in keys if name and key.name == name][:1]
    tried = named or [key for key in keys if key.algorithm in {"", header.get("alg", "")}]
    return any(is_signed(algorithm, key.material, token.message, signature, is_strict=is_strict) for key in tried)


def _constraints(wanted: dict[Any, Any]) -> Constraints:
    unknown = set(wanted) - {*_TEXT_CONSTRAINTS, "cert", "time"}
    if unknown:
        raise BuiltinError(f"unknown token validation constraint: {min(map(str, unknown))}")
    for name in (*_TEXT_CONSTRAINTS, "cert"):
        if name in wanted and not isinstance(wanted[name], str):
            raise BuiltinError(f"{name} constraint: must be a string")
    moment = wanted.get("time", time.time_ns())
    if type_name(moment) != "number" or moment < 0:
        raise BuiltinError("token time constraint: must be a number that is not negative")
    secret = wanted.get("secret", "")
    if ("cert" in wanted) == bool(secret):
        raise BuiltinError("duplicate key constraints" if secret else "no key constraint")
    keys = verification_keys(wanted["cert"]) if "cert" in wanted else (Key("", "", secret.encode()),)
    alg, iss, aud = (wanted.get(name, "") for name in ("alg", "iss", "aud"))
    return Constraints(keys, alg, iss, aud, moment / 1e9)


def _meets(payload: dict[str, Any], constraints: Constraints) -> bool:
    """Registered claims against the constraints (RFC 7519, 4.1): a token expires at `exp` and counts from `nbf` on."""
    if constraints.iss and payload.get("iss") != constraints.iss:
        return False
    # A token for an audience needs the constraint as well, or it would be taken by whoever it is shown to.
    audience = payload.get("aud", "")
    if constraints.aud not in (audience if isinstance(audience, list) else [audience]):
        return False
    for name in ("exp", "nbf"):
        if name in payload and type_name(payload[name]) != "number":
            raise BuiltinError(f"{name} value must be a number")
    if "exp" in payload and not constraints.seconds < payload["exp"]:
        return False
    return "nbf" not in payload or constraints.seconds >= payload["nbf"]


BUILTINS: dict[str, Callable[..., object]] = {
    "io.jwt.decode": decode,
    "io.jwt.decode_verify": decode_verify,
    "io.jwt.verify_eddsa": partial(verify_with_key, "EdDSA"),
    **{
        f"io.jwt.verify_{family}{bits}": partial(
            verify_with_secret if family == "hs" else verify_with_key, f"{family.upper()}{bits}"
        )
        for family in ("hs", "rs", "ps", "es")
        for bits in (256, 384, 512)
    },
}
