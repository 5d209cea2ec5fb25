"""Transformations: what JMESPath's own evaluator gives, within bounds, and nothing but a refusal for everything else."""

from __future__ import annotations

import copy
import json
import time

import jmespath
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from governance.enrich.events import schemas
from governance.enrich.events.transform import BadTransform, check, transformed

# A loaded machine is no finding.
PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
EXPRESSIONS = (
    "a", "a.b", "a[0]", "a[*].b", "*.a", "a[]", "{x: a, y: b}", "[a, b]", "a || b", "a && b", "!a", "a == b", "a != `1`",
    "a[?b > `1`]", "a | [0]", "a[::2]", "length(a)", "keys(@)", "sort(a)", "to_string(@)", "join(',', a)", "merge(a, b)",
    "max_by(a, &b)", "map(&b, a)", "type(a)", "not_null(a, b)", "sum(a)", "reverse(a)", "contains(a, b)", "values(@)",
)  # fmt: skip


@PATIENT
@given(st.sampled_from(EXPRESSIONS), JSON)
@example("a == b", {"a": 1, "b": True})
def test_it_gives_what_the_library_gives_and_leaves_the_event_alone(expression, data):
    before = copy.deepcopy(data)
    try:
        expected = jmespath.search(expression, data)
    except (jmespath.exceptions.JMESPathError, TypeError):
        with pytest.raises(BadTransform):
            transformed(expression, data)
        return
    found = transformed(expression, data)
    assert json.dumps(found) == json.dumps(expected)
    assert data == before


@pytest.mark.filterwarnings("ignore:deprecated string literal:PendingDeprecationWarning")
@PATIENT
@given(st.text("ab.*[]{}:,|&!<>=?@'\"`()0123 ", max_size=40), JSON)
def test_whatever_is_written_is_evaluated_or_refused(expression, data):
    said = ""
    try:
        transformed(expression, data)
    except BadTransform as error:
        said = str(error)
    assert "\n" not in said


@pytest.mark.parametrize(
    "expression",
    [
        "|".join(["[@,@]"] * 60),
        "to_string(" + "|".join(["[@,@]"] * 30) + ")",
        "|".join(["{a: @, b: @}"] * 40) + " | @ == @",
        "|".join(["join('', [@,@])"] * 60),
        "|".join(["[@,@][]"] * 40),
        "contains([" + "|".join(["[@,@]"] * 30) + "], @)",
        "[*]." + "[].".join(["[@,@]"] * 30),
    ],
)
def test_an_expression_that_grows_without_end_is_stopped_the_same_way_each_time(expression):
    begun = time.process_time()
    for _ in range(2):
        with pytest.raises(BadTransform, match="more work"):
            transformed(expression, "x" * 64 if "join" in expression else ["x"] * 20)
    assert time.process_time() - begun < 20


def test_a_refusal_does_not_quote_the_event():
    with pytest.raises(BadTransform) as caught:
        transformed("sum(contact)", {"contact": "ada@example.com"})
    assert "ada" not in str(caught.value)


def test_what_is_deep_comes_through():
    check("not_null(" * 12 + "a" + ")" * 12)
    assert transformed("not_null(" * 12 + "a" + ")" * 12, {"a": 3}) == 3


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/schema.json"}, {"$ref": "file:///etc/passwd"}, {"type": "no"}, {"pattern": "(?=a)"},
        {"pattern": "("}, {"$ref": "#/nowhere"}, [], None, {"description": "x" * 70_000},
    ],
)  # fmt: skip
def test_a_schema_that_reaches_out_or_cannot_be_held_against_is_refused(schema):
    with pytest.raises(schemas.BadEventSchema):
        schemas.check(schema)


def _doubling(steps: int) -> dict:
    """Each definition twice the one before: short, and never done."""
    half = [{"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, steps)]
    return {
        "$defs": {f"d{n}": one for n, one in enumerate([{"type": "string"}, *half])},
        "$ref": f"#/$defs/d{steps - 1}",
    }


NODE = {"$ref": "#/$defs/node"}


@pytest.mark.parametrize(
    "schema",
    [
        _doubling(40), {"$ref": "#"}, {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, {"not": {"$ref": "#"}},
        {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]},
        {"patternProperties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}}, {"contains": {"$ref": "#"}, "items": {"$ref": "#"}},
        {"$defs": {"x": {"$dynamicAnchor": "m", "items": {"allOf": [{"$dynamicRef": "#m"}] * 2}}}, "$ref": "#/$defs/x"},
        {"$defs": {"x": {"$anchor": "m", "items": {"if": {"$ref": "#m"}, "then": {"$ref": "#m"}}}}, "$ref": "#m"},
        {"$ref": "#/$defs/x", "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"$ref": "#/$defs/x"}}},
    ],
)  # fmt: skip
def test_a_schema_that_would_be_held_against_for_ever_is_not_taken(schema):
    assert len(json.dumps(schema)) < 4000
    begun = time.process_time()
    with pytest.raises(schemas.BadEventSchema):
        schemas.check(schema)
    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"node": {"properties": {"left": NODE, "right": NODE, "all": {"items": NODE}}}}, **NODE},
        {"additionalProperties": {"$ref": "#"}}, {"properties": {"a": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}},
        {"prefixItems": [{"$ref": "#"}, {"type": "null"}], "items": {"$ref": "#"}}, _doubling(8),
        {"$defs": {"day": {"$anchor": "day", "type": "string"}}, "properties": {"a~b/c d": {"$ref": "#day"}}},
        {"properties": {"$ref": {"type": "string"}, "x": {"$ref": "#/properties/$ref"}}},
    ],
)  # fmt: skip
def test_a_schema_that_refers_to_itself_and_comes_to_an_end_is_taken(schema):
    schemas.check(schema)
    assert schemas.errors_of(schema, {"x": 1, "left": {"right": {}}}) is not None


