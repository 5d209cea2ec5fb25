"""Openings as text: which bytes of `{"field":{"salt":…,"value":…},…}` are whose value, without parsing the values.

A commitment is over the value's canonical bytes, and the log keeps an opening as exactly those bytes. So whoever checks
a million of them only has to find where each begins and ends. Where that is not plain (a value that looks like the next
member), the text is parsed. Standard library only: auditors run this.
"""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from audit.canonical import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

_SALT, _VALUE, _NEXT, _END = b'":{"salt":"', b'","value":', b'},"', b"}}"
_HEX = 32
_BLOCK = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


class Opening(NamedTuple):
    """One sealed field that can be read."""

    salt: str
    raw: bytes
    """Canonical JSON."""

    def fits(self, commitment: object) -> bool:
        """Whether this is what the commitment was made of."""
        try:
            return _mac(bytes.fromhex(self.salt), self.raw).hex() == commitment
        except ValueError:
            return False


def _mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA-256 (RFC 2104, section 2). For keys of up to a block two plain hashes take three quarters of `hmac.digest`."""
    if len(key) > _BLOCK:
        return hmac.digest(key, message, "sha256")
    padded = key.ljust(_BLOCK, b"\0")
    inner = sha256(padded.translate(_INNER))
    inner.update(message)
    return sha256(padded.translate(_OUTER) + inner.digest()).digest()


def split(text: bytes, commitments: Mapping[str, object]) -> dict[str, Opening]:
    """The openings in `text` by field, each fitting its commitment.

    Raises ValueError, whose text is the name of the first field that does not fit, or says that it is no such text.
    """
    found = _cut(text)
    if found is None or not _fit(found, commitments):
        found = parsed(text)
        for name, opening in found.items():
            if name not in commitments or not opening.fits(commitments[name]):
                raise ValueError(f"the value of {name!r} is not the one that was recorded")
    return found


def parsed(text: bytes) -> dict[str, Opening]:
    """The same by parsing, for whoever has no commitments to go by. Raises ValueError for any other text."""
    try:
        members = json.loads(text)
        return {name: Opening(str(one["salt"]), canonical(one["value"])) for name, one in members.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not openings: {type(error).__name__}") from error


def joined(openings: Mapping[str, Opening]) -> bytes:
    """The text of some openings."""
    members = (b'"%s":{"salt":"%s","value":%s}' % (n.encode(), o.salt.encode(), o.raw) for n, o in openings.items())
    return b"{" + b",".join(members) + b"}"


def _cut(text: bytes) -> dict[str, Opening] | None:
    """By the look of it; only right when every part fits its commitment."""
    # As if one more member followed, so that the last ends as all do.
    head, *members = (text[: -len(_END)] + _NEXT).split(_SALT)
    if not members or not head.startswith(b'{"') or not text.endswith(_END):
        return None
    found: dict[str, Opening] = {}
    name, begin = head[2:], _HEX + len(_VALUE)
    for member in members:
        if not member.startswith(_VALUE, _HEX):
            return None
        end = member.rfind(_NEXT)
        found[name.decode("ascii", "replace")] = Opening(member[:_HEX].decode("ascii", "replace"), member[begin:end])
        name = member[end + len(_NEXT) :]
    return found


def _fit(found: Mapping[str, Opening], commitments: Mapping[str, object]) -> bool:
    for name, opening in found.items():  # noqa: SIM110  `all` makes a generator for each of a million records
        if name not in commitments or not opening.fits(commitments[name]):
            return False
    return True
