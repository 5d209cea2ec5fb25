"""One byte string for one JSON value: members sorted by code point, no white space, UTF-8, no NaN.

Numbers are written as Python writes them (shortest text that reads back equal). This is RFC 8785 for every document
whose member names are in the basic plane and whose numbers are integers or short decimals; that is what the log holds.
"""

from __future__ import annotations

import json
from typing import Any


def canonical(value: Any) -> bytes:
    """Canonical bytes; raises ValueError for NaN and infinities, TypeError for what is not JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")
