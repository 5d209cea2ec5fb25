"""What the service does when something it stands on fails: nothing that went wrong reads as allowed, nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading

import httpx
import pytest

from tests.journeys.service import EXAMPLES, Service, governance

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())
FLOW = json.loads((EXAMPLES / "suggestion-flow.json").read_text())
# Some hundred million steps: no machine is done with it inside the budget.
ENDLESS = """package slow

steps := numbers.range(1, 2000)

answer := count([1 | some a in steps; some b in steps; some c in steps; a + b == c])

quick := 1
"""
# A whole pack in one rule: what fails around it fails alike, and this one compiles at once.
NAMED = """# METADATA
# title: It has a name
# description: Whatever asks says for which app.
# custom:
#   id: OWN-001
#   severity: low
#   applies_to: [connector_call, data_flow]
#   controls: ["SOC2:CC6.1"]
#   remediation: Name it.
package platform.rules.own.named

deny contains {"path": ["app", "name"], "message": "No name."} if input.app.name == ""
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    (folder / "extra").mkdir()
    (folder / "extra" / "slow.rego").write_text(ENDLESS)
    (folder / "extra" / "named.rego").write_text(NAMED)
    running = Service(
        folder / "home", "--workers", "2", GOVERNANCE_BUNDLE=str(folder / "extra"), GOVERNANCE_BUDGET_MS="500",
        GOVERNANCE_RECORD_TIMEOUT_MS="2000",
    ).start()  # fmt: skip
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(failing):
    with failing.client("service") as client:
        yield client


def asked(client: httpx.Client, path: str, body: object) -> httpx.Response | None:
    """The answer; None where the connection dropped without one."""
    try:
        return httpx.post(f"{client.base_url}{path}", json=body, headers=client.headers, timeout=30)
    except httpx.TransportError:
        return None


def works(client: httpx.Client) -> bool:
    answer = asked(client, "/v1/decisions", CALL)
    return answer is not None and answer.status_code == 200


def test_a_rule_without_end_gives_no_yes_is_recorded_and_the_service_goes_on(failing, client):
    named = {"app": {"name": "4111 1111 1111 1111"}, "tenant": "AKIAIOSFODNN7EXAMPLE"}
    answer = asked(client, "/v1/data/slow/answer", {"input": named})
    assert answer is None or answer.status_code >= 500
    failing.wait_until(lambda: any(r["public"].get("error") == "worker_died" for r in failing.records()), 20)
    died = next(r for r in failing.records() if r["public"].get("error") == "worker_died")
    assert died["public"]["effect"] == "deny"
    assert died["public"]["actor"].startswith("key:")
    assert (died["public"]["app"], died["public"]["tenant"]) == ("[CREDIT_CARD]", "[AWS_ACCESS_KEY]")
    failing.wait_until(lambda: works(client), 20)
    assert asked(client, "/v1/data/slow/quick", {"input": {}}).json()["result"] == 1


def test_without_the_writer_every_answer_is_a_deny_and_afterwards_all_is_well(failing, client):
    (writer,) = failing.children("writer_main")
    os.kill(writer, signal.SIGSTOP)  # alive and silent: the worst sort
    answer = asked(client, "/v1/decisions", FLOW)
    assert answer.status_code == 503
    assert answer.json()["code"] == "record_not_durable"
    assert answer.json()["effect"] == "deny"
    assert answer.headers["retry-after"]
    os.kill(writer, signal.SIGKILL)
    failing.wait_until(lambda: works(client), 30)
    failing.wait_until(lambda: httpx.get(f"{failing.url}/readyz").status_code == 200, 30)


def test_nothing_that_was_answered_is_lost_when_the_writer_dies_under_load(failing, client):
    answered: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answer = asked(client, "/v1/decisions", CALL)
            if answer is not None and answer.status_code == 200:
                answered.append(answer.json()["decision_id"])

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        count = len(answered)
        failing.wait_until(lambda count=count: len(answered) > count + 20, 30)
        for writer in failing.children("writer_main"):
            os.kill(writer, signal.SIGKILL)
    count = len(answered)
    failing.wait_until(lambda: len(answered) > count + 20, 30)
    stop.set()
    for thread in threads:
        thread.join()
    for decision_id in answered:
        assert client.get(f"/v1/decisions/{decision_id}").status_code == 200
    package = failing.home.parent / "package"
    assert governance("audit", "export", "--out", str(package), home=failing.home).returncode == 0
    done = governance("audit", "verify", str(package), home=failing.home)
    assert done.returncode == 0, done.stderr


