"""What stands in a text in another form: escapes of URLs, HTML and JSON, base64, hexadecimal digits.

Each piece comes with the span of the text that it was made from, so that what is found in it can be taken out there.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, unquote_plus

from governance.enrich.pii.matching import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.enrich.pii.matching import Matcher, Work

_ESCAPED = (
    rb"%(?:u[0-9A-Fa-f]{2})?[0-9A-Fa-f]{2}|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8};)"
    rb"|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}|U000[0-9A-Fa-f]{5}|[0-3][0-7]{2}|\n)|=[0-9A-F]{2}"
    rb"|</?(?:[abisu]|em|wbr|sub|sup|span|font|mark|small|strong)[ />]|<!--|[\"'] ?\+ ?[\"']"
    rb"|[!-~](?:[ ._\n-][!-~]){8,}"
)
_PACKED = (
    rb"(?:[A-Za-z0-9+/_-]{8,}\r?\n)+[A-Za-z0-9+/_-]{2,}={0,2}|[A-Za-z0-9+/_-]{12,}={0,2}"
    rb"|(?:[0-9A-Fa-f]{2}[ :,-]){7,}[0-9A-Fa-f]{2}|(?:\\x[0-9A-Fa-f]{2}){4,}|(?:0x[0-9A-Fa-f]{2}[ ,;]{1,2}){4,}0x[0-9A-Fa-f]{2}"
    rb"|\d{2,3}(?:[ ,;]{1,2}\d{2,3}){7,}"
)
_BACKSLASH = re.compile(
    r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})|([nrt\"/\\\n]))"
)
_HEX = re.compile(r"(?:0x)?[0-9A-Fa-f]+")
_HEX_SEPARATED = re.compile(r"[ :,;-]+(?:0x)?")
_DECIMAL = re.compile(r"\d{2,3}(?:[ ,;]+\d{2,3})+")
_PAIR = re.compile(r"(?:^|[?&;])([\w.%\[\]-]{1,64})=([^&#;\s]+)")
# A run of twelve without a capital is no base64: of random characters of it, one such run in five hundred has none. Small
# letters and digits can still be hexadecimal.
_WORD = re.compile(rb"(?!0x|(?:[0-9a-f]{2}-){7})(?=[^A-F]*[g-z/_+-])[a-z0-9/_+-]+")
_SHORTEST = 4
_SHORTEST_LINE = 12


class Places(NamedTuple):
    """Where the characters of an unescaped text stood: for each its start, and its end."""

    starts: list[int]
    ends: list[int]


class Piece(NamedTuple):
    """A decoded part of a text."""

    text: str
    how: str
    """`url`, `html`, `backslash`, `markup`, `spaced`, `quoted`, `base64`, `hex`, `decimal`, `query`, `json`."""
    start: int
    end: int
    places: Places | None = None
    """For each character, which part of the text it came from; None where only all of it is known."""
    name: str = ""
    """The name that the part has, where the form gives one: a query's parameter, a member of JSON in text."""


@lru_cache(maxsize=1)
def _patterns() -> tuple[Matcher, Matcher, Matcher]:
    return matcher(_ESCAPED), matcher(_PACKED), matcher(_ESCAPED + b"|" + _PACKED + rb"|[\w.\]%-]=|\x1e[{\[]|^[{\[]")


def next_disguise(data: bytes, place: int) -> int:
    """Offset of the next thing in `data` from `place` on that may stand in another form; -1 where there is none."""
    while True:
        found = _patterns()[2].search(data, place)
        if found is None:
            return -1
        run = found.group()
        if len(run) < 12 or not _WORD.fullmatch(run):
            return found.start()
        place = found.end()


def pieces(text: str, data: bytes, work: Work) -> Iterator[Piece]:
    """Every decoded part of `text`; `data` is the same with one byte a character."""
    escaped, packed, _ = _patterns()
    if "=" in text:
        for pair in _PAIR.finditer(text):
            work.spend(20 + len(pair[0]))
            yield Piece(unquote_plus(pair[2], errors="replace"), "query", pair.start(2), pair.end(2), None, pair[1])
    if text[:1] in {"{", "["}:
        yield from _json(text, work)
    if escaped.search(data) is not None:
        for how, (pattern, decode) in _ESCAPES.items():
            if pattern.search(text) is not None:
                work.spend(4 * len(text))
                yield _unescaped(text, how, pattern, decode)
    for found in packed.finditer(data):
        work.spend(90)
        if not _WORD.fullmatch(found.group()):
            yield from _unpacked(text[found.start() : found.end()], found.start(), work)


def _json(text: str, work: Work) -> Iterator[Piece]:
    """The texts of a JSON document that stands in a text."""
    work.spend(len(text))
    if text.count("[") + text.count("{") > 10_000:
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return
    todo = [("", value)]
    while todo:
        name, node = todo.pop()
        if isinstance(node, dict):
            todo.extend((key, item) for key, item in node.items())
        elif isinstance(node, list):
            todo.extend((name, item) for item in node)
        elif isinstance(node, str | int | float) and not isinstance(node, bool):
            yield Piece(str(node), "json", 0, len(text), None, name)


def _unescaped(text: str, how: str, pattern: re.Pattern[str], decode: Callable[[re.Match[str]], str]) -> Piece:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place = 0
    for found in pattern.finditer(text):
        between, decoded = text[place : found.start()], decode(found)
        out += (between, decoded)
        starts += (*range(place, found.start()), *[found.start()] * len(decoded))
        ends += (*range(place + 1, found.start() + 1), *[found.end()] * len(decoded))
        place = found.end()
    out.append(text[place:])
    starts += range(place, len(text))
    ends += range(place + 1, len(text) + 1)
    return Piece("".join(out), how, 0, len(text), Places(starts, ends))


