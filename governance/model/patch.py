"""JSON Patch (RFC 6902): `add`, `remove` and `replace` on plain JSON values.

`move`, `copy` and `test` are refused: a fix says what the document should hold, and these would hide it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.model.pointer import to_segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json

_OPERATIONS = frozenset({"add", "remove", "replace"})


class BadPatch(ValueError):
    """The patch is malformed, or names a place that the document does not have."""


def patched(document: Json, patch: Sequence[Json]) -> Json:
    """A changed copy of `document`; raises BadPatch and changes nothing when any step cannot be applied."""
    result = _copied(document)
    for step in patch:
        result = _step(result, step)
    return result


def _copied(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _step(document: Json, step: Json) -> Json:
    try:
        operation, segments = step["op"], to_segments(step["path"])
        value = _copied(step["value"]) if operation != "remove" else None
    except (KeyError, TypeError, ValueError) as error:
        raise BadPatch(f"not a patch step: {error}") from error
    if operation not in _OPERATIONS:
        raise BadPatch(f"operation {operation!r} is not one of add, remove, replace")
    if not segments:
        if operation == "remove":
            raise BadPatch("the whole document cannot be removed")
        return value
    parent = document
    for segment in segments[:-1]:
        parent = _child(parent, segment)
    _change(parent, segments[-1], operation, value)
    return document


def _child(parent: Json, segment: str) -> Json:
    if isinstance(parent, dict) and segment in parent:
        return parent[segment]
    if isinstance(parent, list):
        return parent[_index(parent, segment, len(parent) - 1)]
    raise BadPatch(f"there is no {segment!r} to go into")


def _change(parent: Json, last: str, operation: str, value: Json) -> None:
    if isinstance(parent, dict):
        if operation != "add" and last not in parent:
            raise BadPatch(f"there is no {last!r} to {operation}")
        if operation == "remove":
            del parent[last]
        else:
            parent[last] = value
    elif isinstance(parent, list):
        _change_item(parent, last, operation, value)
    else:
        raise BadPatch(f"{last!r} lies in a value that has no members")


def _change_item(parent: list[Json], last: str, operation: str, value: Json) -> None:
    if operation == "add":
        parent.insert(len(parent) if last == "-" else _index(parent, last, len(parent)), value)
    elif operation == "remove":
        del parent[_index(parent, last, len(parent) - 1)]
    else:
        parent[_index(parent, last, len(parent) - 1)] = value


def _index(items: list[Json], segment: str, highest: int) -> int:
    """An array index as RFC 6901 writes it: digits, no leading zero, within the array."""
    if not (segment.isascii() and segment.isdigit()) or (segment != "0" and segment.startswith("0")):
        raise BadPatch(f"{segment!r} is not an index into a list of {len(items)}")
    if int(segment) > highest:
        raise BadPatch(f"index {segment} is outside a list of {len(items)}")
    return int(segment)
