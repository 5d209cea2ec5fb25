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
from typing import Any

LONGEST_REQUEST = 1 << 20
LONGEST_ANSWER = 4 << 20
OPS = frozenset({"connector.call", "events.publish", "kv.get", "kv.put", "log"})


def refusal(code: str, message: str) -> bytes:
    """An answer that says no."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def checked(raw: bytes) -> dict[str, Any] | None:
    """The request as an object of ours; None for anything else, which never reaches the broker."""
    if len(raw) > LONGEST_REQUEST:
        return None
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    op = value.get("op") if isinstance(value, dict) else None
    return value if isinstance(op, str) and op in OPS else None


def logged(asked: dict[str, Any]) -> bytes:
    """The line of a request to log."""
    return str(asked.get("text", "")).encode("utf-8", "replace") + b"\n"
