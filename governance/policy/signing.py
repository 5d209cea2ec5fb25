"""Signatures of bundles in OPA's format: `.signatures.json` with one JWT over the digest of every file.

The reader's key decides the algorithm, never the token: RSA is RS256, P-256 is ES256, Ed25519 is EdDSA, and a file that is
no PEM is a shared secret for HS256. Digests of
structured files (`data.json`, `data.yaml`, `.manifest`) are taken over their values, so that white space may change.
Source: https://www.openpolicyagent.org/docs/management-bundles#signing
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import TYPE_CHECKING, Any

from governance.errors import BadBundle, CallerError
from governance.policy.builtins import jws
from governance.policy.bundle_yaml import load_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from governance.model.request import Json

SIGNATURES = ".signatures.json"
_ALGORITHM = "SHA-256"
_STRUCTURED = frozenset({"data.json", "data.yaml", "data.yml", ".manifest"})
_LEAST_RSA_BITS = 2048
_LEAST_SECRET_BYTES = 32


def signatures_of(files: Mapping[str, bytes], private_pem: bytes) -> bytes:
    """The contents of `.signatures.json` for `files`. Raises CallerError for a key that cannot sign."""
    key = _private(private_pem)
    rows = [
        {"name": name, "hash": digest_of_file(name, raw), "algorithm": _ALGORITHM}
        for name, raw in sorted(files.items())
        if name != SIGNATURES
    ]
    header = {"alg": _algorithm(key), "typ": "JWT"}
    signed = f"{_part(header)}.{_part({'files': rows})}"
    signature = jws.sign(_algorithm(key), key, signed.encode())
    token = f"{signed}.{_text(signature)}"
    return json.dumps({"signatures": [token]}).encode()


def verify(files: Mapping[str, bytes], public_pem: bytes, where: str) -> None:
    """Raise BadBundle unless exactly these files, each with its contents, were signed with the key."""
    raw = files.get(SIGNATURES)
    if raw is None:
        raise BadBundle("the bundle is not signed", where=where, hint="`governance bundle sign` signs it")
    expected = _files_of(_payload(raw, public_pem, where), where)
    present = {name: content for name, content in files.items() if name != SIGNATURES}
    for name in sorted(expected.keys() | present.keys()):
        if name not in expected:
            raise BadBundle("is not among the signed files", where=f"{where}/{name}")
        if name not in present:
            raise BadBundle("was signed and is missing", where=f"{where}/{name}")
        if digest_of_file(name, present[name]) != expected[name]:
            raise BadBundle("is not as it was signed", where=f"{where}/{name}")


def digest_of_file(name: str, raw: bytes) -> str:
    """SHA-256 in hexadecimal, over the value of a structured file and over the bytes of any other."""
    if name.rsplit("/", 1)[-1] not in _STRUCTURED:
        return hashlib.sha256(raw).hexdigest()
    total = hashlib.sha256()
    for piece in _pieces(_value(name, raw)):
        total.update(piece.encode("utf-8", "surrogatepass"))
    return total.hexdigest()


class _Literal(str):
    """A number as it is written: `1.0` and `1` have different digests."""

    __slots__ = ()


def _value(name: str, raw: bytes) -> Any:
    import yaml

    try:
        if name.endswith((".yaml", ".yml")):
            return load_data(raw)
        return json.loads(raw, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadBundle(f"cannot be read: {type(error).__name__}", where=name) from error


def _pieces(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield "{"
        for index, key in enumerate(sorted(value, key=lambda text: text.encode("utf-8", "surrogatepass"))):
            yield ("," if index else "") + _quoted(key) + ":"
            yield from _pieces(value[key])
        yield "}"
    elif isinstance(value, list):
        yield "["
        for index, item in enumerate(value):
            yield "," if index else ""
            yield from _pieces(item)
        yield "]"
    elif isinstance(value, _Literal):
        yield str(value)
    else:
        yield _quoted(value)


def _quoted(value: Json) -> str:
    """As Go's encoder writes it, which escapes the two line separators."""
    return json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _payload(raw: bytes, public_pem: bytes, where: str) -> Json:
    try:
        tokens = json.loads(raw)["signatures"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadBundle("is no list of signatures", where=f"{where}/{SIGNATURES}") from error
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise BadBundle("holds not exactly one signature", where=f"{where}/{SIGNATURES}")
    head, payload, signature = _split(tokens[0], where)
    key = _public(public_pem)
    header = _document(head, where)
    if not isinstance(header, dict) or header.get("alg") != _algorithm(key) or "crit" in header:
        named = header.get("alg") if isinstance(header, dict) else None
        raise BadBundle(f"signed with {str(named)[:20]!r}, and the key is for {_algorithm(key)}", where=where)
    if not jws.is_signed(_algorithm(key), key, f"{head}.{payload}".encode(), _bytes(signature, where)):
        raise BadBundle("the signature is not by this key", where=where)
    return _document(payload, where)


def _files_of(payload: Json, where: str) -> dict[str, str]:
    rows = payload.get("files") if isinstance(payload, dict) else None
    found: dict[str, str] = {}
    for row in rows if isinstance(rows, list) else ():
        is_row = isinstance(row, dict) and row.get("algorithm") == _ALGORITHM
        if not is_row or not isinstance(row.get("name"), str) or not isinstance(row.get("hash"), str):
            raise BadBundle(f"a file without name, hash or the algorithm {_ALGORITHM}", where=f"{where}/{SIGNATURES}")
        name = row["name"].removeprefix("/")
        if name in found:
            raise BadBundle(f"{name!r} is signed twice", where=f"{where}/{SIGNATURES}")
        found[name] = row["hash"].lower()
    if not found:
        raise BadBundle("no file is signed", where=f"{where}/{SIGNATURES}")
    return found


def _secret(raw: bytes) -> bytes | None:
    """The shared secret where the file is no PEM. A PEM of any sort is never one: what is public would be a secret."""
    if b"-----BEGIN" in raw:
        return None
    secret = raw.strip()
    if len(secret) < _LEAST_SECRET_BYTES:
        raise CallerError(
            f"neither a key in PEM nor a secret of {_LEAST_SECRET_BYTES} bytes",
            hint="openssl genpkey, or openssl rand -hex 32",
        )
    return secret


def _private(pem: bytes) -> Any:
    if (secret := _secret(pem)) is not None:
        return secret
    from cryptography.exceptions import UnsupportedAlgorithm  # slow to load
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # The library's own words may quote the key.
        raise CallerError("not a private key in PEM without a passphrase", hint="openssl genpkey makes one") from error


def _public(pem: bytes) -> Any:
    if (secret := _secret(pem)) is not None:
        return secret
    from cryptography.exceptions import UnsupportedAlgorithm  # slow to load
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CallerError("not a public key in PEM", hint="openssl pkey -pubout prints it") from error


def _algorithm(key: Any) -> str:
    if isinstance(key, bytes):
        return "HS256"
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # slow to load

    if isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise CallerError(f"an RSA key needs {_LEAST_RSA_BITS} bits, this one has {key.key_size}")
        return "RS256"
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    raise CallerError("the key is of a sort that no bundle is signed with", hint="RSA, P-256 or Ed25519")


def _split(token: str, where: str) -> tuple[str, str, str]:
    parts = token.split(".")
    if len(parts) != 3:
        raise BadBundle("not a token of three parts", where=f"{where}/{SIGNATURES}")
    return parts[0], parts[1], parts[2]


def _part(value: Json) -> str:
    return _text(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadBundle("a part of the token is not base64url", where=f"{where}/{SIGNATURES}") from error


def _document(text: str, where: str) -> Json:
    try:
        return json.loads(_bytes(text, where))
    except (ValueError, RecursionError) as error:
        raise BadBundle("a part of the token is not JSON", where=f"{where}/{SIGNATURES}") from error
