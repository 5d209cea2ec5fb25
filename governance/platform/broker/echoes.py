"""Whether an answer repeats the credential that was sent: as it is, or in a form that a debug page or a log gives it.

Looked for are the text, base64 (both alphabets, wherever in the encoded text it begins), hexadecimal, percent-encoding,
escapes of HTML and of a text within a text; and, of a long one, its letters and digits alone, in either case, whatever stands
between them: apart in a list, spaced, or from one value to the next. What a vendor turns round, or packs twice, is not found:
it had the credential anyway.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from governance.documents.references import without_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from governance.model.request import Json

_SHORTEST = 8
# Of fewer letters another text may consist as well, once everything between them is left out.
_SHORTEST_APART = 12
# Looked for once a run of backslashes, and none of it given back: a vendor may send a million of them.
_ESCAPE = re.compile(r"(?<!\\)\\++(?:u00|x)([0-9A-Fa-f]{2})")
_LINE_END = re.compile(r"(?:\\r)?\\n")
_BETWEEN = bytes(set(range(256)) - set(b"abcdefghijklmnopqrstuvwxyz0123456789"))


def repeats(value: Json, hidden: Iterable[str]) -> bool:
    """Whether one of `hidden` (plain ASCII; shorter than eight characters are not looked for) stands in a JSON value."""
    return Echoes(hidden).stand_in(value)


class Echoes:
    """What is looked for in an answer that comes in parts: it may begin in one and end in the next."""

    def __init__(self, hidden: Iterable[str]) -> None:
        self._wanted = [one for one in hidden if len(one) >= _SHORTEST]
        self._longest = max(map(len, self._wanted), default=0)
        self._last = (b"", b"")

    def stand_in(self, part: Json) -> bool:
        """Whether this part, or its beginning with the end of those before it, repeats something."""
        if not self._wanted:
            return False
        shown = json.dumps(part, ensure_ascii=False)
        low, plain = shown.lower(), _unescaped(shown)
        # Base64 is often broken into lines.
        shown += _LINE_END.sub("", shown) if "\\n" in shown else ""
        # Names may belong to it, or stand between its parts.
        texts = ("".join(_texts(part, names=names)) for names in (True, False))
        all_letters = [last + _letters(text) for last, text in zip(self._last, texts, strict=True)]
        self._last = (all_letters[0][-self._longest :], all_letters[1][-self._longest :])
        return any(
            _stands_in(shown, low, one) or one in plain or _stands_apart(all_letters, one) for one in self._wanted
        )


def _stands_in(shown: str, low: str, one: str) -> bool:
    raw = one.encode()
    # Hexadecimal and the escapes of an address are written in either case.
    if raw.hex() in low or quote(one, safe="").lower() in low:
        return True
    return any(form in shown for form in (json.dumps(one)[1:-1], *_base64_forms(raw)))


def _stands_apart(all_letters: list[bytes], one: str) -> bool:
    own = _letters(one)
    return len(own) >= _SHORTEST_APART and any(own in letters for letters in all_letters)


def _unescaped(shown: str) -> str:
    """With every escape undone that a text may have within another; as it is where there is none."""
    if "%" in shown:
        shown = unquote(shown, errors="replace")
    if "&" in shown:
        shown = without_references(shown)
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), shown) if "\\" in shown else shown


def _letters(text: str) -> bytes:
    return text.lower().encode("utf-8", "surrogatepass").translate(None, _BETWEEN)


def _texts(value: Json, *, names: bool) -> Iterator[str]:
    """All texts of a value, in its order; with the names of members, or without."""
    todo = [value]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict):
            todo.extend(part for name, item in reversed(node.items()) for part in ((item, name) if names else (item,)))
        elif isinstance(node, list):
            todo.extend(reversed(node))


def _base64_forms(raw: bytes) -> set[str]:
    """What is the same in every base64 text that holds `raw`: it depends on where among three bytes it begins."""
    found = set()
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        # The first characters hold bits of what stands before, the last one those of what follows.
        start, is_cut = (0, 2, 3)[before], (before + len(raw)) % 3
        inner = encoded[start : -1 if is_cut else None]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return found
