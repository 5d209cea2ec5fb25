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

from governance.documents.references import without_references
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

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_FOLLOWED = re.compile(r"\(\?![^)]*\)")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){12,}")
_ESCAPES = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
_ROT13 = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM"
)
# The same tables for bytes. What `\s` takes for a blank and bytes do not, the unit separators, becomes one.
_ROT13_BYTES = bytes(_ROT13.get(code, code) for code in range(256))
_LOWER = bytes(
    ord(" ") if 0x1C <= code <= 0x1F else ord(chr(code).lower()) if code < 0x80 else code for code in range(256)
)
_APART = bytes(ord(" ") if chr(code) in "_.-" else code for code in range(256))


def _reading(table: dict[int, int]) -> tuple[bytes, bytes]:
    read = bytes(table.get(code, code) for code in range(256))
    return read, bytes(code for code in range(256) if not chr(read[code]).islower() or read[code] > ord("z"))


_LEET_BYTES = (_reading(_LEET), _reading(_LEET_I))


@lru_cache(maxsize=256)  # a fix is proved by deciding again, up to sixteen times, on texts that are mostly the same
def marker_in(text: str) -> str:
    """Which sign the text shows: a word of `SOURCES`, `hidden`, `unreadable`, `encoded`; empty for none."""
    if len(text) > LONGEST_TEXT:
        return "unreadable"
    if not text.isascii() and hides(text):
        return "hidden"
    found = _spoken(text) or (_spoken(_SEPARATORS.sub(" ", text)) if " " not in text else "")
    if found:
        return found
    return "encoded" if any(_spoken(other) for other in _decoded(text)) else ""


def is_suspect(text: str) -> bool:
    """One quick look at a text or at all texts of a design: False where no sign can be in it, so that nobody has to read it.

    It looks for the same phrases in the same views, by automata over bytes that take a few microseconds for a design. It
    knows neither borders of texts nor what a phrase must not be followed by, so it sees more than there is, never less.
    """
    if len(text) > LONGEST_TEXT or not text.isascii() or _shows(text):
        return True
    return any(not other.isascii() or _shows(other) for other in _packed(text))


def _shows(text: str) -> bool:
    """Whether a phrase stands in an ASCII text: as it is, with separators for blanks, in rot13, backwards or squeezed."""
    spoken, squeezed, _ = _searches()
    plain = text.encode().translate(_LOWER)
    apart = b" ".join(plain.translate(_APART).split())
    plain = b" ".join(plain.split())
    views = b"\n".join((plain, apart, plain.translate(_ROT13_BYTES), plain[::-1]))
    if spoken.search(views) is not None:
        return True
    return any(squeezed.search(views.translate(table, silent)) is not None for table, silent in _LEET_BYTES)


def _packed(text: str) -> Iterator[str]:
    """What the text holds in an encoding, to the depth to which `_decoded` goes."""
    _, _, packed = _searches()
    if packed.search(text.encode()) is not None:
        for other in _readings(text):
            yield other
            yield from _readings(other)


@lru_cache(maxsize=1)
def _searches() -> tuple[Matcher, Matcher, Matcher]:
    """Phrases, squeezed phrases, and runs that may hold another text: an automaton each, for every design is looked at."""
    from governance.enrich.injection_phrases import LATIN, SOURCES, SQUEEZED

    spoken = "|".join(f"(?:{_anywhere(source)})" for source in (*(source for _, source in SOURCES), *LATIN))
    runs = rf"{_BASE64.pattern}|{_HEX.pattern}|{_ESCAPES.pattern}|&[#a-zA-Z]|%[0-9a-fA-F]{{2}}"
    # In an ASCII text the letters of UTF-8 match nothing, whatever they look like as Latin-1.
    return matcher(spoken.encode(), mib=64), matcher(SQUEEZED.encode()), matcher(runs.encode())


def _anywhere(source: str) -> str:
    """The phrase wherever it stands in a longer text, and whatever follows: what RE2 can search for."""
    return _FOLLOWED.sub("", source).replace("(?:^|", "(?:|").replace("|$)", "|)")


def hides(text: str) -> bool:
    """Whether characters stand in it that a person does not see, in a place where they do nothing for a script."""
    return _TAGS.search(_FLAG.sub("", text)) is not None or _HIDDEN.search(text) is not None


def _spoken(text: str) -> str:
    """The sign in one view of a text, read in English and in the other languages."""
    phrases, latin, foreign, squeezed = _expressions()
    whole = _BLANKS.sub(" ", unicodedata.normalize("NFKC", text)).casefold()
    if not whole.isascii() and any(expression.search(whole) for expression in foreign + latin):
        return "override"
    plain = _plain(whole)
    for word, expression in phrases:
        if expression.search(plain):
            return word
    for letters in (_LEET, _LEET_I):
        if squeezed.search(_NOT_LETTERS.sub("", plain.translate(letters))):
            return "override"
    return "override" if any(expression.search(plain) for expression in latin) else ""


_Expressions = tuple[re.Pattern[str], ...]


@lru_cache(maxsize=1)
def _expressions() -> tuple[tuple[tuple[str, re.Pattern[str]], ...], _Expressions, _Expressions, re.Pattern[str]]:
    """Phrases, those of other languages in Latin and in other letters, squeezed ones: 20 ms that most designs do without."""
    from governance.enrich.injection_phrases import FOREIGN, LATIN, SOURCES, SQUEEZED

    phrases = tuple((word, re.compile(source)) for word, source in SOURCES)
    latin, foreign = (tuple(re.compile(source) for source in sources) for sources in (LATIN, FOREIGN))
    return phrases, latin, foreign, re.compile(SQUEEZED)


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
        yield from _changed(text, without_references(text))
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
