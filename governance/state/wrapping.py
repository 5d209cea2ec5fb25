"""Secrets that stand in a database, each wrapped under what is derived from the log's signing key (RFC 5869).

Whoever has only the database opens nothing. While one key of the log takes over from another each secret is wrapped for both,
so that either file of a replica opens it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from governance.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NONCE = 12


class Wrapping:
    """Wraps and opens secrets of one purpose, for the keys that a home's file holds."""

    def __init__(self, seeds: Sequence[bytes], info: bytes) -> None:
        """`seeds` of the log's signing keys; `info` keeps what is derived for one purpose from that for another."""
        self._ciphers = {derived(seed, info + b"/id")[:16]: AESGCM(derived(seed, info + b"/wrap")) for seed in seeds}

    @property
    def ids(self) -> list[bytes]:
        """Of the keys, without what they are; the newest first."""
        return list(self._ciphers)

    def opened(self, held: Mapping[bytes, bytes], bound: bytes = b"") -> bytes | None:
        """The secret of which `held` has {id of a key: wrapped}; None where it is wrapped for none of these.

        Raises DependencyError where it was changed, or put into the place of another (`bound`).
        """
        for key_id, cipher in self._ciphers.items():
            if key_id in held:
                try:
                    return opened_with(cipher, held[key_id], key_id + bound)
                except (InvalidTag, ValueError) as error:
                    raise DependencyError("a key that replicas share was changed in the database") from error
        return None

    def wrapped(self, secret: bytes, bound: bytes = b"") -> dict[bytes, bytes]:
        """{id of a key: the secret as it may stand in the database}."""
        return {key_id: sealed_with(cipher, secret, key_id + bound) for key_id, cipher in self._ciphers.items()}


def derived(secret: bytes, info: bytes) -> bytes:
    """32 bytes that say nothing of the secret (HKDF-SHA-256)."""
    return HKDF(SHA256(), 32, None, info).derive(secret)


def sealed_with(cipher: AESGCM, content: bytes, bound: bytes) -> bytes:
    """Nonce and ciphertext, bound to where it stands."""
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, content, bound)


def opened_with(cipher: AESGCM, raw: bytes, bound: bytes) -> bytes:
    """The inverse; raises InvalidTag, or ValueError for what is too short."""
    return cipher.decrypt(raw[:_NONCE], raw[_NONCE:], bound)