DRAFT_4, DRAFT_7 = ({"$schema": f"http://json-schema.org/draft-0{n}/schema#"} for n in (4, 7))
# As many definitions of the same names, that cost nothing: what is counted if `#` is taken for the whole.
CHEAP = {f"d{n}": {} for n in range(22)}


def _another(**names: str) -> dict:
    """A part in which `#` is the part itself."""
    doubling = _doubling(22)
    return {"$defs": doubling["$defs"], "allOf": [{"$ref": doubling["$ref"]}], **names}


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": CHEAP, "allOf": [_another(**{"$id": "https://example.com/a"})]},
        {"$defs": CHEAP, "properties": {"a": {"items": _another(**{"$id": "a"})}}},
        {"$defs": CHEAP, "not": _another(**{"$id": "a#b"})},
        {"$defs": CHEAP, "allOf": [_another(**{"$id": ""})]},
        {**DRAFT_4, "$defs": CHEAP, "allOf": [_another(id="https://example.com/a")]},
        {**DRAFT_7, "$defs": CHEAP, "allOf": [_another(**{"$id": "a"})]},
        {"$defs": CHEAP, "allOf": [_another(**DRAFT_4, id="https://example.com/a")]},
        # Reached by a path, by a path through it, by its address, and not at all.
        {"$defs": CHEAP, "x-own": _another(**{"$id": "a"}), "$ref": "#/x-own"},
        {"$defs": CHEAP, "x-own": {"$id": "a", "x": _another()}, "$ref": "#/x-own/x"},
        {"$id": "https://example.com/a", "$defs": {**CHEAP, "x": _another(**{"$id": "a"})}, "$ref": "#/$defs/d0"},
        {"default": {"$anchor": "b"}, "$defs": {**CHEAP, "x": _another(**{"$id": "b"})}, "$ref": "b"},
        # The one name is not read by this draft, and the other is.
        {**DRAFT_7, "$defs": {"a": {"$anchor": "a"}, "b": {"$id": "#a", "allOf": _another()["allOf"]}, **_another()["$defs"]},
         "allOf": [{"$ref": "#a"}]},
        {"$ref": "https://json-schema.org/draft/2020-12/schema", "default": {"$id": "https://json-schema.org/draft/2020-12/schema"}},
        {"allOf": [{}], "$ref": "#/allOf/\N{SUPERSCRIPT ZERO}"}, {"allOf": [{}], "$ref": "#/allOf/" + "0" * 5000},
    ],
)  # fmt: skip
def test_a_part_that_is_a_document_of_its_own_is_not_taken(schema):
    with pytest.raises(schemas.BadEventSchema):
        schemas.check(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "https://example.com/a", "$defs": {"a": {"type": "object"}}, "$ref": "#/$defs/a"},
        {**DRAFT_4, "id": "https://example.com/a", "properties": {"a": {"$ref": "#"}}},
        {"properties": {"$id": {"type": "string"}, "id": {"type": "string"}}, "required": ["id"]},
        {"default": {"id": "a"}, "examples": [{"$id": "a"}], "not": {"enum": [{"id": "a"}]}},
        {**DRAFT_7, "definitions": {"a": {"$id": "#a", "type": "object"}}, "allOf": [{"$ref": "#a"}]},
    ],
)
def test_an_id_of_the_whole_a_member_s_name_and_a_value_are_none(schema):
    schemas.check(schema)
    assert schemas.errors_of(schema, {"id": "x"}) == []


def test_an_event_is_not_held_against_more_than_it_is_worth():
    schema = {"items": {"allOf": [{"type": "object"}] * 900}}
    assert schemas.errors_of(schema, [{}] * 10) == []
    with pytest.raises(schemas.BadEventSchema, match="too large for its schema"):
        schemas.errors_of(schema, [{}] * 20_000)


def test_what_is_nested_too_deeply_to_be_an_event_is_no_outcome():
    with pytest.raises(BadTransform, match="nested"):
        transformed("`" + "[" * 800 + "]" * 800 + "`", {})


def test_a_pattern_that_would_stall_others_is_matched_at_once_and_the_value_is_not_quoted():
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    begun = time.process_time()
    [error] = schemas.errors_of(schema, {"a": "a" * 50_000 + "!"})
    assert time.process_time() - begun < 10
    assert error["pointer"] == "/a"
    assert "aaaa" not in error["message"]
