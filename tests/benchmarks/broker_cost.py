"""What the broker costs a call: against a direct httpx call, and one through a plain Envoy, to the same TLS double.

    python tests/benchmarks/broker_cost.py [--rounds 200]

The three are asked one after the other in every round, on the workers' event loop; medians, and the median of the ratios
within the rounds. The double is a process of its own, whose CPU counts for nobody, and answers at once: the ratios are the
worst there are, and the difference is what a real vendor's answer time is to be compared with. Envoy only passes on: no key,
no rule, no record. CPU is that of the process that asks, all its threads, and for the way through Envoy of both. At the end
the fsyncs of a call are counted (with strace, where it is and may attach) and timed on the disk that the log stands on: that
much of the wall is the disk's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import uvloop  # noqa: E402

from tests.benchmarks.gateway import start  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.unit.broker.conftest import CALL, CANARY, HOST, LUNCH, World  # noqa: E402

NAMES = ("broker", "direct", "through Envoy")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
TRACED = 20


class Bench:
    """Calls on three ways to one double, each two seconds of the broker's clock after the other."""

    def __init__(self, world: World, pin: dict, envoy: subprocess.Popen[bytes], port: int) -> None:
        self.world, self.envoy = world, envoy
        self.context = ssl.create_default_context(cafile=pin["ca_file"])
        self.asked = {**CALL, "url": f"https://{HOST}/scim/v2/Users"}
        self.urls = (f"https://127.0.0.1:{pin['port']}/scim/v2/Users", f"http://127.0.0.1:{port}/scim/v2/Users")
        self.calls = 0

    async def call(self) -> None:
        """One call through the broker."""
        self.calls += 1
        now = 1_800_000_000.0 + 2 * self.calls
        self.world.broker._parts = self.world.broker._parts._replace(clock=lambda: now)
        called = await self.world.broker.call(LUNCH, "hris", self.asked, entry_point="bench", trace_id="ab" * 16)
        assert called.refusal is None, called.refusal
        assert (called.call.executor, called.answer_decision.executor) == ("rvm", "rvm")

    async def rounds(self, count: int) -> tuple[list[list[tuple[float, float]]], float]:
        """(wall, CPU of this process) in seconds of each way, round by round; and Envoy's CPU a round."""
        headers = {"host": HOST, "authorization": f"Bearer {CANARY}"}
        found = []
        async with httpx.AsyncClient(verify=self.context) as client:

            async def get(url: str) -> None:
                answer = await client.get(url, headers=headers, extensions={"sni_hostname": HOST})
                assert answer.json()["totalResults"] == 2

            for number in range(count + 5):
                if number == 5:
                    before, found = cpu_of(self.envoy.pid), []
                found.append([await timed(self.call()), *[await timed(get(url)) for url in self.urls]])
        return found, (cpu_of(self.envoy.pid) - before) / count

    async def syncs(self, folder: Path) -> float | None:
        """How many fsyncs a call waits for; None where they cannot be counted."""
        with traced(folder / "trace") as trace:
            for _ in range(TRACED):
                await self.call()
        return None if trace is None else sum("sync(" in row for row in trace.read_text().splitlines()) / TRACED


async def timed(asking) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    await asking
    return time.perf_counter() - wall, time.process_time() - cpu


def cpu_of(pid: int) -> float:
    """Seconds of CPU of a process (proc(5), stat: utime and stime); counted in ticks, so only a sum of many says much."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


@contextmanager
def traced(file: Path):
    """strace on this process; gives its file, or None."""
    program = shutil.which("strace")
    if program is None:
        yield None
        return
    command = [program, "-f", "-p", str(os.getpid()), "-e", "trace=fsync,fdatasync", "-o", str(file)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        said = tracer.stderr.readline()
        yield file if b"attached" in said else None
    finally:
        tracer.terminate()
        tracer.wait()
        tracer.stderr.close()


def sync_ms(folder: Path) -> float:
    """What one fdatasync of a small write costs on this disk."""
    found = []
    with open(folder / "probe", "wb", buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            found.append(time.perf_counter() - begun)
    return statistics.median(found) * 1000


@contextmanager
def double(folder: Path):
    """The vendor in a process of its own; gives the operator's pin for it."""
    code = (
        "import json, sys, pathlib; from governance.platform.broker.doubles import Double, hris; "
        "made = Double(sys.argv[1], pathlib.Path(sys.argv[2]), hris(sys.argv[3])).start(); "
        "print(json.dumps(made.pin), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, HOST, str(folder), CANARY]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


def transport(ca_file: str) -> dict:
    """TLS towards the double, its certificate checked for the vendor's name, as the broker does."""
    validation = {"trusted_ca": {"filename": ca_file}, "match_typed_subject_alt_names": [
        {"san_type": "DNS", "matcher": {"exact": HOST}}]}  # fmt: skip
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    config = {"@type": tls, "sni": HOST, "common_tls_context": {"validation_context": validation}}
    return {"name": "envoy.transport_sockets.tls", "typed_config": config}


def report(found: list[list[tuple[float, float]]], envoy_s: float) -> None:
    """One line a way, and what of the broker stands against it."""
    for place, name in enumerate(NAMES):
        extra = envoy_s if place == 2 else 0.0
        wall, cpu = (statistics.median(row[place][kind] for row in found) * 1000 for kind in (0, 1))
        line = f"{name:14} wall {wall:6.2f} ms   CPU {cpu + extra * 1000:5.2f} ms"
        if place:
            walls = statistics.median(row[0][0] / row[place][0] for row in found)
            cpus = statistics.median(row[0][1] / (row[place][1] + extra) for row in found)
            line += f"   broker / {name}: wall {walls:.2f}, CPU {cpus:.2f}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, double(Path(name) / "vendor") as pin:
        folder, port = Path(name), free_port()
        pins = folder / "vendor.json"
        pins.write_text(json.dumps({HOST: pin}))
        envoy = start(folder / "envoy.json", port, {"route": {"cluster": "up"}}, pin["port"], transport(pin["ca_file"]))
        world = World(folder, connector_pins=str(pins))
        world.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        try:
            bench = Bench(world, pin, envoy, port)
            found, envoy_s = world.runner.run(bench.rounds(rounds))
            syncs = world.runner.run(bench.syncs(folder))
        finally:
            envoy.terminate()
            envoy.wait()
            world.close()
        report(found, envoy_s)
        one = sync_ms(folder)
        print(
            f"{len(found)} rounds; one fdatasync here takes {one:.2f} ms; "
            + ("fsyncs were not counted: no strace" if syncs is None else f"a call waits for {syncs:.1f} of them")
        )


if __name__ == "__main__":
    main()
