"""The service over HTTP: decisions, refusals, OPA's API, who may do what, and what is written down about it."""

from __future__ import annotations

import gzip
import json
import re
import time

import httpx
import pytest
import yaml

from tests.journeys.service import EXAMPLES, governance

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())
FLOW = json.loads((EXAMPLES / "suggestion-flow.json").read_text())
DATA = ("/v1/data/platform/decision", {"input": CALL})


@pytest.fixture(scope="module")
def platform(service):
    with service.client("platform") as client:
        yield client


@pytest.fixture(scope="module")
def app_key(service):
    with service.client("service") as client:
        yield client


class TestDecisions:
    def test_a_deny_is_an_answer_with_rules_reasons_and_an_id_that_can_be_read_back(self, platform):
        answer = platform.post("/v1/decisions", json=CALL)
        assert answer.status_code == 200
        decision = answer.json()
        assert decision["effect"] == "deny"
        assert decision["violations"]
        assert answer.headers["x-decision-id"] == decision["decision_id"]
        record = platform.get(f"/v1/decisions/{decision['decision_id']}").json()
        assert record["public"]["effect"] == "deny"
        assert record["public"]["rules"] == sorted({v["rule"] for v in decision["violations"]})

    def test_a_decision_is_read_back_as_an_event_of_opa_s_decision_log(self, platform):
        asked = platform.post("/v1/decisions", json=CALL).json()["decision_id"]
        event = platform.get(f"/v1/decisions/{asked}", params={"format": "opa"}).json()
        assert (event["decision_id"], event["path"]) == (asked, "platform/main/connector_call")
        assert event["input"]["resource"]["connector"] == CALL["resource"]["connector"]
        assert platform.get(f"/v1/decisions/{asked}", params={"format": "xml"}).status_code == 400

    def test_a_batch_answers_in_order_and_a_request_that_is_none_is_a_deny_of_its_own(self, platform):
        answer = platform.post("/v1/decisions/batch", json={"requests": [CALL, {"kind": "conjure"}, FLOW, 7]})
        assert answer.status_code == 200
        decisions = answer.json()["decisions"]
        assert [d["effect"] for d in decisions][1::2] == ["deny", "deny"]
        assert len({d["decision_id"] for d in decisions}) == 4
        assert all(platform.get(f"/v1/decisions/{d['decision_id']}").status_code == 200 for d in decisions)

    def test_the_actor_is_the_key_whatever_the_body_claims(self, service):
        with service.client("citizen") as citizen:
            decision = citizen.post("/v1/decisions", json={**CALL, "subject": {"id": "ceo@example.com"}}).json()
        record = next(r for r in service.records() if r["public"]["decision_id"] == decision["decision_id"])
        assert record["public"]["actor"].startswith("key:")
        assert record["opened"]["input"]["subject"]["id"].startswith("key:")

    def test_what_is_personal_is_masked_in_the_record(self, platform):
        flow = json.loads((EXAMPLES / "outgoing-flow.json").read_text())
        decision = platform.post("/v1/decisions", json=flow).json()
        record = platform.get(f"/v1/decisions/{decision['decision_id']}").text
        assert record.count("[") > 0
        for person in _personal_values(flow["resource"]["payload"]):
            assert person not in record


def _personal_values(payload) -> list[str]:
    return re.findall(r"[\w.]+@[\w.]+\w", json.dumps(payload))


