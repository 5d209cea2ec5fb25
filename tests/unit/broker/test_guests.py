"""A WebAssembly guest calls HR through the broker: masked data comes back, and what it may not do has a reason."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import threading
import time

import pytest

from audit.canonical import canonical
from audit.envelopes import envelope, signatures_of
from audit.keys import SigningKey
from governance.broker_wiring import runtimes_of
from governance.entrypoints.cli import audit, runtime
from governance.entrypoints.cli.runtime_run import ran_once
from governance.errors import GovernanceError
from governance.log_wiring import attestor_of, open_reader
from governance.pipeline import Pipeline
from governance.platform.broker.doubles import Reply, hris
from governance.platform.broker.preparing import Preparing
from governance.platform.broker.running import Host, run
from governance.wiring import directory_of
from runtime_adapters.abi import checked
from runtime_adapters.fair_share import Share
from runtime_adapters.pool import Pool
from runtime_adapters.statement import PREDICATE
from tests.contract.guests import asking, module
from tests.unit.broker.conftest import CALL, CANARY, HOST, World


@pytest.fixture
def apps(tmp_path):
    """A world whose line is closed again once an app is deployed: the run opens its own, as the command does."""
    made = World(tmp_path)
    made.vendor = hris(CANARY)
    yield made
    made.double.stop()


def started(apps, wasm: bytes, timeout_ms: int = 30_000):
    """Deploy the module as where2eat's and run it once."""
    path = apps.folder / "build" / "where2eat.wasm"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(wasm)
    digest = hashlib.sha256(wasm).hexdigest()
    capped = f"timeoutMs: {timeout_ms}"
    apps.deploy(
        lambda text: re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {digest}", text).replace("timeoutMs: 5000", capped)
    )
    apps._opened.__exit__(None, None, None)
    return ran_once(apps.settings, "where2eat", apps.folder, b"{}")


def heard(ran) -> dict:
    assert ran.outcome is not None, ran.decision
    assert ran.outcome.status == "done", ran.outcome
    return json.loads(ran.outcome.output)


def request(**changes) -> str:
    asked = {"op": "connector.call", "connector": "hris", **CALL, **changes}
    return json.dumps({name: value for name, value in asked.items() if value is not None})


def test_a_guest_gets_the_masked_answer_and_its_start_is_attested(apps):
    answer = heard(started(apps, asking(request())))["ok"]
    assert answer["status"] == 200
    assert [person["name"] for person in answer["body"]["Resources"]] == ["[masked]", "[masked]"]
    assert [person["dietaryPreference"] for person in answer["body"]["Resources"]] == ["vegan", "gluten-free"]
    kinds = [record["kind"] for record in apps.records()][-4:]
    assert kinds == ["deploy", "runtime_started", "connector_call", "data_flow"]
    deploy, start, call, flow = apps.records()[-4:]
    assert len({record["public"]["trace_id"] for record in (deploy, start, call, flow)}) == 1
    assert start["public"]["decision_id"] == deploy["public"]["decision_id"]
    told = start["public"]["statement"]
    assert start["public"]["digests"] == {"module": f"sha256:{told['subject'][0]['digest']['sha256']}"}
    assert told["predicateType"] == PREDICATE
    assert {name: told["predicate"][name] for name in ("clock", "randomness", "decision_id", "boundary")} == {
        "clock": "real", "randomness": "real", "decision_id": deploy["public"]["decision_id"], "boundary": "wasm",
    }  # fmt: skip


def test_a_start_is_signed_and_whoever_has_the_log_s_key_can_tell(apps, monkeypatch):
    """At this home's log, and elsewhere from a file and a key; a changed word, another key and no signature are told apart."""
    started(apps, asking(request()))
    monkeypatch.setenv("GOVERNANCE_HOME", str(apps.folder / "home"))
    code, said = attestations()
    assert code == 0
    assert "marketing/where2eat  wasm wasmtime" in said
    assert said.splitlines()[-1] == "1 starts: 1 signed, 0 not"
    assert attestations("--app", "nobody") == (0, "no starts\n")

    code, envelope = attestations("--format", "dsse")
    told = json.loads(envelope)
    assert (code, told["payloadType"]) == (0, "application/vnd.in-toto+json")
    key = log_key(apps)
    monkeypatch.setenv("GOVERNANCE_HOME", str(apps.folder / "elsewhere"))
    assert in_file(apps, envelope, key)[0] == 0
    other = SigningKey("other.example.com/log", bytes(32))
    changed = base64.b64decode(told["payload"]).replace(b'"memory_mib":', b'"memory_mib":9')
    for wrong, trusted in (
        (json.dumps({**told, "payload": base64.b64encode(changed).decode()}), key),
        (json.dumps({**told, "payloadType": "application/json"}), key),
        (json.dumps({**told, "signatures": []}), key),
        (json.dumps({**told, "signatures": [{**told["signatures"][0], "keyid": other.verifier.key_id.hex()}]}), key),
        (envelope, str(other.verifier)),
        (json.dumps(signed({"_type": "x", "predicateType": "https://slsa.dev/verification_summary/v1"}, other)),
         str(other.verifier)),
        ("[]", key), ("{", key), ("7", key), ('{"payload": 7, "payloadType": 7, "signatures": 7}', key),
    ):  # fmt: skip
        code, said = in_file(apps, wrong, trusted)
        assert code == 1, wrong
        assert "NOT SIGNED" in said
    assert not (apps.folder / "elsewhere").exists()


