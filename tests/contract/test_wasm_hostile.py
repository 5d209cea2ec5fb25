"""Modules and components that somebody wrote to harm their host: refused with a reason, or stopped with the right word.

After each the host runs an ordinary app as before; after all of them it is no larger than it was.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from pathlib import Path

import pytest

from runtime_adapters.guest_log import LONGEST_LOG
from runtime_adapters.plan import RuntimePlan
from runtime_adapters.port import Artifact, BadArtifact, RuntimeRefusal
from runtime_adapters.wasm import compiling
from runtime_adapters.wasm.adapter import WasmAdapter
from runtime_adapters.wasm.run import FUEL_PER_CORE_SECOND
from tests.contract import component_guests, guests, hostile, module_bytes
from tests.contract.hostile import CAPS

KEY = '{"op":"kv.get","key":"a"}'


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """After all that was done to it, what runs it has grown by less than the longest list that it ever took."""
    made = WasmAdapter(tmp_path_factory.mktemp("wasm") / "code", lambda _text: ())
    ordinary(made, tmp_path_factory.mktemp("first"))
    before = resident_mib()
    yield made
    grown = resident_mib() - before
    assert grown < 160


def resident_mib() -> int:
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) >> 10


def started(adapter, folder, raw: bytes, caps=CAPS, broker=lambda _raw, _left: b'{"ok":1}'):
    path = folder / "artifact"
    path.write_bytes(raw)
    plan = RuntimePlan("lunch", "marketing", "id-1", "wasm", caps, ())
    return adapter.prepare(plan, Artifact(str(path), hashlib.sha256(raw).hexdigest())).start(broker)


def ordinary(adapter, folder) -> None:
    """An app like any other still gets its answer."""
    outcome = started(adapter, folder, guests.ECHO, CAPS._replace(cpu=1, timeout_ms=20_000)).call(b"hello")
    assert (outcome.status, outcome.output) == ("done", b"hello")


@pytest.mark.parametrize("one", hostile.REFUSED, ids=lambda one: one.name)
def test_what_no_guest_is_given_is_refused_with_its_reason(adapter, tmp_path, one):
    with pytest.raises(BadArtifact, match=one.why):
        started(adapter, tmp_path, one.made())
    ordinary(adapter, tmp_path)


@pytest.mark.parametrize("one", hostile.ENDED, ids=lambda one: one.name)
def test_what_starts_is_stopped_at_its_caps(adapter, tmp_path, one):
    instance = started(adapter, tmp_path, one.made(), one.caps)
    outcome = instance.call(b"hello")
    assert outcome.status == one.status, outcome
    assert re.search(one.why, outcome.detail)
    assert outcome.output == b""
    assert len(outcome.log) <= LONGEST_LOG
    used = instance.observe()
    assert used.fuel <= one.caps.cpu * one.caps.timeout_ms / 1000 * FUEL_PER_CORE_SECOND
    assert used.memory_peak_mib <= one.caps.memory_mib
    ordinary(adapter, tmp_path)


def test_what_the_host_does_for_a_guest_is_on_the_guest_s_bill(adapter, tmp_path):
    """Ten bytes and a hundred thousand: the instructions of the guest are the same."""
    used = []
    for length in (10, 100_000):
        raw = guests.module(
            f"(drop (call $random_get (i32.const 0) (i32.const {length})))",
            imports=guests.wasi("random_get", "i32 i32"),
        )
        instance = started(adapter, tmp_path, raw)
        assert instance.call(b"").status == "done"
        used.append(instance.observe().fuel)
    assert used[1] - used[0] >= 100_000
    assert used[0] < 100_000


def test_a_guest_s_time_is_over_when_it_is_over_however_late_the_clock_thread_comes(adapter, tmp_path):
    """A thread that holds the interpreter keeps the one that moves the epoch away; steps that were missed are made up for."""
    ends = []
    raw = guests.module("(loop $on (br $on))")
    spinner = started(adapter, tmp_path, raw, CAPS._replace(cpu=1000, timeout_ms=1000))
    thread = threading.Thread(target=lambda: ends.append((spinner.call(b"").status, time.monotonic())))
    begun = time.monotonic()
    thread.start()
    ticks = 0
    while thread.is_alive():
        ticks += sum(range(1000))
    assert ends[0][0] == "timeout"
    # The interpreter is handed over every 5 ms: counted tick by tick, a second took two. A wide bound, for a busy host.
    assert ends[0][1] - begun < 1.7


def test_an_app_that_is_called_within_another_s_host_call_hears_its_own_end(adapter, tmp_path):
    """One thread, two guests inside one another: neither the words nor the fuel nor the end of one are the other's."""
    (tmp_path / "inner").mkdir()
    heard = []
    inner = started(adapter, tmp_path / "inner", guests.module("(call $say (i32.const -1) (i32.const 100))"))

    def broker(_raw, _left):
        heard.append(inner.call(b"").status)
        return b'{"ok":"outer"}'

    outer = started(adapter, tmp_path, guests.asking(KEY), CAPS._replace(cpu=1, timeout_ms=20_000), broker)
    outcome = outer.call(b"")
    assert heard == ["trap"]
    assert (outcome.status, outcome.output) == ("done", b'{"ok":"outer"}')


