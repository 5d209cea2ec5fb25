"""Openings: values and salts of sealed fields, encrypted (AES-256-GCM) under a key of their subject.

The key is the only way in. Erasing a person is destroying the subject's key; the leaves and proofs stay as they are.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.randomness import random_bytes
from audit.rows import SubjectKey, in_ranges
from audit.sealed_texts import split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from audit.log_store import LogStore
    from audit.record import Sealed

_NONCE = 12
# Keys held in memory; a subject beyond that is read from the database again.
_MOST_KEYS = 10_000


class Vault:
    """Seals and opens for one store."""

    def __init__(self, store: LogStore) -> None:
        self._store = store
        self._ciphers: dict[str, tuple[int, AESGCM]] = {}
        self._new_keys: dict[str, SubjectKey] = {}
        self._last_number = 0

    def take_new_keys(self) -> list[SubjectKey]:
        """Keys made since the last call; they go to disk with the batch that uses them."""
        made = list(self._new_keys.values())
        self._new_keys.clear()
        return made

    def sealed(self, subject: str, index: int, fields: Mapping[str, Sealed]) -> tuple[int, bytes]:
        """Number of the subject's key, and the openings of one record encrypted under it, bound to the record's index."""
        members = (
            f'{_named(name)}:{{"salt":"{sealed.salt}","value":{sealed.text}}}' for name, sealed in fields.items()
        )
        plain = f"{{{','.join(members)}}}".encode("utf-8", "surrogatepass")
        nonce = random_bytes(_NONCE)
        number, cipher = self._cipher(subject)
        return number, nonce + cipher.encrypt(nonce, plain, _bound(index))

    def openings(self, index: int) -> dict[str, dict[str, Any]]:
        """`{field: {"salt", "value"}}`; empty where there is none or its key was erased."""
        try:
            return self._opened(index)
        except (InvalidTag, ValueError):
            return {}

    def is_damaged(self, index: int, commitments: Mapping[str, str]) -> bool:
        """Whether what is stored for a record is something else than what it committed to. Erased is not damaged.

        An opening may only be missing where a record of the log says that it was taken away.
        """
        found = self._store.opening(index)
        if not commitments:
            return found is not None
        if found is None:
            return not self._is_rightly_gone(index)
        try:
            # By its bytes: a service does this for its whole log again and again, and parsing would cost more than all else.
            return split(self._text(index, found), commitments).keys() != commitments.keys()
        except (InvalidTag, ValueError):
            return True

    def _is_rightly_gone(self, index: int) -> bool:
        by = self._store.emptied_by(index)
        leaf = None if by is None else self._store.leaf(by)
        if leaf is None:
            return False
        said = json.loads(leaf)
        return said["kind"] in {"erasure", "prune"} and in_ranges(str(said["public"].get("indexes", "")), index)

    def _opened(self, index: int) -> dict[str, dict[str, Any]]:
        found = self._store.opening(index)
        return {} if found is None else dict(json.loads(self._text(index, found)))

    def _text(self, index: int, found: tuple[int, bytes]) -> bytes:
        number, raw = found
        key = self._store.numbered_key(number)
        return b"{}" if key is None else AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], _bound(index))

    def texts(self, rows: Sequence[tuple[int, bytes, Any, bytes]]) -> list[bytes]:
        """The opening's text for each row of `Store.rows`; empty where there is none or its key was erased.

        Keys are looked up anew for every call, so that an erasure counts from the next one on.
        """
        keys = self._store.numbered_keys({subject for _, _, subject, sealed in rows if sealed})
        opens = {number: AESGCM(key).decrypt for number, key in keys.items()}
        texts = []
        for index, _, subject, sealed in rows:
            try:
                texts.append(opens[subject](sealed[:_NONCE], sealed[_NONCE:], index.to_bytes(8, "big")))
            except (KeyError, ValueError, InvalidTag):  # nothing was sealed, or its key was erased; it was changed
                texts.append(b"")
        return texts

    def values(self, index: int) -> dict[str, Any]:
        """Only the values."""
        return {name: opening["value"] for name, opening in self.openings(index).items()}

    def forget(self) -> None:
        """Drop cached keys: after a failed batch one of them may not be in the database, after an erasure it must not be."""
        self._ciphers.clear()
        self._new_keys.clear()

    def _cipher(self, subject: str) -> tuple[int, AESGCM]:
        known = self._ciphers.get(subject)
        if known is None:
            made = self._new_keys.get(subject) or self._store.subject_key(subject)
            if made is None:
                self._last_number = 1 + (self._last_number or self._store.last_subject())
                made = SubjectKey(self._last_number, subject, AESGCM.generate_key(256))
                self._new_keys[subject] = made
            if len(self._ciphers) >= _MOST_KEYS:
                self._ciphers.clear()
            known = self._ciphers[subject] = made.number, AESGCM(made.key)
        return known


@lru_cache(maxsize=64)
def _named(name: str) -> str:
    """A member's name in JSON; there are few."""
    return json.dumps(name)


def _bound(index: int) -> bytes:
    """Associated data: an opening moved to another record does not open."""
    return index.to_bytes(8, "big")
