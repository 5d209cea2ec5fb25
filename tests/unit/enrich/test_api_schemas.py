"""Schemas in a manifest: one that is none is said at the deploy, with its place, and not by every call that comes later."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import regorus

from governance.enrich.api_schemas import broken

GOOD = [
    {"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "^a{1,3}$"}}, "required": ["a"]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array"}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {}, "type": "object"},
    {"pattern": "(?=a)b", "x-of-our-own": 1},
    {},
]
# The place within the schema, and the schema.
WRONG = [
    ("/type", {"type": "strin"}),
    ("/properties/a/minLength", {"properties": {"a": {"minLength": "x"}}}),
    ("/additionalProperties", {"additionalProperties": 5}),
    ("/required", {"required": "a"}),
    ("", {"$ref": "https://example.com/other.json"}),
    ("", {"$ref": "#/nothing"}),
    ("", {"$schema": "https://example.com/of-our-own"}),
    (None, {"properties": {"a": {"pattern": "("}}}),
]


def manifest(**call) -> dict:
    return {"spec": {"api": [{"method": "GET", "path": "/"}, {"method": "POST", "path": "/a", **call}]}}


def places(**call) -> list[str]:
    return ["/".join(["", *map(str, path)]) for path, _ in broken(manifest(**call))]


@pytest.mark.parametrize("schema", GOOD)
def test_a_schema_is_no_error_wherever_it_stands(schema):
    assert places(query=schema, body=schema, answers={"200": schema, "4XX": None, "default": schema}) == []


@pytest.mark.parametrize(("at", "schema"), WRONG)
@pytest.mark.parametrize("part", ["query", "body", "answers"])
def test_what_is_none_is_named_with_its_place(part, at, schema):
    place = f"/spec/api/1/{part}" + ("/200" if part == "answers" else "")
    (found,) = places(**{part: {"200": schema} if part == "answers" else schema})
    assert found.startswith(place) if at is None else found == place + at


@pytest.mark.parametrize("schema", [*GOOD, *(schema for _, schema in WRONG)])
def test_the_engine_that_holds_answers_against_it_says_the_same(schema):
    engine = regorus.Engine()
    engine.add_policy("a.rego", "package a\nimport rego.v1\nfound := json.match_schema({}, input)")
    engine.set_input_json(json.dumps(schema))
    try:
        is_one = json.loads(engine.eval_rule_as_json("data.a.found"))[0] in {True, False}
    except RuntimeError:
        is_one = False
    assert is_one is (places(answers={"200": schema}) == [])


@pytest.mark.parametrize("status", ["2xx", "20", "600", "OK", "", "DEFAULT", "200 "])
def test_a_status_that_no_answer_has_is_none(status):
    assert places(answers={status: {}}) == [f"/spec/api/1/answers/{status}"]


@pytest.mark.parametrize("schema", [True, False, "object", [], 5])
def test_an_answer_s_schema_is_an_object_or_null(schema):
    assert places(answers={"200": schema}) == ["/spec/api/1/answers/200"]


@pytest.mark.parametrize(
    "resource", [{}, {"spec": None}, {"spec": {"api": {}}}, {"spec": {"api": [None, {"answers": 5}]}}]
)
def test_another_shape_is_not_its_to_say(resource):
    assert list(broken(resource)) == []


def test_a_manifest_without_a_schema_loads_no_validator():
    code = (
        "import sys; from governance.enrich.schema import SchemaFacts; from governance.enrich.api_schemas import broken;"
        "list(broken({'spec': {'api': [{'method': 'GET', 'path': '/'}]}})); sys.exit('jsonschema_rs' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
