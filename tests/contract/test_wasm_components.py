"""Components in the WASM adapter: the world that is published is what they find, and its limits are those of modules."""

from __future__ import annotations

import hashlib
import json
import threading

import pytest
import wasmtime

from runtime_adapters import abi
from runtime_adapters.guest_log import LONGEST_LOG
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, NotWhatWasDecided
from runtime_adapters.wasm.adapter import WasmAdapter
from runtime_adapters.wasm.run import LONGEST_OUTPUT
from tests.contract import component_guests as guests

CAPS = Caps(cpu=0.05, memory_mib=16, timeout_ms=2000, storage_mib=8)
# As much fuel, and time enough to burn it on a machine that has other things to do.
PATIENT = CAPS._replace(cpu=CAPS.cpu / 10, timeout_ms=CAPS.timeout_ms * 10)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return WasmAdapter(tmp_path_factory.mktemp("wasm") / "code", lambda _text: ())


@pytest.fixture
def started(adapter, tmp_path):
    """`started(component, broker)`: an instance of a component that lies on disk with its right digest."""

    def start(raw: bytes, broker=lambda _raw, _left: b'{"ok":1}', caps: Caps = CAPS, digest: str = ""):
        path = tmp_path / "component.wasm"
        path.write_bytes(raw)
        plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", caps, ())
        return adapter.prepare(plan, Artifact(str(path), digest or hashlib.sha256(raw).hexdigest())).start(broker)

    return start


def test_a_request_goes_in_and_the_answer_comes_out(started):
    instance = started(guests.ECHO)
    assert [instance.call(body).output for body in (b"one", b"", "grün".encode())] == [b"one", b"", "grün".encode()]
    used = instance.observe()
    assert used.calls == 3
    assert used.fuel > 0
    assert used.memory_peak_mib == CAPS.memory_mib
    assert used.egress_calls == 0


@pytest.mark.parametrize(
    ("component", "request_", "heard"),
    [
        (guests.asking("kv", "get"), "a", {"op": "kv.get", "key": "a"}),
        (guests.asking("kv", "put", "a"), "[1, null]", {"op": "kv.put", "key": "a", "value": [1, None]}),
        (guests.asking("events", "publish", "lunch"), "{}", {"op": "events.publish", "type": "lunch", "data": {}}),
        (
            guests.asking("connector", "call", "hris"),
            '{"method": "GET", "op": "kv.get", "connector": "payroll"}',
            {"op": "connector.call", "connector": "hris", "method": "GET"},
        ),
    ],
    ids=["get", "put", "publish", "call"],
)
def test_what_an_app_asks_reaches_the_broker_as_everybody_s_does(started, component, request_, heard):
    asked = []
    instance = started(component, lambda raw, _left: asked.append(json.loads(raw)) or b'{"ok": {"said": "yes"}}')
    outcome = instance.call(request_.encode())
    assert (outcome.status, json.loads(outcome.output)) == ("done", {"said": "yes"})
    assert asked == [heard]
    assert instance.observe().egress_calls == 1


@pytest.mark.parametrize("request_", ["[]", "no json", "[" * 5000, '"' + "x" * abi.LONGEST_REQUEST + '"', "7"])
def test_what_is_no_request_does_not_reach_the_broker(started, request_):
    asked = []
    component = guests.asking("connector", "call", "hris")
    outcome = started(component, lambda raw, _left: asked.append(raw) or b"{}").call(request_.encode())
    assert (outcome.output, asked) == (b"bad_request", [])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b'{"error": {"code": "denied", "message": "\\ud800"}}', b"denied"),
        (b'{"error": {"code": "\\ud800", "message": ""}}', b"?"),
        (b'{"error": {"code": 7}}', b"7"),
        (b'{"error": "no"}', b"broker_failed"),
        (b"[]", b"broker_failed"),
        (b"not json", b"broker_failed"),
        (b"\xff", b"broker_failed"),
    ],
)
def test_a_no_arrives_as_a_refusal_whatever_its_form(started, answer, code):
    outcome = started(guests.asking("kv", "get"), lambda _raw, _left: answer).call(b"a")
    assert (outcome.status, outcome.output) == ("done", code)