class TestWhatIsNoRequest:
    """Each gets a status and a code of its own, is a deny in so many words, and leaves a record."""

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            (b"{", 400, "invalid_request"),
            (b"", 400, "invalid_request"),
            (b"[]", 400, "invalid_request"),
            (b'{"kind":"deploy","kind":"template","resource":{}}', 400, "invalid_request"),
            (b'{"kind":"connector_call","resource":{"n":NaN}}', 400, "invalid_request"),
            (b'{"kind":"connector_call","resource":{"n":1e999}}', 400, "invalid_request"),
            (b'{"kind":"connector_call","resource":{"n":"\\ud800"}}', 400, "invalid_request"),
            (b'{"kind":"conjure","resource":{}}', 400, "invalid_request"),
            (b'\xff{"kind":"deploy"}', 400, "invalid_request"),
            (b'{"kind":"connector_call","resource":' + b"[" * 100 + b"]" * 100 + b"}", 413, "too_large"),
            (b'{"kind":"connector_call","resource":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 413, "too_large"),
            (b'{"kind":"connector_call","resource":{"a":"' + b"x" * (1 << 20) + b'"}}', 413, "too_large"),
            (b'{"kind":"connector_call","resource":{"a":"' + b"x" * (7 << 20) + b'"}}', 413, "too_large"),
        ],
        ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else None,
    )
    def test_it_is_a_deny_with_a_record(self, platform, body, status, code):
        answer = platform.post("/v1/decisions", content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["effect"] == "deny"
        record = platform.get(f"/v1/decisions/{problem['decision_id']}").json()
        assert (record["kind"], record["public"]["error"]) == ("refused", code)

    def test_a_body_that_unfolds_beyond_the_limit_is_refused_unfolded(self, platform):
        bomb = gzip.compress(b'{"a":"' + b"x" * (64 << 20) + b'"}')
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        assert platform.post("/v1/decisions", content=bomb, headers=headers).status_code == 413

    def test_a_gzip_body_reads_like_a_plain_one(self, platform):
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        answer = platform.post("/v1/decisions", content=gzip.compress(json.dumps(CALL).encode()), headers=headers)
        assert answer.json()["effect"] == "deny"
        assert answer.json()["rules_evaluated"]

    @pytest.mark.parametrize("headers", [{"content-type": "text/html"}, {"content-encoding": "br"}])
    def test_another_type_or_encoding_is_refused(self, platform, headers):
        answer = platform.post("/v1/decisions", content=b"{}", headers={"content-type": "application/json", **headers})
        assert answer.status_code == 415

    def test_a_header_that_stands_twice_is_refused(self, service, platform):
        raw = [("authorization", platform.headers["authorization"]), ("authorization", "Bearer gk_x_y")]
        answer = httpx.post(f"{service.url}/v1/decisions", json=CALL, headers=raw, timeout=60)
        assert answer.status_code == 400

    def test_a_path_that_is_not_there_and_a_method_that_is_not_for_it(self, platform):
        assert platform.get("/v1/nothing").status_code == 404
        answer = platform.delete("/v1/decisions")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# Every closed path with the roles that may use it.
MAY = {
    ("POST", "/v1/decisions"): {"platform", "citizen", "compliance", "service"},
    ("POST", "/v1/decisions/batch"): {"platform", "citizen", "compliance", "service"},
    ("POST", "/v1/data/platform/decision"): {"platform", "service"},
    ("POST", "/v0/data/platform/caps"): {"platform", "service"},
    ("GET", "/v1/policies"): {"platform", "service", "compliance", "auditor"},
    ("GET", "/metrics"): {"platform", "service"},
    ("GET", "/v1/audit/records"): {"platform", "compliance", "auditor"},
    ("GET", "/v1/audit/who-allowed"): {"platform", "compliance", "auditor"},
    ("GET", "/v1/audit/data-of"): {"platform", "compliance", "auditor"},
    ("POST", "/v1/audit/mask-preview"): {"platform", "compliance"},
    ("GET", "/checkpoint"): {"platform", "compliance", "auditor"},
    ("GET", "/tile/0/000.p/1"): {"platform", "compliance", "auditor"},
}


class TestSignIn:
    @pytest.mark.parametrize("role", ["platform", "citizen", "compliance", "auditor", "service"])
    def test_each_role_may_do_its_own_and_nothing_else(self, service, role):
        with service.client(role) as client:
            for (method, path), roles in MAY.items():
                answer = client.request(method, path, json={"requests": []} if method == "POST" else None)
                assert (answer.status_code != 403) == (role in roles), (method, path)

    def test_what_a_role_may_not_do_is_a_record_that_names_who_tried(self, service):
        with service.client("citizen") as citizen, service.client("auditor") as auditor:
            before = {row["index"] for row in service.records(kind="refused")}
            assert citizen.get("/v1/audit/records").status_code == 403
            assert auditor.post("/v1/decisions", json=CALL).status_code == 403
            assert citizen.get("/v1/audit/nothing-here").status_code == 404
            rows = [row for row in service.records(kind="refused") if row["index"] not in before]
            said = [
                (row["public"]["entry_point"], row["public"]["error"], row["opened"]["answer"]["reason"])
                for row in rows
            ]
            assert said == [
                ("http.decisions", "forbidden", "/v1/decisions: the role 'auditor' may not do this"),
                ("http", "forbidden", "/v1/audit/records: the role 'citizen' may not do this"),
            ]
            keys = [client.headers["authorization"].split("_")[1] for client in (auditor, citizen)]
            assert [row["public"]["actor"] for row in rows] == [f"key:{key}" for key in keys]

    @pytest.mark.parametrize("path", [path for _, path in MAY])
    @pytest.mark.parametrize("value", ["", "Bearer gk_none_none", "Basic Z2s6Z2s=", "Bearer", "Bearer gk__"])
    def test_without_a_key_that_is_known_nothing_is_answered(self, service, path, value):
        method = next(m for m, p in MAY if p == path)
        headers = {"authorization": value} if value else {}
        answer = httpx.request(
            method, service.url + path, headers=headers, json=CALL if method == "POST" else None, timeout=60
        )
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert '"allow"' not in answer.text

    def test_a_revoked_key_stops_within_a_second_or_two(self, service):
        key = service.key("platform")
        headers = {"authorization": f"Bearer {key}"}
        assert httpx.get(f"{service.url}/metrics", headers=headers, timeout=60).status_code == 200
        assert governance("key", "revoke", key.split("_")[1], home=service.home).returncode == 0
        revoked = began = time.monotonic()
        while httpx.get(f"{service.url}/metrics", headers=headers, timeout=60).status_code != 401:
            # However long an answer takes: what began this late is not let in.
            assert began - revoked < 5
            began = time.monotonic()

    def test_a_key_of_one_tenant_neither_asks_for_nor_reads_another(self, service, platform):
        foreign = platform.post("/v1/decisions", json=CALL).json()["decision_id"]
        with service.client("service", tenant="finance") as finance:
            answer = finance.post("/v1/decisions", json=CALL)
            assert (answer.status_code, answer.json()["effect"]) == (403, "deny")
            assert finance.post(*DATA[:1], json=DATA[1]).status_code == 403
            assert finance.post("/v1/data/platform/caps", json={"input": {"tenant": "marketing"}}).status_code == 403
            assert finance.get(f"/v1/decisions/{foreign}").status_code == 404
        with service.client("auditor", tenant="finance") as auditor:
            rows = auditor.get("/v1/audit/records").json()["records"]
            assert {row["public"]["tenant"] for row in rows} <= {"finance"}
            assert auditor.get("/v1/audit/records?tenant=marketing").status_code == 403

    def test_somebody_else_s_decision_is_not_there_for_a_citizen(self, service, platform):
        foreign = platform.post("/v1/decisions", json=CALL).json()["decision_id"]
        with service.client("citizen") as citizen:
            own = citizen.post("/v1/decisions", json=CALL).json()["decision_id"]
            assert citizen.get(f"/v1/decisions/{own}").status_code == 200
            assert citizen.get(f"/v1/decisions/{foreign}").status_code == 404


class TestOpaApi:
    """The shapes that OPA's own server answers with."""

    def test_a_defined_rule_comes_as_result_with_a_decision_id(self, app_key):
        answer = app_key.post("/v1/data/platform/caps/limits/wasm/memoryMiB", json={"input": {}})
        assert answer.json().keys() == {"decision_id", "result"}
        assert answer.json()["result"] == 512

    def test_an_undefined_one_has_no_result(self, app_key):
        assert app_key.post("/v1/data/platform/none", json={"input": {}}).json().keys() == {"decision_id"}

    def test_without_input_there_is_opa_s_warning(self, app_key):
        warning = app_key.post("/v1/data/platform/none", json={}).json()["warning"]
        assert warning == {"code": "api_usage_warning", "message": "'input' key missing from the request"}

    def test_get_takes_the_input_from_the_query_string(self, app_key):
        answer = app_key.get(
            "/v1/data/platform/caps/limits/wasm/cpu", params={"input": "{}", "metrics": "", "pretty": ""}
        )
        assert answer.json()["result"] == 1
        assert answer.json()["metrics"]["timer_server_handler_ns"] > 0
        assert "\n" in answer.text

    def test_v0_answers_the_bare_value_and_404_for_undefined(self, app_key):
        assert app_key.post("/v0/data/platform/caps/limits/wasm/memoryMiB", json={}).json() == 512
        missing = app_key.post("/v0/data/platform/none", json={})
        assert (missing.status_code, missing.json()["code"]) == (404, "undefined_document")

    def test_yaml_is_read_as_well(self, app_key):
        headers = {"content-type": "application/yaml"}
        answer = app_key.post("/v1/data/platform/caps/limits/wasm/cpu", content=b"input: {a: 1}\n", headers=headers)
        assert answer.json()["result"] == 1

    def test_of_two_documents_none_is_picked(self, app_key):
        headers = {"content-type": "application/yaml"}
        two = b"input: {tenant: hr}\n---\ninput: {tenant: sales}\n"
        answer = app_key.post("/v1/data/platform/main/deploy", content=two, headers=headers)
        assert (answer.status_code, answer.json()["effect"]) == (400, "deny")
        assert "one document" in answer.json()["message"]

    def test_errors_have_opa_s_members_and_say_that_it_is_a_deny(self, app_key):
        answer = app_key.post("/v1/data/platform/caps", content=b"{", headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_parameter"
        assert answer.json()["effect"] == "deny"

    def test_the_whole_line_answers_under_opa_s_address(self, app_key):
        answer = app_key.post(DATA[0], json=DATA[1]).json()
        assert answer["result"]["effect"] == "deny"
        assert answer["result"]["decision_id"] == answer["decision_id"]

    def test_health_and_policies(self, app_key, service):
        assert httpx.get(f"{service.url}/health", timeout=60).json() == {}
        assert httpx.get(f"{service.url}/health?bundles&plugins", timeout=60).status_code == 200
        policies = app_key.get("/v1/policies").json()["result"]
        assert any("package platform.rules" in row["raw"] for row in policies)


class TestWhatCanBeSeen:
    def test_metrics_count_decisions_and_stages_over_all_workers(self, service, app_key):
        def counted() -> float:
            text = app_key.get("/metrics").text
            rows = [
                row for row in text.splitlines() if row.startswith('governance_decisions_total{kind="connector_call"')
            ]
            return sum(float(row.rsplit(" ", 1)[1]) for row in rows)

        def rested() -> bool:
            """Whether every worker has written down what it counted so far."""
            first = counted()
            time.sleep(1.5)
            return counted() == first

        service.wait_until(rested)
        before = counted()
        for _ in range(6):  # a connection each, so that both workers are asked
            httpx.post(
                f"{service.url}/v1/decisions",
                json=CALL,
                headers={"authorization": app_key.headers["authorization"]},
                timeout=60,
            )
        service.wait_until(lambda: counted() == before + 6)
        assert 'governance_stage_seconds_bucket{stage="record",le="+Inf"}' in app_key.get("/metrics").text

    def test_a_trace_parent_reaches_the_record(self, app_key):
        trace = "0af7651916cd43dd8448eb211c80319c"
        headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
        decision = app_key.post("/v1/decisions", json=CALL, headers=headers).json()
        record = app_key.get(f"/v1/decisions/{decision['decision_id']}").json()
        assert record["public"]["trace_id"] == trace

    def test_the_openapi_document_names_every_path(self, service):
        document = httpx.get(f"{service.url}/openapi.json", timeout=60).json()
        assert {"/v1/decisions", "/v1/decisions/batch", "/v1/decisions/{id}", "/v1/data/{path}", "/checkpoint"} <= set(
            document["paths"]
        )

    def test_reading_somebody_else_s_record_is_a_record(self, service, platform):
        with service.client("citizen") as citizen:
            asked = citizen.post("/v1/decisions", json=CALL).json()["decision_id"]
        platform.get(f"/v1/decisions/{asked}")
        assert any(row["public"].get("asked_for") == asked for row in service.records(kind="audit_read"))

    def test_records_page_by_cursor_without_gap_or_repeat(self, service, platform):
        for _ in range(5):
            platform.post("/v1/decisions", json=FLOW)
        with service.client("auditor") as auditor:
            whole = [r["public"]["decision_id"] for r in _page(auditor, limit=500, kind="data_flow")["records"]]
            paged: list[str] = []
            before = "0"
            while before is not None:
                page = _page(auditor, limit=2, before=before, kind="data_flow")
                paged += [row["public"]["decision_id"] for row in page["records"]]
                before = page["next"]
        assert paged == whole
        assert len(paged) >= 5

    @pytest.mark.parametrize("query", ["limit=x", "colour=red", "limit=1&limit=2", "before=-1"])
    def test_a_filter_that_is_none_is_refused(self, platform, query):
        assert platform.get(f"/v1/audit/records?{query}").status_code == 400


def _page(client: httpx.Client, **params) -> dict:
    answer = client.get("/v1/audit/records", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


class TestPersonalDataInNames:
    """A person's address as the name of a member is as personal as one in a value."""

    def test_it_does_not_leave_and_is_not_stored(self, platform, service, app_key):
        for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
            resource = yaml.safe_load((EXAMPLES / file).read_text())
            assert platform.post("/v1/decisions", json={"kind": kind, "resource": resource}).json()["effect"] == "allow"
        assert platform.post("/v1/decisions", json=FLOW).json()["effect"] == "allow"
        hidden = json.loads(json.dumps(FLOW))
        hidden["resource"]["payload"] = {"votes": {"ada.example@example.com": "+49 30 901820"}}
        decision = platform.post("/v1/decisions", json=hidden).json()
        assert decision["effect"] == "deny"
        record = platform.get(f"/v1/decisions/{decision['decision_id']}").text
        assert "ada.example" not in record
        assert "901820" not in record
