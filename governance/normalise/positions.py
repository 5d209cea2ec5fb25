"""Where a JSON pointer lies in a file: line and column, both from 1. Used only for files that have something to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.model.pointer import to_segments

if TYPE_CHECKING:
    import yaml

    from governance.normalise.documents import Document


def position_of(document: Document, pointer: str) -> tuple[int, int]:
    """Line and column of the value at `pointer`, of its key where it has one, else of the nearest parent that exists."""
    import yaml

    # JSON is YAML as far as positions go; PyYAML's nodes carry marks.
    nodes = list(yaml.compose_all(document.text, Loader=yaml.CSafeLoader))
    if document.index >= len(nodes) or nodes[document.index] is None:
        return 1, 1
    node = nodes[document.index]
    place = node.start_mark
    for segment in to_segments(pointer):
        found = _child(node, segment)
        if found is None:
            break
        place, node = found
    return place.line + 1, place.column + 1


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
