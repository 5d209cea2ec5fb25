"""The gateway and the decision service together: what a caller sends and what an app answers, each decided on and on record."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import httpx
import pytest
import yaml

from tests.contract.gateways import Upstream
from tests.journeys.envoy import envoy_program
from tests.journeys.service import EXAMPLES, MAIN, ROOT, Service, environment
from tests.ports import free_port

PLACES = {
    "type": "object",
    "properties": {"places": {"type": "array", "items": {"type": "string", "maxLength": 40}}},
    "required": ["places"],
    "additionalProperties": False,
}
API = [
    {
        "method": "POST",
        "path": "/suggest",
        "body": {"type": "object", "properties": {"group": {"type": "string"}}, "additionalProperties": False},
        "answers": {"200": PLACES, "204": None, "4XX": {"type": "object"}},
    }
]
GOOD = json.dumps({"places": ["Noodle Bar"]}).encode()
JSON = {"content-type": "application/json"}


class Platform:
    """A service, a gateway that runs beside it, a collector of spans, and two apps before one upstream that tests instruct."""

    def __init__(self, folder) -> None:
        self.upstream, self.collector, self.port = Upstream("app"), Upstream("collector"), free_port()
        self.collector.says = (200, {"content-type": "application/x-protobuf"}, b"")
        self.service = Service(folder / "home", GOVERNANCE_EXT_AUTHZ="app_call").start()
        with self.service.client("platform") as client:
            for name in ("lunch", "guests"):
                self.deploy(client, name)
        # What an app for the whole company may be deployed with is another test's; here it counts who it is for.
        path = folder / "home" / "apps" / "guests.json"
        known = json.loads(path.read_text())
        known["spec"]["audience"], known["spec"]["data"]["classes"] = "company", ["internal"]
        del known["spec"]["api"]
        path.write_text(json.dumps(known))
        self.auditor = self.service.client("auditor")
        self.key = self.service.key("citizen", "marketing")
        (folder / "service.key").write_text(self.service.key("service"))
        backends = [{"name": "stable", "addresses": [f"127.0.0.1:{self.upstream.endpoint.port}"]}]
        file = {
            "listeners": [{"name": "eu", "port": self.port, "region": "eu"}],
            "apps": {name: {"hosts": [f"{name}.example.com"], "backends": backends} for name in ("lunch", "guests")},
            "service": {"address": self.service.url.removeprefix("http://"), "keyFile": str(folder / "service.key")},
            "accessLog": "audit",
            "traces": {"address": f"127.0.0.1:{self.collector.endpoint.port}"},
        }
        (folder / "gateway.yaml").write_text(yaml.safe_dump(file))
        self.log = (folder / "gateway.log").open("wb")
        self.gateway = subprocess.Popen(
            [sys.executable, "-c", MAIN, "gateway", "run"], cwd=ROOT, stderr=self.log, stdout=self.log,
            env=environment(self.service.home, GOVERNANCE_GATEWAY=str(folder / "gateway.yaml")),
        )  # fmt: skip
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.upstream.says = (200, JSON, GOOD)
        self.service.wait_until(lambda: self.gateway.poll() is None and self.ask().status_code == 200)

    def deploy(self, client, name: str) -> None:
        resource = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
        resource["metadata"]["name"] = name
        resource["spec"]["api"] = API
        answer = client.post("/v1/decisions", json={"kind": "deploy", "resource": resource}).json()
        assert answer["effect"] == "allow", answer

    def ask(self, content=b'{"group": "campaigns"}', *, app: str = "lunch", path: str = "/suggest", **headers: str):
        sent = {
            "host": f"{app}.example.com",
            "x-api-key": self.key,
            **JSON,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        return self.client.post(path, headers=sent, content=content)

    def record(self, decision_id: str) -> dict:
        return self.auditor.get(f"/v1/decisions/{decision_id}").json()

    def stop(self) -> None:
        self.gateway.terminate()
        self.gateway.wait(timeout=30)
        self.service.stop()
        self.upstream.stop()
        self.collector.stop()
        self.log.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    envoy_program()
    running = Platform(tmp_path_factory.mktemp("line"))
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def _plain(platform):
    platform.upstream.says = (200, JSON, GOOD)
    platform.upstream.calls.clear()


class TestAnswers:
    def test_what_the_app_declares_leaves(self, platform):
        assert platform.ask().json() == {"places": ["Noodle Bar"]}
        platform.upstream.says = (204, {}, b"")
        assert platform.ask().status_code == 204
        platform.upstream.says = (404, JSON, b'{"code": "not_found"}')
        assert platform.ask().status_code == 404

    @pytest.mark.parametrize(
        ("status", "headers", "body"),
        [
            (200, JSON, b'{"places": [], "salary": 52000}'),
            (200, JSON, b'{"places": "x"}'),
            (200, JSON, b'{"places": [], "places": ["52000"]}'),
            (200, JSON, b'{"places": ["52000"'),
            (200, JSON, b'{"places": ["\xff"]}'),
            (200, JSON, b"[" * 3000 + b"52000" + b"]" * 3000),
            (200, JSON, b""),
            (200, {"content-type": "text/html"}, GOOD),
            (200, {}, GOOD),
            (200, {"content-type": "application/json; charset=utf-7"}, GOOD),
            (200, {**JSON, "content-encoding": "gzip"}, gzip.compress(GOOD, mtime=0)),
            (200, {**JSON, "content-encoding": "br"}, GOOD),
            (201, JSON, GOOD),
            (302, {"location": "/52000"}, b""),
            (500, {"content-type": "text/plain"}, b"Traceback: 52000"),
            (404, {"content-type": "text/plain"}, b"52000"),
        ],
    )
    def test_anything_else_is_held_back_with_the_reason_and_a_record(self, platform, status, headers, body):
        platform.upstream.says = (status, headers, body)
        answer = platform.ask()
        assert (answer.status_code, answer.json()["effect"]) == (502, "deny")
        assert "52000" not in answer.text + str(answer.headers)
        assert [one["rule"] for one in answer.json()["violations"]] == ["GW-006"]
        record = platform.record(answer.headers["x-decision-id"])
        about = {name: record["public"][name] for name in ("effect", "app", "tenant", "rules", "trace_id")}
        trace = platform.upstream.calls[-1]["headers"]["traceparent"].split("-")[1]
        assert (record["kind"], about) == (
            "app_answer",
            {"effect": "deny", "app": "lunch", "tenant": "marketing", "rules": ["GW-006"], "trace_id": trace},
        )

    def test_an_answer_that_is_too_large_does_not_leave(self, platform):
        platform.upstream.says = (200, JSON, b'{"places": ["' + b"5" * 2_000_000 + b'"]}')
        answer = platform.ask()
        assert answer.status_code >= 500
        assert "555" not in answer.text

    def test_only_a_gateway_asks_about_answers(self, platform):
        about = {"x-app": "lunch", "x-asked-method": "POST", "x-asked-path": "/suggest", "x-answer-status": "200"}
        for role, status in (("", 401), ("citizen", 403), ("auditor", 403)):
            with platform.service.client(role) as client:
                assert client.post("/app-answers", headers=about, content=GOOD).status_code == status


class TestRequests:
    @pytest.mark.parametrize(
        ("content", "headers"),
        [
            (b'{"group": "a", "group": "b"}', {}),
            (b'{"group": 7}', {}),
            (b'{"group": "\xff"}', {}),
            (b"[" * 3000 + b"]" * 3000, {}),
            (b'{"group": "' + b"a" * 2_000_000 + b'"}', {}),
            (gzip.compress(b'{"group": "a"}', mtime=0), {"content_encoding": "gzip"}),
            (b'{"group": "a"}', {"content_encoding": "br"}),
            (b'{"group": "a"}', {"content_type": "text/plain"}),
            (b'{"group": "a"}', {"content_type": "application/json; charset=utf-7"}),
            (b"", {}),
        ],
    )
    def test_a_body_that_the_app_does_not_declare_does_not_arrive(self, platform, content, headers):
        assert platform.ask(content, **headers).status_code in {400, 403, 413, 415}
        assert not platform.upstream.calls

    def test_chunks_are_one_body(self, platform):
        assert platform.ask(iter([b'{"group": ', b'"campaigns"}'])).status_code == 200
        assert platform.ask(iter([b'{"group": "a",', b'"more": 1}'])).status_code == 403
        assert len(platform.upstream.calls) == 1

    def test_values_of_classes_that_the_app_does_not_declare_do_not_arrive(self, platform):
        body = {"note": "write to bob@example.com", "iban": "DE89370400440532013000", "n": 3}
        answer = platform.ask(json.dumps(body).encode(), app="guests", path="/book?mail=bob%40example.com&day=1")
        assert answer.status_code == 200
        (heard,) = platform.upstream.calls
        assert json.loads(heard["body"]) == {"note": "write to [email]", "iban": "[iban]", "n": 3}
        assert heard["path"] == "/book?mail=%5Bemail%5D&day=1"
        record = platform.record(heard["headers"]["x-decision-id"])
        assert {o["value"] for o in record["opened"]["answer"]["obligations"]} == {
            "email",
            "phone",
            "iban",
            "card",
            "ssn",
        }

    def test_what_cannot_be_looked_into_does_not_arrive(self, platform):
        assert platform.ask(b"bob@example.com", app="guests", content_type="image/png").status_code == 415
        assert platform.ask(b"{}", app="guests", path="/of/bob@example.com").status_code == 400
        assert not platform.upstream.calls


def test_a_call_is_one_trace_in_audit_log_app_and_collector(platform):
    trace = "3c" * 16
    assert platform.ask(traceparent=f"00-{trace}-{'ab' * 8}-01").status_code == 200
    assert platform.upstream.calls[-1]["headers"]["traceparent"].split("-")[1] == trace

    def kinds() -> set[str]:
        records = platform.auditor.get("/v1/audit/records", params={"limit": "100"}).json()["records"]
        return {record["kind"] for record in records if record["public"].get("trace_id") == trace}

    platform.service.wait_until(lambda: kinds() == {"app_call", "app_answer", "gateway_call"}, 60)
    platform.service.wait_until(
        lambda: any(bytes.fromhex(trace) in call["body"].encode("latin-1") for call in platform.collector.calls), 60
    )


def test_without_the_service_nobody_comes_in_and_nothing_leaves(platform):
    platform.service.stop()
    assert platform.ask().status_code == 503
    assert not platform.upstream.calls
