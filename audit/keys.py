"""The log's signing key: 32 bytes in a file that only this account can read, made on first use."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audit.errors import AuditError, LogTorn
from audit.notes import Checkpoint, VerifierKey, checkpoint_text, signed, verifier_key

if TYPE_CHECKING:
    from pathlib import Path


class SigningKey:
    """Signs checkpoints and export manifests under the log's origin."""

    def __init__(self, origin: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifier: VerifierKey = verifier_key(origin, public)

    def sign(self, message: bytes) -> bytes:
        """A 64 byte Ed25519 signature."""
        return self._key.sign(message)

    def checkpoint(self, size: int, root: bytes) -> str:
        """A signed note that states the log's size and root."""
        text = checkpoint_text(Checkpoint(self.verifier.name, size, root))
        return signed(text, self.verifier, self.sign(text.encode()))


def load_or_make(path: Path, origin: str, *, may_make: bool) -> SigningKey:
    """The key at `path`; a new one where there is none and `may_make`. Refuses a file that others may read."""
    if not path.exists():
        if not may_make:
            raise LogTorn(f"{path}: the key that signed this log is missing; restore it, a new one would not fit")
        _make(path)
    if path.stat().st_mode & 0o077:
        raise AuditError(f"{path}: others may read the log's signing key; chmod 600 and consider it known to them")
    seed = path.read_bytes()
    if len(seed) != 32:
        raise AuditError(f"{path}: not a signing key of 32 bytes; restore it from a backup")
    return SigningKey(origin, seed)


def _make(path: Path) -> None:
    """Write a new key beside its place and move it there whole: killed in between, there is none, and never half of one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(32))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
