"""Events over real HTTP: published by one app, fetched by another, sent out signed, and taken in from a vendor."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict

import httpx
import pytest

from governance.platform.broker.doubles import Double, Reply, write_pins
from tests.journeys.service import ROOT, Service, environment, governance
from tests.unit.events.conftest import HOST, KEY, PUSHED, TYPE, publisher, subscriber

HOOK_SECRET = "canary-5bd2-not-to-be-seen"
STRUCTURED = {"content-type": "application/cloudevents+json"}


class Receiver:
    """Who is sent events: notes each, by key, in the order in which it came; slow enough to be killed in the middle."""

    def __init__(self) -> None:
        self.seen: dict[str, list[int]] = defaultdict(list)
        self.total, self.status = 0, 204
        self._lock = threading.Lock()

    def __call__(self, asked) -> Reply:
        event = json.loads(asked.body)
        with self._lock:
            self.total += 1
            if self.status == 204:
                self.seen[event.get("partitionkey", "")].append(event["data"].get("n", 0))
        time.sleep(0.01)
        return Reply(b"", status=self.status)


@pytest.fixture(scope="module")
def receivers():
    return Receiver()


@pytest.fixture
def receiver(receivers):
    """Takes what comes again, whatever a test had it say."""
    yield receivers
    receivers.status = 204


@pytest.fixture(scope="module")
def service(tmp_path_factory, receivers):
    folder = tmp_path_factory.mktemp("events")
    double = Double(HOST, folder / "tls", receivers).start()
    pins = write_pins(folder / "pins.json", double)
    home = folder / "home"
    for name, value in (("recommender-key", KEY), ("github-hook", HOOK_SECRET)):
        done = governance("secret", "put", f"marketing/{name}", home=home, stdin=value.encode())
        assert done.returncode == 0, done.stderr
    pushed = subscriber(**PUSHED)
    pushed["metadata"]["name"] = "sender"
    for manifest in (publisher(), subscriber(), pushed):
        done = governance("decide", "-", home=home, stdin=json.dumps({"kind": "deploy", "resource": manifest}).encode())
        assert done.returncode == 0, done.stdout
    running = Service(
        home, "--workers", "2", GOVERNANCE_CONNECTOR_PINS=str(pins), GOVERNANCE_EVENT_LEASE_S="3",
        GOVERNANCE_EVENT_PAUSE_MS="100", GOVERNANCE_EVENT_ATTEMPTS="40",
    ).start()  # fmt: skip
    yield running
    running.stop()
    double.stop()


def app(service, name: str) -> httpx.Client:
    with service.client("service", "marketing") as runtime:
        answer = runtime.post(f"/v1/apps/{name}/tokens", json={"instance": "one"})
    assert answer.status_code == 201, answer.text
    headers = {"authorization": f"Bearer {answer.json()['token']}"}
    return httpx.Client(base_url=service.url, headers=headers, timeout=60)


def event(event_id: str, **more) -> dict:
    data = {"group": "campaigns", **more.pop("data", {})}
    return {"specversion": "1.0", "id": event_id, "source": "/apps/where2eat", "type": TYPE, "data": data, **more}


def drained(client: httpx.Client) -> list[dict]:
    """Everything that waits for canteen, acknowledged."""
    found = []
    while events := client.post("/v1/subscriptions/on-lunch/pull", json={"max": 100}).json()["events"]:
        found += [one["event"] for one in events]
        late = client.post("/v1/subscriptions/on-lunch/acks", json={"done": [one["delivery"] for one in events]}).json()
        assert late == {"late": []}
    return found


def test_an_event_goes_from_one_app_to_another_in_either_mode(service):
    with app(service, "where2eat") as publishing, app(service, "canteen") as fetching:
        drained(fetching)
        whole = publishing.post("/v1/events", content=json.dumps(event("s1")), headers=STRUCTURED)
        assert (whole.status_code, whole.json()["effect"], whole.json()["deliveries"]) == (202, "allow", 2)
        headers = {"ce-specversion": "1.0", "ce-id": "b1", "ce-source": "/apps/where2eat", "ce-type": TYPE}
        parts = publishing.post("/v1/events", json={"group": "b"}, headers=headers)
        assert parts.status_code == 202, parts.text
        again = publishing.post("/v1/events", content=json.dumps(event("s1")), headers=STRUCTURED)
        assert (again.status_code, again.json()["duplicate"]) == (200, True)
        other = publishing.post("/v1/events", content=json.dumps(event("s1", data={"group": "x"})), headers=STRUCTURED)
        assert (other.status_code, other.json()["code"]) == (409, "conflict")
        assert [one["id"] for one in drained(fetching)] == ["s1", "b1"]
        assert drained(publishing) == []


def test_a_refusal_is_an_answer_with_its_rule(service):
    with app(service, "where2eat") as publishing:
        said = publishing.post(
            "/v1/events", content=json.dumps(event("r1", type="com.example.x.y")), headers=STRUCTURED
        )
    assert (said.status_code, said.json()["effect"]) == (200, "deny")
    assert [violation["rule"] for violation in said.json()["decision"]["violations"]] == ["EVT-006"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/events", "{}"),
        ("/v1/subscriptions/on-lunch/pull", "{}"),
        ("/v1/subscriptions/on-lunch/acks", '{"done": []}'),
    ],
)
def test_only_an_app_may_ask(service, path, body):
    for headers in ({}, {"authorization": "Bearer x"}, {"authorization": f"Bearer {service.key('platform')}"}):
        answer = httpx.post(service.url + path, content=body, headers={**STRUCTURED, **headers}, timeout=60)
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/events", "{", STRUCTURED),
        ("/v1/events", "[]", {"content-type": "application/cloudevents-batch+json"}),
        (
            "/v1/events",
            "x",
            {"content-type": "text/plain", "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/a", "ce-type": "t"},
        ),
        ("/v1/subscriptions/on-lunch/pull", '{"max": 0}', {"content-type": "application/json"}),
        ("/v1/subscriptions/on-lunch/pull", '{"most": 1}', {"content-type": "application/json"}),
        ("/v1/subscriptions/on-lunch/acks", '{"done": "1"}', {"content-type": "application/json"}),
        ("/v1/subscriptions/on-lunch/acks", '{"done": ["1"]}', {"content-type": "application/json"}),
    ],
)
def test_a_question_that_is_none_is_told_so(service, path, body, headers):
    with app(service, "where2eat") as client:
        answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("twice", ["ce-id", "ce-partitionkey", "ce-xown"])
def test_a_header_that_stands_twice_is_refused(service, twice):
    with app(service, "where2eat") as client:
        headers = [
            *[(name, "1") for name in {"ce-id", twice}],
            (twice, "2"),
            ("ce-specversion", "1.0"),
            ("ce-source", "/apps/where2eat"),
            ("ce-type", TYPE),
        ]
        answer = client.post("/v1/events", json={"group": "x"}, headers=headers)
    assert (answer.status_code, "twice" in answer.text) == (400, True)


def test_a_vendor_s_webhook_is_an_event_and_a_forged_one_a_401_on_record(service):
    body = json.dumps({"group": "from github"}).encode()
    proof = hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={proof}"}
    with app(service, "canteen") as fetching:
        drained(fetching)
        first = httpx.post(f"{service.url}/v1/hooks/where2eat.github", content=body, headers=headers, timeout=60)
        again = httpx.post(f"{service.url}/v1/hooks/where2eat.github", content=body, headers=headers, timeout=60)
        assert (first.status_code, again.status_code) == (202, 200)
        assert [one["data"] for one in drained(fetching)] == [{"group": "from github"}]
    forged = httpx.post(f"{service.url}/v1/hooks/where2eat.github", content=body + b" ", headers=headers, timeout=60)
    assert (forged.status_code, forged.json()["code"]) == (401, "bad_signature")
    nobody = httpx.post(f"{service.url}/v1/hooks/nobody.github", content=body, headers=headers, timeout=60)
    assert nobody.status_code == 401
    huge = httpx.post(f"{service.url}/v1/hooks/where2eat.github", content=b"x" * (2 << 20), headers=headers, timeout=60)
    assert huge.status_code == 413  # from a stranger, and so no record
    assert [record for record in service.records(kind="refused") if record["public"]["error"] == "too_large"] == []
    refused = [record for record in service.records(kind="refused") if record["public"]["error"] == "bad_signature"]
    assert [record["public"]["actor"] for record in refused] == ["hook:where2eat/github"]


def test_dead_letters_are_listed_and_try_again_on_record(service, receiver):
    service.wait_until(lambda: not waiting(service))  # what was sent before was not sent to be refused
    receiver.status = 410
    with app(service, "where2eat") as publishing:
        publishing.post("/v1/events", content=json.dumps(event("d1")), headers=STRUCTURED)
    with service.client("platform") as platform, service.client("auditor", "hr") as other:

        def letters() -> list[dict]:
            return platform.get("/v1/events/dead").json()["dead"]

        service.wait_until(letters)
        [letter] = letters()
        assert (letter["app"], letter["id"]) == ("sender", "d1")
        assert other.get("/v1/events/dead").json() == {"dead": []}
        listed = governance("events", "dead", "list", "--format", "json", home=service.home, **service.env)
        assert json.loads(listed.stdout)["number"] == letter["number"]
        assert platform.post("/v1/events/dead/999999/retry").status_code == 404
        assert platform.post(f"/v1/events/dead/{letter['number']}/retry").status_code == 202
        service.wait_until(letters)
        receiver.status = 204
        done = governance("events", "dead", "retry", str(letter["number"]), home=service.home, **service.env)
        assert done.returncode == 0, done.stderr
        service.wait_until(lambda: not waiting(service))
        assert letters() == []
    assert len(service.records(kind="event_retried")) == 2


def test_the_terminal_publishes_lists_and_tries_out(service):
    def run(*argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return governance("events", *argv, home=service.home, stdin=stdin, **service.env)

    said = run("publish", "-", "--app", "where2eat", stdin=json.dumps(event("cli1")).encode())
    assert (said.returncode, json.loads(said.stdout)["deliveries"]) == (0, 2), said.stderr
    refused = run(
        "publish", "-", "--app", "where2eat", stdin=json.dumps(event("cli2", type="com.example.x.y")).encode()
    )
    assert (refused.returncode, json.loads(refused.stdout)["effect"]) == (1, "deny")
    assert run("publish", "-", "--app", "where2eat", stdin=b"{}").returncode == 2
    assert f"canteen/on-lunch  {TYPE} of where2eat, fetched" in run("subscriptions").stdout.decode()
    assert f"sender/on-lunch  {TYPE} of where2eat, sent" in run("subscriptions").stdout.decode()
    assert json.loads(run("try", "{dish: name}", stdin=b'{"name": "soup"}').stdout) == {"dish": "soup"}
    assert run("try", "nope(@)", stdin=b"{}").returncode == 2
    assert run("dead", "retry", "999999").returncode == 2
    with service.client("auditor") as auditor:
        assert len(auditor.get("/v1/subscriptions").json()["subscriptions"]) == 2


def waiting(service) -> bool:
    """Whether anything is still to be sent; what waits to be fetched does not count."""
    with app(service, "canteen") as fetching:
        drained(fetching)
    done = governance("events", "status", home=service.home, **service.env)
    return not done.stdout.startswith(b"0 ")


def publish_keyed(service, keys: int, each: int, mark: str) -> None:
    with app(service, "where2eat") as publishing:
        for n in range(each):
            for key in range(keys):
                said = event(f"{mark}-{key}-{n}", data={"n": n}, partitionkey=f"{mark}{key}")
                answer = publishing.post("/v1/events", content=json.dumps(said), headers=STRUCTURED)
                assert answer.status_code == 202, answer.text


def held(receiver, keys: int, each: int, mark: str) -> None:
    """Asserts that every event of every key came, and for the first time in its order."""
    for key in range(keys):
        assert list(dict.fromkeys(receiver.seen[f"{mark}{key}"])) == list(range(each)), receiver.seen


def kill_when(receiver, at_least: int, pids) -> None:
    deadline = time.monotonic() + 60
    while receiver.total < at_least and time.monotonic() < deadline:
        time.sleep(0.005)
    for pid in pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_worker_that_is_killed_loses_nothing_and_keeps_the_order(service, receiver):
    keys, each, before = 4, 5, receiver.total
    publish_keyed(service, keys, each, "k")
    for step in (3, 9):
        kill_when(receiver, before + step, lambda: service.children("events_main"))
    service.wait_until(lambda: sum(len(set(receiver.seen[f"k{key}"])) for key in range(keys)) == keys * each)
    held(receiver, keys, each, "k")
    service.wait_until(lambda: not waiting(service))
    with service.client("platform") as platform:
        assert platform.get("/v1/events/dead").json() == {"dead": []}


@pytest.mark.slow
def test_workers_that_are_killed_again_and_again_lose_nothing_and_keep_the_order(service, receiver):
    """Three workers beside the service's own, each killed and started again, thirty times in all."""
    keys, each, before = 8, 40, receiver.total

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "governance.entrypoints.http.events_main"], cwd=ROOT,
            env=environment(service.home, **service.env), stderr=subprocess.DEVNULL,
        )  # fmt: skip

    workers = [started() for _ in range(3)]
    try:
        publish_keyed(service, keys, each, "s")
        for turn in range(30):
            kill_when(receiver, before + 8 * turn, lambda turn=turn: [workers[turn % 3].pid])
            workers[turn % 3].wait()
            workers[turn % 3] = started()
        service.wait_until(lambda: sum(len(set(receiver.seen[f"s{key}"])) for key in range(keys)) == keys * each)
        held(receiver, keys, each, "s")
        service.wait_until(lambda: not waiting(service))
        assert receiver.total - before >= keys * each
        with service.client("platform") as platform:
            assert platform.get("/v1/events/dead").json() == {"dead": []}
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def test_no_credential_stands_in_a_file_a_log_or_a_record(service):
    for path in [service.log, *service.home.rglob("*")]:
        if path.is_file():
            held_bytes = path.read_bytes()
            assert HOOK_SECRET.encode() not in held_bytes, path
            assert KEY.encode() not in held_bytes, path


