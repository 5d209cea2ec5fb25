"""Signs that a text speaks to its reviewer instead of describing an app.

A text is read in several views: as it stands; made plain (compatibility forms, look-alike letters, format characters);
squeezed to letters (spaced-out and "leet" spellings); and decoded (entities, percent and backslash escapes, base64, hex,
rot13, backwards) to a depth of two. Every pattern has bounded gaps, so no text makes them slow. What is found is a
sign, not proof: a person looks. A paraphrase that avoids all of these words is not found; nothing may rest on that.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.enrich.injection_stems import STEMS
from governance.enrich.pii.matching import matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.enrich.pii.matching import Matcher

LONGEST_TEXT = 8_192
"""Characters of one text; nobody reads more in a manifest, so a longer one is a finding of its own."""

_TAGS = re.compile("[\U000e0020-\U000e007e]{2,}")
# The one good use of tag characters: flags of regions, after a black flag.
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]{2,8}")
_HIDDEN = re.compile(
    "[\u202a-\u202e\u2066-\u2069]|(?:[a-zA-Z][\u200b\u200c\u2060\ufeff\u00ad]{1,4}){3}|[\u200b\u2060\ufeff\u00ad]{8}"
    "|[\U000e0100-\U000e01ef\ufe00-\ufe0f]{4}"
)

# Letters of other scripts that look like Latin ones; NFKC leaves them alone.
_LOOKALIKE = str.maketrans(
    "аеорсухіјѕԁһӏвкмнтԛԝгαβεικνορτυχηω" + "ɑɡɩʟɴʀᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢ",
    "aeopcyxijsdhlbkmhtqwrabeikvoptuxnw" + "agilnracdejkmoptuvwz",
)
_LEET = str.maketrans("013457@$!|", "oleastasil")
_LEET_I = str.maketrans("013457@$!|", "oieastasii")
_SHORTEST_TURNED = 16
_NOT_LETTERS = re.compile(r"[^a-z]+")
_SEPARATORS = re.compile("[_.-]")
_BLANKS = re.compile(r"[^\S\n]+")

# Of ASCII alone, so that one byte is one character.
_SUSPECT = (
    rb"[<{}\\]|&[#a-z]|%[0-9a-fA-F]{2}|[#=*~>%-]{2}|\[ ?[\]/a-zA-Z]"
    rb"|(?i:\b(?:ai|a\.i\.)(?:\W|$)|(?:system|assistant|human|developer) ?:)"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){12,}")
_ESCAPES = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
_ROT13 = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM"
)
# The same tables for bytes: (how a byte is read, which bytes say nothing).
_LETTERS = bytes(range(ord("a"), ord("z") + 1))
_ROT13_BYTES = bytes(_ROT13.get(code, code) for code in range(256))


def _reading(table: dict[int, int]) -> tuple[bytes, bytes]:
    read = bytes(table.get(code, code) for code in range(256))
    return read, bytes(code for code in range(256) if read[code] not in _LETTERS)


_READINGS = tuple(_reading(table) for table in ({}, _LEET, _LEET_I))


@lru_cache(maxsize=256)  # a fix is proved by deciding again, up to sixteen times, on texts that are mostly the same
def marker_in(text: str) -> str:
    """Which sign the text shows: a word of `PHRASES`, `hidden`, `unreadable`, `encoded`; empty for none."""
    if len(text) > LONGEST_TEXT:
        return "unreadable"
    if not text.isascii() and hides(text):
        return "hidden"
    found = _spoken(text) or (_spoken(_SEPARATORS.sub(" ", text)) if " " not in text else "")
    if found:
        return found
    return "encoded" if any(_spoken(other) for other in _decoded(text)) else ""


def is_suspect(text: str) -> bool:
    """One cheap look at a whole design: whether its texts have to be read for signs at all.

    Every pattern needs one of the stems, whatever the spelling; a test holds the two together over the corpus.
    """
    if not text.isascii():
        return True
    suspect, packed, stems = _searches()
    raw = text.encode()
    if suspect.search(raw) or (packed.search(raw) and any(True for _ in _unpacked(text))):
        return True
    plain = raw.lower()
    letters, *leet = (plain.translate(table, silent) for table, silent in _READINGS)
    views = (letters, letters.translate(_ROT13_BYTES), letters[::-1], *leet)
    return stems.search(b"\n".join(views)) is not None


@lru_cache(maxsize=1)
def _searches() -> tuple[Matcher, Matcher, Matcher]:
    """Signs as such, runs that may be packed text, and stems: an automaton each, for every design is looked at once."""
    runs = f"{_BASE64.pattern}|{_HEX.pattern}"
    return matcher(_SUSPECT), matcher(runs.encode()), matcher("|".join(STEMS).encode())


def hides(text: str) -> bool:
    """Whether characters stand in it that a person does not see, in a place where they do nothing for a script."""
    return _TAGS.search(_FLAG.sub("", text)) is not None or _HIDDEN.search(text) is not None


def _spoken(text: str) -> str:
    """The sign in one view of a text, read in English and in the other languages."""
    # 20 ms of compiled patterns, which a design without a suspicious stem in it does without.
    from governance.enrich.injection_phrases import FOREIGN, LATIN, PHRASES, SQUEEZED

    whole = _BLANKS.sub(" ", unicodedata.normalize("NFKC", text)).casefold()
    if not whole.isascii() and any(expression.search(whole) for expression in FOREIGN + LATIN):
        return "override"
    plain = _plain(whole)
    for word, expression in PHRASES:
        if expression.search(plain):
            return word
    for letters in (_LEET, _LEET_I):
        if SQUEEZED.search(_NOT_LETTERS.sub("", plain.translate(letters))):
            return "override"
    return "override" if any(expression.search(plain) for expression in LATIN) else ""


def _plain(text: str) -> str:
    """Look-alike letters as the Latin ones they look like, accents and format characters gone."""
    if text.isascii():
        return text
    kept = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) not in {"Cf", "Mn"})
    return "".join(kept).translate(_LOOKALIKE)


def _decoded(text: str) -> Iterator[str]:
    """Other readings of a text; what was unpacked is unpacked once more, and read backwards and in rot13 as well."""
    for other in (text, *_readings(text)):
        if other is not text:
            yield other
            yield from _readings(other)
        if len(other) >= _SHORTEST_TURNED:
            yield other.translate(_ROT13)
            yield other[::-1]


def _readings(text: str) -> Iterator[str]:
    if "&" in text and ";" in text:
        import html

        yield from _changed(text, html.unescape(text))
    if "%" in text:
        from urllib.parse import unquote

        yield from _changed(text, unquote(text, errors="ignore"))
    if "\\" in text:
        yield from _changed(text, _ESCAPES.sub(lambda found: chr(int(found[1] or found[2], 16)), text))
    yield from _unpacked(text)


def _changed(before: str, after: str) -> Iterator[str]:
    if after != before:
        yield after


def _unpacked(text: str) -> Iterator[str]:
    """What base64 and hex in the text hold, where that is text; a run may start with letters of the word before it."""
    for found in _HEX.finditer(text):
        yield from _as_text(bytes.fromhex(re.sub("[ :]", "", found[0])))
    import binascii

    for found in _BASE64.finditer(text):
        run = found[0].rstrip("=").replace("-", "+").replace("_", "/")
        for start in range(4):
            packed = run[start:]
            packed = packed[: len(packed) - (len(packed) % 4 == 1)] + "=="
            yield from _as_text(binascii.a2b_base64(packed))


def _as_text(raw: bytes) -> Iterator[str]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return
    if len(text) >= 8 and all(char.isprintable() or char in "\n\t\r" for char in text):
        yield text
