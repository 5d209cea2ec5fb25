"""Keys that verify or sign tokens: from a PEM certificate, a PEM public key, a JWK or a set of JWKs.

Keys come from policy data, so what cannot be read is an error. A key has one type and serves only algorithms of that
type: an RSA key handed to HS256 is not a secret, whatever the token says.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.policy.builtins.base64_text import decode_url
from governance.policy.builtins.json_text import parse_object
from governance.policy.builtins.operands import BuiltinError
from governance.policy.builtins.pem import next_block

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHMS = frozenset(
    [
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "HS256",
        "HS384",
        "HS512",
        "EdDSA",
    ]
)


class Key(NamedTuple):
    """A key with what its document says about it."""

    algorithm: str
    """`alg` of the JWK; empty where it does not say."""
    name: str
    """`kid` of the JWK; empty where it has none."""
    material: Any
    """A public or private key object of `cryptography`, or bytes for a shared secret."""


@lru_cache(maxsize=100)
def verification_keys(text: str) -> tuple[Key, ...]:
    """Keys of a certificate, public key, JWK or JWK set; those for algorithms unknown here are left out."""
    block, rest = next_block(text)
    if block is None:
        return tuple(key for key in parse_jwks(text) if not key.algorithm or key.algorithm in ALGORITHMS)
    if rest:
        raise BuiltinError("extra data after a PEM certificate block")
    if block.kind == "CERTIFICATE":
        return (Key("", "", _certified_key(block.raw)),)
    if block.kind == "PUBLIC KEY":
        return (Key("", "", _public_key(block.raw)),)
    raise BuiltinError("failed to extract a Key from the PEM certificate")


def parse_jwks(text: str) -> list[Key]:
    """Keys of a JWK or a JWK set (RFC 7517); raises BuiltinError if any of them cannot be read."""
    document = parse_object(text)
    rows = document.get("keys", [document])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BuiltinError("failed to parse a JWK key (set): keys must be a list of objects")
    return [_jwk(row) for row in rows]


def _jwk(row: dict[str, Any]) -> Key:
    kind = row.get("kty")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise BuiltinError("failed to parse a JWK key (set): unknown kty")
    try:
        material = reader(row)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {kind} key: {type(error).__name__}") from None
    algorithm, name = row.get("alg", ""), row.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(name, str):
        raise BuiltinError("failed to parse a JWK key (set): alg and kid must be strings")
    return Key(algorithm, name, material)


def _number(row: dict[str, Any], name: str) -> int:
    return int.from_bytes(decode_url(row[name]), "big")


def _rsa(row: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa  # slow to load; only token builtins need it

    public = rsa.RSAPublicNumbers(_number(row, "e"), _number(row, "n"))
    if "d" not in row:
        return public.public_key()
    d = _number(row, "d")
    if "p" in row and "q" in row:
        p, q = _number(row, "p"), _number(row, "q")
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, d)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()


def _ec(row: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec  # slow to load

    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    public = ec.EllipticCurvePublicNumbers(_number(row, "x"), _number(row, "y"), curves[row["crv"]])
    if "d" in row:
        return ec.EllipticCurvePrivateNumbers(_number(row, "d"), public).private_key()
    return public.public_key()


def _okp(row: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ed25519  # slow to load

    if row["crv"] != "Ed25519":
        raise BuiltinError("unsupported curve of an OKP key")
    if "d" in row:
        return ed25519.Ed25519PrivateKey.from_private_bytes(decode_url(row["d"]))
    return ed25519.Ed25519PublicKey.from_public_bytes(decode_url(row["x"]))


def _oct(row: dict[str, Any]) -> bytes:
    return decode_url(row["k"])


_READERS: dict[str, Callable[[dict[str, Any]], Any]] = {"RSA": _rsa, "EC": _ec, "OKP": _okp, "oct": _oct}


def _certified_key(raw: bytes) -> Any:
    from cryptography import x509  # slow to load
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return x509.load_der_x509_certificate(raw).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise BuiltinError("failed to parse a PEM certificate") from None


def _public_key(raw: bytes) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm  # slow to load
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise BuiltinError("failed to parse a PEM public key") from None
