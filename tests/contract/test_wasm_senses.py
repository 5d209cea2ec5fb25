"""What a module sees of time, chance and its standard streams: what the plan says, and nothing of this host."""

from __future__ import annotations

import hashlib
import struct
import time

import pytest

from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, RuntimeRefusal
from runtime_adapters.wasm.adapter import WasmAdapter
from runtime_adapters.wasm.senses import COARSE_NS
from tests.contract import guests

CAPS = Caps(cpu=0.5, memory_mib=16, timeout_ms=2000, storage_mib=8)
FIXED = "2000-01-01T00:00:00Z"
CLOCK = guests.wasi("clock_time_get", "i32 i64 i32")
RANDOM = guests.wasi("random_get", "i32 i32")
EXIT = '(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))'


@pytest.fixture
def started(tmp_path):
    """`started(module, clock=…, randomness=…)`: an instance under such a plan."""
    adapter = WasmAdapter(tmp_path / "code")

    def start(module: bytes, app: str = "lunch", **senses: str):
        path = tmp_path / "module.wasm"
        path.write_bytes(module)
        plan = RuntimePlan(app, "marketing", "id-1", "wasm", CAPS, (), **senses)
        return adapter.prepare(plan, Artifact(str(path), hashlib.sha256(module).hexdigest())).start(lambda *_: b"")

    return start


def clock(number: int) -> bytes:
    """Says what a clock shows."""
    return guests.module(
        f"(drop (call $clock_time_get (i32.const {number}) (i64.const 1) (i32.const 8192)))"
        "(call $say (i32.const 8192) (i32.const 8))",
        imports=CLOCK,
    )


def shown(instance) -> int:
    return struct.unpack("<Q", instance.call(b"").output)[0]


def test_the_real_clock_is_this_host_s(started):
    before = time.time_ns()
    assert before <= shown(started(clock(0), clock="real")) <= time.time_ns()


def test_a_coarse_clock_moves_in_steps(started):
    before = time.time_ns()
    seen = shown(started(clock(0), clock="coarse"))
    assert seen % COARSE_NS == 0
    assert before - COARSE_NS <= seen <= time.time_ns()
    assert shown(started(clock(1), clock="coarse")) % COARSE_NS == 0


def test_a_fixed_clock_says_one_instant(started):
    instance = started(clock(0), clock=FIXED)
    assert [shown(instance) for _ in range(2)] == [946_684_800 * 10**9] * 2
    assert shown(started(clock(1), clock=FIXED)) == 0


def test_how_long_this_host_runs_is_not_told(started):
    assert shown(started(clock(1), clock="real")) < 60 * 10**9


@pytest.mark.parametrize("number", [2, 3, -1])
def test_there_are_no_other_clocks(started, number):
    body = f"(call $clock_time_get (i32.const {number}) (i64.const 1) (i32.const 9000))"
    assert started(guests.reporting(body, CLOCK)).call(b"").output == b"\x1c"


def drawn(instance) -> bytes:
    return instance.call(b"").output


DRAW = guests.module(
    "(drop (call $random_get (i32.const 8192) (i32.const 16))) (drop (call $random_get (i32.const 8208) (i32.const 16)))"
    "(call $say (i32.const 8192) (i32.const 32))",
    imports=RANDOM,
)


def test_real_randomness_does_not_repeat(started):
    assert len({drawn(started(DRAW, randomness="real")) for _ in range(3)}) == 3


def test_seeded_randomness_repeats_for_an_app_and_for_no_other(started):
    first = drawn(started(DRAW, randomness="seeded"))
    assert drawn(started(DRAW, randomness="seeded")) == first
    assert first[:16] != first[16:]
    assert drawn(started(DRAW, "dinner", randomness="seeded")) != first


@pytest.mark.parametrize(
    "senses", [{"clock": "fixed"}, {"clock": ""}, {"clock": "2000-01-01T00:00:00"}, {"randomness": "none"}]
)
def test_senses_that_nobody_knows_are_refused(started, senses):
    with pytest.raises(RuntimeRefusal, match=r"a clock|randomness"):
        started(guests.ECHO, **senses)


@pytest.mark.parametrize(
    ("body", "imports"),
    [
        ("(drop (call $random_get (i32.const 130000) (i32.const 5000)))", RANDOM),
        ("(drop (call $random_get (i32.const 0) (i32.const -1)))", RANDOM),
        ("(drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const -4)))", CLOCK),
        ("(drop (call $fd_read (i32.const 0) (i32.const -8) (i32.const 1) (i32.const 0)))", ""),
        ("(drop (call $fd_write (i32.const 1) (i32.const 131068) (i32.const 1) (i32.const 0)))", ""),
        ("(call $say (i32.const 131000) (i32.const 100))", ""),
    ],
    ids=["random", "random of everything", "clock", "pieces read", "pieces written", "what is said"],
)
def test_the_host_writes_and_reads_nothing_outside_a_guest(started, body, imports):
    outcome = started(guests.module(body, imports=imports)).call(b"")
    assert (outcome.status, outcome.detail) == ("trap", "a host call points outside the module's memory")


@pytest.mark.parametrize("call", ["fd_read", "fd_write"])
def test_more_pieces_than_any_libc_makes_are_an_error(started, call):
    stream = 0 if call == "fd_read" else 1
    body = f"(call ${call} (i32.const {stream}) (i32.const 0) (i32.const 5000) (i32.const 9000))"
    assert started(guests.reporting(body)).call(b"").output == b"\x1c"


def test_a_module_without_a_memory_gets_nothing(started):
    module = guests.wat(f"""(module {CLOCK} (func (export "_start")
      (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 0)))))""")
    assert started(module).call(b"").status == "trap"


def test_a_function_asked_for_in_another_form_is_refused(started):
    module = guests.module("", imports=guests.wasi("clock_time_get", "i32"))
    with pytest.raises(BadArtifact, match="does not link"):
        started(module)


@pytest.mark.parametrize(("code", "status"), [(0, "done"), (3, "exit")])
def test_an_exit_is_an_end_by_its_code(started, code, status):
    said = guests.module(
        f"(call $say (i32.const 0) (i32.const 2)) (call $proc_exit (i32.const {code})) (unreachable)", data="hi",
        imports=EXIT,
    )  # fmt: skip
    outcome = started(said).call(b"")
    assert (outcome.status, outcome.output) == (status, b"hi" if code == 0 else b"")


def test_a_request_is_read_piece_by_piece_to_its_end(started):
    """Two buffers of three bytes that lie one behind the other, again and again."""
    body = """(i32.store (i32.const 5000) (i32.const 8192)) (i32.store (i32.const 5004) (i32.const 3))
      (i32.store (i32.const 5008) (i32.const 8195)) (i32.store (i32.const 5012) (i32.const 3))
      (loop $on
        (drop (call $fd_read (i32.const 0) (i32.const 5000) (i32.const 2) (i32.const 5016)))
        (call $say (i32.const 8192) (i32.load (i32.const 5016)))
        (br_if $on (i32.load (i32.const 5016))))"""
    assert started(guests.module(body)).call(b"abcdefghij").output == b"abcdefghij"
