"""Whether an answer repeats the credential that was sent: as it is, or in a form that a debug page or a log gives it.

Looked for are the text, base64 (both alphabets, wherever in the encoded text it begins), hexadecimal and percent-encoding. What
a vendor takes apart or turns round to hide it is not found: it had the credential anyway.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from governance.model.request import Json

_SHORTEST = 8


def repeats(value: Json, hidden: Iterable[str]) -> bool:
    """Whether one of `hidden` (plain ASCII; shorter than eight characters are not looked for) stands in a JSON value."""
    shown = json.dumps(value, ensure_ascii=False)
    low = shown.lower()
    return any(_stands_in(shown, low, one) for one in hidden if len(one) >= _SHORTEST)


def _stands_in(shown: str, low: str, one: str) -> bool:
    raw = one.encode()
    # Hexadecimal and the escapes of an address are written in either case.
    if raw.hex() in low or quote(one, safe="").lower() in low:
        return True
    return any(form in shown for form in (json.dumps(one)[1:-1], *_base64_forms(raw)))


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
