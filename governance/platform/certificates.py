"""Serving certificates: one of our own for trying things out, and noticing that a file holds a new one."""

from __future__ import annotations

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
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(made)
    return certificate, key


def is_pair(certificate: str, key: str) -> bool:
    """Whether both files are readable and belong together."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        return False
    return True


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