def attestations(*options: str) -> tuple[int, str]:
    said = io.StringIO()
    return runtime.run(["attestations", *options], io.StringIO(), said, io.StringIO()), said.getvalue()


def in_file(apps, line: str, key: str) -> tuple[int, str]:
    path = apps.folder / "starts.jsonl"
    path.write_text(line)
    return attestations("--file", str(path), "--key", key)


def log_key(apps) -> str:
    reader = open_reader(apps.settings)
    try:
        return reader.verifier_key
    finally:
        reader.close()


def signed(statement: dict, key: SigningKey) -> dict:
    return envelope(canonical(statement), signatures_of(statement, key))


def test_starts_of_before_a_rotation_are_trusted_through_it_and_those_of_meanwhile_have_both_signatures(
    apps, monkeypatch
):
    monkeypatch.setenv("GOVERNANCE_HOME", str(apps.folder / "home"))
    started(apps, asking(request()))
    assert audit.run(["rotate-key"], io.StringIO(), io.StringIO(), io.StringIO()) == 0
    ran_once(apps.settings, "where2eat", apps.folder, b"{}")
    starts = [record["public"] for record in apps.records() if record["kind"] == "runtime_started"]
    assert [len(start["signatures"]) for start in starts] == [1, 2]
    assert attestations()[0] == 0


@pytest.mark.parametrize("loss", ["gone", "read by others", "cut"])
def test_a_start_that_cannot_be_signed_is_refused_and_recorded(apps, loss):
    """The log itself goes on: it has its key since it was opened."""
    wasm = asking(request())
    path = apps.folder / "build" / "where2eat.wasm"
    path.parent.mkdir()
    path.write_bytes(wasm)
    digest = hashlib.sha256(wasm).hexdigest()
    apps.deploy(lambda text: re.sub(r"sha256: [0-9a-f]{64}", f"sha256: {digest}", text))
    key = apps.folder / "home" / "audit" / "key"
    kept = key.read_bytes()

    sign = attestor_of(apps.settings)
    losses = {"gone": key.unlink, "read by others": lambda: key.chmod(0o644), "cut": lambda: key.write_bytes(kept[:9])}

    def robbed(told: dict) -> list[dict]:
        losses[loss]()
        return sign(told)

    async def once() -> None:
        # Starting what was deployed is no deploy of its own.
        pool, line = Pool(1, Share()), Pipeline(apps.line._parts._replace(enforcement=None))
        host = Host(line, apps.broker, line._parts.recorder, runtimes_of(apps.settings), pool, apps.settings.home,
                    apps.folder, robbed, Preparing(), directory_of(apps.settings).app)  # fmt: skip
        try:
            with pytest.raises(GovernanceError, match="cannot be signed"):
                await run(host, "where2eat", b"{}")
        finally:
            key.unlink(missing_ok=True)
            key.touch(mode=0o600)
            key.write_bytes(kept)
            await asyncio.to_thread(pool.close)

    apps.runner.run(once())
    kinds = [record["kind"] for record in apps.records()]
    assert "runtime_started" not in kinds
    assert kinds[-1] == "refused"
    assert apps.double.asked == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"headers": {"Host": "intranet.example.com"}}, "EGR-007: The header"),
        ({"url": "https://collect.evil.example/in"}, "EGR-002: The host"),
        ({"url": f"https://{HOST}/v1/salaries"}, "CONN-007: The connector"),
        ({"scopes": ["employees:read", "employees:write"]}, "OAUTH-006: The app was not granted"),
        ({"connector": "slack"}, "CONN-008: The app"),
        ({"connector": 7}, "has to be text"),
        ({"tenant": "hr"}, "not a member of a call"),
    ],
)
def test_what_a_guest_may_not_do_has_a_reason(apps, changes, words):
    error = heard(started(apps, asking(request(**changes))))["error"]
    assert words in error["message"]
    assert apps.double.asked == []


