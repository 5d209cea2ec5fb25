"""C2SP signed notes and checkpoints: text that states a log's size and root, and who signed it. Standard library only.

Formats: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint. A verifier key is
`<name>+<hash, 8 hex digits>+<base64 of 0x01 and the 32 byte public key>`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from audit.ed25519 import is_valid

if TYPE_CHECKING:
    from collections.abc import Sequence

ED25519, COSIGNATURE = b"\x01", b"\x04"
"""Signature types: of a log, of a witness."""


class BadNote(ValueError):
    """A note that is malformed, or that no trusted key signed."""


class VerifierKey(NamedTuple):
    """Whose signatures count."""

    name: str
    key_id: bytes
    """First four bytes of SHA-256 over name, newline, algorithm, key."""
    public: bytes
    algorithm: bytes = ED25519

    def __str__(self) -> str:
        """The form that is handed to auditors."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.algorithm + self.public).decode()}"


class Checkpoint(NamedTuple):
    """What a log claimed at one moment."""

    origin: str
    size: int
    root: bytes


def verifier_key(name: str, public: bytes, algorithm: bytes = ED25519) -> VerifierKey:
    """The verifier key of a public key under a name."""
    identity = hashlib.sha256(name.encode() + b"\n" + algorithm + public).digest()[:4]
    return VerifierKey(name, identity, public, algorithm)


def parse_verifier_key(text: str, algorithm: bytes = ED25519) -> VerifierKey:
    """Read the `name+hash+key` form; raises BadNote for a key of another type, or whose hash does not fit."""
    parts = text.strip().split("+", 2)
    try:
        name, identity, raw = parts[0], bytes.fromhex(parts[1]), base64.b64decode(parts[2], validate=True)
    except (IndexError, ValueError) as error:
        raise BadNote(f"{text[:60]!r} is not a verifier key (name+hash+key)") from error
    key = verifier_key(name, raw[1:], algorithm)
    if not name or raw[:1] != algorithm or len(raw) != 33 or key.key_id != identity:
        raise BadNote(f"verifier key {name!r} is not an Ed25519 key with a fitting hash")
    return key


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """The body that is signed: origin, size, root; each line ends with a newline."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n"


def signed(text: str, key: VerifierKey, signature: bytes) -> str:
    """A note: `text`, an empty line, one signature line."""
    return f"{text}\n{signature_line(key, signature)}"


def signature_line(key: VerifierKey, signature: bytes) -> str:
    """One more line for a note, with its newline."""
    return f"\u2014 {key.name} {base64.b64encode(key.key_id + signature).decode()}\n"


def opened(note: str, key: VerifierKey) -> str:
    """The text of a note that `key` signed; raises BadNote otherwise. Lines of other signers are passed over."""
    text, lines = text_of_note(note)
    for line in lines:
        name, raw = signature_of(line)
        if name == key.name and raw[:4] == key.key_id:
            if is_valid(key.public, text.encode(), raw[4:]):
                return text
            raise BadNote(f"the signature of {name!r} is wrong: the text was changed, or the key is another")
    raise BadNote(f"{key.name!r} did not sign this note")


def is_signature(key: VerifierKey, message: bytes, encoded: str) -> bool:
    """Whether a base64 text is `key`'s signature of a message."""
    try:
        return is_valid(key.public, message, base64.b64decode(encoded, validate=True))
    except ValueError:
        return False


def text_of_note(note: str) -> tuple[str, list[str]]:
    """(text, signature lines) of a note that nobody verified yet; raises BadNote for what is none."""
    text, separator, lines = note.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise BadNote("not a signed note: an empty line, then signatures, each with its newline, are expected")
    if any(letter < " " and letter != "\n" for letter in text):
        raise BadNote("not a signed note: a control character in its text")
    return text + "\n", lines[:-1].split("\n")


def opened_by_any(note: str, keys: Sequence[VerifierKey]) -> str:
    """The text of a note that one of the keys signed; raises BadNote saying what the first key has against it."""
    reasons = []
    for key in keys:
        try:
            return opened(note, key)
        except BadNote as error:
            reasons.append(error)
    raise reasons[0] if reasons else BadNote("no key to verify a note with")


def parse_checkpoint(text: str) -> Checkpoint:
    """Origin, size and root from a note's text."""
    lines = text.split("\n")
    try:
        size, root = int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError) as error:
        raise BadNote("not a checkpoint: origin, size and root expected") from error
    if str(size) != lines[1] or size < 0 or len(root) != 32:
        raise BadNote("not a checkpoint: size or root is malformed")
    return Checkpoint(lines[0], size, root)


def signature_of(line: str) -> tuple[str, bytes]:
    """(name, key id and signature) of a signature line without its newline; raises BadNote."""
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014":
        raise BadNote(f"{line[:60]!r} is not a signature line")
    try:
        return parts[1], base64.b64decode(parts[2], validate=True)
    except binascii.Error as error:
        raise BadNote("a signature is not base64") from error