def test_nobody_can_switch_the_service_off_by_asking_a_rule_without_end_again_and_again(failing, client):
    for _ in range(4):
        failing.wait_until(lambda: works(client), 60)
        asked(client, "/v1/data/slow/answer", {"input": {}})
        asked(client, "/v1/data/slow/answer", {"input": {}})
    failing.wait_until(lambda: works(client), 60)


def test_while_workers_die_one_after_the_other_a_caller_waits_and_is_not_refused(failing, client):
    stop, refused = threading.Event(), []

    def connect() -> None:
        port = int(failing.url.rpartition(":")[2])
        while not stop.wait(0.005):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=30).close()
            except ConnectionRefusedError as error:
                refused.append(error)

    def has_given_up() -> bool:
        for worker in set(failing.children("serve")) - {failing.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        return "workers died one after the other" in failing.log.read_text()

    others = threading.Thread(target=connect)
    others.start()
    try:
        failing.wait_until(has_given_up, 60)
        failing.wait_until(lambda: works(client), 60)
    finally:
        stop.set()
        others.join()
    assert refused == []


def test_the_keeper_hears_what_was_asked_while_it_was_away(failing):
    (keeper,) = failing.children("keeper_main")
    os.kill(keeper, signal.SIGKILL)
    (failing.home / "bundles" / "rebuild").write_text("asked")
    rego = failing.home.parent / "extra" / "slow.rego"
    rego.write_text("package slow\n\nquick := not_there(1)\n")
    try:
        failing.wait_until(lambda: "not_there" in failing.log.read_text())
    finally:
        rego.write_text(ENDLESS)


def test_a_worker_that_is_killed_costs_at_most_an_answer(failing, client):
    workers = [pid for pid in failing.children("serve") if pid != failing.pid]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    failing.wait_until(lambda: works(client), 30)


def test_a_bundle_that_does_not_compile_changes_nothing(failing, client):
    rego = failing.home.parent / "extra" / "slow.rego"
    before = client.get("/v1/policies").json()
    rego.write_text("package slow\n\nquick := no_such_function(1)\n")
    try:
        for pid in failing.children("serve"):
            if pid != failing.pid:
                os.kill(pid, signal.SIGHUP)
        failing.wait_until(lambda: "no_such_function" in failing.log.read_text())
        assert "keeps" in failing.log.read_text()
        assert asked(client, "/v1/data/slow/quick", {"input": {}}).json()["result"] == 1
        assert client.get("/v1/policies").json() == before
    finally:
        rego.write_text(ENDLESS)


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("dev") / "home", "--dev").start()
    yield running
    running.stop()


class TestWithoutSignIn:
    def test_a_program_on_this_machine_is_answered(self, dev):
        assert httpx.post(f"{dev.url}/v1/decisions", json=CALL, timeout=60).json()["effect"] == "deny"
        assert "no sign-in" in dev.log.read_text()

    @pytest.mark.parametrize(
        "headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}, {"origin": "null"}]
    )
    def test_a_page_in_a_browser_of_this_machine_is_not(self, dev, headers):
        assert httpx.post(f"{dev.url}/v1/decisions", json=CALL, headers=headers, timeout=60).status_code == 403

    def test_it_is_refused_on_an_address_that_others_reach(self, tmp_path):
        done = governance("serve", "--dev", "--host", "0.0.0.0", home=tmp_path)
        assert done.returncode == 2
        assert b"loopback" in done.stderr


def test_a_service_that_cannot_trust_its_log_does_not_start(tmp_path):
    home = tmp_path / "home"
    governance("decide", str(EXAMPLES / "hr-call.json"), home=home)
    for file in (home / "audit").iterdir():
        if file.suffix == ".db" or ".db" in file.name:
            file.unlink()
    done = governance("serve", "--port", "1", home=home)
    assert done.returncode == 3
    assert b"audit writer" in done.stderr
