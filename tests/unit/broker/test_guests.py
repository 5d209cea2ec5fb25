"""A WebAssembly guest calls HR through the broker: masked data comes back, and what it may not do has a reason."""

from __future__ import annotations

import hashlib
import json
import re
import time

import pytest

from governance.entrypoints.cli.runtime_run import ran_once
from governance.errors import GovernanceError
from governance.platform.broker.doubles import Reply, hris
from runtime_adapters.abi import checked
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


def started(apps, wasm: bytes, timeout_ms: int = 5000):
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
    error = heard(started(apps, module(body, data=text), timeout_ms=30_000))["error"]
    assert error["message"] == (
        'CONN-010: The app has made 60 calls to the connector "hris" within a minute; 60 are granted.'
    )
    assert len(apps.double.asked) == 60


def test_a_slow_vendor_costs_the_guest_its_own_time_and_no_more(apps):
    def slow(asked):
        time.sleep(4)
        return Reply(b"{}")

    apps.vendor = slow
    begun = time.monotonic()
    error = heard(started(apps, asking(request())))["error"]
    assert error["code"] in {"deadline", "timeout"}
    assert time.monotonic() - begun < 20


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
