"""Serving certificates: one of our own for trying things out, and taking up a new one.

What is served is a copy of the last pair that was one. So a worker that starts while the files are half replaced, or broken,
serves what the others serve.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from datetime import UTC
from typing import TYPE_CHECKING

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.x509 import GeneralName

_DAYS = 90


def self_signed(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """(certificate, key) in `folder` for host names and addresses, made where they are not there yet. For try-outs only."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    if certificate.exists() and key.exists() and is_pair(str(certificate), str(key)):
        return certificate, key
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made, secret = _made(names)
    _write_private(key, secret)
    certificate.write_bytes(made)
    return certificate, key


def is_pair(certificate: str, key: str) -> bool:
    """Whether both files are readable and belong together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        return False
    return True


def taken(folder: Path, certificate: str, key: str) -> tuple[Path, Path] | None:
    """(certificate, key): copies in `folder`, named by their content; None when the two are not a readable pair.

    The newest copy before this one stays, for a worker that is just starting with it.
    """
    try:
        with open(certificate, "rb") as first, open(key, "rb") as second:
            texts = (first.read(), second.read())
    except OSError:
        return None
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    earlier = sorted(folder.glob("*.crt"), key=lambda path: path.stat().st_mtime_ns)[:-1]
    name = hashlib.sha256(b"\0".join(texts)).hexdigest()
    copies = (folder / f"{name}.crt", folder / f"{name}.key")
    # What is there already may be being read by a worker that starts.
    if not is_pair(*map(str, copies)):
        for path, text in zip(copies, texts, strict=True):
            _write_private(path, text)
    if not is_pair(*map(str, copies)):
        for path in copies:
            path.unlink()
        return None
    for path in earlier:
        if path != copies[0]:
            path.unlink()
            path.with_suffix(".key").unlink(missing_ok=True)
    return copies


def _write_private(path: Path, text: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(text)


def stamp(*paths: str) -> tuple[tuple[int, int], ...]:
    """What changes when one of the files is replaced; a secret that is mounted is replaced by a link."""
    found = []
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_mtime_ns, status.st_ino))
    return tuple(found)


def _made(names: Sequence[str]) -> tuple[bytes, bytes]:
    from datetime import datetime, timedelta

    from cryptography import x509  # slow to load; only a try-out makes a certificate
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "microapp-governance try-out")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, secret.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=_DAYS))
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = builder.sign(secret, hashes.SHA256())
    private = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM), private


def _name(text: str) -> GeneralName:
    import ipaddress

    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        if not text.isascii() or not text:
            raise CallerError(f"{text!r} is no host name", where="--tls-self-signed") from None
        return x509.DNSName(text)
