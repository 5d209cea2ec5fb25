"""The WASM adapter: what it starts, what it stops, and what a guest does not get."""

from __future__ import annotations

import hashlib
import json
import threading
import time

import pytest

from runtime_adapters.guest_log import LONGEST_LOG
from runtime_adapters.plan import Caps, RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, NotWhatWasDecided, RuntimeRefusal
from runtime_adapters.wasm.adapter import WasmAdapter
from runtime_adapters.wasm.compiling import compile_apart
from tests.contract import guests
from tests.contract.module_bytes import built

CAPS = Caps(cpu=0.05, memory_mib=16, timeout_ms=2000, storage_mib=8)
# As much fuel, and time enough to burn it on a machine that has other things to do.
PATIENT = CAPS._replace(cpu=CAPS.cpu / 10, timeout_ms=CAPS.timeout_ms * 10)
KV_GET = '{"op":"kv.get","key":"a"}'


def words(*numbers: int) -> str:
    return " ".join(f"(i32.const {number})" for number in numbers)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return WasmAdapter(tmp_path_factory.mktemp("wasm") / "code", lambda _text: ())


@pytest.fixture
def started(adapter, tmp_path):
    """`started(module, broker)`: an instance of a module that lies on disk with its right digest."""

    def start(module: bytes, broker=lambda _raw, _left: b'{"ok":1}', caps: Caps = CAPS, digest: str = ""):
        path = tmp_path / "module.wasm"
        path.write_bytes(module)
        plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", caps, ())
        artifact = Artifact(str(path), digest or hashlib.sha256(module).hexdigest())
        return adapter.prepare(plan, artifact).start(broker)

    return start


def test_a_request_goes_in_and_the_answer_comes_out(started):
    instance = started(guests.ECHO)
    assert [instance.call(body).output for body in (b"one", b"", b"three")] == [b"one", b"", b"three"]
    used = instance.observe()
    assert used.calls == 3
    assert used.fuel > 0
    assert used.memory_peak_mib > 0
    assert used.egress_calls == 0


@pytest.mark.parametrize(
    ("guest", "status"),
    [
        (guests.module("(loop $l (br $l))"), "fuel"),
        (guests.module("", extra="(func $s (loop $l (br $l))) (start $s)"), "fuel"),
        (guests.module("(loop $l (call $say (i32.const 0) (i32.const 60000)) (br $l))"), "output"),
        (guests.module("(unreachable)"), "trap"),
        (guests.module("(call $deeper)", extra="(func $deeper (call $deeper))"), "trap"),
        (guests.module("(i32.store (i32.const -4) (i32.const 1))"), "trap"),
        (guests.module("", memory="300"), "memory"),
    ],
    ids=["loop", "loop in start", "output", "trap", "stack", "out of bounds", "memory"],
)
def test_what_goes_too_far_is_stopped_and_answers_nothing(started, guest, status):
    outcome = started(guest, caps=PATIENT).call(b"")
    assert (outcome.status, outcome.output) == (status, b"")
    assert outcome.detail


def test_a_loop_is_stopped_by_the_clock_where_it_has_processor_time_left(started):
    generous = CAPS._replace(cpu=64.0, timeout_ms=100)
    before = time.monotonic()
    outcome = started(guests.module("(loop $l (br $l))"), caps=generous).call(b"")
    assert outcome.status == "timeout"
    assert time.monotonic() - before < 30


def test_memory_grows_to_its_cap_and_no_further(started):
    grow = "(drop (memory.grow (i32.const 100)))"
    outcome = started(guests.reporting("(i32.shr_u (memory.size) (i32.const 1))")).call(b"")
    assert outcome.output == b"\x01"
    body = (
        f"{grow} {grow} {grow} (i32.store8 (i32.const 8192) (memory.size)) (call $say (i32.const 8192) (i32.const 1))"
    )
    assert started(guests.module(body)).call(b"").output[0] * 65536 <= CAPS.memory_mib << 20


