"""Masks of the audit log in Rego: OPA's paths and operations, but nothing is lost and nothing slips through."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.entrypoints.cli.main import run
from governance.masking import Mask, Masks
from governance.policy.active import Extra
from governance.policy.log_mask import has_masks, masks_for

ROOT = Path(__file__).parents[3]
EVENT = {
    "labels": {"kind": "data_flow", "app": "lunch", "tenant": "t"},
    "input": {"resource": {"note": "pepper-and-salt", "list": ["one", "two", "three"], "a/b": {"~c": "deep value"}}},
    "result": {"reason": "the note says pepper-and-salt"},
}
ROOTS = {"input": "input", "result": "answer"}


@pytest.fixture
def masking(active, folder):
    """`masking(text)`: a small pack with a mask policy beside it."""
    return lambda text: active(extras=[Extra(folder({"mask.rego": f"package system.log\n\n{text}\n"}, base={}))])


def applied(masks: Masks):
    return masks.applied(
        {"input": EVENT["input"], "answer": EVENT["result"], "facts": {"seen": "pepper-and-salt"}}, ROOTS
    )


def test_without_the_package_nothing_is_evaluated(active):
    assert not has_masks(active())


def test_a_pointer_removes_and_what_was_removed_is_not_repeated_elsewhere(masking):
    served = masking('mask contains "/input/resource/note"')
    assert has_masks(served)
    sealed, public = applied(masks_for(served, EVENT))
    assert "note" not in sealed["input"]["resource"]
    assert "pepper" not in json.dumps(sealed)
    assert public == {"erased_paths": ["/input/resource/note"]}


def test_an_upsert_puts_something_else_and_makes_a_member_that_was_not_there(masking):
    text = """
    mask contains {"op": "upsert", "path": "/input/resource/note", "value": {"was": "a note"}}
    mask contains {"op": "upsert", "path": "/input/resource/new", "value": 1}
    mask contains {"op": "upsert", "path": "/input/nowhere/new", "value": 1}
    """
    sealed, public = applied(masks_for(masking(text), EVENT))
    assert sealed["input"]["resource"]["note"] == {"was": "a note"}
    assert sealed["input"]["resource"]["new"] == 1
    assert "nowhere" not in sealed["input"]
    assert public["masked_paths"] == ["/input/resource/new", "/input/resource/note"]


def test_removing_from_a_list_removes_what_was_pointed_at_however_many(masking):
    text = 'mask contains "/input/resource/list/0"\nmask contains "/input/resource/list/1"'
    sealed, _ = applied(masks_for(masking(text), EVENT))
    assert sealed["input"]["resource"]["list"] == ["three"]


@pytest.mark.parametrize(
    ("pointer", "gone"),
    [
        ("/input/resource/a~1b/~0c", "deep value"),
        ("/input", "pepper"),
        ("/result/reason", "note says"),
        ("/input/resource/list/9", ""),
    ],
)
def test_pointers_are_rfc_6901(masking, pointer, gone):
    sealed, _ = applied(masks_for(masking(f'mask contains "{pointer}"'), EVENT))
    assert not gone or gone not in json.dumps(sealed)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('mask contains "/facts/seen"', "neither with /input"),
        ('mask contains "input/resource"', "neither with /input"),
        ('mask contains {"op": "replace", "path": "/input"}', "nor an operation"),
        ("mask contains 7", "nor an operation"),
        ('mask := "/input"', "not a set"),
        ("mask contains to_number(input.input.resource.note)", "mask: "),
        ('drop := "yes"', "not a boolean"),
        ("drop if to_number(input.input.resource.note) == 1", "drop: "),
    ],
)  # fmt: skip
def test_a_mask_that_fails_costs_the_content_and_never_the_event(masking, text, reason):
    masks = masks_for(masking(text), EVENT)
    assert reason in masks.failure
    sealed, public = applied(masks)
    assert sealed == {"input": "[failed]", "answer": "[failed]", "facts": "[failed]"}
    assert public["mask"] == "failed"
    assert "pepper" not in json.dumps(public)


def test_drop_drops_the_content(masking):
    served = masking('drop if input.labels.app == "lunch"')
    sealed, public = applied(masks_for(served, EVENT))
    assert set(sealed.values()) == {"[dropped]"}
    assert public == {"mask": "dropped"}
    assert masks_for(served, {**EVENT, "labels": {"app": "other"}}) == Masks()


def test_the_example_and_its_fixtures_hold(active):
    example = ROOT / "deploy/examples/audit-mask"
    served = active(extras=[Extra(str(example / "mask.rego"))])
    event = {
        **EVENT,
        "input": {"context": {"phone": "12345"}, "resource": {"payload": {"guests": [{"diet": "vegan"}]}}},
    }
    sealed, _ = masks_for(served, event).applied({"input": event["input"], "answer": {}}, ROOTS)
    assert "vegan" not in json.dumps(sealed)
    assert "12345" not in json.dumps(sealed)
    out = io.StringIO()
    assert run(["rules", "--rules", str(example), "test"], sys.stdin, out, sys.stderr) == 0
    assert "5 pass" in out.getvalue()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "0", "1", "~", "/"]), x, max_size=4),
    max_leaves=12,
)
_SEGMENTS = st.lists(st.sampled_from(["a", "b", "0", "1", "-1", "٣", "~", "/"]), max_size=4)


@given(_JSON, st.lists(st.tuples(_SEGMENTS, st.booleans()), max_size=4))
def test_masks_never_fail_on_a_value_and_never_change_it_in_place(value, wanted):
    before = json.dumps(value)
    masks = Masks(tuple(Mask("input", tuple(segments), "/input", is_removal, "x") for segments, is_removal in wanted))
    masks.applied({"input": value}, ROOTS)
    assert json.dumps(value) == before
