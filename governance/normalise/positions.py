"""Where a JSON pointer lies in a file: line and column, both from 1. Used only for files that have something to say."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from governance.model.pointer import to_segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    import yaml

    from governance.model.request import Json
    from governance.normalise.documents import Document

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def position_of(document: Document, pointer: str) -> tuple[int, int]:
    """Line and column of the value at `pointer`, of its key where it has one, else of the nearest parent that exists."""
    segments = to_segments(pointer)
    if document.form == "dockerfile":
        return _in_dockerfile(document.text, segments)
    if document.form == "json":
        return _in_json(document.text, segments)
    return _in_yaml(document, segments)


def _in_dockerfile(text: str, segments: list[str]) -> tuple[int, int]:
    from governance.normalise.dockerfile import place_in

    return place_in(*_read_dockerfile(text), segments)


@lru_cache(maxsize=1)
def _read_dockerfile(text: str) -> tuple[tuple[tuple[int, int], ...], Json]:
    from governance.normalise.dockerfile import parsed

    read = parsed(text, "")
    return read.lines, read.resource


def _in_json(text: str, segments: Sequence[str]) -> tuple[int, int]:
    """Walks down along the segments; what lies beside the way is decoded and dropped, at the decoder's own speed."""
    at = _skip(text, 0)
    place = at
    for segment in segments:
        found = _member(text, at, segment) if text[at : at + 1] == "{" else _item(text, at, segment)
        if found is None:
            break
        place, at = found
    return text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)


def _member(text: str, at: int, name: str) -> tuple[int, int] | None:
    """(where the key starts, where its value does)."""
    at = _skip(text, at + 1)
    while text[at] == '"':
        key, end = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, end) + 1)
        if key == name:
            return at, value
        at = _next(text, value)
    return None


def _item(text: str, at: int, segment: str) -> tuple[int, int] | None:
    if text[at : at + 1] != "[" or not segment.isdigit():
        return None
    at = _skip(text, at + 1)
    for _ in range(int(segment)):
        if text[at] == "]":
            return None
        at = _next(text, at)
    return None if text[at] == "]" else (at, at)


def _next(text: str, at: int) -> int:
    """Behind a value and its comma; at the closing bracket where it was the last."""
    _, end = _DECODER.raw_decode(text, at)
    at = _skip(text, end)
    return _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _in_yaml(document: Document, segments: Sequence[str]) -> tuple[int, int]:
    nodes = _nodes(document.text)
    if document.index >= len(nodes) or nodes[document.index] is None:
        return 1, 1
    node = nodes[document.index]
    place = node.start_mark
    for segment in segments:
        found = _child(node, segment)
        if found is None:
            break
        place, node = found
    return place.line + 1, place.column + 1


@lru_cache(maxsize=1)
def _nodes(text: str) -> list[yaml.Node]:
    """Every document of a text; a file that has one violation mostly has more."""
    import yaml

    return list(yaml.compose_all(text, Loader=yaml.CSafeLoader))


def _child(node: yaml.Node, segment: str) -> tuple[yaml.Mark, yaml.Node] | None:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == segment:
                return key.start_mark, value
    elif isinstance(node, yaml.SequenceNode) and segment.isdigit() and int(segment) < len(node.value):
        item = node.value[int(segment)]
        return item.start_mark, item
    return None