def test_a_table_grows_to_its_cap_and_no_further(started):
    grown = "(i32.eq (table.grow $t (ref.null func) (i32.const {})) (i32.const -1))"
    table = "(table $t 1 funcref)"
    for more, refused in ((9_999, b"\0"), (10_000, b"\1")):
        body = f"(i32.store8 (i32.const 8192) {grown.format(more)}) (call $say (i32.const 8192) (i32.const 1))"
        assert started(guests.module(body, extra=table)).call(b"").output == refused
    outcome = started(guests.module("", extra="(table 10001 funcref)")).call(b"")
    assert (outcome.status, outcome.output) == ("trap", b"")


def test_a_table_larger_than_the_pool_s_is_refused_before_it_starts(started):
    with pytest.raises(BadArtifact, match="does not load"):
        started(guests.module("", extra="(table 100000 funcref)"))


def test_two_guests_at_once_each_hear_of_their_own_end(started):
    """One leaves while the other is inside its broker; the binding's own host functions would mix their ends up."""
    inside, over = threading.Event(), threading.Event()

    def broker(_raw, _left):
        inside.set()
        over.wait(30)
        return b'{"ok":1}'

    waiting = started(guests.asking(KV_GET), broker)
    told = []
    other = threading.Thread(target=lambda: told.append(waiting.call(b"")))
    other.start()
    inside.wait(30)
    assert started(guests.module("(call $say (i32.const 131000) (i32.const 100))")).call(b"").status == "trap"
    over.set()
    other.join()
    assert (told[0].status, told[0].output) == ("done", b'{"ok":1}')


def test_nesting_deeper_than_any_program_s_does_not_end_the_compiler(started):
    deep = 50_000
    body = b"\0" + b"\x02\x40" * deep + b"\x0b" * deep + b"\x0b"
    module = built(body=body)
    assert started(module).call(b"").status == "done"


def test_nothing_stays_from_one_call_to_the_next(started):
    """The first call writes into memory; the second would say it."""
    body = """(call $say (i32.const 9000) (i32.const 1)) (i32.store8 (i32.const 9000) (i32.const 65))"""
    instance = started(guests.module(body))
    assert [instance.call(b"").output for _ in range(2)] == [b"\0", b"\0"]


