"""Patches change exactly what they name, or nothing."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.model.patch import BadPatch, patched
from governance.model.pointer import to_pointer, to_segments

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
)


def places(value, path=()):
    """Every (path, value) below `value`, the root left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key), child
        yield from places(child, (*path, key))


def at(value, path):
    for segment in path:
        value = value[segment]
    return value


@given(document=documents, data=st.data())
def test_replace_changes_that_place_and_leaves_the_original_alone(document, data):
    found = list(places(document))
    if not found:
        return
    path, _ = data.draw(st.sampled_from(found))
    before = copy.deepcopy(document)
    result = patched(document, [{"op": "replace", "path": to_pointer(path), "value": "new"}])
    assert at(result, path) == "new"
    assert document == before
    assert {p for p, _ in places(document) if p[: len(path)] != path} <= {p for p, _ in places(result)}


@given(document=documents, data=st.data())
def test_remove_then_add_gives_the_document_back(document, data):
    found = list(places(document))
    if not found:
        return
    path, value = data.draw(st.sampled_from(found))
    pointer = to_pointer(path)
    assert (
        patched(document, [{"op": "remove", "path": pointer}, {"op": "add", "path": pointer, "value": value}])
        == document
    )


@given(st.lists(st.text(max_size=6), max_size=5))
def test_a_pointer_gives_its_segments_back(segments):
    assert to_segments(to_pointer(segments)) == segments


@pytest.mark.parametrize(
    "step",
    [
        {"op": "replace", "path": "/absent", "value": 1},
        {"op": "remove", "path": "/list/2"},
        {"op": "add", "path": "/list/-1", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/٣", "value": 1},
        {"op": "add", "path": "/text/0", "value": 1},
        {"op": "add", "path": "list", "value": 1},
        {"op": "move", "from": "/list", "path": "/other"},
        {"op": "test", "path": "/text", "value": "x"},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "/x"},
        {"path": "/x", "value": 1},
        "not a step",
    ],
)
def test_a_step_that_cannot_be_applied_is_refused_whole(step):
    document = {"list": [1, 2], "text": "x"}
    with pytest.raises(BadPatch):
        patched(document, [{"op": "add", "path": "/first", "value": 1}, step])
    assert document == {"list": [1, 2], "text": "x"}
