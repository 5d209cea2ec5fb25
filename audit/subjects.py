"""How the names and keys of subjects are stored: wrapped under a secret that is in no database, derived from the log's key.

Whatever a database keeps of what it once held (free pages, dead rows, its write-ahead log, standbys, backups) then holds no
name and no key in clear, not even before an erasure. A name is found by a tag (HMAC-SHA-256), key and name stand in one
AES-256-GCM ciphertext. While the log's key is changed, the older one wraps, which every replica has; at the end of the change
all are wrapped anew, and what was wrapped under the old key can be opened by nobody any more.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.errors import LogTorn
from audit.randomness import random_bytes
from audit.rows import SubjectKey

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = 32
_NONCE = 12
_INFO = b"microapp-governance/audit-subjects/v1"


class _Secret(NamedTuple):
    tag: bytes
    cipher: AESGCM


class Wraps:
    """Wraps and opens rows of the table of subjects. Without a secret (a store that nobody gave a key) it knows nobody."""

    def __init__(self, seeds: Sequence[bytes] = ()) -> None:
        """`seeds` of the log's signing keys, the newest first."""
        self._secrets = [_secret(seed) for seed in seeds]

    def tags(self, subject: str) -> list[str]:
        """By which a subject's row may be found."""
        return [_tag(secret, subject) for secret in self._secrets]

    def wrapped(self, known: SubjectKey) -> SubjectKey:
        """A row as it is stored: the tag in the place of the name, the ciphertext in that of the key."""
        if not self._secrets:
            raise LogTorn("the log's key is not at hand: a subject's key cannot be stored in clear")
        secret, nonce = self._secrets[-1], random_bytes(_NONCE)
        sealed = secret.cipher.encrypt(nonce, known.key + known.subject.encode(), _bound(known.number))
        return SubjectKey(known.number, _tag(secret, known.subject), nonce + sealed)

    def opened(self, stored: SubjectKey) -> SubjectKey:
        """The inverse, also for a row of an earlier version, in clear. Raises LogTorn where another log's key wrapped it."""
        raw = bytes(stored.key)
        if len(raw) == KEY:
            return stored._replace(key=raw)
        for secret in self._secrets:
            try:
                plain = secret.cipher.decrypt(raw[:_NONCE], raw[_NONCE:], _bound(stored.number))
            except InvalidTag:
                continue
            return SubjectKey(stored.number, plain[KEY:].decode(), plain[:KEY])
        raise LogTorn(
            f"the key of subject {stored.number} is not wrapped under this log's key: restore the database, or give this "
            "home the <home>/audit/key that the log was written with"
        )


def _secret(seed: bytes) -> _Secret:
    raw = HKDF(SHA256(), 64, None, _INFO).derive(seed)
    return _Secret(raw[:32], AESGCM(raw[32:]))


def _tag(secret: _Secret, subject: str) -> str:
    return hmac.digest(secret.tag, subject.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def _bound(number: int) -> bytes:
    """Associated data: a key moved to another row does not open."""
    return number.to_bytes(8, "big")