@pytest.mark.parametrize(
    ("call", "imports"),
    [
        (
            f"(call $path_open {words(3, 0, 0, 11, 0)} (i64.const 64) (i64.const 0) {words(0, 5000)})",
            guests.wasi("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
        ),
        ("(call $fd_prestat_get (i32.const 3) (i32.const 5000))", guests.wasi("fd_prestat_get", "i32 i32")),
        (
            "(call $path_create_directory (i32.const 3) (i32.const 0) (i32.const 11))",
            guests.wasi("path_create_directory", "i32 i32 i32"),
        ),
        (
            "(call $path_symlink (i32.const 0) (i32.const 11) (i32.const 3) (i32.const 0) (i32.const 4))",
            guests.wasi("path_symlink", "i32 i32 i32 i32 i32"),
        ),
        (
            "(call $fd_readdir (i32.const 3) (i32.const 6000) (i32.const 100) (i64.const 0) (i32.const 5000))",
            guests.wasi("fd_readdir", "i32 i32 i32 i64 i32"),
        ),
        (
            "(call $poll_oneoff (i32.const 0) (i32.const 5000) (i32.const 1) (i32.const 6000))",
            guests.wasi("poll_oneoff", "i32 i32 i32 i32"),
        ),
    ],
    ids=["open", "preopen", "mkdir", "symlink", "list", "sleep"],
)
def test_files_and_waiting_are_errors(started, call, imports):
    outcome = started(guests.reporting(call, imports)).call(b"")
    assert outcome.status == "done"
    assert outcome.output[0] != 0


@pytest.mark.parametrize("name", ["environ_sizes_get", "args_sizes_get"])
def test_environment_and_arguments_are_empty(started, name, monkeypatch):
    monkeypatch.setenv("SECRET", "canary")
    body = f"""(drop (call ${name} (i32.const 9000) (i32.const 9004))) (call $say (i32.const 9000) (i32.const 8))"""
    outcome = started(guests.module(body, imports=guests.wasi(name, "i32 i32"))).call(b"")
    assert outcome.output == bytes(8)


@pytest.mark.parametrize(
    "imports",
    [
        guests.wasi("sock_accept", "i32 i32 i32"),
        guests.wasi("sock_send", "i32 i32 i32 i32 i32"),
        '(import "env" "system" (func $system (param i32) (result i32)))',
        '(import "microapp_v1" "admin" (func $admin))',
        '(import "env" "memory2" (memory 1))',
        '(import "wasi_snapshot_preview1" "fd_write" (global $fd_write2 i32))',
    ],
)
def test_a_module_that_imports_what_it_may_not_is_not_started(started, imports):
    with pytest.raises(BadArtifact):
        started(guests.module("", imports=imports))


@pytest.mark.parametrize(
    "raw", [b"", b"\0asm", b"\x7fELF" + bytes(100), b"\0asm\1\0\0\0" + b"\xff" * 50, b"\0asm\x0d\0\1\0"]
)
def test_what_is_no_module_is_not_started(started, raw):
    with pytest.raises(BadArtifact):
        started(raw)


def test_a_module_that_costs_the_compiler_too_much_is_refused(monkeypatch):
    """Half a million additions in one function, and a second to compile them in."""
    heavy = guests.module("(drop (i32.const 1))" + "(drop (i32.add (i32.const 1) (memory.size)))" * 40_000)
    monkeypatch.setattr("runtime_adapters.wasm.compiling.COMPILE_S", 0.05)
    with pytest.raises(BadArtifact, match="longer than"):
        compile_apart(heavy)


def test_a_module_that_is_cut_short_is_refused():
    with pytest.raises(BadArtifact, match="does not compile"):
        compile_apart(guests.ECHO[:-5])


def test_a_changed_byte_is_not_what_was_decided(started):
    changed = guests.ECHO[:-1] + bytes([guests.ECHO[-1] ^ 1])
    with pytest.raises(NotWhatWasDecided, match="the manifest says"):
        started(changed, digest=hashlib.sha256(guests.ECHO).hexdigest())


def test_machine_code_that_was_changed_on_disk_is_compiled_again(tmp_path, started):
    path = tmp_path / "m.wasm"
    path.write_bytes(guests.ECHO)
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ())
    artifact = Artifact(str(path), hashlib.sha256(guests.ECHO).hexdigest())
    WasmAdapter(tmp_path / "code").prepare(plan, artifact)
    (kept,) = [file for file in (tmp_path / "code").iterdir() if len(file.name) == 64]
    whole = kept.read_bytes()
    kept.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    adapter = WasmAdapter(tmp_path / "code")
    assert adapter.prepare(plan, artifact).start(lambda *_: b"").call(b"hi").output == b"hi"
    assert kept.read_bytes() == whole


def test_code_that_is_loaded_is_the_code_of_its_digest_alone(tmp_path, adapter):
    """Nine modules by turns, more than stay loaded; a byte that changes meanwhile is still seen."""
    plan, artifacts = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ()), []
    for number in range(9):
        raw = guests.module("(call $say (i32.const 0) (i32.const 1))", data=str(number))
        (tmp_path / str(number)).write_bytes(raw)
        artifacts.append(Artifact(str(tmp_path / str(number)), hashlib.sha256(raw).hexdigest()))
    for _ in range(2):
        said = [adapter.prepare(plan, artifact).start(lambda *_: b"").call(b"").output for artifact in artifacts]
        assert said == [str(number).encode() for number in range(9)]
    (tmp_path / "8").write_bytes((tmp_path / "7").read_bytes())
    with pytest.raises(NotWhatWasDecided):
        adapter.prepare(plan, artifacts[8])


