"""AuthZEN 1.0: the standard's shapes over the same line, and no yes that nobody carries out."""

from __future__ import annotations

import json

import httpx
import pytest
import yaml

from tests.journeys.service import EXAMPLES

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())


@pytest.fixture(scope="module")
def pep(service):
    with service.client("service") as client:
        for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
            resource = yaml.safe_load((EXAMPLES / file).read_text())
            assert client.post("/v1/decisions", json={"kind": kind, "resource": resource}).json()["effect"] == "allow"
        yield client


def question(**changes) -> dict:
    resource = {"type": "connector_call", "id": "where2eat", "properties": CALL["resource"]}
    return {
        "subject": {"type": "user", "id": "lead@example.com"}, "action": {"name": "call"}, "resource": resource,
        "context": {"tenant": "marketing", "obligations": "*"}, **changes,
    }  # fmt: skip


def ask(client: httpx.Client, body: object, path: str = "evaluation", **headers: str) -> httpx.Response:
    return client.post(f"/access/v1/{path}", json=body, headers=headers)


def test_a_yes_for_a_caller_that_carries_out_what_it_needs(pep):
    answer = ask(pep, question(), **{"x-request-id": "abc-1"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "abc-1"
    body = answer.json()
    assert body["decision"] is True
    assert {o["type"] for o in body["context"]["obligations"]} >= {"mask"}


@pytest.mark.parametrize("obligations", [None, [], ["caps"]])
def test_the_same_is_a_no_for_a_caller_that_would_not_mask(pep, obligations):
    context = {"tenant": "marketing", **({} if obligations is None else {"obligations": obligations})}
    body = ask(pep, question(context=context)).json()
    assert body["decision"] is False
    assert "mask" in body["context"]["reason"]


def test_a_no_says_why(pep):
    resource = {
        "type": "connector_call",
        "id": "where2eat",
        "properties": {**CALL["resource"], "connector": "unheard-of"},
    }
    body = ask(pep, question(resource=resource)).json()
    assert body["decision"] is False
    assert body["context"]["violations"]


def test_the_subject_is_the_one_the_service_speaks_for_and_is_on_record(pep):
    decision_id = ask(pep, question()).json()["context"]["decision_id"]
    record = pep.get(f"/v1/decisions/{decision_id}").json()
    assert record["opened"]["input"]["subject"]["id"] == "lead@example.com"
    assert record["public"]["entry_point"] == "http.authzen"


NO = {"resource": {"type": "connector_call", "id": "nobody", "properties": CALL["resource"] | {"app": "nobody"}}}


class TestSeveral:
    @pytest.mark.parametrize(
        ("semantic", "rows", "decisions"),
        [
            ("execute_all", [{}, NO, {}], [True, False, True]),
            ("deny_on_first_deny", [{}, NO, {}], [True, False]),
            ("permit_on_first_permit", [NO, {}, {}], [False, True]),
            ("execute_all", [{}, {"resource": None}, 7], [True, False, False]),
        ],
    )
    def test_semantics(self, pep, semantic, rows, decisions):
        body = ask(
            pep, {**question(), "evaluations": rows, "options": {"evaluations_semantic": semantic}}, "evaluations"
        ).json()
        assert [row["decision"] for row in body["evaluations"]] == decisions

    def test_without_a_list_it_is_one_evaluation(self, pep):
        assert ask(pep, question(), "evaluations").json()["decision"] is True

    def test_what_is_none_of_them_names_its_error(self, pep):
        body = ask(pep, {**question(), "evaluations": [{"action": {}}]}, "evaluations").json()
        assert body["evaluations"][0]["context"]["error"]["status"] == 400


@pytest.mark.parametrize(
    "body",
    [
        [], {}, question(subject=None), question(subject={"type": "user"}), question(action={"name": 7}),
        question(resource={"type": "conjure", "id": "x", "properties": {}}), question(resource={"type": "deploy", "id": "x"}),
        question(resource={"type": "connector_call", "id": "other", "properties": CALL["resource"]}),
        question(resource={"type": "deploy", "id": "x", "properties": {"metadata": {"name": "y"}}}),
        question(context=[]), question(context={"tenant": 7}), question(context={"obligations": "mask"}),
        {**question(), "evaluations": {}}, {**question(), "evaluations": [{}], "options": {"evaluations_semantic": "maybe"}},
    ],
    ids=lambda body: json.dumps(body)[:60],
)  # fmt: skip
def test_what_is_no_question_is_an_error_and_a_deny(pep, body):
    path = "evaluations" if isinstance(body, dict) and "evaluations" in body else "evaluation"
    answer = ask(pep, body, path)
    assert answer.status_code == 400
    assert answer.json()["effect"] == "deny"


def test_metadata_says_where_the_endpoints_are(service):
    body = httpx.get(f"{service.url}/.well-known/authzen-configuration", timeout=60).json()
    assert body["access_evaluation_endpoint"] == f"{service.url}/access/v1/evaluation"
    assert body["policy_decision_point"] == service.url
