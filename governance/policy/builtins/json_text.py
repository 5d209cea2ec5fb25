"""JSON text as Go's encoding/json reads and writes it, which is what OPA's builtins promise.

Reading refuses what JSON does not have (NaN, Infinity, bytes after the value), takes the last of repeated keys, and
puts U+FFFD for half a surrogate pair. Writing sorts keys and escapes `<`, `>` and `&`.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NoReturn

from governance.policy.builtins.operands import BuiltinError

if TYPE_CHECKING:
    from governance.policy.builtins.operands import Value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON value")


def parse(text: str) -> Value:
    """The value of a JSON text; raises BuiltinError."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BuiltinError(f"invalid JSON: {error}") from None
    return whole_characters(value) if "\\u" in text else value


def parse_object(text: str) -> dict[str, Value]:
    """The object in a JSON text; raises BuiltinError for any other value."""
    value = parse(text)
    if not isinstance(value, dict):
        raise BuiltinError("decoded JSON type was not an Object")
    return value


def whole_characters(value: Value) -> Value:
    """`value` with every lone surrogate replaced, since no engine can take one."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [whole_characters(item) for item in value]
    if isinstance(value, dict):
        return {whole_characters(key): whole_characters(item) for key, item in value.items()}
    return value


def marshal(value: Value) -> str:
    """Compact JSON text of a value: sets as sorted arrays, whole floats as integers."""
    text = json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key if isinstance(key, str) else marshal(key): _plain(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted((_plain(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
        case list() | tuple():
            return [_plain(item) for item in value]
        case float() if math.isfinite(value) and value == int(value) and abs(value) < 1e21:
            return int(value)
        case _:
            return value