def test_a_folder_that_others_can_write_to_is_not_used(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code").chmod(0o777)
    with pytest.raises(RuntimeRefusal, match="machine code"):
        WasmAdapter(tmp_path / "code")


def test_a_call_out_reaches_the_broker_with_the_time_that_is_left(started):
    heard = []

    def broker(raw, left):
        heard.append((json.loads(raw), left))
        return b'{"ok":"from outside"}'

    instance = started(guests.asking(KV_GET), broker)
    assert instance.call(b"").output == b'{"ok":"from outside"}'
    assert heard[0][0] == {"op": "kv.get", "key": "a"}
    assert 0 < heard[0][1] <= 2
    used = instance.observe()
    assert (used.egress_calls, used.egress_bytes) == (1, len(KV_GET))


def test_memory_is_metered_by_how_long_it_was_held(started):
    """The broker takes its time meanwhile: what waits holds its memory all the same."""
    instance = started(guests.asking(KV_GET), lambda _raw, _left: time.sleep(0.05) or b'{"ok":1}')
    instance.call(b"")
    used = instance.observe()
    assert used.memory_mib_s >= used.memory_peak_mib * 0.05


@pytest.mark.parametrize("request_", ["[]", "not json", '{"op":"system"}', '{"op":["kv.get"]}', "{}", '"' + "[" * 3000])
def test_what_is_no_request_does_not_reach_the_broker(started, request_):
    heard = []
    outcome = started(guests.asking(request_), lambda raw, _left: heard.append(raw) or b"{}").call(b"")
    assert heard == []
    assert json.loads(outcome.output)["error"]["code"] == "bad_request"


def test_a_broker_that_fails_is_a_no_without_its_words(started):
    def broker(_raw, _left):
        raise ValueError("secret-of-the-host")

    outcome = started(guests.asking(KV_GET), broker).call(b"")
    assert json.loads(outcome.output)["error"]["code"] == "broker_failed"
    assert b"secret" not in outcome.output


@pytest.mark.parametrize(
    "place", [(-1, 25, 0, 0), (0, -1, 0, 0), (131000, 100, 0, 0), (0, 25, 131071, 2), (0, 25, 0, -1)]
)
def test_a_call_out_cannot_point_outside_the_guest_s_memory(started, place):
    outcome = started(guests.module(f"(drop (call $call {words(*place)}))", data=KV_GET)).call(b"")
    assert outcome.status == "trap"


def test_an_answer_that_does_not_fit_is_not_put_there(started):
    outcome = started(guests.asking(KV_GET, capacity=3)).call(b"")
    assert outcome.output == bytes(len(b'{"ok":1}'))


def test_the_log_is_kept_and_cut(started):
    body = """(i32.store (i32.const 4096) (i32.const 0)) (i32.store (i32.const 4100) (i32.const 4000))
      (drop (call $fd_write (i32.const 2) (i32.const 4096) (i32.const 1) (i32.const 4104)))"""
    outcome = started(guests.module(body * 6, data="hello")).call(b"")
    assert outcome.log.startswith("hello")
    assert len(outcome.log) == LONGEST_LOG


def test_a_plan_for_another_boundary_is_refused(adapter, tmp_path):
    plan = RuntimePlan("lunch", "marketing", "id-1", "microvm", CAPS, ())
    with pytest.raises(RuntimeRefusal, match="microvm"):
        adapter.prepare(plan, Artifact(str(tmp_path / "m"), "0" * 64))


@pytest.mark.parametrize(
    "caps", [CAPS._replace(memory_mib=0), CAPS._replace(memory_mib=4096), CAPS._replace(timeout_ms=0)]
)
def test_caps_that_cannot_be_kept_are_refused(started, caps):
    with pytest.raises(RuntimeRefusal):
        started(guests.ECHO, caps=caps)


def test_a_stopped_instance_takes_no_call(started):
    instance = started(guests.ECHO)
    instance.stop()
    instance.stop()
    assert instance.call(b"x").status == "exit"


def test_the_attestation_says_what_was_started(adapter, tmp_path):
    path = tmp_path / "m.wasm"
    path.write_bytes(guests.ECHO)
    digest = hashlib.sha256(guests.ECHO).hexdigest()
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", CAPS, ("api.example",))
    attested = adapter.prepare(plan, Artifact(str(path), digest)).attest()
    assert attested.digests == {"module": f"sha256:{digest}"}
    assert attested.decision_id == "id-1"
    assert attested.caps["memory_mib"] == 16
    assert attested.engine.startswith("wasmtime ")


def test_the_probe_boots():
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        probe = WasmAdapter(Path(folder) / "code").probe()
    assert probe.is_available
    assert probe.boundary == "wasm"
