"""Evidence of a large log: appends, one proof, an export, its verification. Every step in a process of its own.

    python tests/benchmarks/evidence.py [--records 1000000] [FORMAT…]        # make bench takes 50,000

The log is written through the real writer; its records have the size of real decisions (a deploy of 2 KB with its facts).
One app has 98 % of the records, so that its year is nearly the whole log. What a machine takes for it says little, so beside
each figure stands what a peer takes for the same bytes on the same machine right after: `openssl` to hash them once (the least
that anybody could do), a plain copy with hashing and fsync, and the disk's own fsyncs for appends.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ORIGIN = "bench.example/audit"
_CALLERS, _APPEND_S, _FSYNCS = 100, 5.0, 200
# What was asked for, at 1,000,000 records.
_PROOF_MS, _EXPORT_S, _EXPORT_MIB, _VERIFY_S = 10, 20, 64, 30


class Step(NamedTuple):
    """One process: what it printed, and what it took."""

    said: str
    wall: float
    cpu: float
    mib: float


def entry(number: int):
    """A decision's record as the line writes it."""
    from audit.record import Canonical, Entry

    resource, facts = _texts()
    is_denied = number % 20 == 0
    public = {
        "decision_id": f"01a20fe3-f16b-74e1-800a-{number:012x}", "app": "lunch" if number % 50 else f"other{number % 7}",
        "tenant": "marketing", "actor": f"key:{number % 40}", "entry_point": "http.decisions", "action": "create",
        "effect": "deny" if is_denied else "allow", "error": None, "rules": ["CONN-001"] if is_denied else [],
        "waivers": [], "revision": "sha256:" + "ab" * 32, "executor": "rvm", "input_digest": "sha256:" + "cd" * 32,
        "facts_digest": "sha256:" + "ef" * 32, "dry_run": False, "masked": 0, "trace_id": f"{number:032x}",
    }  # fmt: skip
    answer = {"reason": "no rule objects", "violations": [], "obligations": [], "waivers": []}
    sealed = {"input": Canonical(f'{{"n":{number},"resource":{resource}}}'), "facts": facts, "answer": answer}
    at = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number * 30)).isoformat().replace("+00:00", "Z")
    return Entry("deploy", at, public, sealed, f"person{number % 200}")


def _texts():
    from audit.canonical import canonical_text
    from audit.record import Canonical

    if not hasattr(_texts, "made"):
        resource = canonical_text({"spec": {"n": ["x" * 40] * 30}, "kind": "MicroApp"})
        _texts.made = (
            resource,
            Canonical(canonical_text({"connectors": [{"name": "hris", "hosts": ["h" * 20] * 10}] * 3})),
        )
    return _texts.made


def write_log(home: Path, count: int) -> None:
    from audit.log import AuditLog

    with AuditLog(home, origin=ORIGIN) as log:
        for start in range(0, count, 4000):
            for future in [log.submit(entry(n)) for n in range(start, min(start + 4000, count))]:
                future.result()


def do_append(home: Path) -> None:
    """Acknowledged records a second of callers who each wait for theirs, and fsyncs a second of the same disk."""
    import asyncio

    from audit.log import AuditLog

    async def call(log: AuditLog, caller: int, until: float) -> int:
        made = 0
        while time.monotonic() < until:
            await asyncio.wrap_future(log.submit(entry(caller * 1_000_000 + made)))
            made += 1
        return made

    async def all_of_them(log: AuditLog) -> float:
        began = time.monotonic()
        made = await asyncio.gather(*(call(log, n, began + _APPEND_S) for n in range(_CALLERS)))
        return sum(made) / (time.monotonic() - began)

    rates = []
    with AuditLog(home / "appends", origin=ORIGIN) as log:
        for _ in range(3):  # paired: what else the disk does changes by the second
            disk = fsyncs(home)
            rates.append((asyncio.run(all_of_them(log)), disk))
    rate, disk = (statistics.median(column) for column in zip(*rates, strict=True))
    print(f"{rate:.0f} {disk:.0f}")


def fsyncs(folder: Path) -> float:
    with (folder / "fsyncs").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(_FSYNCS):
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
        return _FSYNCS / (time.perf_counter() - began)


def do_export(home: Path, out: Path, formats: list[str]) -> None:
    from audit.exports.package import Wanted, export
    from audit.reader import LogReader
    from audit.store import Filter

    log = LogReader(home, origin=ORIGIN)
    done = export(log, Wanted(Filter(app="lunch"), formats), out, created="2027-01-01T00:00:00Z")
    print(done.records)


