"""A client's certificate and key (mutual TLS): in the store of secrets, on connections of whom it is for, nowhere else.

Stored is the base64 of a PEM file, certificate first, so that it is one line like every other secret. A token that a vendor
binds to the certificate (RFC 8705, section 3) is worth nothing without it. Whether a vendor does bind it, a client cannot see:
to it a token is a text.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import DependencyError

if TYPE_CHECKING:
    import ssl

    from governance.model.request import Json
    from governance.platform.broker.secrets import Secrets


_END = b"-----END CERTIFICATE-----"


class ClientCertificate(NamedTuple):
    """What identifies the broker at one vendor, for one tenant."""

    thumbprint: str
    """`x5t#S256` of RFC 8705, section 3.1."""
    name: str
    """Of the secret, for messages."""
    pem: bytes

    def put_on(self, context: ssl.SSLContext) -> None:
        """Let connections of a context present it. Raises DependencyError where the key is none, or another's."""
        from cryptography.hazmat.primitives import serialization  # slow to load; most connectors have no certificate
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

        password, path = os.urandom(32).hex(), ""
        try:
            end = self.pem.rindex(_END) + len(_END)
            key = serialization.load_pem_private_key(self.pem[end:], None)
            sealed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode()))
            # The library reads files only; what lies there for a moment opens with nothing that is written anywhere.
            handle, path = tempfile.mkstemp(suffix=".pem")
            with os.fdopen(handle, "wb") as file:
                file.write(self.pem[:end] + b"\n" + sealed)
            context.load_cert_chain(path, password=password)
        except (ValueError, TypeError, OSError) as error:
            raise _none(self.name) from error
        finally:
            if path:
                os.unlink(path)

    def __repr__(self) -> str:
        return f"ClientCertificate({self.thumbprint})"


def is_mutual(connector: Json) -> bool:
    """Whether the connections of a registered connector present a certificate."""
    return connector.get("mutual_tls") is True


def handle_of(tenant: str, connector: Json) -> str:
    """Name of the secret; the registry takes no connector whose own would be the same."""
    return f"{tenant}/certificate-{connector['name']}"


async def certificate_of(secrets: Secrets, tenant: str, connector: Json) -> ClientCertificate | None:
    """The certificate of a tenant at a connector; None where the connector takes none. Raises NotFound, DependencyError."""
    if not is_mutual(connector):
        return None
    return await stored_certificate(secrets, handle_of(tenant, connector))


async def stored_certificate(secrets: Secrets, name: str) -> ClientCertificate:
    """The certificate that a secret holds. Raises NotFound, DependencyError."""
    return _read((await asyncio.to_thread(secrets.get, name)).reveal(), name)


def _read(value: str, name: str) -> ClientCertificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        pem = base64.b64decode(value, validate=True)
        # Only the first says who it is; the others vouch for it.
        shown = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise _none(name) from error
    digest = base64.urlsafe_b64encode(hashlib.sha256(shown).digest()).decode().rstrip("=")
    return ClientCertificate(digest, name, pem)


def _none(name: str) -> DependencyError:
    return DependencyError(
        f"the secret {name} is no client certificate with its key",
        hint=f"cat certificate.pem key.pem | base64 -w0 | governance secret rotate {name}",
    )
