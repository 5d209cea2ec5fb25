"""Schemas of an OpenAPI file: kept whole and never stricter than the file says, whatever the file tries."""

from __future__ import annotations

import json
import time

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors_registry.load import BadEntry
from connectors_registry.openapi import Imported, imported
from connectors_registry.openapi_schemas import UNCLASSIFIED, Schemas
from governance.enrich.schema import violations

SECURITY = {
    "type": "oauth2",
    "flows": {"clientCredentials": {"tokenUrl": "https://login.example.com/token", "scopes": {"all": "Everything"}}},
}


def described(answer=None, request=None, schemas=None, **operation):
    """A file with one operation."""
    about = {"operationId": "one", "security": [{"oauth": ["all"]}], **operation}
    if answer is not None:
        about["responses"] = {"200": {"content": {"application/json": {"schema": answer}}}}
    if request is not None:
        about["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "One"},
        "servers": [{"url": "https://api.example.com"}],
        "components": {"securitySchemes": {"oauth": SECURITY}, "schemas": schemas or {}},
        "paths": {"/one": {"post": about}},
    }


def made(*told, **more) -> Imported:
    return imported(described(*told, **more), "one", owner="support", review_by="2027-01-31")


def response(*told, **more):
    return made(*told, **more).entry["operations"][0]["response"]


def test_what_the_file_says_is_kept_without_its_references():
    person = {
        "type": "object",
        "required": ["id", "mail"],
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "mail": {"type": "string", "format": "email", "maxLength": 200},
            "boss": {"$ref": "#/components/schemas/Person"},
            "tags": {"type": "array", "maxItems": 5, "items": {"enum": ["a", "b"]}},
        },
        "additionalProperties": False,
    }
    found = made({"type": "array", "items": {"$ref": "#/components/schemas/Person"}}, schemas={"Person": person}).entry
    kept = found["operations"][0]["response"]["items"]
    assert kept["required"] == ["id", "mail"]
    assert kept["additionalProperties"] is False
    assert kept["properties"]["id"] == {"type": "number", "minimum": 1}
    assert kept["properties"]["tags"] == {"type": "array", "maxItems": 5, "items": {"enum": ["a", "b"]}}
    assert kept["properties"]["boss"] == {}  # itself again
    assert found["fields"] == [
        {"pointer": ["**", "id"], "class": UNCLASSIFIED},
        {"pointer": ["**", "mail"], "class": "personal", "pii": "email"},
    ]


def test_what_is_composed_is_put_together_and_what_cannot_be_said_is_left_out():
    schemas = {
        "Base": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "(a+)+$"}}}
    }
    kept = response(
        {
            "allOf": [
                {"$ref": "#/components/schemas/Base"},
                {"required": ["b"], "properties": {"b": {"type": "boolean"}}},
            ],
            "properties": {"c": {"type": ["string", "null"]}, "d": {"oneOf": [{"type": "string"}, {"type": "number"}]}},
        },
        schemas=schemas,
    )
    assert kept == {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": {"type": "string"}, "b": {"type": "boolean"}, "c": {}, "d": {}},
    }


def test_a_member_that_only_an_answer_has_is_not_asked_of_a_request():
    both = {
        "type": "object",
        "required": ["id", "secret", "name"],
        "properties": {
            "id": {"$ref": "#/components/schemas/Id"},
            "secret": {"type": "string", "writeOnly": True},
            "name": {"type": "string"},
        },
    }
    made_of = made(both, both, schemas={"Id": {"type": "string", "readOnly": True}}).entry["operations"][0]
    assert made_of["request"]["required"] == ["secret", "name"]
    assert made_of["response"]["required"] == ["id", "name"]


@pytest.mark.parametrize(
    "reference",
    [
        "https://evil.example/schema.json", "file:///etc/passwd", "other.yaml#/A", "//evil.example/a", "#anchor", "", "#",
        "/etc/passwd", "#/components/schemas/None", "#/components/schemas/A/type/0", "../../secret.json", 7, None, ["#/a"],
    ],
)  # fmt: skip
def test_a_reference_that_leads_out_or_nowhere_is_refused_by_place(reference):
    with pytest.raises(BadEntry, match=r"^/paths/~1one/post/responses"):
        made({"properties": {"a": {"$ref": reference}}}, schemas={"A": {"type": "object"}})


