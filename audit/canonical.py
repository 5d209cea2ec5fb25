"""One byte string for one JSON value: members sorted by code point, no white space, UTF-8, no NaN.

Numbers are written as Python writes them (shortest text that reads back equal). This is RFC 8785 for every document
whose member names are in the basic plane and whose numbers are integers or short decimals; that is what the log holds.
"""

from __future__ import annotations

import json
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """Canonical bytes; raises ValueError for NaN and infinities, TypeError for what is not JSON."""
    return canonical_text(value).encode("utf-8", "surrogatepass")


def canonical_text(value: Any) -> str:
    """The same as text."""
    return _ENCODER.encode(value)
