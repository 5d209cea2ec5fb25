"""What an app and its host say to each other, the same behind every boundary.

A call's request and answer are bytes (JSON by convention). On the way out an app sends one JSON object:

    {"op": "connector.call", "connector": …, "method": …, "url": …, "headers": {…}, "body": …}
    {"op": "events.publish", "type": …, "data": …}
    {"op": "kv.get", "key": …} and {"op": "kv.put", "key": …, "value": …}
    {"op": "log", "text": …}

and hears `{"ok": …}` or `{"error": {"code": …, "message": …}}`. The host hands it to the broker as it is, which decides.
"""

from __future__ import annotations

import json
import re
from typing import Any

LONGEST_REQUEST = 1 << 20
MOST_VALUES = 10_000
"""Each is looked at by itself, by every rule: a MiB of them would take whoever decides seconds."""
LONGEST_ANSWER = 4 << 20
OPS = frozenset({"connector.call", "events.publish", "kv.get", "kv.put", "log"})
NOT_READ = f"not one JSON object with a known op, of at most {LONGEST_REQUEST} bytes and {MOST_VALUES} values, in UTF-8"

# A text of JSON; one without an end goes to the end of everything, so that looking is done once.
_TEXT = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)


def refusal(code: str, message: str) -> bytes:
    """An answer that says no."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def checked(raw: bytes) -> dict[str, Any] | None:
    """The request as an object of ours; None for anything else, which never reaches the broker."""
    if len(raw) > LONGEST_REQUEST:
        return None
    try:
        text = raw.decode()
        if _has_too_many(text):
            return None
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    op = value.get("op") if isinstance(value, dict) else None
    return value if isinstance(op, str) and op in OPS else None


def _has_too_many(text: str) -> bool:
    """Whether there are more values than are read, found out without making any of them."""
    return _values_in(text) > MOST_VALUES and _values_in(_TEXT.sub("", text)) > MOST_VALUES


def _values_in(text: str) -> int:
    return 1 + sum(text.count(mark) for mark in ",[{")


def logged(asked: dict[str, Any]) -> bytes:
    """The line of a request to log."""
    return str(asked.get("text", "")).encode("utf-8", "replace") + b"\n"