@pytest.mark.parametrize(
    "schema", [7, "string", ["object"], {"properties": []}, {"required": "a"}, {"allOf": {}}, {"items": 7}]
)
def test_what_is_no_schema_is_refused_by_place(schema):
    with pytest.raises(BadEntry, match=r"^/paths/~1one/post/responses"):
        made(schema)


@pytest.mark.parametrize("name", ["$dynamicRef", "$id"])
def test_what_would_lead_a_reference_elsewhere_is_refused(name):
    with pytest.raises(BadEntry, match=r"bundle the file"):
        made({"type": "object", name: "#/components/schemas/A"})


CIRCLES = [
    {"A": {"type": "object", "properties": {"a": {"$ref": "#/components/schemas/A"}}}},
    {
        "A": {"type": "array", "items": {"$ref": "#/components/schemas/B"}},
        "B": {"allOf": [{"$ref": "#/components/schemas/A"}]},
    },
    {"A": {"allOf": [{"$ref": "#/components/schemas/A"}]}},
]


@pytest.mark.parametrize("schemas", CIRCLES)
def test_a_schema_of_itself_ends(schemas):
    kept = response({"$ref": "#/components/schemas/A"}, schemas=schemas)
    assert "$ref" not in json.dumps(kept)


def test_a_reference_that_is_only_itself_is_none():
    for schemas in ({"A": {"$ref": "#/components/schemas/A"}}, chain(40)):
        with pytest.raises(BadEntry, match="in a circle"):
            made({"$ref": "#/components/schemas/A"}, schemas=schemas)


def chain(length):
    named = ["A", *(f"A{number}" for number in range(length))]
    return {one: {"$ref": f"#/components/schemas/{after}"} for one, after in zip(named, [*named[1:], "A"], strict=True)}


def bomb(width=10, levels=30):
    """Each level refers to the next many times: a small file, and more members than there is memory."""
    after = {
        f"L{n}": {"properties": {f"m{i}": {"$ref": f"#/components/schemas/L{n + 1}"} for i in range(width)}}
        for n in range(levels)
    }
    return {**after, f"L{levels}": {"type": "string"}}


@pytest.mark.parametrize(
    ("schema", "schemas"),
    [
        ({"$ref": "#/components/schemas/L0"}, bomb()),
        ({"properties": {f"m{i}": {"type": "string"} for i in range(10_000)}}, {}),
        ({"enum": ["x" * 200_000]}, {}),
        ({"properties": {"x" * 200_000: {}}}, {}),
        ({"required": ["x" * 200_000]}, {}),
        (
            {"properties": {f"m{i}": {"$ref": "#/components/schemas/E"} for i in range(20)}},
            {"E": {"enum": ["x" * 20_000]}},
        ),
    ],
)
def test_what_is_too_large_is_left_out_and_said(schema, schemas):
    begun = time.process_time()
    found = made(schema, {"type": "object"}, schemas=schemas)
    assert time.process_time() - begun < 5
    (operation,) = found.entry["operations"]
    assert "response" not in operation
    assert operation["request"] == {"type": "object"}
    assert "too large" in found.notes[0]
    assert found.notes[0].startswith("/paths/~1one/post/responses")


def test_many_operations_share_one_bound():
    document = described({"properties": {f"member-{i}": {"type": "string"} for i in range(1000)}})
    one = document["paths"]["/one"]["post"]
    document["paths"] = {f"/{i}": {"post": {**one, "operationId": str(i)}} for i in range(200)}
    found = imported(document, "one", owner="support", review_by="2027-01-31")
    assert len(json.dumps(found.entry["operations"])) < 1_000_000
    assert any("too large" in note for note in found.notes)
    assert len(found.entry["fields"]) == 1000


