"""What the WASM adapter costs: CPU of a governed cold call against plain wasmtime-py, calls per core-second, memory.

    python tests/benchmarks/runtime.py [--calls 2000] [--rounds 7]

Plain is what one writes with wasmtime-py and no limits: a store, WASI with the request in a file and the answer caught,
instantiate, call. Governed is `WasmInstance.call`: the same with fuel, epochs, caps and memory given back. Both sides run the
same module on the same request by turns; a row is the median of the rounds' ratios, with the smallest and the largest. The
decision is in none of these rows, since it is made once a start. "With the audit" each call has a durable record of its own,
and as many wait for one at a time as do in a busy service.

The last row is a tenant that calls once at a time while another keeps every place of its queue full, against the same without
the other, by turns: the wait from asking to the answer.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import wasmtime  # noqa: E402

from audit.log import AuditLog  # noqa: E402
from runtime_adapters.fair_share import Busy, Share  # noqa: E402
from runtime_adapters.plan import Caps, RuntimePlan  # noqa: E402
from runtime_adapters.pool import Pool  # noqa: E402
from runtime_adapters.port import Artifact  # noqa: E402
from runtime_adapters.wasm.adapter import WasmAdapter  # noqa: E402
from runtime_adapters.wasm.engine import host  # noqa: E402
from tests.benchmarks.audit_cost import entry  # noqa: E402
from tests.contract import component_guests, guests  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime_adapters.port import Instance
    from runtime_adapters.wasm.adapter import PreparedModule

CAPS = Caps(cpu=0.5, memory_mib=16, timeout_ms=2000, storage_mib=8)
BODY = b'{"team": "campaigns"}'
LIVE = 1000
RECORDS_AT_ONCE = 100
QUIET_CALLS = 300
# About ten milliseconds of a core: long beside a switch between threads, and less than a deadline.
SPIN = """(loop $on (local.set $n (i32.add (local.get $n) (i32.const 1)))
  (br_if $on (i32.lt_u (local.get $n) (i32.const 6000000))))"""
ANSWER = "(call $say (i32.const 0) (i32.const 1))"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.calls, options.rounds)


def measure(folder: Path, calls: int, rounds: int) -> None:
    module = prepared(folder, guests.ECHO)
    instance = module.start(lambda _raw, _left: b"")
    governed = timed(lambda: instance.call(BODY).output, calls)
    plain = timed(plainly(folder), calls)
    governed(), plain()
    pairs = [(governed(), plain()) if number % 2 else (plain(), governed())[::-1] for number in range(rounds)]
    ratios = sorted(ours / theirs for (ours, _), (theirs, _) in pairs)
    waits = sorted(ours / theirs for (_, ours), (_, theirs) in pairs)
    print(f"cold call, governed / plain wasmtime-py: CPU {told(ratios)}; p50 of the wall {told(waits)}")
    bare = cpu = statistics.median(ours for (ours, _), _ in pairs)
    print(f"governed cold calls per core-second: {calls / cpu:.0f} ({1e6 * cpu / calls:.0f} us of CPU each)")
    component = prepared(folder, component_guests.ECHO).start(lambda _raw, _left: b"")
    run = timed(lambda: component.call(BODY).output, calls)
    run()
    cpu = statistics.median(run()[0] for _ in range(3))
    print(f"the same for a component: {calls / cpu:.0f}")
    audited = statistics.median(with_audit(folder / f"log{number}", instance, calls) for number in range(3))
    print(
        f"governed cold calls with a durable record each: {calls / audited:.0f}, {audited / bare:.2f} of the CPU without"
    )
    print(f"memory of {LIVE} started apps: {growth_mib(lambda: module.start(lambda *_: b'')):.1f} MiB")
    print(f"memory of {LIVE} live guests, each within a call: {growth_mib(within(guests.ECHO)):.1f} MiB")
    print(f"p99 of a quiet tenant, beside a flood / without: {told(flooded(folder, rounds))}")


def told(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def prepared(folder: Path, raw: bytes) -> PreparedModule:
    digest = hashlib.sha256(raw).hexdigest()
    path = folder / digest
    path.write_bytes(raw)
    plan = RuntimePlan("bench", "bench", "id-1", "wasm", CAPS, ())
    return WasmAdapter(folder / "code").prepare(plan, Artifact(str(path), digest))


def timed(call: Callable[[], bytes], calls: int) -> Callable[[], tuple[float, float]]:
    """CPU seconds of all the calls, the ticker's thread among them, and the median wall of one."""

    def run() -> tuple[float, float]:
        walls, begun = [], time.process_time()
        for _ in range(calls):
            before = time.perf_counter()
            if call() != BODY:
                raise SystemExit("a call did not answer")
            walls.append(time.perf_counter() - before)
        return time.process_time() - begun, statistics.median(walls)

    return run


