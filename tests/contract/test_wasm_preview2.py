"""WASI 0.2 in components: what toolchains import is there, of our own making, and no wait or list gets around a cap."""

from __future__ import annotations

import hashlib
import threading
import time

import pytest

from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact
from runtime_adapters.wasm.adapter import WasmAdapter
from tests.contract import component_guests as guests

CAPS = Caps(cpu=1, memory_mib=64, timeout_ms=20_000, storage_mib=8)
SAY = "(i32.store (i32.const 16) (i32.const 64)) (i32.store (i32.const 20) (i32.const {})) (i32.const 16)"
END = SAY.format(0)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return WasmAdapter(tmp_path_factory.mktemp("wasm") / "code", lambda _text: ())


@pytest.fixture
def called(adapter, tmp_path):
    """`called(component, …)`: the outcome of one call with `hello`."""

    def call(raw: bytes, caps: Caps = CAPS, **senses: str):
        path = tmp_path / "component.wasm"
        path.write_bytes(raw)
        plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", caps, (), **senses)
        artifact = Artifact(str(path), hashlib.sha256(raw).hexdigest())
        return adapter.prepare(plan, artifact).start(lambda _raw, _left: b"{}").call(b"hello")

    return call


def repeated(times: int, body: str) -> str:
    return f"""(local $n i32) (local $h i32) (loop $on {body} (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $on (i32.lt_u (local.get $n) (i32.const {times}))))"""


WRITE = "(call $write (call $stderr) (local.get 0) (local.get 1) (i32.const 16))"


def test_what_is_written_to_a_stream_is_log(called):
    outcome = called(guests.with_wasi(WRITE + WRITE + END))
    assert (outcome.status, outcome.log) == ("done", "hellohello")


def test_the_clock_and_chance_are_those_of_the_plan(called):
    say = "(i64.store (i32.const 64) (call $now)) (call $random (i64.const 8) (i32.const 32))"
    digits = "".join(
        f"""(i32.store8 (i32.const {80 + at}) (i32.add (i32.const 97)
        (i32.and (i32.const 15) (i32.load8_u (i32.add (i32.load (i32.const 32)) (i32.const {at}))))))"""
        for at in range(8)
    )
    raw = guests.with_wasi(say + digits + SAY.replace("64", "80").format(8))
    seeded = {"clock": "2026-01-01T00:00:00Z", "randomness": "seeded"}
    drawn = [called(raw, **seeded).output for _ in range(2)] + [called(raw).output for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) == 3
    still = "(if (i64.ne (call $now) (i64.const 0)) (then unreachable))"
    assert called(guests.with_wasi(still + END), **seeded).status == "done"
    assert called(guests.with_wasi(still + END)).status == "trap"


def test_a_sleep_takes_its_time_and_no_more(called):
    raw = guests.with_wasi("(call $block (call $subscribe (i64.const 100000000)))" + END)
    begun = time.monotonic()
    assert called(raw).status == "done"
    assert time.monotonic() - begun >= 0.1


NAP = """(local.set $h (call $subscribe (i64.const 1000000))) (call $block (local.get $h))
  (call $drop_pollable (local.get $h))"""


@pytest.mark.parametrize(
    "wait",
    [
        "(call $block (call $subscribe (i64.const -1)))",
        "(call $block (call $subscribe (i64.const 3600000000000)))",
        "(i32.store (i32.const 0) (call $subscribe (i64.const -2))) (call $poll (i32.const 0) (i32.const 1) (i32.const 16))",
        repeated(1 << 30, NAP),
    ],
    ids=["for ever", "an hour", "in a poll", "by and by"],
)  # fmt: skip
def test_no_wait_is_longer_than_the_call_may_be(called, wait):
    """Others run meanwhile: the wait holds neither the interpreter nor the engine."""
    ends = []
    raw, short = guests.with_wasi(wait + END), CAPS._replace(timeout_ms=300)
    thread = threading.Thread(target=lambda: ends.append(called(raw, short)))
    begun = time.monotonic()
    thread.start()
    thread.join(60)
    assert [outcome.status for outcome in ends] == ["timeout"]
    assert time.monotonic() - begun < 20


def polled(*waits_ns: int) -> str:
    """Waits for the first of several things, and says which of them were ready as one byte each."""
    asked = "".join(
        f"(i32.store (i32.const {4 * at}) (call $subscribe (i64.const {wait})))" for at, wait in enumerate(waits_ns)
    )
    return f"""{asked} (call $poll (i32.const 0) (i32.const {len(waits_ns)}) (i32.const 32))
      (i32.store (i32.const 16) (i32.load (i32.const 32)))
      (i32.store (i32.const 20) (i32.shl (i32.load (i32.const 36)) (i32.const 2))) (i32.const 16)"""


def which(output: bytes) -> list[int]:
    return [int.from_bytes(output[at : at + 4], "little") for at in range(0, len(output), 4)]


def test_a_poll_of_several_things_ends_with_the_first_of_them(called):
    hour = 3_600_000_000_000
    begun = time.monotonic()
    outcome = called(guests.with_wasi(polled(hour, 50_000_000, 2 * hour)))
    assert (outcome.status, which(outcome.output)) == ("done", [1])
    assert time.monotonic() - begun >= 0.05


def test_a_poll_names_everything_that_is_ready(called):
    hour = 3_600_000_000_000
    outcome = called(guests.with_wasi(polled(0, hour, 1)))
    assert (outcome.status, which(outcome.output)) == ("done", [0, 2])


