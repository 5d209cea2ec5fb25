"""Envoy asks before it lets a call through: a real Envoy, the real service, an upstream that says what reached it."""

from __future__ import annotations

import json
import os
import signal

import httpx
import pytest
import yaml

from tests.journeys.envoy import APP_KEY, Envoy, Upstream, envoy_program
from tests.journeys.service import EXAMPLES, Service
from tests.ports import free_port

HOST = "api.hris.example.com"
USERS = "/scim/v2/Users?team=campaigns"
RULE = """package envoy.authz
import rego.v1

default allow := false

request := input.attributes.request.http

allow := true if request.path == "/plain"
allow := {"allowed": true, "headers": {"x-added": "yes"}, "request_headers_to_remove": ["x-secret"]} if {
	input.parsed_path == ["with", "headers"]
}
allow := {"allowed": false, "http_status": 200, "body": "no", "headers": {"x-why": "because"}} if {
	input.parsed_path[0] == "two-hundred"
}
allow := {"allowed": false, "http_status": 302, "headers": {"location": "https://login.example/"}} if {
	input.parsed_path[0] == "login"
}
allow := {"allowed": "yes"} if input.parsed_path[0] == "shape"
allow := {"allowed": true, "headers": {"x-bad": "a\\r\\nx-smuggled: 1"}} if input.parsed_path[0] == "crlf"
allow := {"allowed": true, "headers": {"content-length": "0"}} if input.parsed_path[0] == "framing"
allow := true if {
	input.parsed_body.pin == 7
	input.parsed_query.q == ["a b"]
}
"""


@pytest.fixture(scope="module")
def upstream():
    running = Upstream()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def line(tmp_path_factory, upstream):
    """Service, Envoy and the app that may call HR."""
    envoy_program()
    home = tmp_path_factory.mktemp("ext-authz") / "home"
    service = Service(home, GOVERNANCE_EXT_AUTHZ_OBLIGATIONS="header,egress_allow,residency,mask").start()
    with service.client("service") as client:
        for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
            resource = yaml.safe_load((EXAMPLES / file).read_text())
            assert client.post("/v1/decisions", json={"kind": kind, "resource": resource}).json()["effect"] == "allow"
    port = httpx.URL(service.url).port
    envoy = Envoy(
        home.parent / "envoy", service_port=port, upstream_port=upstream.port, key=service.key("service", "marketing")
    )
    envoy.start()
    envoy.service = service
    yield envoy
    envoy.stop()
    service.stop()


def call(envoy: Envoy, path: str = USERS, method: str = "GET", **headers: str) -> httpx.Response:
    sent = {"host": HOST, "x-app-key": APP_KEY, "accept": "application/json", **headers}
    return httpx.request(method, envoy.url + path, headers=sent, timeout=30)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory, upstream):
    """A service that serves one policy for OPA's Envoy plugin, and an Envoy that asks it."""
    envoy_program()
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "policy").mkdir()
    (folder / "policy" / "envoy.rego").write_text(RULE)
    service = Service(
        folder / "home", GOVERNANCE_BUNDLE=str(folder / "policy"),
        GOVERNANCE_EXT_AUTHZ="envoy/authz/allow", GOVERNANCE_EXT_AUTHZ_SCHEME="http",
    ).start()  # fmt: skip
    port = httpx.URL(service.url).port
    envoy = Envoy(folder / "envoy", service_port=port, upstream_port=upstream.port, key=service.key("service")).start()
    envoy.service = service
    yield envoy
    envoy.stop()
    service.stop()