def plainly(folder: Path) -> Callable[[], bytes]:
    """The shortest way to the same answer."""
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    i32 = wasmtime.ValType.i32()
    linker.define_func("microapp_v1", "call", wasmtime.FuncType([i32] * 4, [i32]), lambda *_: 0)
    module = wasmtime.Module(engine, guests.ECHO)
    (folder / "in").write_bytes(BODY)

    def call() -> bytes:
        out = bytearray()
        store, config = wasmtime.Store(engine), wasmtime.WasiConfig()
        config.stdin_file = str(folder / "in")
        config.stdout_custom = out.extend
        store.set_wasi(config)
        linker.instantiate(store, module).exports(store)["_start"](store)
        return bytes(out)

    return call


def with_audit(folder: Path, instance: Instance, calls: int) -> float:
    """CPU seconds of calls that each leave a record, all threads."""
    with AuditLog(folder, origin="bench/runtime") as log:
        begun, waiting = time.process_time(), []
        for number in range(calls):
            if instance.call(BODY).output != BODY:
                raise SystemExit("a call did not answer")
            waiting.append(log.submit(entry(number)))
            if len(waiting) == RECORDS_AT_ONCE:
                for future in waiting:
                    future.result(60)
                waiting.clear()
        for future in waiting:
            future.result(60)
        return time.process_time() - begun


def flooded(folder: Path, rounds: int) -> list[float]:
    """p99 of a quiet tenant beside a flood, over the same without, one ratio a round."""
    ready = prepared(folder, guests.module(f"(local $n i32) {SPIN}" + ANSWER))

    def p99(*, is_flooded: bool) -> float:
        pool = Pool(2, Share(most_running=2, most_waiting=64))
        over = threading.Event()

        def start() -> Instance:
            return ready.start(lambda *_: b"")

        def flood() -> None:
            while not over.is_set():
                try:
                    pool.call("loud", "app", "d1", start, b"")
                except Busy:
                    over.wait(0.001)

        thread = threading.Thread(target=flood)
        if is_flooded:
            thread.start()
            time.sleep(0.1)
        waits = []
        for _ in range(QUIET_CALLS):
            before = time.perf_counter()
            if pool.call("quiet", "app", "d1", start, b"").result(60).status != "done":
                raise SystemExit("a call did not answer")
            waits.append(time.perf_counter() - before)
            time.sleep(0.002)
        over.set()
        if is_flooded:
            thread.join()
        pool.close()
        return statistics.quantiles(waits, n=100)[98]

    return sorted(p99(is_flooded=True) / p99(is_flooded=False) for _ in range(rounds))


def within(raw: bytes) -> Callable[[], object]:
    """Makes guests with memory of their own, as they are while a call runs."""
    engine = host().engine
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    i32 = wasmtime.ValType.i32()
    linker.define_func("microapp_v1", "call", wasmtime.FuncType([i32] * 4, [i32]), lambda *_: 0)
    ready = linker.instantiate_pre(wasmtime.Module(engine, raw))

    def make() -> object:
        store = wasmtime.Store(engine)
        store.set_wasi(wasmtime.WasiConfig())
        return store, ready.instantiate(store)

    return make


def growth_mib(make: Callable[[], object]) -> float:
    """How much the process grows by `LIVE` of what `make` makes, all held at once. They use 900 places of the pool's 1,000."""
    kept = [make()]
    before = resident_mib()
    kept += [make() for _ in range(900)]
    grown = resident_mib() - before
    return grown * LIVE / 900


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)


if __name__ == "__main__":
    main()
