"""The rest of OPA's REST API, beside somebody's own small policy. What is expected was read off OPA 1.22.2's own server."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from tests.journeys.service import Service

POLICY = """package t

import rego.v1

default allow := false

allow if input.x == 1

undef if input.nope

bad := to_number(input.s)

double(n) := n * 2

c := 1 if input.x == 1

c := 2 if input.y == 2
"""
WHOLE = {"t": {"allow": True, "c": 1}, "system": {"main": {"ok": 1}}, "things": {"a": 1}}
MAIN = 'package system\n\nimport rego.v1\n\nmain := {"ok": input.x}\n'


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("opa")
    (folder / "policy").mkdir()
    (folder / "policy" / "t.rego").write_text(POLICY)
    (folder / "policy" / "main.rego").write_text(MAIN)
    (folder / "policy" / "data.json").write_text('{"things": {"a": 1}}')
    # A machine that does much else must not run into the budget of one evaluation.
    service = Service(
        folder / "home", GOVERNANCE_BUNDLE=str(folder / "policy"), GOVERNANCE_QUERIES="on", GOVERNANCE_BUDGET_MS="20000",
    ).start()  # fmt: skip
    yield service
    service.stop()


@pytest.fixture(scope="module")
def client(small):
    with small.client("service") as client:
        yield client


def asked(client: httpx.Client, path: str, body: object, **params: str) -> tuple[int, dict]:
    answer = client.post(path, json=body, params=params)
    rest = answer.json()
    assert answer.status_code != 200 or isinstance(rest["decision_id"], str)
    rest.pop("decision_id", None)
    return answer.status_code, rest


class TestData:
    @pytest.mark.parametrize(
        ("path", "body", "wanted"),
        [
            ("/v1/data/t/allow", {"input": {"x": 1}}, {"result": True}),
            ("/v1/data/t/undef", {"input": {}}, {}),
            ("/v1/data/t/bad", {"input": {"s": "abc"}}, {}),
            ("/v1/data", {"input": {"x": 1}}, {"result": WHOLE}),
        ],
    )  # fmt: skip
    def test_values_are_those_of_opa(self, client, path, body, wanted):
        assert asked(client, path, body) == (200, wanted)

    @pytest.mark.parametrize(
        ("path", "body", "params"),
        [
            ("/v1/data/t/bad", {"input": {"s": "abc"}}, {"strict-builtin-errors": "true"}),
            ("/v1/data/t/c", {"input": {"x": 1, "y": 2}}, {}),
        ],
    )
    def test_an_error_is_a_500_with_opa_s_words(self, client, path, body, params):
        status, answer = asked(client, path, body, **params)
        assert status == 500
        assert answer["code"] == "internal_error"
        assert answer["message"] == "error(s) occurred while evaluating query"
        assert answer["errors"]

    def test_metrics_and_provenance_have_opa_s_members(self, client):
        _, answer = asked(client, "/v1/data/t/allow", {"input": {}}, metrics="", provenance="", instrument="")
        assert set(answer["provenance"]) == {"version", "build_commit", "build_timestamp", "build_hostname", "bundles"}
        assert {"timer_rego_query_eval_ns", "timer_rego_input_parse_ns", "timer_server_handler_ns"} == set(
            answer["metrics"]
        )

    @pytest.mark.parametrize("mode", ["notes", "fails", "full", "debug"])
    def test_a_trace_that_is_not_kept_is_not_made_up(self, client, mode):
        status, answer = asked(client, "/v1/data/t/allow", {"input": {}}, explain=mode)
        assert (status, answer["code"]) == (400, "invalid_parameter")
        assert "trace" in answer["message"]

    @pytest.mark.parametrize("mode", ["off", "frob"])
    def test_other_words_ask_for_no_trace(self, client, mode):
        assert asked(client, "/v1/data/t/allow", {"input": {"x": 1}}, explain=mode) == (200, {"result": True})

    def test_gzip_goes_both_ways(self, client, small):
        raw = gzip.compress(json.dumps({"input": {"x": 1}}).encode())
        headers = {"content-encoding": "gzip", "content-type": "application/json", "accept-encoding": "gzip"}
        answer = client.post("/v1/data/t/allow", content=raw, headers=headers)
        assert answer.json()["result"] is True
        listed = client.get("/v1/policies", headers={"accept-encoding": "gzip"})
        assert listed.json()["result"]

    def test_the_default_decision(self, client):
        assert client.post("/", json={"x": 3}).json() == {"ok": 3}
        missing = client.post("/", json={})
        assert (missing.status_code, missing.json()["code"]) == (404, "undefined_document")
        form = {"content-type": "application/x-www-form-urlencoded"}
        assert client.post("/", content=b'{"x": 4}', headers=form).json() == {"ok": 4}


class TestBatch:
    def test_each_input_has_its_answer(self, client, small):
        body = {"inputs": {"a": {"x": 1}, "b": {"x": 2}}, "common_input": {"x": 7, "deep": {"k": 1}}}
        answer = client.post("/v1/batch/data/t/allow", json=body)
        assert answer.status_code == 200
        responses = answer.json()["responses"]
        assert {name: row["result"] for name, row in responses.items()} == {"a": True, "b": False}
        records = {r["public"]["decision_id"]: r for r in small.records(kind="query")}
        assert records[responses["a"]["decision_id"]]["opened"]["input"] == {"x": 1, "deep": {"k": 1}}

    def test_some_that_fail_are_marked_and_all_that_fail_are_an_error(self, client):
        mixed = client.post("/v1/batch/data/t/c", json={"inputs": {"good": {"x": 1}, "bad": {"x": 1, "y": 2}}})
        assert mixed.status_code == 207
        rows = mixed.json()["responses"]
        assert (rows["good"]["http_status_code"], rows["bad"]["http_status_code"]) == ("200", "500")
        assert (rows["bad"]["code"], rows["bad"]["effect"]) == ("internal_error", "deny")
        assert client.post("/v1/batch/data/t/c", json={"inputs": {"bad": {"x": 1, "y": 2}}}).status_code == 500

    def test_none_at_all_is_a_warning(self, client):
        answer = client.post("/v1/batch/data/t/c", json={}).json()
        assert answer["responses"] == {}
        assert answer["warning"]["code"] == "api_usage_warning"

    @pytest.mark.parametrize("body", [[], {"inputs": []}, {"inputs": {str(n): {} for n in range(1001)}}])
    def test_what_is_no_batch(self, client, body):
        assert client.post("/v1/batch/data/t/c", json=body).status_code in {400, 413}


class TestQuery:
    @pytest.mark.parametrize(
        ("query", "document", "wanted"),
        [
            ("x = [1, 2][_]; y := input.a", {"a": 3}, {"result": [{"x": 1, "y": 3}, {"x": 2, "y": 3}]}),
            ("data.t.allow = x", {"x": 1}, {"result": [{"x": True}]}),
            ("x := data.t.double(4)", {}, {"result": [{"x": 8}]}),
            ("1 == 1", {}, {"result": [{}]}),
            ("data.t.undef", {}, {}),
            ('not startswith(input.user, "x-")', {}, {}),
        ],
    )
    def test_bindings_are_those_of_opa(self, client, query, document, wanted):
        assert asked(client, "/v1/query", {"query": query, "input": document}) == (200, wanted)

    @pytest.mark.parametrize(
        ("query", "stage", "code"),
        [
            ("frob(", "parsing", "rego_parse_error"),
            ("frob(1)", "compiling", "rego_type_error"),
            ("x > 1", "compiling", "rego_unsafe_var_error"),
            ('http.send({"method": "get", "url": "http://127.0.0.1/"})', "compiling", "rego_compile_error"),
        ],
    )
    def test_a_query_that_is_none(self, client, query, stage, code):
        status, answer = asked(client, "/v1/query", {"query": query})
        assert (status, answer["code"]) == (400, "invalid_parameter")
        assert answer["message"] == f"error(s) occurred while {stage} query"
        assert answer["errors"][0]["code"] == code

    def test_an_error_in_the_query_is_an_error(self, client):
        status, answer = asked(client, "/v1/query", {"query": 'not to_number("a") > 1'})
        assert (status, answer["code"], answer["effect"]) == (500, "internal_error", "deny")

    def test_by_get_and_the_words_for_nothing(self, client):
        assert client.get("/v1/query", params={"q": "x := 1"}).json()["result"] == [{"x": 1}]
        assert client.get("/v1/query").status_code == 400
        assert client.post("/v1/query", json={"query": ""}).status_code in {400, 500}
        assert client.post("/v1/query", json={}).status_code == 400

    def test_the_query_is_on_record(self, client, small):
        decision_id = client.post("/v1/query", json={"query": "x := 41 + 1"}).json()["decision_id"]
        record = next(r for r in small.records(kind="query") if r["public"]["decision_id"] == decision_id)
        assert record["opened"]["input"] == {"query": "x := 41 + 1"}
        assert record["opened"]["result"] == [{"x": 42}]

    def test_a_key_of_one_tenant_may_not_look_around(self, small):
        with small.client("service", "marketing") as bound:
            assert bound.post("/v1/query", json={"query": "x := data"}).status_code == 403
            for path in (
                "/v1/data",
                "/v1/data/things",
                "/v1/data//things/",
                "/v1/data/things/a",
                "/v1/data/things/a/b",
            ):
                assert bound.get(path).json()["code"] == "unauthorized", path
                assert bound.post(path, json={"input": {}}).status_code == 403
            assert bound.post("/v0/data/things", json={}).status_code == 403
            assert bound.post("/v1/batch/data/things", json={"inputs": {"a": {}}}).status_code == 500
            for path in ("/v1/data/t", "/v1/data/t/allow", "/v1/data/things/b"):
                assert bound.post(path, json={"input": {"x": 1}}).status_code == 200


class TestPolicies:
    def test_one_policy_can_be_read(self, client):
        listed = [row["id"] for row in client.get("/v1/policies").json()["result"]]
        one = client.get(f"/v1/policies/{listed[0]}").json()["result"]
        assert one["id"] == listed[0]
        missing = client.get("/v1/policies/none")
        assert (missing.status_code, missing.json()["code"]) == (404, "resource_not_found")

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    @pytest.mark.parametrize("path", ["/v1/policies/t.rego", "/v1/data/things/a", "/v1/data"])
    def test_nothing_is_written_this_way(self, client, method, path):
        answer = client.request(method, path, content=b"1")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
        assert "owned by bundle" in answer.json()["message"]
        assert client.get("/v1/data/things/a").json()["result"] == 1

    def test_the_configuration_says_whose_it_is(self, client):
        assert client.get("/v1/config").json()["result"]["default_decision"] == "/system/main"


def test_queries_are_off_unless_somebody_wants_them(service):
    with service.client("service") as client:
        answer = client.post("/v1/query", json={"query": "x := data"})
    assert (answer.status_code, answer.json()["code"]) == (403, "unauthorized")