def test_a_broker_that_fails_is_a_no_and_stays_in_its_own_call(started):
    """The binding keeps an exception of a host function for whichever thread asks next; none may get there."""

    def broken(_raw, _left):
        raise ValueError("secret-of-the-host")

    told = []
    failing = started(guests.asking("kv", "get"), broken)
    other = threading.Thread(target=lambda: told.append(started(guests.ECHO).call(b"mine")))
    assert failing.call(b"a").output == b"broker_failed"
    other.start()
    other.join()
    assert (told[0].status, told[0].output) == ("done", b"mine")


LOOP = "(loop $on (br $on))"


@pytest.mark.parametrize(
    ("component", "caps", "status"),
    [
        (guests.component(f"{LOOP} (i32.const 16)"), PATIENT, "fuel"),
        (guests.component(f"{LOOP} (i32.const 16)"), CAPS._replace(cpu=64.0, timeout_ms=100), "timeout"),
        (guests.component("(i32.const 16)", extra=f"(func $s {LOOP}) (start $s)"), PATIENT, "fuel"),
        (guests.component("unreachable"), CAPS, "trap"),
        (guests.component("(call $s (i32.const 1))", extra="(func $s (param i32) (result i32) (call $s (i32.const 1)))"),
         CAPS, "trap"),
        (guests.component("(i32.const -4)"), CAPS, "trap"),
        (guests.component("(i32.store (i32.const 20) (i32.const -1)) (i32.const 16)"), CAPS, "trap"),
        (guests.component("(i32.store (i32.const 16) (i32.const 70000)) (i32.store (i32.const 20) (i32.const 4))"
                          "(i32.store (i32.const 70000) (i32.const -1)) (i32.const 16)"), CAPS, "trap"),
        (guests.component(f"(drop (memory.grow (i32.const 128))) (i32.store (i32.const 20) (i32.const {LONGEST_OUTPUT + 1}))"
                          "(i32.const 16)"), CAPS, "output"),
        (guests.component("(i32.const 16)").replace(b"\x05\x03\x01\x00\x02", b"\x05\x03\x01\x00\x7f"),
         CAPS._replace(memory_mib=4), "memory"),
    ],
    ids=["loop", "clock", "loop in start", "trap", "stack", "answer outside", "answer too long", "not UTF-8", "output",
         "memory"],
)  # fmt: skip
def test_what_goes_too_far_is_stopped_and_answers_nothing(started, component, caps, status):
    outcome = started(component, caps=caps).call(b"x")
    assert (outcome.status, outcome.output) == (status, b""), outcome
    assert outcome.detail


def test_memory_grows_to_its_cap_and_no_further(started):
    """The request alone is larger than what the app may have."""
    outcome = started(guests.ECHO, caps=CAPS._replace(memory_mib=1)).call(b"x" * (2 << 20))
    assert outcome.status in {"trap", "memory"}
    assert outcome.output == b""


def test_nothing_stays_from_one_call_to_the_next(started):
    body = """(i32.store (i32.const 16) (i32.const 64)) (i32.store (i32.const 20) (i32.load (i32.const 32)))
      (i32.store (i32.const 32) (i32.const 1)) (i32.const 16)"""
    instance = started(guests.component(body))
    assert [instance.call(b"").output for _ in range(2)] == [b"", b""]


def test_the_log_is_kept_and_cut(started):
    outcome = started(guests.logging(6)).call(b"x" * 4000)
    assert outcome.status == "done"
    assert outcome.log.startswith("xxx")
    assert len(outcome.log) == LONGEST_LOG


