"""Which declared calls of an app accept what is sent: by the schemas of the deploy in force, and by nothing else."""

from __future__ import annotations

import json
import time

import pytest

from governance.enrich.api_facts import ApiFacts
from governance.enrich.apps import AppDirectory
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.state.files import FileState

SUGGEST = {
    "method": "POST",
    "path": "/suggest",
    "body": {
        "type": "object",
        "properties": {"group": {"type": "string", "pattern": "^[a-z-]{1,40}$"}},
        "required": ["group"],
        "additionalProperties": False,
    },
}
VISIT = {
    "method": "GET",
    "path": "/visits/{id}",
    "query": {"type": "object", "properties": {"day": {"type": "string"}}},
}


class App:
    """Its directory, and what is asked of it."""

    def __init__(self, folder):
        self.state = FileState(str(folder))
        self.source = ApiFacts(AppDirectory(self.state))

    def deploy(self, *api, digest: str = "sha256:d1") -> None:
        document = {"spec": {"api": list(api)}, "digest": digest, "state": "active"}
        self.state.change("apps/lunch.json", lambda _: json.dumps(document).encode())

    def accepted(self, **resource) -> list[tuple[int, str]]:
        asked = {"app": "lunch", "method": "POST", "path": "/suggest", "query": {}, **resource}
        request = normalise_document({"kind": "app_call", "tenant": "t", "resource": asked}, Source("test", "ada"))
        self.fact = self.source.facts(request)["api"]
        return [(one["index"], one["part"]) for one in self.fact["accepted"]]

    def answer(self, status: int, body=None, **resource) -> list[tuple[int, str]]:
        asked = {"app": "lunch", "method": "POST", "path": "/suggest", "status": status, **resource}
        if body is not None:
            asked["body"] = body
        request = normalise_document({"kind": "app_answer", "tenant": "t", "resource": asked}, Source("test", "ada"))
        self.fact = self.source.facts(request)["api"]
        assert {one["part"] for one in self.fact["accepted"]} <= {"answers"}
        return [(one["index"], one["status"]) for one in self.fact["accepted"]]


@pytest.fixture
def app(tmp_path):
    return App(tmp_path)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"group": "campaigns"}, True),
        ({"group": "x' OR '1'='1"}, False),
        ({"group": "a\n"}, False),
        ({}, False),
        ({"group": "a", "more": 1}, False),
        (["group"], False),
        ("campaigns", False),
        (None, False),
    ],
)
def test_a_body_is_accepted_by_its_schema_alone(app, body, fits):
    app.deploy(SUGGEST, VISIT)
    assert app.accepted(body=body) == ([(0, "body")] if fits else [])
    assert app.fact["digest"] == "sha256:d1"


def test_each_call_that_could_be_meant_is_looked_at(app):
    app.deploy(
        VISIT, {**VISIT, "path": "/visits/{other}"}, {**VISIT, "method": "PUT"}, {**VISIT, "path": "/a/b/c"}, "odd"
    )
    assert app.accepted(method="GET", path="/visits/7", query={"day": "1"}) == [(0, "query"), (1, "query")]
    assert app.accepted(method="GET", path="/visits/7", query={"day": ["1", "2"]}) == []


def test_a_new_deploy_counts_at_once(app):
    app.deploy(SUGGEST)
    assert app.accepted(body={"group": "a"}) == [(0, "body")]
    app.deploy({**SUGGEST, "body": {"type": "object", "required": ["other"]}}, digest="sha256:d2")
    assert app.accepted(body={"group": "a"}) == []
    assert app.fact["digest"] == "sha256:d2"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 5},
        {"properties": 5},
        {"pattern": "["},
        {"$ref": "#/nowhere"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "file:///etc/passwd"},
        {"$schema": "https://example.com/own"},
        "anything",
        [],
        True,
    ],
)
def test_a_schema_that_is_none_accepts_nothing(app, schema):
    app.deploy({**SUGGEST, "body": schema})
    assert app.accepted(body={"group": "campaigns"}) == []


def test_a_pattern_that_backtracks_accepts_nothing_and_stalls_nobody(app):
    app.deploy({**SUGGEST, "body": {"properties": {"group": {"type": "string", "pattern": "^(?=a)(a+)+(?=$)\\1b$"}}}})
    begun = time.process_time()
    assert app.accepted(body={"group": "a" * 5000}) == []
    assert time.process_time() - begun < 5


PLACES = {"type": "object", "properties": {"places": {"type": "array"}}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (200, {"places": []}, [(0, "200"), (0, "2XX"), (0, "default")]),
        (200, {"places": [], "salary": 1}, [(0, "2XX"), (0, "default")]),
        (200, [], [(0, "default")]),
        (201, {"places": []}, [(0, "2XX"), (0, "default")]),
        (500, {}, [(0, "default")]),
        (204, {}, [(0, "2XX"), (0, "default")]),
        (200, "text", []),
        (200, 7, []),
        (200, None, []),
        (0, {}, [(0, "default")]),
    ],
)
def test_an_answer_is_accepted_by_each_schema_that_could_be_meant(app, status, body, accepted):
    answers = {"200": PLACES, "204": None, "2XX": {"type": "object"}, "default": {}, "4XX": "odd"}
    app.deploy({**SUGGEST, "answers": answers}, {**SUGGEST, "method": "PUT", "answers": answers})
    assert app.answer(status, body) == accepted
    assert app.fact["digest"] == "sha256:d1"


@pytest.mark.parametrize("answers", [None, "any", [], {"200": True}, {"200": {"type": 5}}, {"200": {"$ref": "#/no"}}])
def test_answers_that_are_no_schemas_accept_nothing(app, answers):
    app.deploy({**SUGGEST, "answers": answers})
    assert app.answer(200, {}) == []


def test_a_schema_that_doubles_with_each_step_accepts_nothing_and_stalls_nobody(app):
    twice = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 40)}
    app.deploy({**SUGGEST, "body": {"$defs": {"d0": {"type": "null"}, **twice}, "$ref": "#/$defs/d39"}})
    begun = time.process_time()
    assert app.accepted(body={"group": "a"}) == []
    assert time.process_time() - begun < 5


def test_what_a_schema_would_look_at_too_often_is_not_accepted(app):
    twice = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2} for n in range(1, 9)}
    numbers = {"$defs": {"d0": {"type": "number"}, **twice}, "additionalProperties": {"items": {"$ref": "#/$defs/d8"}}}
    app.deploy({**SUGGEST, "body": numbers, "query": numbers, "answers": {"default": numbers}})
    few, many = {"all": [1] * 1000}, {"all": [1] * 50_000}
    assert app.accepted(body=few, query=few) == [(0, "query"), (0, "body")]
    assert app.accepted(body=many, query=few) == [(0, "query")]
    assert app.answer(200, few) == [(0, "default")]
    assert app.answer(200, many) == []


def test_an_app_that_nobody_deployed_accepts_nothing(app):
    assert app.accepted(body={"group": "a"}) == []
    assert app.fact["digest"] == ""


def test_other_requests_have_no_such_fact(app):
    request = normalise_document(
        {"kind": "lifecycle", "tenant": "t", "resource": {"app": "lunch", "change": {}}}, Source("t", "a")
    )
    assert app.source.facts(request) == {}
