"""Cosignatures of witnesses on a checkpoint. Standard library only: auditors run this.

Format: https://c2sp.org/tlog-cosignature, cosignature/v1. A witness's key is a signed-note key of type 0x04; its signature
line holds the key's id, eight bytes of POSIX time and an Ed25519 signature over `cosignature/v1`, `time N` and the note.
"""

from __future__ import annotations

import base64
import hashlib

from audit.ed25519 import is_valid
from audit.notes import BadNote

_COSIGNATURE = b"\x04"


def cosigned(note: str, witness: str) -> int:
    """When the witness whose key this is saw the note (POSIX seconds); raises BadNote when it did not sign it."""
    name, identity, public = _witness_key(witness)
    text, separator, lines = note.rpartition("\n\n")
    if not separator:
        raise BadNote("not a signed note")
    for line in lines.splitlines():
        parts = line.split(" ")
        if len(parts) == 3 and parts[0] == "\u2014" and parts[1] == name:
            raw = _from_base64(parts[2])
            if raw[:4] != identity:
                continue
            seconds = int.from_bytes(raw[4:12], "big")
            message = f"cosignature/v1\ntime {seconds}\n{text}\n"
            if len(raw) == 76 and is_valid(public, message.encode(), raw[12:]):
                return seconds
            raise BadNote(f"the cosignature of {name!r} is wrong: the text was changed, or the key is another")
    raise BadNote(f"the witness {name!r} did not cosign it")


def cosignature_line(name: str, public: bytes, seconds: int, signature: bytes) -> str:
    """The line that a witness adds to a note."""
    raw = _identity(name, public) + seconds.to_bytes(8, "big") + signature
    return f"\u2014 {name} {base64.b64encode(raw).decode()}\n"


def witness_key(name: str, public: bytes) -> str:
    """The form in which a witness's key is handed to auditors."""
    return f"{name}+{_identity(name, public).hex()}+{base64.b64encode(_COSIGNATURE + public).decode()}"


def _witness_key(text: str) -> tuple[str, bytes, bytes]:
    parts = text.strip().split("+", 2)
    raw = _from_base64(parts[2]) if len(parts) == 3 else b""
    if not parts[0] or raw[:1] != _COSIGNATURE or len(raw) != 33 or _identity(parts[0], raw[1:]).hex() != parts[1]:
        raise BadNote(f"{text[:60]!r} is not a witness's key (name+hash+key)")
    return parts[0], bytes.fromhex(parts[1]), raw[1:]


def _identity(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE + public).digest()[:4]


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise BadNote("a signature or key is not base64") from error