class TestConnectorCalls:
    def test_a_call_that_the_rules_allow_goes_on_with_its_decision_and_its_obligations(self, line, upstream):
        answer = call(line)
        assert answer.status_code == 200, answer.text
        heard = answer.json()
        assert heard["path"] == USERS
        obligations = json.loads(heard["headers"]["x-governance-obligations"])
        assert {o["type"] for o in obligations} >= {"mask", "egress_allow"}
        record = next(
            r for r in line.service.records() if r["public"]["decision_id"] == heard["headers"]["x-decision-id"]
        )
        assert record["public"]["entry_point"] == "http.ext_authz"
        assert (record["public"]["app"], record["public"]["effect"]) == ("where2eat", "allow")
        assert record["opened"]["input"]["resource"]["url"] == f"https://{HOST}{USERS}"

    def test_what_the_rules_refuse_does_not_arrive_and_the_caller_hears_why(self, line, upstream):
        before = len(upstream.calls)
        answer = call(line, "/v1/salaries")
        assert answer.status_code == 403
        assert "CONN-007" in {v["rule"] for v in answer.json()["violations"]}
        assert answer.headers["x-decision-id"] == answer.json()["decision_id"]
        assert len(upstream.calls) == before

    def test_headers_that_an_obligation_takes_off_do_not_arrive(self, line):
        answer = call(line, authorization="Bearer of-the-caller")
        assert answer.status_code == 200, answer.text
        assert "authorization" not in answer.json()["headers"]

    def test_an_address_is_decided_on_as_it_was_sent(self, line):
        """A path that was decoded on the way would be another one upstream."""
        answer = call(line, "/v1/a%20b%3Fc?d=%26e")
        record = next(r for r in line.service.records() if r["public"]["decision_id"] == answer.json()["decision_id"])
        assert record["opened"]["input"]["resource"]["url"] == f"https://{HOST}/v1/a%20b%3Fc?d=%26e"

    @pytest.mark.parametrize("host", ["api.hris.example.com@evil.example", "api.hris.example.com/x", "", "a b"])
    def test_a_host_that_is_none_is_refused(self, line, host):
        rows = {"x-api-key": line.service.key("service", "marketing"), "host": host, "x-app": "where2eat"}
        assert httpx.get(f"{line.service.url}/ext-authz{USERS}", headers=rows, timeout=60).status_code in {400, 403}

    def test_who_calls_is_said_by_the_gateway_alone(self, line, upstream):
        smuggled = {
            "x-app": "somebody-else", "x-tenant": "hr", "x-connector": "salesforce", "x-scopes": "employees:write",
            "x-subject": "boss", "x-api-key": "mine", "x-envoy-auth-partial-body": "false", "x-governance-obligations": "[]",
        }  # fmt: skip
        heard = call(line, **smuggled).json()
        assert not {"x-app", "x-tenant", "x-connector", "x-scopes", "x-api-key", "x-app-key"} & set(heard["headers"])
        assert heard["headers"]["x-governance-obligations"] != "[]"
        record = next(
            r for r in line.service.records() if r["public"]["decision_id"] == heard["headers"]["x-decision-id"]
        )
        resource = record["opened"]["input"]["resource"]
        assert (resource["app"], resource["connector"], resource["scopes"]) == ("where2eat", "hris", ["employees:read"])
        assert record["public"]["tenant"] == "marketing"
        assert record["opened"]["input"]["subject"]["id"] != "boss"

    def test_without_a_key_of_an_app_there_is_no_call(self, line):
        assert httpx.get(line.url + USERS, headers={"host": HOST}, timeout=60).status_code == 401

    @pytest.mark.parametrize(
        "path", ["/scim/v2/Users/../../admin", "/scim/v2/Users%2f..%2fadmin", "//admin", "/%2e%2e/admin"]
    )
    def test_another_spelling_of_a_path_is_no_other_path(self, line, upstream, path):
        before = len(upstream.calls)
        answer = call(line, path)
        assert answer.status_code in {400, 403}
        assert len(upstream.calls) == before

    def test_a_body_is_looked_at(self, line, upstream):
        before = len(upstream.calls)
        sent = {"host": HOST, "x-app-key": APP_KEY, "content-type": "application/json"}
        answer = httpx.post(line.url + "/v1/preferences", headers=sent, json={"name": "x"}, timeout=60)
        assert answer.status_code == 403
        record = next(r for r in line.service.records() if r["public"]["decision_id"] == answer.json()["decision_id"])
        assert "name" in record["opened"]["input"]["resource"]["body"]
        assert len(upstream.calls) == before

    def test_a_body_that_is_no_json_although_it_says_so_is_refused(self, line, upstream):
        before = len(upstream.calls)
        sent = {"host": HOST, "x-app-key": APP_KEY, "content-type": "application/json"}
        answer = httpx.post(line.url + "/v1/preferences", headers=sent, content=b'{"a": 1, "a": 2}', timeout=60)
        assert answer.status_code == 400
        assert len(upstream.calls) == before

    def test_a_gateway_that_keeps_bodies_to_itself_is_told_so(self, line, upstream, tmp_path):
        port = httpx.URL(line.service.url).port
        key = line.service.key("service", "marketing")
        deaf = Envoy(
            tmp_path, service_port=port, upstream_port=upstream.port, key=key, without="with_request_body"
        ).start()
        try:
            sent = {"host": HOST, "x-app-key": APP_KEY}
            answer = httpx.post(deaf.url + "/v1/preferences", headers=sent, content=b"x=1", timeout=60)
        finally:
            deaf.stop()
        assert answer.status_code == 400
        assert "with_request_body" in answer.json()["detail"]

    @pytest.mark.parametrize("role", ["citizen", "auditor", ""])
    def test_only_a_service_may_ask_for_others(self, line, role):
        headers = {"x-api-key": line.service.key(role)} if role else {}
        answer = httpx.get(
            f"{line.service.url}/ext-authz{USERS}",
            headers={**headers, "host": HOST, "x-app": "where2eat"},
            timeout=60,
        )
        assert answer.status_code in {401, 403}

    def test_the_callers_authorization_is_not_the_gateways_key(self, line):
        headers = {"authorization": f"Bearer {line.service.key('service')}", "host": HOST, "x-app": "where2eat"}
        assert httpx.get(f"{line.service.url}/ext-authz{USERS}", headers=headers, timeout=60).status_code == 401

    def test_an_app_said_twice_is_refused(self, line):
        rows = [
            ("x-api-key", line.service.key("service", "marketing")),
            ("host", HOST),
            ("x-app", "where2eat"),
            ("x-app", "b"),
        ]
        assert httpx.get(f"{line.service.url}/ext-authz{USERS}", headers=rows, timeout=60).status_code == 400

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_header_that_stands_twice_is_read_whole(self, line, order):
        said = [("if-match", "AKIAIOSFODNN7EXAMPLE"), ("if-match", "de")][::order]
        rows = [("x-api-key", line.service.key("service", "marketing")), ("host", HOST), ("x-app", "where2eat"), *said]
        rows.append(("x-scopes", "employees:read"))
        answer = httpx.get(f"{line.service.url}/ext-authz{USERS}", headers=rows)
        assert answer.status_code == 403
        assert [found["path"] for found in answer.json()["violations"]] == ["/headers/if-match"]

    def test_a_yes_that_the_gateway_cannot_carry_out_is_a_no(self, tmp_path, upstream):
        service = Service(tmp_path / "home").start()
        try:
            with service.client("service") as client:
                for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
                    resource = yaml.safe_load((EXAMPLES / file).read_text())
                    client.post("/v1/decisions", json={"kind": kind, "resource": resource})
            headers = {
                "x-api-key": service.key("service", "marketing"), "host": HOST,
                "x-app": "where2eat", "x-scopes": "employees:read",
            }  # fmt: skip
            answer = httpx.get(f"{service.url}/ext-authz{USERS}", headers=headers, timeout=60)
        finally:
            service.stop()
        assert answer.status_code == 403
        assert "mask" in answer.json()["reason"]
        assert answer.json()["effect"] == "deny"

    def test_a_service_that_is_gone_or_silent_lets_nothing_through(self, line, upstream, tmp_path):
        key = line.service.key("service", "marketing")
        before = len(upstream.calls)
        gone = Envoy(tmp_path / "gone", service_port=free_port(), upstream_port=upstream.port, key=key).start()
        try:
            assert call(gone).status_code in {403, 503}
        finally:
            gone.stop()
        os.killpg(line.service.pid, signal.SIGSTOP)
        try:
            assert call(line).status_code in {403, 503}
        finally:
            os.killpg(line.service.pid, signal.SIGCONT)
        assert len(upstream.calls) == before
        line.service.wait_until(lambda: call(line).status_code == 200)