def test_a_request_that_is_no_text_is_not_handed_over(started):
    outcome = started(guests.ECHO).call(b"\xff")
    assert (outcome.status, outcome.detail) == ("trap", "the request is not UTF-8, and a component takes text")


ALIKE = '(import "microapp:host/kv@1.0.0" (instance (export "get" (func {}))))'


@pytest.mark.parametrize(
    "imports",
    [
        '(import "wasi:http/outgoing-handler@0.2.0" (instance))',
        '(import "wasi:keyvalue/store@0.2.0" (instance))',
        '(import "wasi:clocks/monotonic-clock@0.3.0" (instance (export "now" (func (result u64)))))',
        '(import "wasi:clocks/monotonic-clock" (instance (export "now" (func (result u64)))))',
        '(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result (list u64))))))',
        '(import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (param "x" string) (result u64)))))',
        '(import "wasi:random/random@0.2.0" (instance (export "get-random-bytes" (func (param "n" u64) (result string)))))',
        '(import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "status" (list (list string)))))))',
        '(import "wasi:cli/exit@0.2.0" (func))',
        '(import "wasi:io/poll@0.2.0" (instance (export "more" (instance))))',
        '(import "microapp:host/admin@1.0.0" (instance))',
        '(import "microapp:host/kv@2.0.0" (instance))',
        '(import "microapp:host/kv" (instance (export "list" (func (result string)))))',
        '(import "microapp:host/kv@1.0.0" (instance (export "list" (func (result string)))))',
        '(import "microapp:host/types@1.0.0" (instance (export "refusal" (func))))',
        '(import "microapp:host/types@1.0.0" (instance (export "door" (type (sub resource)))))',
        ALIKE.format('(param "key" (list u64)) (result string)'),
        ALIKE.format('(param "key" string) (result (list u8))'),
        ALIKE.format('(param "key" string)'),
        guests.interface("kv", "get", '(param "key" string)', "(result string (error string))"),
        guests.interface("kv", "get", '(param "key" string) (param "tenant" string)'),
        guests.interface("kv", "get", '(param "key" (list u8))'),
        '(import "log" (func (param "text" (list string))))',
        '(import "log" (func (param "text" string) (result string)))',
        '(import "env" (func (param "text" string)))',
        '(import "libc" (core module (export "x" (func))))',
    ],
)
def test_a_component_that_imports_what_it_may_not_is_not_started(started, imports):
    with pytest.raises(BadArtifact, match=r"imports|does not (compile|load)"):
        started(guests.component("(i32.const 16)", imports=imports))


OTHERWISE = """(component (core module $m (func (export "f") (result i32) (i32.const 1)))
  (core instance $i (instantiate $m)) (func $f (result u32) (canon lift (core func $i "f"))) (export "handle" (func $f)))"""


@pytest.mark.parametrize("text", ["(component)", OTHERWISE])
def test_a_component_that_cannot_be_called_is_not_started(started, text):
    with pytest.raises(BadArtifact, match=r"exports no `handle"):
        started(bytes(wasmtime.wat2wasm(text)))


def test_more_memories_than_one_are_refused(started):
    """Two of fifteen MiB would be more than the cap of sixteen; each alone is below it."""
    second = "(core module $more (memory 240)) (core instance $more (instantiate $more))"
    with pytest.raises(BadArtifact, match="does not load"):
        started(guests.component("(i32.const 16)", lowered=second))


def test_more_parts_than_are_linked_by_anybody_are_refused(started):
    many = "(core module $part)" + "(core instance (instantiate $part))" * 80
    with pytest.raises(BadArtifact, match="does not load"):
        started(guests.component("(i32.const 16)", lowered=many))


def test_a_component_that_is_cut_short_or_changed_is_refused(started):
    with pytest.raises(BadArtifact, match="does not compile"):
        started(guests.ECHO[:-5])
    with pytest.raises(NotWhatWasDecided):
        started(guests.ECHO, digest="0" * 64)