def test_a_deep_schema_ends_in_one_that_allows_everything():
    schema = {"type": "string"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema}}
    assert list(violations(response(schema), {"a": {}}, ())) == []
    assert json.dumps(response(schema)).count("properties") == 13


@pytest.mark.parametrize(
    ("operation", "part", "words"),
    [
        (
            {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}},
            "request",
            "may be missing",
        ),
        ({"requestBody": {"required": True, "content": {"text/csv": {"schema": {}}}}}, "request", "not JSON alone"),
        ({"responses": {"200": {"content": {"application/json": {}, "text/csv": {}}}}}, "response", "not JSON alone"),
        (
            {
                "responses": {
                    code: {"content": {"application/json": {"schema": {"type": "object"}}}} for code in ("200", "202")
                }
            },
            "response",
            "several successful answers",
        ),
    ],
)
def test_what_a_call_could_not_be_held_to_is_said(operation, part, words):
    found = made(**operation)
    assert part not in found.entry["operations"][0]
    assert words in found.notes[0]


def test_fields_of_alternatives_and_of_several_answers_are_named_all_the_same():
    answer = {
        "anyOf": [{"properties": {"a": {"type": "string"}}}, {"items": {"properties": {"b": {"format": "ipv4"}}}}]
    }
    one = {"content": {"application/json": {"schema": answer}}}
    found = made(
        responses={"200": one, "201": {"content": {"application/json": {"schema": {"properties": {"c": {}}}}}}}
    )
    assert [field["pointer"][1] for field in found.entry["fields"]] == ["a", "b", "c"]


def test_what_two_answers_say_differently_is_for_its_owner_to_say():
    answers = [{"properties": {"at": {"format": "email"}}}, {"properties": {"at": {"type": "string"}}}]
    document = described(answers[0])
    document["paths"]["/two"] = {"post": described(answers[1], operationId="two")["paths"]["/one"]["post"]}
    found = imported(document, "one", owner="support", review_by="2027-01-31").entry
    assert found["fields"] == [{"pointer": ["**", "at"], "class": UNCLASSIFIED}]


def test_parameters_and_methods_are_such_as_the_registry_has():
    document = described({"type": "object"})
    document["paths"] = {"/a/{the-id}/{2nd}": {**document["paths"]["/one"], "options": {}, "trace": {}}}
    found = imported(document, "one", owner="support", review_by="2027-01-31")
    assert found.entry["operations"][0]["paths"] == ["/a/{the_id}/{p2nd}"]
    assert [note.rpartition("/")[2] for note in found.notes] == [
        "options: no call is made with it",
        "trace: no call is made with it",
    ]
    document["paths"] = {"/a/{id}.json": document["paths"]["/a/{the-id}/{2nd}"]}
    with pytest.raises(BadEntry, match="one whole segment a parameter"):
        imported(document, "one", owner="support", review_by="2027-01-31")
    with pytest.raises(BadEntry, match="review_by"):
        imported(described(), "one", owner="support", review_by="soon")


