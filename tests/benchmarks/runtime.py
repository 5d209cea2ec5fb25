"""What the WASM adapter costs: CPU of a governed cold call against plain wasmtime-py, calls per core-second, memory.

    python tests/benchmarks/runtime.py [--calls 2000] [--rounds 7]

Plain is what one writes with wasmtime-py and no limits: a store, WASI with the request in a file and the answer caught,
instantiate, call. Governed is `WasmInstance.call`: the same with fuel, epochs, caps and memory given back. Both sides run the
same module on the same request by turns; a row is the median of the rounds' ratios, with the smallest and the largest. The
decision is in none of these rows, since it is made once a start. "With the audit" each call has a durable record of its own,
and as many wait for one at a time as do in a busy service.

The last row is a tenant that calls once at a time while another keeps every place of its queue full, against the same without
the other, by turns: the wait from asking to the answer.

`--machines N` measures virtual machines instead, N rounds by turns: a boot and a return from a snapshot up to the first
answer, against `qemu` started by hand on the same kernel and the same files (`microvm`, the app in the initial RAM file
system, no monitor, no sandbox, no account of its own, nothing compared or attested). CPU is that of QEMU and of the adapter.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import json
import os
import statistics
import subprocess
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
from runtime_adapters.microvm import QEMU, MicrovmAdapter  # noqa: E402
from runtime_adapters.microvm_image import archive_of, build  # noqa: E402
from runtime_adapters.plan import Caps, RuntimePlan  # noqa: E402
from runtime_adapters.pool import Pool  # noqa: E402
from runtime_adapters.port import Artifact  # noqa: E402
from runtime_adapters.wasm.adapter import WasmAdapter  # noqa: E402
from runtime_adapters.wasm.engine import host  # noqa: E402
from tests.benchmarks.audit_cost import entry  # noqa: E402
from tests.contract import component_guests, guests  # noqa: E402
from tests.contract.roots import ECHO, archive  # noqa: E402

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
    parser.add_argument("--machines", type=int, default=0, metavar="N")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.machines:
            measure_machines(Path(folder), options.machines)
            return
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


def measure_machines(folder: Path, rounds: int) -> None:
    build(folder / "image")
    raw = archive(ECHO)
    (folder / "app.tar").write_bytes(raw)
    artifact = Artifact(str(folder / "app.tar"), hashlib.sha256(raw).hexdigest())
    plan = RuntimePlan("bench", "bench", "id-1", "microvm", Caps(1.0, 64, 60_000, 8), ())
    ways: dict[str, Callable[[], None]] = {}
    for name, uses_snapshots in (("boot", False), ("return from a snapshot", True)):
        adapter = MicrovmAdapter(folder / "image", uses_snapshots=uses_snapshots)
        print(f"{name}: {adapter.probe().reason}")
        ways[name] = answered(adapter, plan, artifact)
    ways["qemu by hand"] = by_hand(folder, raw, adapter.probe().boundary.removeprefix("vm-"))
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            took[name].append(spent(ways[name]))
    for name, found in took.items():
        wall, cpu = (sorted(one) for one in zip(*found, strict=True))
        against = sorted(ours[0] / theirs[0] for ours, theirs in zip(found, took["qemu by hand"], strict=True))
        print(f"{name}: wall {told(wall)} s, CPU {told(cpu)} s; wall against qemu by hand {told(against)}")


def spent(way: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds, those of the children that ended meanwhile among them."""
    before, begun = os.times(), time.perf_counter()
    way()
    after = os.times()
    return time.perf_counter() - begun, sum(after[:4]) - sum(before[:4])


def answered(adapter: MicrovmAdapter, plan: RuntimePlan, artifact: Artifact) -> Callable[[], None]:
    """From the artifact to the first answer, and the end of the machine."""

    def run() -> None:
        instance = adapter.prepare(plan, artifact).start(lambda _raw, _left: b"{}")
        try:
            if instance.call(BODY).output != BODY:
                raise SystemExit("a machine did not answer")
        finally:
            instance.stop()

    adapter.prepare(plan, artifact)  # a snapshot is made once, and not what is measured
    return run


def by_hand(folder: Path, raw: bytes, accelerator: str) -> Callable[[], None]:
    """The same guest as one boots it at a terminal."""
    initrd = folder / "initrd"
    initrd.write_bytes((folder / "image" / "base.cpio.gz").read_bytes() + gzip.compress(archive_of(io.BytesIO(raw)), 1))
    command = [
        QEMU, "-M", "microvm,isa-serial=on,pit=on,pic=on,rtc=off,acpi=off,x-option-roms=off", "-accel", accelerator,
        "-cpu", "host" if accelerator == "kvm" else "max", "-m", "176", "-smp", "1", "-nodefaults", "-no-user-config",
        "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(folder / "image" / "vmlinux"),
        "-initrd", str(initrd), "-append", "quiet loglevel=0 no_timer_check tsc=reliable reboot=t panic=-1",
    ]  # fmt: skip

    def run() -> None:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
            to_guest, from_guest = machine.stdin, machine.stdout
            if to_guest is None or from_guest is None or from_guest.readline() != b"READY\n":
                raise SystemExit("qemu by hand did not get ready")
            to_guest.write(json.dumps({"request": base64.b64encode(BODY).decode()}).encode() + b"\n")
            to_guest.flush()
            if base64.b64decode(json.loads(from_guest.readline())["answer"]) != BODY:
                raise SystemExit("qemu by hand did not answer")
            machine.kill()

    return run


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
