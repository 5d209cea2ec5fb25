"""Signatures of tokens (RFC 7515, RFC 7518): is this one right for this key and algorithm, and making one.

`none` is not among the algorithms. A key of the wrong type verifies nothing.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from governance.policy.builtins.operands import BuiltinError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

# Shorter RSA keys can be factored; Go refuses them as well.
_LEAST_RSA_BITS = 1024


def is_signed(algorithm: str, material: Any, message: bytes, signature: bytes, *, is_strict: bool = True) -> bool:
    """Whether `signature` over `message` is right for the key and the JWS algorithm.

    `is_strict` asks for the exact lengths of RFC 7518: two halves of the curve's size for ES, a salt of the digest's
    size for PS. The builtins named after one algorithm are looser in OPA.
    """
    family, bits = algorithm[:2], algorithm[2:]
    if algorithm == "EdDSA":
        return _is_eddsa(material, message, signature, is_strict=is_strict)
    if bits not in {"256", "384", "512"}:
        return False
    if family == "HS":
        return isinstance(material, bytes) and hmac.compare_digest(mac(bits, material, message), signature)
    if family in {"RS", "PS"}:
        return _is_rsa(family, bits, material, message, signature, is_strict=is_strict)
    return family == "ES" and _is_ecdsa(bits, material, message, signature, is_strict=is_strict)


def mac(bits: str, secret: bytes, message: bytes) -> bytes:
    """HMAC with SHA-2 of that many bits."""
    return hmac.digest(secret, message, f"sha{bits}")


def sign(algorithm: str, material: Any, message: bytes) -> bytes:
    """A signature over `message`; raises BuiltinError where the key is not a private one for the algorithm."""
    family, bits = algorithm[:2], algorithm[2:]
    if family == "HS" and isinstance(material, bytes):
        return mac(bits, material, message)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils  # slow to load

    if family in {"RS", "PS"} and isinstance(material, rsa.RSAPrivateKey):
        return material.sign(message, _padding(family, bits, is_strict=True), _hash(bits))
    if family == "ES" and isinstance(material, ec.EllipticCurvePrivateKey):
        r, s = utils.decode_dss_signature(material.sign(message, ec.ECDSA(_hash(bits))))
        size = (material.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if algorithm == "EdDSA" and isinstance(material, ed25519.Ed25519PrivateKey):
        return material.sign(message)
    raise BuiltinError(f"the key cannot sign with {algorithm}")


def _hash(bits: str) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes  # slow to load

    known: dict[str, HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    return known[bits]


def _padding(family: str, bits: str, *, is_strict: bool) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding  # slow to load

    if family == "RS":
        return padding.PKCS1v15()
    salt = padding.PSS.DIGEST_LENGTH if is_strict else padding.PSS.AUTO
    return padding.PSS(padding.MGF1(_hash(bits)), salt)


def _is_rsa(family: str, bits: str, material: Any, message: bytes, signature: bytes, *, is_strict: bool) -> bool:
    from cryptography.exceptions import InvalidSignature  # slow to load
    from cryptography.hazmat.primitives.asymmetric import rsa

    if is_strict and isinstance(material, rsa.RSAPrivateKey):
        material = material.public_key()
    if not isinstance(material, rsa.RSAPublicKey) or material.key_size < _LEAST_RSA_BITS:
        return False
    try:
        material.verify(signature, message, _padding(family, bits, is_strict=is_strict), _hash(bits))
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_ecdsa(bits: str, material: Any, message: bytes, signature: bytes, *, is_strict: bool) -> bool:
    from cryptography.exceptions import InvalidSignature  # slow to load
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    if is_strict and isinstance(material, ec.EllipticCurvePrivateKey):
        material = material.public_key()
    if not isinstance(material, ec.EllipticCurvePublicKey) or (is_strict and len(signature) != _two_sizes(material)):
        return False
    half = len(signature) // 2
    r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
    try:
        material.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(_hash(bits)))
    except (InvalidSignature, ValueError):
        return False
    return True


def _two_sizes(key: EllipticCurvePublicKey) -> int:
    return (key.curve.key_size + 7) // 8 * 2


def _is_eddsa(material: Any, message: bytes, signature: bytes, *, is_strict: bool) -> bool:
    from cryptography.exceptions import InvalidSignature  # slow to load
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if is_strict and isinstance(material, ed25519.Ed25519PrivateKey):
        material = material.public_key()
    if not isinstance(material, ed25519.Ed25519PublicKey):
        return False
    try:
        material.verify(signature, message)
    except InvalidSignature:
        return False
    return True