TREE = {
    "type": "object",
    "required": ["v"],
    "properties": {"v": {"type": "integer"}, "next": {"$ref": "#/components/schemas/A"}},
}
CLOSED = {"type": "object", "properties": {"a": {}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "patternProperties": {"^b": {}}, "additionalProperties": False}, {"b": 1}),
        (
            {"type": "object", "properties": {"a": {}}, "patternProperties": {"^b": {}}, "additionalProperties": False},
            {"b": 1},
        ),
        ({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "number"}}, ["x", 1]),
        ({"type": ["string", "null"], "minLength": 3}, None),
        ({"type": ["object", "null"], "required": ["a"]}, None),
        ({"type": "null"}, None),
        ({"enum": ["a", None]}, None),
        ({"enum": [["a"], {"b": 1}]}, ["a"]),
        ({"const": None}, None),
        ({"const": {"a": 1}}, {"a": 1}),
        ({"oneOf": [{"type": "string"}, {"type": "number"}]}, 1),
        ({"if": {"type": "string"}, "then": {"minLength": 3}}, 1),
        ({"not": {"type": "string"}}, 1),
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "object", "properties": {"a": True}}, {"a": None}),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, {"c": 1}),
        ({"type": "object", "additionalProperties": {"type": "number"}}, {"c": 1}),
        ({"required": ["a"]}, "text"),
        ({"properties": {"a": {"type": "string"}}}, ["a"]),
        ({"minimum": 5}, "text"),
        ({"maxItems": 1}, "text"),
        ({"type": "object", "allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}, {"a": 1, "b": 2}),
        ({"allOf": [{"type": ["object", "null"]}, {"type": ["string", "null"]}]}, None),
        ({"$ref": "#/components/schemas/Closed", "properties": {"b": {}}}, {"a": 1}),
        ({"$ref": "#/components/schemas/A"}, {"v": 1, "next": {"v": 2, "next": {"v": 3}}}),
        ({"type": "array", "items": {"$ref": "#/components/schemas/A"}}, [{"v": 1}]),
    ],
)
def test_each_thing_that_cannot_be_said_here_is_left_out_rather_than_changed(schema, value):
    document = {"components": {"schemas": {"A": TREE, "Closed": CLOSED}}}
    assert jsonschema_rs.Draft202012Validator({**document, "allOf": [schema]}).is_valid(value)
    schemas = Schemas(document)
    schemas.begin()
    assert list(violations(schemas.of(schema, "", hides="readOnly"), value, ())) == []


LEAVES = st.sampled_from([
    {"type": "string"}, {"type": "string", "minLength": 1, "maxLength": 3}, {"type": "integer", "minimum": 0},
    {"type": "number"}, {"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"enum": ["a", 1, None]},
    {"const": "a"}, True, False, {}, {"enum": ["a", "b"]}, {"type": "string", "pattern": "^a"},
    {"type": "object", "unevaluatedProperties": False},
])  # fmt: skip
NAMES = ("a", "b", "c")
REFERENCES = st.sampled_from([{"$ref": f"#/components/schemas/{name}"} for name in ("A", "B", "C")])


def nested(inner):
    members = st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    return st.one_of(
        st.fixed_dictionaries(
            {"properties": members},
            optional={
                "type": st.sampled_from(["object", ["object", "null"], "array"]),
                "required": st.lists(st.sampled_from(NAMES), unique=True),
                "additionalProperties": st.booleans() | inner,
                "patternProperties": st.fixed_dictionaries({"^b": inner}),
                "$ref": st.sampled_from([f"#/components/schemas/{name}" for name in ("A", "B", "C")]),
            },
        ),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"maxItems": st.integers(0, 2)}),
        st.fixed_dictionaries({"prefixItems": st.lists(inner, min_size=1, max_size=2), "items": inner}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}, optional={"type": st.just("object")}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=2)}),
    )


SCHEMAS = st.recursive(LEAVES | REFERENCES, nested, max_leaves=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["", "a", "ab", "bbbb", 0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)


@given(schema=SCHEMAS, a=SCHEMAS, b=SCHEMAS, values=st.lists(VALUES, min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_what_the_file_allows_is_never_refused(schema, a, b, values):
    """Held against a whole validator: ours may allow more, and must refuse nothing that the file allows."""
    document = {
        "components": {"schemas": {"A": a, "B": b, "C": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    }
    schemas = Schemas(document)
    schemas.begin()
    try:
        kept = schemas.of(schema, "", hides="readOnly")
        theirs = jsonschema_rs.Draft202012Validator({**document, "allOf": [schema]})
    except BadEntry as error:
        assert "circle" in str(error)  # noqa: PT017  others would be about the file, and there is nothing wrong with it
        return
    except jsonschema_rs.ValidationError:
        return
    assert "$ref" not in json.dumps(kept)
    for value in values:
        try:
            is_good = theirs.is_valid(value)
        except RecursionError:
            continue
        assert not is_good or list(violations(kept, value, ())) == []
