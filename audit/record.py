"""What goes into the log, and how it becomes a leaf.

A leaf is canonical JSON: what may be public, and for each sealed field a commitment HMAC-SHA256(salt, canonical value).
The salt keeps a value of few possibilities from being guessed. Value and salt are stored beside the log, encrypted
under a key of their subject; losing that key erases them and leaves the leaf, and so every proof, as it was.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, NamedTuple

from audit.canonical import canonical, canonical_text
from audit.errors import RecordTooLarge
from audit.randomness import random_bytes

LEAF_VERSION = 1
MOST_BYTES = 65_535


class Canonical(str):
    """Canonical JSON text of a value, for whoever has it already."""

    __slots__ = ()


class Entry(NamedTuple):
    """What somebody wants recorded."""

    kind: str
    time: str
    """RFC 3339, UTC."""
    public: dict[str, Any]
    """Small fields without content: ids, names, effect, digests."""
    sealed: dict[str, Any]
    """Fields with content: committed to, readable only with their opening. JSON values, or `Canonical` texts of them."""
    subject: str = ""
    """Whose data the sealed fields are: erasing this subject's key erases them."""


class Receipt(NamedTuple):
    """Proof for the caller that the record is on disk."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    leaf_hash: str
    """Hex."""
    app_sequence: int
    """Counts the records of one app from 1, so that a missing one shows."""
    size: int
    """Size of the log in the checkpoint that covers this record."""


class Sealed(NamedTuple):
    """A sealed field: what is public of it, and what opens it."""

    commitment: str
    salt: str
    text: str
    """Canonical JSON text of the value."""


def seal(value: Any, salt: bytes | None = None) -> Sealed:
    """Commit to a value with a fresh 16 byte salt."""
    secret = salt if salt is not None else random_bytes(16)
    text = text_of(value)
    raw = text.encode("utf-8", "surrogatepass")
    return Sealed(hmac.digest(secret, raw, hashlib.sha256).hex(), secret.hex(), text)


def text_of(value: Any) -> str:
    """Canonical JSON text. Raises ValueError or TypeError for what is no JSON."""
    return value if isinstance(value, Canonical) else canonical_text(value)


def opens(commitment: str, salt: str, value: Any) -> bool:
    """Whether salt and value are what the commitment was made of."""
    try:
        return hmac.compare_digest(seal(value, bytes.fromhex(salt)).commitment, commitment)
    except ValueError:
        return False


def leaf_of(entry: Entry, commitments: dict[str, str], *, index: int, app_sequence: int, clock_back: str = "") -> bytes:
    """The leaf's bytes. `clock_back` names the later time that was recorded before this one, if the clock jumped."""
    body: dict[str, Any] = {
        "v": LEAF_VERSION,
        "index": index,
        "app_sequence": app_sequence,
        "kind": entry.kind,
        "time": entry.time,
        "public": entry.public,
        "commitments": commitments,
    }
    if clock_back:
        body["clock_back_from"] = clock_back
    raw = canonical(body)
    if len(raw) > MOST_BYTES:
        raise RecordTooLarge(f"a record of {len(raw)} bytes; at most {MOST_BYTES} fit, so seal what is large")
    return raw
