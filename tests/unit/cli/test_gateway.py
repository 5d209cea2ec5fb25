"""`governance gateway`: what was decided and who holds a key is what serves, and a revoked key stops it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from governance.platform.keys import KeyStore
from governance.state.files import FileState
from tests.contract.gateways import Upstream
from tests.journeys.envoy import envoy_program
from tests.journeys.service import EXAMPLES, MAIN, ROOT, Service, environment
from tests.ports import free_port

HOST = "where2eat.example.com"


@pytest.fixture
def home(cli, tmp_path):
    """A home with the app of the example deployed by decision, and the operator's file."""
    for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
        resource = yaml.safe_load((EXAMPLES / file).read_text())
        done = cli("decide", stdin=json.dumps({"kind": kind, "resource": resource}).encode())
        assert json.loads(done.out)["effect"] == "allow", done.out + done.err
    return tmp_path / "home"


def place(
    tmp_path,
    port: int = 10443,
    address: str = "127.0.0.1:9",
    service: str = "127.0.0.1:9",
    key: str = "gk_00_00",
    **app,
) -> str:
    about = {"hosts": [HOST], "backends": [{"name": "stable", "addresses": [address]}], **app}
    listener = {"name": "eu", "port": port, "region": "eu"}
    file = tmp_path / "gateway.yaml"
    (tmp_path / "service.key").write_text(key)
    # Nobody listens on port 9: a call that is asked about gets no answer.
    asked = {"address": service, "keyFile": str(tmp_path / "service.key")}
    document = {"listeners": [listener], "apps": {"where2eat": about}, "service": asked,
                "accessLog": str(tmp_path / "access.log")}  # fmt: skip
    file.write_text(yaml.safe_dump(document))
    return str(file)


def test_an_app_is_served_as_it_was_decided_and_by_what_the_policy_says_of_its_audience(cli, home, tmp_path):
    done = cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path))
    assert done.code == 0, done.err
    static = json.loads(done.out)["static_resources"]
    manager = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    assert host["domains"][0] == HOST
    (route,) = host["routes"]
    assert route["route"]["timeout"] == "10.0s"  # five more than the app may run
    assert route["metadata"]["filter_metadata"]["about"]["tenant"] == "marketing"
    policies = json.dumps(host["typed_per_filter_config"]["envoy.filters.http.rbac"])
    assert '"exact": "marketing"' in policies
    assert '"exact": "auditor"' not in policies


def test_an_app_that_no_decision_allowed_is_served_to_nobody(cli, home, tmp_path):
    (home / "apps" / "where2eat.json").unlink()
    done = cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path))
    assert done.code == 0
    assert "where2eat" not in done.out


@pytest.mark.parametrize(
    ("changes", "left"),
    [({"audience": "everybody"}, False), ({"state": "archived"}, False), ({"state": "idle"}, True)],
)
def test_a_state_or_an_audience_that_the_policy_does_not_name_is_served_to_nobody(cli, home, tmp_path, changes, left):
    path = home / "apps" / "where2eat.json"
    known = json.loads(path.read_text())
    known["state"] = changes.get("state", "active")
    known["spec"]["audience"] = changes.get("audience", "team")
    path.write_text(json.dumps(known))
    assert ("where2eat" in cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path)).out) is left


def test_a_public_app_s_answers_are_looked_into(cli, home, tmp_path):
    path = home / "apps" / "where2eat.json"
    known = json.loads(path.read_text())
    known["spec"]["audience"] = "public"
    path.write_text(json.dumps(known))
    assert '"redact":"email,iban,card,ssn,phone"' in cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path)).out


def test_in_a_cluster_an_app_is_reached_through_the_gateway(cli, home, tmp_path):
    done = cli("gateway", "render", "--format", "kubernetes", GOVERNANCE_GATEWAY=place(tmp_path))
    assert [one["kind"] for one in yaml.safe_load_all(done.out)] == ["Service", "HTTPRoute", "NetworkPolicy"]


@pytest.mark.parametrize("audience", ["team", "department", "tenant", "company", "public"])
def test_every_app_asks_the_decision_service_whoever_it_is_for(cli, home, tmp_path, audience):
    path = home / "apps" / "where2eat.json"
    known = json.loads(path.read_text())
    known["spec"]["audience"] = audience
    path.write_text(json.dumps(known))
    for said in ({}, {"asks": True}):
        done = cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path, **said))
        manager = json.loads(done.out)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0][
            "typed_config"
        ]
        (host,) = manager["route_config"]["virtual_hosts"]
        assert "envoy.filters.http.ext_authz" not in host["typed_per_filter_config"]
    for wished in (False, None, "no", 0):
        done = cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path, asks=wished))
        assert (done.code, done.out) == (2, "")
        assert "apps.where2eat.asks: every app asks the decision service" in done.err


