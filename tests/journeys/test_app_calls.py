"""What the gateway asks about a request to an app, over real HTTP, and the host that runs the app behind it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from runtime_adapters import gvisor
from tests.contract.guests import ECHO, module
from tests.contract.roots import BUSYBOX, archive
from tests.contract.roots import ECHO as ECHO_SCRIPT
from tests.journeys.service import EXAMPLES, MAIN, ROOT, Service, environment

LOOP = module("(loop $again (br $again))")
WORDS = module("(call $say (i32.const 0) (i32.const 5))", data="hello")
# JSON for some readers, and for no mask.
WIDE = module(
    "(call $say (i32.const 0) (i32.const 14))", data="".join(f"\\{byte:02x}" for byte in '{"a":1}'.encode("utf-16-le"))
)
SLOW = module("(call $say (i32.const 0) (i32.const 2))", data="{}")
MAIL = "ada@example.com"
# To its log, in two pieces.
FAILS = module(
    """(i32.store (i32.const 4096) (i32.const 0)) (i32.store (i32.const 4100) (i32.const 6))
    (i32.store (i32.const 4108) (i32.const 6)) (i32.store (i32.const 4112) (i32.const 9))
    (drop (call $fd_write (i32.const 2) (i32.const 4096) (i32.const 1) (i32.const 4104)))
    (drop (call $fd_write (i32.const 2) (i32.const 4108) (i32.const 1) (i32.const 4104))) unreachable""",
    data=MAIL,
)
WHO = {"x-subject": "ada", "x-role": "citizen", "x-tenant": "marketing", "x-region": "eu"}
TRACE = "ef" * 16


class Platform:
    """A service with two workers, the host of its apps, and apps that were deployed by decision."""

    def __init__(self, folder) -> None:
        self.service = Service(folder / "home", "--workers", "2", GOVERNANCE_EXT_AUTHZ="app_call").start()
        self.gateway_key = self.service.key("service")
        self.root = folder
        with self.service.client("platform") as client:
            apps = {"where2eat": ECHO, "loop": LOOP, "words": WORDS, "wide": WIDE, "fails": FAILS, "slow": SLOW}
            for name, wasm in apps.items():
                self.deploy(client, name, wasm)
        self.socket = folder / "home" / "apps.sock"
        self.log = (folder / "host.log").open("wb")
        self.host = subprocess.Popen(
            [sys.executable, "-c", MAIN, "runtime", "serve", "--root", str(folder)],
            env=environment(self.service.home), cwd=ROOT, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        self.service.wait_until(lambda: self.host.poll() is None and self.socket.exists())

    def deploy(self, client, name: str, wasm: bytes, **spec_of) -> None:
        (self.root / f"{name}.wasm").write_bytes(wasm)
        resource = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
        resource["metadata"]["name"] = name
        spec = resource["spec"]
        spec["quotas"] = {"requestsPerDay": 10, "costEurPerMonth": 50}
        spec["runtime"]["caps"]["timeoutMs"] = 1000 if name == "loop" else 20_000
        spec["runtime"]["module"] = {"path": f"{name}.wasm", "sha256": hashlib.sha256(wasm).hexdigest()}
        spec |= spec_of
        answer = client.post("/v1/decisions", json={"kind": "deploy", "resource": resource}).json()
        assert answer["effect"] == "allow", answer

    def asked(self, client: httpx.Client, body: str = '{"group": "campaigns"}') -> httpx.Response:
        headers = {**WHO, "x-app": "where2eat", "x-api-key": self.gateway_key, "content-type": "application/json",
                   "host": "where2eat.example.com", "x-envoy-auth-partial-body": "false"}  # fmt: skip
        return client.post(f"{self.service.url}/ext-authz/suggest", headers=headers, content=body)

    def call(self, app: str, target: str = "/suggest?day=1&day=2", **headers: str) -> httpx.Response:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(self.socket)), timeout=60) as client:
            sent = {**WHO, "x-app": app, "traceparent": f"00-{TRACE}-{'ab' * 8}-00", **headers}
            return client.post(f"http://apps{target}", headers=sent, json={"group": "campaigns"})

    def stop(self) -> None:
        self.host.terminate()
        self.host.wait(timeout=30)
        self.service.stop()
        self.log.close()


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    running = Platform(tmp_path_factory.mktemp("apps"))
    yield running
    running.stop()


def test_of_thirty_callers_at_two_workers_exactly_the_quota_passes_and_the_rest_hear_when_to_come_back(platform):
    with httpx.Client(timeout=60) as client:
        assert platform.asked(client, '{"group": "x\' OR 1=1"}').status_code == 403
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: platform.asked(client), range(30)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) - len(refused) == 10
    assert {answer.status_code for answer in refused} == {429}
    assert all(0 < int(answer.headers["retry-after"]) <= 86_400 for answer in refused)
    assert {violation["rule"] for violation in refused[0].json()["violations"]} == {"GW-003"}
    ids = {answer.headers["x-decision-id"] for answer in answers}
    assert len(ids) == 30
    assert ids <= {record["public"]["decision_id"] for record in platform.service.records(kind="app_call")}


def test_an_app_reads_who_calls_and_what_and_its_answer_goes_back(platform):
    answer = platform.call("where2eat")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "method": "POST", "path": "/suggest", "query": {"day": ["1", "2"]}, "body": {"group": "campaigns"},
        "caller": {"subject": "ada", "role": "citizen", "tenant": "marketing"},
    }  # fmt: skip
    found = [record for record in platform.service.records() if record["public"].get("trace_id") == TRACE]
    assert [record["kind"] for record in found] == ["runtime_started", "deploy"]


def test_an_app_that_takes_long_to_get_ready_keeps_no_other_waiting(platform):
    """Its module comes out of a pipe, and nobody has written it yet."""
    path = platform.root / "slow.wasm"
    path.unlink()
    os.mkfifo(path)
    with concurrent.futures.ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(platform.call, "slow")
        with path.open("wb") as pipe:  # opens once somebody reads: the call is being prepared
            assert [platform.call("where2eat").status_code for _ in range(3)] == [200, 200, 200]
            assert not waiting.done()
            pipe.write(SLOW)
        assert waiting.result().status_code == 200
    path.unlink()
    path.write_bytes(SLOW)
    assert platform.call("slow").status_code == 200


@pytest.mark.parametrize(
    ("app", "status", "code"),
    [
        ("loop", 504, "app_too_slow"),
        ("fails", 502, "app_stopped"),
        ("words", 502, "app_stopped"),
        ("wide", 502, "app_stopped"),
        ("nobody", 404, "not_found"),
    ],
)
def test_an_app_that_is_stopped_or_answers_nothing_readable_is_an_error_that_says_so(platform, app, status, code):
    answer = platform.call(app)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    stopped = [r["public"]["app"] for r in platform.service.records() if r["kind"] == "runtime_stopped"]
    assert (app in stopped) is (app in {"loop", "fails"})


def test_what_an_app_logs_is_kept_without_what_nobody_may_see(platform):
    """Of the host's own output a line a call, and of a call that was stopped on its record."""
    trace = "ab" * 16
    assert platform.call("fails", traceparent=f"00-{trace}-{'ab' * 8}-00").status_code == 502
    lines = [line for line in (platform.root / "host.log").read_text().splitlines() if trace in line]
    told = json.loads(lines[0])
    assert (len(lines), told["app"], told["status"], told["log"]) == (1, "fails", "trap", "[EMAIL_ADDRESS]")
    stopped = next(r for r in platform.service.records(kind="runtime_stopped") if r["public"]["trace_id"] == trace)
    assert stopped["opened"]["answer"]["log"] == "[EMAIL_ADDRESS]"