def test_the_61st_call_of_a_minute_is_refused(apps):
    """One guest asks 61 times and says what it heard last."""
    text = request()
    body = f"""(local $n i32)
      (loop $again
        (i32.store (i32.const 4108) (call $call (i32.const 0) (i32.const {len(text)}) (i32.const 8192) (i32.const 50000)))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 61))))
      (call $say (i32.const 8192) (i32.load (i32.const 4108)))"""
    apps.vendor = lambda asked: Reply(b'{"Resources": []}')
    error = heard(started(apps, module(body, data=text)))["error"]
    assert error["message"] == (
        'CONN-010: The app has made 60 calls to the connector "hris" within a minute; 60 are granted.'
    )
    assert len(apps.double.asked) == 60


def test_a_slow_vendor_costs_the_guest_its_own_time_and_no_more(apps):
    answers = threading.Event()

    def slow(asked):
        answers.wait(60)
        return Reply(b"{}")

    apps.vendor = slow
    try:
        error = heard(started(apps, asking(request()), timeout_ms=4000))["error"]
    finally:
        answers.set()
    assert error["code"] in {"deadline", "timeout"}


def test_what_differs_from_the_decision_is_not_started(apps):
    path = apps.folder / "build" / "where2eat.wasm"
    path.parent.mkdir()
    path.write_bytes(asking(request()))
    apps._opened.__exit__(None, None, None)
    with pytest.raises(GovernanceError, match="digest_mismatch"):
        ran_once(apps.settings, "where2eat", apps.folder, b"")
    assert "runtime_started" not in [record["kind"] for record in apps.records()]


def test_an_app_nobody_deployed_is_not_run(apps):
    apps._opened.__exit__(None, None, None)
    with pytest.raises(GovernanceError, match="was deployed"):
        ran_once(apps.settings, "nobody", apps.folder, b"")


def test_a_start_is_decided_anew(apps):
    """What was allowed when it was deployed is refused today: the directory's manifest asks for more than the rules grant."""
    stored = apps.folder / "home" / "apps" / "where2eat.json"
    kept = json.loads(stored.read_text())
    kept["spec"]["connectors"][0]["scopes"] = ["employees:write"]
    stored.write_text(json.dumps(kept))
    apps._opened.__exit__(None, None, None)
    ran = ran_once(apps.settings, "where2eat", apps.folder, b"")
    assert ran.outcome is None
    assert "OAUTH-002" in {violation.rule for violation in ran.decision.violations}


@pytest.mark.parametrize(
    ("body", "is_read"),
    [("[" + "1," * 9_000 + "1]", True), ("[" + "1," * 500_000 + "1]", False), ('"' + "," * 900_000 + '"', True)],
)
def test_more_values_than_anybody_decides_on_are_refused_before_they_are_read(body, is_read):
    """A text may hold as many commas as it likes."""
    raw = f'{{"op": "connector.call", "body": {body}}}'.encode()
    begun = time.process_time()
    assert (checked(raw) is not None) is is_read
    assert checked(raw.replace(b'"body"', b'"bo\\"dy"')) is not None or not is_read
    assert checked(raw.decode().encode("utf-16")) is None
    assert checked(b'{"op": "' + b'\\"' * 500_000) is None
    assert time.process_time() - begun < 5


def test_a_guest_hears_what_it_may_hand_over(apps):
    text = json.dumps(
        {"op": "connector.call", "connector": "hris", **CALL, "body": [1] * 15_000}, separators=(",", ":")
    )
    answer = heard(started(apps, asking(text)))["error"]
    assert (answer["code"], "10000 values" in answer["message"]) == ("bad_request", True)
    assert apps.double.asked == []


def test_a_guest_keeps_and_finds_again(apps):
    put = json.dumps({"op": "kv.put", "key": "greeting", "value": "moin"})
    assert heard(started(apps, asking(put))) == {"ok": None}


@pytest.mark.parametrize(
    "op", ['{"op": "events.publish"}', '{"op": "kv.get", "key": 7}', '{"op": "kv.get", "key": ""}']
)
def test_what_this_host_does_not_take_is_said(apps, op):
    assert "error" in heard(started(apps, asking(op)))