def do_proof(home: Path) -> None:
    from audit.reader import LogReader

    log = LogReader(home, origin=ORIGIN)
    size = log.size()
    walls, cpus = [], []
    for n in range(200):
        wall, cpu = time.perf_counter(), time.process_time()
        log.proof(size * n // 200, size)
        walls.append(1000 * (time.perf_counter() - wall))
        cpus.append(1000 * (time.process_time() - cpu))
    print(f"p50 {sorted(walls)[100]:.2f} ms, p99 {sorted(walls)[197]:.2f} ms wall; p99 {sorted(cpus)[197]:.2f} ms CPU")


def do_copy(package: Path, place: Path) -> None:
    """What writing and hashing the same bytes takes, and nothing else."""
    place.mkdir()
    for path in package.iterdir():
        digest = hashlib.sha256()
        with path.open("rb") as source, (place / path.name).open("wb") as target:
            while piece := source.read(1 << 20):
                target.write(piece)
                digest.update(piece)
            target.flush()
            os.fsync(target.fileno())


def step(*argv: str) -> Step:
    # Not `ru_maxrss`: it begins with the memory of the process that this one was forked from.
    started = time.perf_counter()
    code = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n"
        "  u = resource.getrusage(resource.RUSAGE_SELF)\n"
        "  kib = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "  sys.stderr.write(f'\\n{u.ru_utime + u.ru_stime} {int(kib) / 1024}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    cpu, memory = done.stderr.rsplit("\n", 1)[1].split()
    return Step(done.stdout.strip(), time.perf_counter() - started, float(cpu), float(memory))


def openssl(package: Path) -> float | None:
    """CPU seconds that `openssl` takes to hash a package once; None where there is none."""
    if shutil.which("openssl") is None:
        return None
    before = os.times()
    subprocess.run(["openssl", "dgst", "-sha256", *map(str, package.iterdir())], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def tell(what: str, told: Step, more: str = "") -> None:
    print(f"{what:<32} {told.wall:7.1f} s wall {told.cpu:7.1f} s CPU {told.mib:5.0f} MiB   {more}", flush=True)


def beside(told: Step, hashing: float | None, copying: Step) -> str:
    by_hash = f"{told.cpu / hashing:.1f} x openssl's CPU to hash it, " if hashing else ""
    return f"{by_hash}{told.cpu / copying.cpu:.1f} x the CPU and {told.wall / copying.wall:.1f} x the wall of a hashed copy"


def main(options: argparse.Namespace) -> None:
    me, count = str(Path(__file__).resolve()), options.records
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        home, out = Path(folder) / "home", Path(folder) / "export"
        home.mkdir()
        load = os.getloadavg()[0]
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
        rate, disk = map(float, step(me, "--step", "append", str(home)).said.split())
        print(f"append, {_CALLERS} callers who wait: {rate:.0f}/s, {rate / disk:.1f} x the disk's {disk:.0f} fsyncs/s")
        tell(f"write {count} records", step(me, "--step", "write", str(home), str(count)))
        exported = step(me, "--step", "export", str(home), str(out))
        size = sum(path.stat().st_size for path in out.iterdir())
        verified = step(str(out / "verify.py"), str(out))
        hashing, copying = openssl(out), step(me, "--step", "copy", str(out), f"{out}.copy")
        tell(f"export {exported.said} of them", exported, f"{size >> 20} MiB: {beside(exported, hashing, copying)}")
        tell("verify.py", verified, beside(verified, hashing, copying))
        shutil.rmtree(f"{out}.copy")
        print(f"one inclusion proof: {step(me, '--step', 'proof', str(home)).said}")
        if count == 1_000_000:
            print(
                f"asked for: proof <= {_PROOF_MS} ms, export <= {_EXPORT_S} s and {_EXPORT_MIB} MiB, verified <= {_VERIFY_S} s"
            )
        for view in options.formats:
            other = Path(f"{out}{view}")
            told = step(me, "--step", "export", str(home), str(other), view)
            made = [path for path in other.iterdir() if not (out / path.name).exists()]
            tell(f"export with {view}", told, ", ".join(f"{p.name} {p.stat().st_size >> 20} MiB" for p in made))


STEPS = {
    "append": lambda home: do_append(Path(home)),
    "write": lambda home, count: write_log(Path(home), int(count)),
    "export": lambda home, out, *formats: do_export(Path(home), Path(out), list(formats)),
    "proof": lambda home: do_proof(Path(home)),
    "copy": lambda package, place: do_copy(Path(package), Path(place)),
}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        STEPS[sys.argv[2]](*sys.argv[3:])
    else:
        parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
        parser.add_argument("--records", type=int, default=1_000_000)
        parser.add_argument("formats", nargs="*", metavar="FORMAT", help="views to measure as well: csv, parquet, …")
        main(parser.parse_args())