class TestPluginPolicies:
    def test_true_lets_it_through_and_false_does_not(self, plugin):
        assert call(plugin, "/plain").status_code == 200
        assert call(plugin, "/other").status_code == 403

    def test_headers_are_added_and_taken_off(self, plugin):
        direct = httpx.get(
            f"{plugin.service.url}/ext-authz/with/headers",
            headers={"x-api-key": plugin.service.key("service"), "host": HOST},
            timeout=60,
        )
        assert direct.status_code == 200
        assert direct.headers["x-added"] == "yes"
        heard = call(plugin, "/with/headers", **{"x-secret": "s"}).json()
        assert "x-secret" not in heard["headers"]

    def test_the_body_and_the_query_are_parsed(self, plugin):
        sent = {"host": HOST, "x-app-key": APP_KEY}
        assert httpx.post(plugin.url + "/any?q=a%20b", headers=sent, json={"pin": 7}, timeout=60).status_code == 200
        assert httpx.post(plugin.url + "/any?q=a%20b", headers=sent, json={"pin": 8}, timeout=60).status_code == 403

    def test_a_no_with_the_status_of_a_yes_stays_a_no(self, plugin):
        answer = call(plugin, "/two-hundred")
        assert (answer.status_code, answer.text) == (403, "no")
        login = call(plugin, "/login")
        assert (login.status_code, login.headers["location"]) == (302, "https://login.example/")

    @pytest.mark.parametrize("path", ["/shape", "/crlf", "/framing"])
    def test_a_result_of_another_shape_is_no_yes(self, plugin, upstream, path):
        before = len(upstream.calls)
        assert call(plugin, path).status_code in {403, 503}
        assert len(upstream.calls) == before
