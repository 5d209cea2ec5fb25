"""Exports of a large log: how long, how much memory, and how long the verifier takes. Every step in a process of its own.

    python tests/benchmarks/exports.py [RECORDS] [FORMAT…]

The log is written through the real writer; its records have the size of real decisions (a deploy of 2 KB with its facts).
One app has 98 % of the records, so that its year is nearly the whole log. Beside the absolute figures stand ratios to what
the same machine needs to hash the same bytes once: that is the least that anybody could do.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[2]
ORIGIN = "bench.example/audit"


def write_log(home: Path, count: int) -> None:
    from audit.canonical import canonical_text
    from audit.log import AuditLog
    from audit.record import Canonical, Entry

    resource_text = canonical_text({"spec": {"n": ["x" * 40] * 30}, "kind": "MicroApp"})
    facts = Canonical(canonical_text({"connectors": [{"name": "hris", "hosts": ["h" * 20] * 10}] * 3}))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with AuditLog(home, origin=ORIGIN) as log:
        waiting = []
        for n in range(count):
            is_denied = n % 20 == 0
            public = {
                "decision_id": f"01a20fe3-f16b-74e1-800a-{n:012x}", "app": "lunch" if n % 50 else f"other{n % 7}",
                "tenant": "marketing", "actor": f"key:{n % 40}", "entry_point": "http.decisions", "action": "create",
                "effect": "deny" if is_denied else "allow", "error": None, "rules": ["CONN-001"] if is_denied else [],
                "waivers": [], "revision": "sha256:" + "ab" * 32, "executor": "rvm", "input_digest": "sha256:" + "cd" * 32,
                "facts_digest": "sha256:" + "ef" * 32, "dry_run": False, "masked": 0, "trace_id": f"{n:032x}",
            }  # fmt: skip
            answer = {"reason": "no rule objects", "violations": [], "obligations": [], "waivers": []}
            sealed = {"input": Canonical(f'{{"n":{n},"resource":{resource_text}}}'), "facts": facts, "answer": answer}
            at = (start + timedelta(seconds=n * 30)).isoformat().replace("+00:00", "Z")
            waiting.append(log.submit(Entry("deploy", at, public, sealed, f"person{n % 200}")))
            if len(waiting) == 4000:
                for future in waiting:
                    future.result()
                waiting.clear()
        for future in waiting:
            future.result()


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
    times = []
    for n in range(200):
        started = time.perf_counter()
        log.proof(size * n // 200, size)
        times.append(time.perf_counter() - started)
    times.sort()
    print(f"{1000 * times[100]:.2f} {1000 * times[197]:.2f}")


def step(*argv: str) -> tuple[str, float, float, float]:
    """(what it printed, wall seconds, CPU seconds, peak MiB)."""
    started = time.perf_counter()
    code = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n"
        "  u = resource.getrusage(resource.RUSAGE_SELF)\n"
        "  sys.stderr.write(f'\\n{u.ru_utime + u.ru_stime} {u.ru_maxrss / 1024}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    cpu, memory = done.stderr.rsplit("\n", 1)[1].split()
    return done.stdout.strip(), time.perf_counter() - started, float(cpu), float(memory)


def hashed(package: Path) -> tuple[float, int]:
    import hashlib

    started, size = time.process_time(), 0
    for path in package.iterdir():
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256")
        size += path.stat().st_size
    return time.process_time() - started, size


def tell(what: str, told: tuple[str, float, float, float], more: str = "") -> None:
    _, wall, cpu, memory = told
    print(f"{what:<32} {wall:8.1f} s wall {cpu:8.1f} s CPU {memory:6.0f} MiB   {more}", flush=True)


def main(argv: list[str]) -> None:
    count, formats = int(argv[0]) if argv else 1_000_000, argv[1:]
    me = str(Path(__file__).resolve())
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        home, out = Path(folder) / "home", Path(folder) / "export"
        load = os.getloadavg()[0]
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}")
        tell(f"write {count} records", step(me, "--write", str(home), str(count)))
        told = step(me, "--export", str(home), str(out))
        base, size = hashed(out)
        tell(f"export {told[0]} of them", told, f"{told[2] / base:.1f} x hashing its {size >> 20} MiB")
        told = step(str(out / "verify.py"), str(out))
        tell("verify.py", told, f"{told[2] / base:.1f} x")
        found, *_ = step(me, "--proof", str(home))
        print(f"one inclusion proof: p50 {found.split()[0]} ms, p99 {found.split()[1]} ms")
        for view in formats:
            other = Path(str(out) + view)
            told = step(me, "--export", str(home), str(other), view)
            made = [path for path in other.iterdir() if not (out / path.name).exists()]
            tell(f"export with {view}", told, ", ".join(f"{p.name} {p.stat().st_size >> 20} MiB" for p in made))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write_log(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["--export"]:
        do_export(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
    elif sys.argv[1:2] == ["--proof"]:
        do_proof(Path(sys.argv[2]))
    else:
        main(sys.argv[1:])
