"""io.jwt.encode_sign and io.jwt.encode_sign_raw: a signed token from header, payload and a JWK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.policy.builtins.base64_text import encode_url
from governance.policy.builtins.json_text import marshal, parse, parse_object
from governance.policy.builtins.jws import sign
from governance.policy.builtins.keys import ALGORITHMS, parse_jwks
from governance.policy.builtins.operands import BuiltinError

if TYPE_CHECKING:
    from collections.abc import Callable


def encode_sign(header: dict[str, Any], payload: dict[str, Any], key: dict[str, Any]) -> str:
    """A token from values; members come out sorted."""
    return encode_sign_raw(marshal(header), marshal(payload), marshal(key))


def encode_sign_raw(header: str, payload: str, key: str) -> str:
    """A token from texts, which are signed as they stand. Unless the header's `typ` says otherwise the payload is JSON."""
    keys = parse_jwks(key)
    if not keys:
        raise BuiltinError("no keys found in JWK set")
    fields = parse_object(header)
    algorithm = fields.get("alg")
    if not isinstance(algorithm, str):
        raise BuiltinError("missing or invalid 'alg' header")
    if algorithm not in ALGORITHMS:
        raise BuiltinError(f"unknown JWS algorithm: {algorithm[:20]}")
    if fields.get("typ", "JWT") == "JWT":
        _check_json(payload)
    message = f"{encode_url(header.encode())}.{encode_url(payload.encode())}"
    return f"{message}.{encode_url(sign(algorithm, keys[0].material, message.encode()))}"


def _check_json(payload: str) -> None:
    try:
        parse(payload)
    except BuiltinError:
        raise BuiltinError("type is JWT but payload is not JSON") from None


BUILTINS: dict[str, Callable[..., object]] = {
    "io.jwt.encode_sign": encode_sign,
    "io.jwt.encode_sign_raw": encode_sign_raw,
}
