"""From one signing key to the next: a statement that both signed, so that who trusts the old one can trust the new.

Standard library only, but for making one: auditors follow keys with this.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from audit.notes import BadNote, is_signature, parse_verifier_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.keys import SigningKey


def rotation_statement(old: str, new: str) -> bytes:
    """What both keys sign: their verifier keys, under a first line that no checkpoint has."""
    return f"audit-key-rotation/v1\n{old}\n{new}\n".encode()


def rotation_public(key: SigningKey) -> dict[str, str]:
    """The public members of a rotation's record, for a key that has its predecessor beside it."""
    new, old = map(str, key.verifiers)
    by_new, by_old = (base64.b64encode(one).decode() for one in key.signatures(rotation_statement(old, new)))
    return {"change": "rotate", "old_key": old, "new_key": new, "signed_by_old": by_old, "signed_by_new": by_new}


def followed(trusted: str, rotations: Iterable[dict[str, Any]]) -> str:
    """The newest key that leads back to the `trusted` one over the public members of `key_rotation` records, in order.

    A rotation from another key is passed over; raises BadNote for one from a trusted key whose signatures do not hold.
    """
    for public in rotations:
        if public.get("change") != "rotate" or public.get("old_key") != trusted:
            continue
        old, new = str(public["old_key"]), str(public.get("new_key", ""))
        statement = rotation_statement(old, new)
        for key, member in ((old, "signed_by_old"), (new, "signed_by_new")):
            if not is_signature(parse_verifier_key(key), statement, str(public.get(member, ""))):
                raise BadNote(f"the rotation to {new[:60]!r} is not signed by {key[:60]!r}")
        trusted = new
    return trusted