def test_what_apps_used_can_be_charged_to_their_tenant(platform):
    """Also of calls that were stopped, and seen while the host runs."""
    with platform.service.client("auditor") as auditor:

        def used(**asked) -> dict:
            return auditor.get("/v1/usage", params=asked).json()

        before = {row["app"]: row["calls"] for row in used()["usage"]}
        assert [platform.call(app).status_code for app in ("where2eat", "fails", "fails")] == [200, 502, 502]
        wanted = {"where2eat": before.get("where2eat", 0) + 1, "fails": before.get("fails", 0) + 2}

        def is_written() -> bool:
            found = {row["app"]: row["calls"] for row in used(tenant="marketing")["usage"]}
            return all(found.get(app, 0) >= calls for app, calls in wanted.items())

        platform.service.wait_until(is_written)
        row = used(app="where2eat", by="day", since="2020-01-01")["usage"][-1]
        assert row["fuel"] > 0
        assert row["memory_mib_s"] > 0
        assert used(until="2020-01-01")["usage"] == used(tenant="hr")["usage"] == []
        for params in ({"by": "person"}, {"since": "soon"}, {"owner": "ada"}):
            assert auditor.get("/v1/usage", params=params).status_code == 400
        with platform.service.client("citizen") as citizen:
            assert citizen.get("/v1/usage").status_code == 403
        with platform.service.client("auditor", "hr") as bound:
            assert bound.get("/v1/usage").json()["usage"] == []
            assert bound.get("/v1/usage", params={"tenant": "marketing"}).status_code == 403
    told = subprocess.run(
        [sys.executable, "-c", MAIN, "runtime", "usage", "--app", "where2eat", "--tenant", "marketing"],
        env=environment(platform.service.home), cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert told[1].split()[0] == "marketing/where2eat"
    assert told[2].split()[0] == "all"
    assert told[1].split()[1:] == told[2].split()[1:]


def test_a_module_that_was_changed_is_not_started_and_the_caller_hears_nothing_of_this_host(platform):
    path = platform.root / "words.wasm"
    path.write_bytes(WORDS[:-1] + b"\0")
    answer = platform.call("words")
    assert answer.status_code == 503
    assert str(platform.root) not in answer.text
    assert "digest_mismatch" in str(next(r for r in platform.service.records() if r["kind"] == "refused"))


def test_what_ends_the_host_ends_no_more_than_its_calls(platform):
    """The timer around a decision, say: nobody can stop the engine otherwise."""

    def hosts() -> list[int]:
        return [int(pid) for pid in children.read_text().split()]

    children = Path(f"/proc/{platform.host.pid}/task/{platform.host.pid}/children")
    (before,) = hosts()
    os.kill(before, signal.SIGALRM)
    platform.service.wait_until(lambda: hosts() not in ([], [before]))

    def is_back() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return platform.call("where2eat").status_code == 200
        return False

    platform.service.wait_until(is_back)
    assert "SIGALRM ended the host" in (platform.root / "host.log").read_text()


def test_a_guest_that_hands_over_a_megabyte_of_values_is_told_so_and_nobody_else_notices(platform):
    call = '{"op":"connector.call","connector":"hris","method":"POST","url":"https://api.hris.example.com/","body":['
    text = call + "1," * 500_000 + "1]}"
    asks = f"""(i32.store (i32.const 4108)
        (call $call (i32.const 65536) (i32.const {len(text)}) (i32.const 1500000) (i32.const 50000)))
      (call $say (i32.const 1500000) (i32.load (i32.const 4108)))"""
    extra = '(data (i32.const 65536) "' + text.replace('"', '\\"') + '")'
    children = Path(f"/proc/{platform.host.pid}/task/{platform.host.pid}/children")
    before = children.read_text()
    with platform.service.client("platform") as client:
        platform.deploy(client, "many", module(asks, extra=extra, memory="60"))
    answer = platform.call("many")
    assert answer.json()["error"]["code"] == "bad_request", answer.text
    assert platform.call("where2eat").status_code == 200
    assert children.read_text() == before


def test_nobody_but_this_account_reaches_the_apps(platform):
    assert stat.S_IMODE(platform.socket.stat().st_mode) & 0o077 == 0


def test_a_header_that_stands_twice_is_refused(platform):
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(platform.socket)), timeout=60) as client:
        sent = [("x-app", "where2eat"), ("x-app", "loop"), *WHO.items()]
        assert client.post("http://apps/suggest", headers=sent).status_code == 400


@pytest.mark.skipif(
    shutil.which(gvisor.RUNSC) is None or BUSYBOX is None,
    reason="needs Debian's runsc and busybox-static: apt-get install runsc busybox-static",
)
def test_a_container_is_called_as_a_module_is(platform):
    """The host keeps what it writes for itself; what it unpacks, an app that is nobody has to read."""
    raw = archive(ECHO_SCRIPT)
    (platform.root / "box.tar").write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    runtime = {
        "class": "container", "image": f"registry.example.com/apps/box@sha256:{digest}", "module": {"path": "box.tar"},
        "caps": {"cpu": 0.5, "memoryMiB": 128, "timeoutMs": 20_000, "storageMiB": 16},
    }  # fmt: skip
    data = {"classes": ["internal"], "retention": "P30D", "residency": ["eu"]}
    with platform.service.client("platform") as client:
        platform.deploy(client, "box", b"", runtime=runtime, data=data, connectors=[], egress=[], secrets=[])
    answer = platform.call("box")
    assert answer.status_code == 200, answer.text
    assert answer.json()["body"] == {"group": "campaigns"}
