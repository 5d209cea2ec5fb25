"""From one signing key to the next: a statement that both signed, so that who trusts the old one can trust the new.

Standard library only, but for making one: auditors follow keys with this.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from audit.notes import BadNote, VerifierKey, is_signature, parse_verifier_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.keys import SigningKey


_MEMBERS = ("change", "old_key", "new_key", "signed_by_old", "signed_by_new")


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
        if public.get("change") == "rotate" and public.get("old_key") == trusted:
            trusted = str(_step(public)[1])
    return trusted


def lineage(newest: VerifierKey, rotations: Iterable[dict[str, Any]]) -> tuple[VerifierKey, ...]:
    """`newest` and every key before it that leads to it, the newest first: any of them may have been kept by somebody.

    Raises BadNote for a step that one of its two keys did not sign. Where a step is missing, the keys before it do not count.
    """
    before = {new: old for old, new in (_step(public) for public in rotations if public.get("change") == "rotate")}
    keys = [newest]
    while (older := before.pop(keys[-1], None)) is not None:
        keys.append(older)
    return tuple(keys)


def statement_of(public: dict[str, Any]) -> dict[str, str]:
    """What an auditor needs of a rotation's record, and nothing else of it."""
    return {name: str(public.get(name, "")) for name in _MEMBERS}


def _step(public: dict[str, Any]) -> tuple[VerifierKey, VerifierKey]:
    """(old, new) of a rotation that both signed; raises BadNote."""
    old, new = (parse_verifier_key(str(public.get(name, ""))) for name in ("old_key", "new_key"))
    statement = rotation_statement(str(old), str(new))
    for key, member in ((old, "signed_by_old"), (new, "signed_by_new")):
        if not is_signature(key, statement, str(public.get(member, ""))):
            raise BadNote(f"the rotation to {str(new)[:60]!r} is not signed by {str(key)[:60]!r}")
    if old.name != new.name:
        raise BadNote(f"the rotation to {str(new)[:60]!r} leads from another log, {old.name[:60]!r}")
    return old, new