def _unslashed(found: re.Match[str]) -> str:
    if found[6]:
        return {"n": "\n", "r": "\r", "t": "\t", "\n": ""}.get(found[6], found[6])
    number = int(found[5], 8) if found[5] else int(found[1] or found[2] or found[3] or found[4], 16)
    return chr(number) if number <= 0x10FFFF else ""


_ESCAPES: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], str]]] = {
    "url": (
        re.compile(r"(?:%[0-9A-Fa-f]{2})+|%u([0-9A-Fa-f]{4})"),
        lambda found: chr(int(found[1], 16)) if found[1] else unquote(found[0], errors="replace"),
    ),
    "html": (
        re.compile(r"&(?:#\d{1,7};?|#[xX][0-9A-Fa-f]{1,6};?|[A-Za-z]{2,8};)"),
        lambda found: html.unescape(found[0]),
    ),
    "backslash": (_BACKSLASH, _unslashed),
    # What a page or a program puts together again: marks within a line, and texts that are joined.
    "markup": (
        re.compile(
            r"</?(?:[abisu]|em|wbr|sub|sup|span|font|mark|small|strong)(?:[ /][^<>]{0,200})?>|<!--[^<>]{0,200}-->"
            r"|[\"'] ?\+ ?[\"']"
        ),
        lambda _: "",
    ),
    "spaced": (re.compile(r"[!-~](?:[ ._\n-][!-~]){8,}"), lambda found: found[0][::2]),
    "quoted": (re.compile(r"=([0-9A-F]{2})|=\r?\n"), lambda found: chr(int(found[1], 16)) if found[1] else ""),
}


def _unpacked(run: str, start: int, work: Work) -> Iterator[Piece]:
    if run.startswith("\\x"):
        yield from _piece(_hex(run.replace("\\x", "")), "hex", start, len(run))
        return
    length = len(run)
    if _DECIMAL.fullmatch(run):
        yield from _piece(_decimal(run), "decimal", start, length)
    if "\n" in run:
        yield from _line_by_line(run, start, work)
        run = run.replace("\r", "").replace("\n", "")
    elif _HEX_SEPARATED.search(run) and _HEX.fullmatch(plain := _HEX_SEPARATED.sub("", run)):
        yield from _piece(_hex(plain.removeprefix("0x")), "hex", start, length)
        return
    plain = run.removeprefix("0x")
    if _HEX.fullmatch(run) and len(plain) % 2 == 0:
        decoded = _hex(plain)
        if decoded is not None:
            yield from _piece(decoded, "hex", start, length)
            return
    whole = _base64(run)
    work.spend(len(run))
    if whole is not None:
        yield from _piece(whole, "base64", start, length)
        return
    if length != len(run):
        return
    # A path or a name with dashes may have one part that is: try its parts, each once.
    for part in re.finditer(r"[A-Za-z0-9+]{12,}={0,2}", run):
        if len(part[0]) < len(run):
            yield from _piece(_base64(part[0]), "base64", start + part.start(), len(part[0]))


def _line_by_line(run: str, start: int, work: Work) -> Iterator[Piece]:
    """One value may stand over several lines, but lines may have nothing to do with each other either: each is tried alone."""
    for line in run.split("\n"):
        if len(line) >= _SHORTEST_LINE:
            yield from _unpacked(line.rstrip("\r"), start, work)
        start += len(line) + 1


def _piece(text: str | None, how: str, start: int, length: int) -> Iterator[Piece]:
    if text is not None and len(text) >= _SHORTEST:
        yield Piece(text, how, start, start + length)


def _decimal(run: str) -> str | None:
    numbers = [int(number) for number in re.findall(r"\d+", run)]
    return _as_text(bytes(numbers)) if max(numbers) < 256 else None


def _hex(digits: str) -> str | None:
    try:
        return _as_text(bytes.fromhex(digits))
    except ValueError:
        return None


def _base64(run: str) -> str | None:
    text = run.rstrip("=").replace("-", "+").replace("_", "/")
    if len(text) % 4 == 1:
        text = text[:-1]
    try:
        return _as_text(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except binascii.Error:
        return None


def _as_text(raw: bytes) -> str | None:
    """The text that `raw` is, if it is one: UTF-8, 16, 32 or Latin-1, and hardly a control character in it."""
    if len(raw) >= 8 and raw[1::2].count(0) * 3 > len(raw):
        decoded = raw[: len(raw) // 2 * 2].decode("utf-16-le", "replace").replace("\0", "")  # UTF-32 has more of them
    elif len(raw) >= 8 and raw[0::2].count(0) * 3 > len(raw):
        decoded = raw[: len(raw) // 2 * 2].decode("utf-16-be", "replace").replace("\0", "")
    else:
        try:
            decoded = raw.decode("utf-8")
        except UnicodeDecodeError:
            # An older code page: Latin letters with a few accents. Of other bytes hardly one in three is a letter or sign.
            if sum(0x20 <= byte < 0x7F for byte in raw) * 5 < len(raw) * 4:
                return None
            decoded = raw.decode("latin-1")
    printable = sum(1 for char in decoded if char.isprintable() or char in "\t\r\n")
    return decoded if printable * 10 >= len(decoded) * 9 else None
