"""What a witness says of a checkpoint: at this time, this was the largest tree of this log that I saw, and it only grew.

Format: cosignature/v1 of https://c2sp.org/tlog-cosignature: Ed25519 over a header, the time and the checkpoint's text. Standard
library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.ed25519 import is_valid
from audit.notes import COSIGNATURE, BadNote, parse_verifier_key, signature_of, text_of_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.notes import VerifierKey

_TIME = 8


def cosigned_message(text: str, time: int) -> bytes:
    """What is signed over a checkpoint's text at a POSIX time."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def check_cosigned(note: str, witnesses: Sequence[str]) -> None:
    """Raises BadNote unless every witness, given by verifier key, cosigned a note."""
    keys = [parse_verifier_key(witness, COSIGNATURE) for witness in witnesses]
    for key in keys:
        if key.name not in cosignatures(note, [key]):  # one by one: two keys may go by one name
            raise BadNote(f"the witness {key.name!r} did not cosign it")


def cosignatures(note: str, witnesses: Iterable[VerifierKey]) -> dict[str, int]:
    """`{witness: POSIX time}` of the cosignatures on a note that verify; raises BadNote for one that is wrong, or no note.

    Lines of keys that are not among the witnesses are passed over.
    """
    text, lines = text_of_note(note)
    known = {(key.name, key.key_id): key for key in witnesses}
    found: dict[str, int] = {}
    for line in lines:
        name, raw = signature_of(line)
        key = known.get((name, raw[:4]))
        if key is None:
            continue
        time, signature = int.from_bytes(raw[4 : 4 + _TIME], "big"), raw[4 + _TIME :]
        if not is_valid(key.public, cosigned_message(text, time), signature):
            raise BadNote(f"the cosignature of {name!r} is wrong: the checkpoint was changed, or the key is another")
        found[name] = time
    return found