def test_a_poll_of_several_hours_ends_with_the_call(called):
    hour = 3_600_000_000_000
    outcome = called(guests.with_wasi(polled(hour, 2 * hour)), CAPS._replace(timeout_ms=300))
    assert (outcome.status, outcome.output) == ("timeout", b"")


@pytest.mark.parametrize(("handles", "status"), [(999, "done"), (1001, "trap")])
def test_as_many_things_are_polled_as_a_guest_may_hold(called, handles, status):
    hour = "(i32.store (i32.shl (local.get $n) (i32.const 2)) (call $subscribe (i64.const 3600000000000)))"
    held = repeated(handles - 1, hour)
    ready = f"(i32.store (i32.const {4 * (handles - 1)}) (call $subscribe (i64.const 0)))"
    poll = f"(call $poll (i32.const 0) (i32.const {handles}) (i32.const 8192))"
    assert called(guests.with_wasi(held + ready + poll + END)).status == status


def test_a_fixed_clock_does_not_make_a_wait_endless(called):
    raw = guests.with_wasi("(call $block (call $subscribe (i64.const 1000000)))" + END)
    assert called(raw, clock="2026-01-01T00:00:00Z").status == "done"


GONE = "(local.set $p (call $subscribe (i64.const 1))) (call $drop_pollable (local.get $p))"
GROW = "(drop (memory.grow (i32.const 900)))"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (f"{GROW} (call $write (call $stderr) (i32.const 0) (i32.const 4097) (i32.const 16))", "at most 4096"),
        (f"{GROW} (call $write (call $stderr) (i32.const 0) (i32.const 50000000) (i32.const 16))", "too much data"),
        ("(call $write (call $stderr) (i32.const -1) (i32.const 9) (i32.const 16))", ""),
        ("(call $write (call $stderr) (i32.const 0) (i32.const -1) (i32.const 16))", ""),
        ("(call $write (call $stderr) (i32.const 0) (i32.const 1) (i32.const -4))", ""),
        ("(call $write (call $stderr) (i32.const 0) (i32.const 1) (i32.const 17))", ""),
        ("(call $write (i32.const 77) (i32.const 0) (i32.const 1) (i32.const 16))", "handle"),
        ("(call $write (call $subscribe (i64.const 1)) (i32.const 0) (i32.const 1) (i32.const 16))", "handle"),
        ("(call $block (call $stderr))", "handle"),
        (f"(local $p i32) {GONE} (call $block (local.get $p))", "handle"),
        ("(call $poll (i32.const 0) (i32.const 0) (i32.const 16))", "nothing"),
        ("(call $poll (i32.const 0) (i32.const 1000000) (i32.const 16))", ""),
        ("(call $random (i64.const -1) (i32.const 16))", "at most 65536"),
        (repeated(2000, "(drop (call $subscribe (i64.const 1)))"), "handles"),
        (repeated(2000, "(drop (call $stderr))"), "handles"),
    ],
)  # fmt: skip
def test_what_a_guest_hands_over_cannot_cost_the_host_more_than_itself(called, body, words):
    outcome = called(guests.with_wasi(body + END))
    assert outcome.status == "trap"
    assert words in outcome.detail


def test_handles_that_are_let_go_of_are_not_counted(called):
    body = repeated(3000, "(call $drop_pollable (call $subscribe (i64.const 1)))")
    assert called(guests.with_wasi(body + END)).status == "done"


@pytest.mark.parametrize(("status", "code"), [(0, 0), (1, 1)])
def test_an_exit_ends_the_call_with_its_code(called, status, code):
    outcome = called(guests.with_wasi(f"{WRITE} (call $exit (i32.const {status})) {END}"))
    assert (outcome.status, outcome.output, outcome.log) == ("exit", b"", "hello")
    assert outcome.detail == f"the app ended with code {code}"


NAMES = """(import "wasi:sockets/ip-name-lookup@0.2.3" (instance $doors (export "resolve" (func (param "name" string)))))
(import "wasi:filesystem/types@0.2.3" (instance (export "descriptor" (type (sub resource)))))"""


def test_a_file_or_a_socket_can_be_imported_and_not_used(called):
    lowered = """(core func $door (canon lower (func $doors "resolve") (memory (core memory $libc "memory"))
      (realloc (core func $libc "realloc"))))"""
    extra = '(import "host" "ask" (func $ask (param i32 i32)))'
    options = {"imports": NAMES, "lowered": lowered, "passed": '(with "host" (instance (export "ask" (func $door))))'}
    assert called(guests.component(END, extra=extra, **options)).status == "done"
    outcome = called(guests.component("(call $ask (local.get 0) (local.get 1))" + END, extra=extra, **options))
    assert outcome.status == "trap"
    assert "wasi:sockets/ip-name-lookup.resolve" in outcome.detail
    assert "only the broker" in outcome.detail


def test_what_ends_one_guest_is_not_heard_by_another(adapter, tmp_path):
    """The binding keeps an exception of a host function for whichever thread asks next; none may get there."""
    heard: dict[str, set[str]] = {}

    def work(name: str, raw: bytes) -> None:
        path = tmp_path / name
        path.write_bytes(raw)
        plan = RuntimePlan(name, "marketing", "id-1", "wasm", CAPS, ())
        instance = adapter.prepare(plan, Artifact(str(path), hashlib.sha256(raw).hexdigest())).start(lambda *_: b"")
        heard[name] = {instance.call(b"hello").status for _ in range(100)}

    bodies = {"good": WRITE, "bad": "(call $random (i64.const -1) (i32.const 16))"}
    threads = [
        threading.Thread(target=work, args=(name, guests.with_wasi(body + END))) for name, body in bodies.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {"good": {"done"}, "bad": {"trap"}}
