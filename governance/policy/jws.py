"""Compact JSON Web Signatures (RFC 7515) with one algorithm that the reader's key decides, never the token.

RS256, ES256, EdDSA (Ed25519) and HS256. A token that names another algorithm than the key is for is refused before any
arithmetic: a public key must not pass for a shared secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError

if TYPE_CHECKING:
    from governance.model.request import Json

ALGORITHMS = ("RS256", "ES256", "EdDSA", "HS256")
LEAST_RSA_BITS = 2048
LEAST_SECRET_BYTES = 16
_ES256_HALF = 32


class BadSignature(ValueError):
    """A token that is malformed, signed by another key, or signed with another algorithm."""


def algorithm_of(pem: bytes) -> str:
    """The one algorithm for a key in PEM, private or public; raises CallerError for every other text."""
    return _algorithm(_loaded(pem))


def encode(payload: Json, key: bytes, alg: str, keyid: str = "") -> str:
    """A token over `payload`. `key`: private key in PEM, or the shared secret for HS256. Raises CallerError."""
    header = {"alg": alg, "typ": "JWT", **({"kid": keyid} if keyid else {})}
    signed = f"{_part(header)}.{_part(payload)}"
    return f"{signed}.{_text(_signature(signed.encode(), key, alg))}"


def decode(token: str, key: bytes, alg: str) -> Json:
    """The payload of a token signed with `key` and `alg`; raises BadSignature, or CallerError for an unfit key."""
    head, payload, signature = _parts(token)
    header = _document(head)
    if not isinstance(header, dict) or header.get("alg") != alg:
        named = header.get("alg") if isinstance(header, dict) else None
        raise BadSignature(f"the token is for {str(named)[:20]!r}, the key for {alg}")
    if "crit" in header:
        raise BadSignature("the token demands an extension that is not known here")
    _verify(f"{head}.{payload}".encode(), _bytes(signature), key, alg)
    return _document(payload)


def _signature(signed: bytes, key: bytes, alg: str) -> bytes:
    if alg == "HS256":
        return hmac.new(_secret(key), signed, hashlib.sha256).digest()
    private: Any = _loaded(key)
    if not hasattr(private, "sign"):
        raise CallerError("signing needs the private key, and this is the public one")
    _demand(private, alg)
    if alg == "EdDSA":
        return bytes(private.sign(signed))
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    if alg == "RS256":
        return bytes(private.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
    r, s = utils.decode_dss_signature(private.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_ES256_HALF, "big") + s.to_bytes(_ES256_HALF, "big")


def _verify(signed: bytes, signature: bytes, key: bytes, alg: str) -> None:
    from cryptography.exceptions import InvalidSignature

    if alg == "HS256":
        if not hmac.compare_digest(hmac.new(_secret(key), signed, hashlib.sha256).digest(), signature):
            raise BadSignature("the signature is not by this key")
        return
    loaded: Any = _loaded(key)
    public = loaded.public_key() if hasattr(loaded, "public_key") else loaded
    _demand(public, alg)
    try:
        _verify_public(public, signed, signature, alg)
    except InvalidSignature as error:
        raise BadSignature("the signature is not by this key") from error


def _verify_public(public: Any, signed: bytes, signature: bytes, alg: str) -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    if alg == "EdDSA":
        public.verify(signature, signed)
    elif alg == "RS256":
        public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        if len(signature) != 2 * _ES256_HALF:
            raise BadSignature("an ES256 signature has 64 bytes")
        halves = (int.from_bytes(half, "big") for half in (signature[:_ES256_HALF], signature[_ES256_HALF:]))
        public.verify(utils.encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))


def _demand(key: object, alg: str) -> None:
    if alg not in ALGORITHMS:
        raise CallerError(f"algorithm {alg[:20]!r} is not one of {', '.join(ALGORITHMS)}")
    if _algorithm(key) != alg:
        raise CallerError(f"the key is one for {_algorithm(key)}, not for {alg}")


def _loaded(pem: bytes) -> object:
    """The key in a PEM text; a private one without a passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    read = (
        serialization.load_pem_public_key
        if b"-----BEGIN PUBLIC KEY-----" in pem or b"-----BEGIN RSA PUBLIC KEY-----" in pem
        else lambda text: serialization.load_pem_private_key(text, password=None)
    )
    try:
        return read(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own words may quote the key.
        raise CallerError(
            "not a key in PEM without a passphrase", hint="or a shared secret, for which --alg HS256 is needed"
        ) from error


def _algorithm(key: object) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        if key.key_size < LEAST_RSA_BITS:
            raise CallerError(f"an RSA key needs {LEAST_RSA_BITS} bits, this one has {key.key_size}")
        return "RS256"
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise CallerError("the key is of a sort that no bundle is signed with", hint="RSA, P-256 or Ed25519")


def _secret(key: bytes) -> bytes:
    """The shared secret; a PEM text is refused, since whoever knows a public key could sign with it."""
    if b"-----BEGIN" in key:
        raise CallerError("HS256 takes a shared secret, and this is a key in PEM")
    if len(key) < LEAST_SECRET_BYTES:
        raise CallerError(f"a shared secret needs at least {LEAST_SECRET_BYTES} bytes")
    return key


def _parts(token: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3:
        raise BadSignature("not a signed token of three parts")
    return parts[0], parts[1], parts[2]


def _part(value: Json) -> str:
    return _text(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadSignature("a part of the token is not base64url") from error


def _document(text: str) -> Json:
    try:
        return json.loads(_bytes(text))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadSignature):
            raise
        raise BadSignature("a part of the token is not JSON") from error
