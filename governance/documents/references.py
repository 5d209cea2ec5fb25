"""Character references of HTML, undone."""

from __future__ import annotations

import html
import re

# A number that a letter has is shorter, but for zeros before it; thousands of digits are an error to who reads them.
_LONG_NUMBER = re.compile(r"&#([xX][0-9A-Fa-f]{8,}|[0-9]{8,})")


def without_references(text: str) -> str:
    """The text with each reference in its letter's place, whatever its number: one of thousands of digits stands for none."""
    return html.unescape(_LONG_NUMBER.sub(_without_zeros, text))


def _without_zeros(found: re.Match[str]) -> str:
    """A reference by number that stands for the same letter; nothing where no letter has that number."""
    mark = found[1][:1] if found[1][0] in "xX" else ""
    digits = found[1][len(mark) :].lstrip("0")
    return f"&#{mark}{digits}" if 0 < len(digits) < 8 else ""
