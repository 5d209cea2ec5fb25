"""The log's signing key: 32 bytes in a file that only this account can read, made on first use.

While one key takes over from another the file holds both, the new one first, and both sign: whoever knows only the old
one still verifies, and finds the record that names the new one.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audit.errors import AuditError, BadQuestion, LogTorn
from audit.notes import Checkpoint, VerifierKey, checkpoint_text, signature_line, signed, verifier_key

if TYPE_CHECKING:
    from pathlib import Path

SEED = 32


class SigningKey:
    """Signs checkpoints and export manifests under the log's origin."""

    def __init__(self, origin: str, seed: bytes, older: bytes = b"") -> None:
        """`older`: seed of the key that is on its way out."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._origin, self._seeds = origin, [seed, older] if older else [seed]
        self._keys = [Ed25519PrivateKey.from_private_bytes(each) for each in self._seeds]
        publics = (key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) for key in self._keys)
        self.verifiers: tuple[VerifierKey, ...] = tuple(verifier_key(origin, public) for public in publics)
        """The newest first."""

    @property
    def verifier(self) -> VerifierKey:
        """The newest key."""
        return self.verifiers[0]

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """The secrets, the newest first: for deriving other keys from them."""
        return tuple(self._seeds)

    def sign(self, message: bytes) -> bytes:
        """A 64 byte Ed25519 signature of the newest key."""
        return self._keys[0].sign(message)

    def signatures(self, message: bytes) -> list[bytes]:
        """One of each key, the newest first."""
        return [key.sign(message) for key in self._keys]

    def checkpoint(self, size: int, root: bytes) -> str:
        """A signed note that states the log's size and root; by both keys while there are two."""
        return self.note(checkpoint_text(Checkpoint(self._origin, size, root)))

    def note(self, text: str) -> str:
        """A signed note of any text whose first line nobody takes for a checkpoint's; by both keys while there are two."""
        first, *more = self.signatures(text.encode())
        lines = (signature_line(key, one) for key, one in zip(self.verifiers[1:], more, strict=True))
        return signed(text, self.verifier, first) + "".join(lines)

    def successor(self) -> SigningKey:
        """A new key, with this one beside it; raises AuditError while an older one is still beside this."""
        if len(self._seeds) > 1:
            raise BadQuestion("two keys sign already: finish that rotation first (`audit rotate-key --finish`)")
        return SigningKey(self._origin, os.urandom(SEED), self._seeds[0])

    def alone(self) -> SigningKey:
        """Only the newest."""
        return SigningKey(self._origin, self._seeds[0])

    def save(self, path: Path) -> None:
        """Write beside the place and move there whole: killed in between, the file is the one or the other."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(self._seeds))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)


def load_or_make(path: Path, origin: str, *, may_make: bool) -> SigningKey:
    """The key at `path`; a new one where there is none and `may_make`. Refuses a file that others may read."""
    if not path.exists():
        if not may_make:
            raise LogTorn(f"{path}: the key that signed this log is missing; restore it, a new one would not fit")
        SigningKey(origin, os.urandom(SEED)).save(path)
    if path.stat().st_mode & 0o077:
        raise AuditError(f"{path}: others may read the log's signing key; chmod 600 and consider it known to them")
    raw = path.read_bytes()
    if len(raw) not in {SEED, 2 * SEED}:
        raise AuditError(f"{path}: not a signing key of {SEED} bytes; restore it from a backup")
    return SigningKey(origin, raw[:SEED], raw[SEED:])
