"""Text as patterns see it: one byte a character, with what hides a value from a pattern but not from a reader taken off.

Compatibility forms become plain (NFKC), format, control and combining characters go, look-alike letters and foreign digits
become the ASCII ones. What then is no Latin-1 character becomes one letter, so that offsets in bytes are offsets in text.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

SEPARATOR = "\x1e"
"""Stands between the values of one text; no value holds it, since control characters are taken off."""

_ODD = re.compile(r"[^\t\n\r -~]")
_DROPPED = frozenset({"Cf", "Cc", "Mn", "Me", "Cs", "Co"})
_LETTER = b"\xaa"  # a letter that NFKC never leaves, so it cannot be confused with one that was there

# Letters that are drawn as Latin ones (Unicode TR 39: the pairs of Cyrillic, Greek, Armenian, Cherokee and small capitals that
# can stand in Latin words), and letters and signs that are drawn as nothing.
_LOOK_ALIKE = dict(
    zip(
        "авекмнорстухіјѕԁԛԝһАВЕКМНОРСТУХІЈЅΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαρνικγυϲϳՕՏՍօոսհցԼᎪᎬᏀᎻᏦᏞᎷᏢᎡᏚᎢᏙᎳᏃᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ",
        "aBeKMHopcTyxijsdqwhABEKMHOPCTYXIJSABEZHIKMNOPTYXoapviKyucjOSUonuhgLAEGHKLMPRSTVWZabcdefghijklmnoprstuvwyz",
        strict=True,
    )
) | {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58", "-"),
    **dict.fromkeys("\u3002\uff61\u2024\u00b7\u2022\u2027\u06d4", "."),
    **dict.fromkeys("\u115f\u1160\u2800\u3164\uffa0", ""),
    **dict.fromkeys("\u2028\u2029\u0085", "\n"),
    "\u2044": "/", "\u2215": "/", "\ua789": ":", "\u2236": ":", "\u0131": "i", "\u2032": "'", "\u2019": "'",
}  # fmt: skip


class Plain(NamedTuple):
    """A text made plain."""

    text: str
    places: list[int] | None
    """For each character of `text`, and for its end, where it stood; None where nothing moved."""

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the text as it came that gave [start, end)."""
        if self.places is None:
            return start, end
        return self.places[start], self.places[end - 1] + 1 if end > start else self.places[start]


def is_plain(text: str) -> bool:
    """Whether nothing has to be changed."""
    return text.isascii() and _ODD.search(text) is None


def plain(text: str) -> Plain:
    """`text` without disguises."""
    if is_plain(text):
        return Plain(text, None)
    out: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text):
        for one in char if "\x20" <= char < "\x7f" else _folded(char):
            out.append(one)
            places.append(place)
    return Plain("".join(out), [*places, len(text)])


@lru_cache(maxsize=8192)
def _folded(char: str) -> str:
    if char in "\t\n\r":
        return char
    if char in _LOOK_ALIKE:
        return _LOOK_ALIKE[char]
    if unicodedata.category(char) in _DROPPED:
        return ""
    digit = unicodedata.digit(char, None)
    if digit is not None and not char.isascii():
        return str(digit)
    return "".join(
        _LOOK_ALIKE.get(one, " " if one.isspace() else one)
        # Letters beyond Latin-1 lose their accents; within, patterns know words that are written with them.
        for one in unicodedata.normalize("NFKC" if char <= "\xff" else "NFKD", char)
        if unicodedata.category(one) not in _DROPPED
    )


def _as_letter(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return _LETTER * (error.end - error.start), error.end


codecs.register_error("governance.letter", _as_letter)


def as_bytes(text: str) -> bytes:
    """One byte for each character of plain text."""
    return text.encode("latin-1", "governance.letter")