def test_a_subscriber_whose_document_is_damaged_is_seen_from_outside_and_misses_nothing(service):
    path, copy = service.home / "apps" / "canteen.json", service.home / "apps" / "kept" / "canteen.json"
    whole = path.read_bytes()
    copy.unlink()  # as an older version leaves it; the worker makes it when it starts
    for pid in service.children("events_main"):
        os.kill(pid, signal.SIGKILL)
    service.wait_until(copy.exists)
    with app(service, "where2eat") as publishing, app(service, "canteen") as fetching:
        drained(fetching)
        path.write_bytes(whole[: len(whole) // 2])
        try:
            said = publishing.post("/v1/events", content=json.dumps(event("while-damaged")), headers=STRUCTURED)
            assert (said.status_code, said.json()["deliveries"]) == (202, 2)
            pulled = fetching.post("/v1/subscriptions/on-lunch/pull", json={"max": 1})
            assert (pulled.status_code, pulled.json()["code"]) == (503, "damaged")
            with service.client("platform") as platform:
                assert platform.get("/readyz").json()["damaged_apps"] == 1
                assert "\ngovernance_damaged_apps 1\n" in platform.get("/metrics").text
                assert platform.get("/v1/status").json()["result"]["damaged"] == ["apps/canteen.json"]
        finally:
            path.write_bytes(whole)
        assert [one["id"] for one in drained(fetching)] == ["while-damaged"]