def test_an_instance_that_calls_itself_through_the_broker_has_a_memory_each_time(adapter, tmp_path):
    deep = []

    def broker(_raw, _left):
        deep.append(len(deep))
        return instance.call(b"").output if len(deep) < 20 else b'{"ok":"deepest"}'

    instance = started(adapter, tmp_path, guests.asking(KEY), CAPS._replace(cpu=1, timeout_ms=20_000), broker)
    assert json.loads(instance.call(b"").output) == {"ok": "deepest"}
    assert len(deep) == 20


@pytest.mark.parametrize("ending", ["unreachable", "(loop $on (br $on))"], ids=["trap", "loop"])
def test_what_a_guest_does_behind_a_slow_broker_still_ends_it(adapter, tmp_path, ending):
    """The broker keeps its time or not; once its guest's is over, the guest comes to nothing more."""
    raw = guests.module(
        f"(drop (call $call (i32.const 0) (i32.const 25) (i32.const 8192) (i32.const 99))) {ending}", data=KEY
    )
    caps = CAPS._replace(cpu=50, timeout_ms=100)
    instance = started(adapter, tmp_path, raw, caps, lambda _raw, _left: time.sleep(0.3) or b"{}")
    assert instance.call(b"").status in {"trap", "timeout"}
    ordinary(adapter, tmp_path)


def test_the_longest_list_that_a_component_makes_us_take_costs_it_and_us_no_more_than_so_much(adapter, tmp_path):
    """The engine takes a list apart before anybody is asked, up to a limit of its own; then that guest is stopped."""
    grown = "(drop (memory.grow (i32.const 60)))"
    body = f"{grown} (call $write (call $stderr) (i32.const 0) (i32.const {{}}) (i32.const 16)) (i32.const 16)"
    caps = CAPS._replace(cpu=1, timeout_ms=20_000)
    for length, words in ((1_000_000, "at most 4096"), (3_000_000, "too much data")):
        instance = started(adapter, tmp_path, component_guests.with_wasi(body.format(length)), caps)
        outcome = instance.call(b"")
        assert (outcome.status, outcome.output) == ("trap", b"")
        assert words in outcome.detail
        assert instance.observe().fuel >= (100 * length if length < 3_000_000 else 1)


def test_a_module_that_was_refused_is_not_compiled_again_with_each_call(adapter, tmp_path, monkeypatch):
    heavy = module_bytes.heavy(9, 40_000)
    monkeypatch.setattr(compiling, "COMPILE_S", 0.05)
    with pytest.raises(BadArtifact, match="longer than"):
        started(adapter, tmp_path, heavy)
    monkeypatch.setattr(compiling, "COMPILE_S", 60.0)
    with pytest.raises(BadArtifact, match="longer than"):  # a compiler that was asked again would have had the time
        started(adapter, tmp_path, heavy)
    monkeypatch.setattr(compiling, "REFUSED_S", 0.0)
    assert started(adapter, tmp_path, heavy, CAPS._replace(cpu=1, timeout_ms=20_000)).call(b"").status == "done"


def test_the_compiler_takes_nothing_from_the_folder_that_it_is_started_in(adapter, tmp_path, monkeypatch):
    """Which is an app's own where somebody runs it at a terminal: `resource` is the first module that the compiler imports."""
    harm = f"open({str(tmp_path / 'was here')!r}, 'w').close()"
    for name in ("resource.py", "subprocess.py", "wasmtime.py", "runtime_adapters.py"):
        (tmp_path / name).write_text(harm)
    monkeypatch.chdir(tmp_path)
    assert compiling.compile_apart(guests.ECHO)
    assert not (tmp_path / "was here").exists()


def test_compilers_are_few_and_who_finds_none_hears_when_to_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "COMPILE_S", 0.8)
    monkeypatch.setattr(compiling, "_WAIT_S", 0.05)
    heavy = [module_bytes.heavy(number) for number in range(3)]
    cache = compiling.CodeCache(tmp_path / "code", "engine")
    said: list[str] = []

    def compiled(raw: bytes) -> None:
        try:
            cache.compiled(raw)
        except RuntimeRefusal as refused:
            said.append(str(refused))

    threads = [threading.Thread(target=compiled, args=(raw,)) for raw in heavy]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The other two were compiled, or ran out of their time.
    assert ["try again" in words for words in said].count(True) == 1


@pytest.mark.slow
def test_a_compiler_that_runs_out_of_memory_ends_alone(adapter, tmp_path):
    """Twenty megabytes of table entries are gigabytes to a compiler."""
    entries = b"\1\0" + module_bytes.number(1_000_000) + bytes(1_000_000)
    raw = module_bytes.built(after=b"")
    at = raw.index(module_bytes.section(10, b"\1\2\0\x0b"))
    raw = raw[:at] + module_bytes.section(9, module_bytes.several([entries] * 20)) + raw[at:]
    with pytest.raises(BadArtifact, match="out of its memory or time"):
        started(adapter, tmp_path, raw)
    ordinary(adapter, tmp_path)


@pytest.mark.slow
def test_a_component_whose_code_would_be_gigabytes_is_refused(adapter, tmp_path):
    twice = "(component $c0)" + "".join(
        f"(component $c{n} (alias outer 1 $c{n - 1} (component $p)) (instance (instantiate $p)) (instance (instantiate $p)))"
        for n in range(1, 25)
    )
    raw = component_guests.component("(i32.const 16)", lowered=f"{twice} (instance (instantiate $c24))")
    with pytest.raises(BadArtifact, match=r"machine code has|out of its memory or time|instance size"):
        started(adapter, tmp_path, raw)
    ordinary(adapter, tmp_path)