def test_an_app_whose_manifest_lists_answers_has_them_held(cli, home, tmp_path):
    path = home / "apps" / "where2eat.json"
    known = json.loads(path.read_text())
    plain = cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path)).out
    known["spec"]["api"][0]["answers"] = {"200": {"type": "object"}}
    path.write_text(json.dumps(known))
    held = cli("gateway", "render", GOVERNANCE_GATEWAY=place(tmp_path)).out
    found = []
    for text in (plain, held):
        manager = json.loads(text)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        (host,) = manager["route_config"]["virtual_hosts"]
        found.append("held" in host["typed_per_filter_config"])
    assert found == [True, False]  # where it says something, it says that the filter is off


def test_a_deploy_with_a_broken_schema_is_denied_on_record_with_the_pointer(cli):
    for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
        resource = yaml.safe_load((EXAMPLES / file).read_text())
        if kind == "deploy":
            resource["spec"]["api"][0]["answers"] = {"200": {"type": "strin"}, "2xx": {}}
        done = cli("decide", stdin=json.dumps({"kind": kind, "resource": resource}).encode())
    decision = json.loads(done.out)
    assert decision["effect"] == "deny"
    assert {(one["rule"], one["path"]) for one in decision["violations"]} == {
        ("REQ-006", "/spec/api/0/answers/200/type"),
        ("REQ-006", "/spec/api/0/answers/2xx"),
    }
    assert "REQ-006" in cli("audit", "show", decision["decision_id"]).out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is not a mapping"),
        ("listeners: [{name: eu, port: x, region: eu}]", "listeners[0]"),
        ("listeners: {}", "listeners: is not a list"),
        (
            "listeners: [{name: eu, port: 1, region: eu, trustedHops: '1'}]",
            "listeners[0].trustedHops: is not a whole number",
        ),
        ("listeners: [{name: eu, port: 1, region: eu, trustedHops: -1}]", "-1 trusted hops"),
        ("apps: {where2eat: {host: x}}", "apps.where2eat: 'host' is not one of"),
        ("apps: {where2eat: {backends: [{name: a, addresses: [nowhere]}]}}", "host:port"),
        ("issuers: [{name: a, issuer: b, jwksFile: /nowhere}]", "/nowhere cannot be read"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(cli, home, tmp_path, text, said):
    (tmp_path / "g.yaml").write_text(text)
    done = cli("gateway", "render", GOVERNANCE_GATEWAY=str(tmp_path / "g.yaml"))
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_no_file_and_no_gateway_say_what_to_do(cli, home, tmp_path):
    assert "GOVERNANCE_GATEWAY" in cli("gateway", "render").err
    done = cli("gateway", "status", GOVERNANCE_GATEWAY=place(tmp_path))
    assert done.code == 3
    assert "governance gateway run" in done.err


def test_a_running_gateway_follows_keys_and_restarts_what_was_killed(cli, home, tmp_path):
    envoy_program()
    upstream, port = Upstream("where2eat"), free_port()
    service = Service(home, GOVERNANCE_EXT_AUTHZ="app_call").start()
    keys = KeyStore(FileState(home))
    (key, text), (_, service_key) = keys.create("citizen", "marketing"), keys.create("service", "")
    address = f"127.0.0.1:{upstream.endpoint.port}"
    file = place(tmp_path, port, address, service.url.removeprefix("http://"), service_key)
    with (tmp_path / "run.log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-c", MAIN, "gateway", "run"], cwd=ROOT, stderr=log, start_new_session=True,
            env=environment(home, GOVERNANCE_GATEWAY=file),
        )  # fmt: skip

    def status(presented: str = text) -> int:
        with contextlib.suppress(httpx.TransportError):
            headers = {"host": HOST, "x-api-key": presented}
            url = f"http://127.0.0.1:{port}/suggest"
            return httpx.post(url, headers=headers, json={"group": "campaigns"}, timeout=30).status_code
        return 0

    def until(holds) -> None:
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, (tmp_path / "run.log").read_text()
            time.sleep(0.02)

    try:
        until(lambda: status() == 200)
        assert cli("gateway", "status", GOVERNANCE_GATEWAY=file).code == 0
        (envoy,) = children(running.pid)
        os.kill(envoy, signal.SIGKILL)
        until(lambda: children(running.pid) not in ([envoy], []) and status() == 200)
        good = Path(file).read_text()
        # A file that would let an app go unasked is no file: what serves goes on asking.
        Path(file).write_text(good.replace("hosts:", "asks: false\n    hosts:"))
        until(lambda: "every app asks" in (tmp_path / "run.log").read_text())
        Path(file).write_text("apps: {where2eat: {hosts: [")
        until(lambda: "is not YAML" in (tmp_path / "run.log").read_text())
        assert status() == 200
        # There is no answer, so nobody comes in.
        service.stop()
        heard = len(upstream.calls)
        assert (status(), len(upstream.calls)) == (503, heard)
        # A file that is wrong holds no revocation back.
        keys.revoke(key.id)
        until(lambda: status() == 401)
        # Nobody would tell it of the next one: it does not outlive who looks after it.
        running.kill()
        until(lambda: status() == 0)
    finally:
        running.terminate()
        running.wait(timeout=30)
        service.stop()
        upstream.stop()
    assert status() == 0


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
