"""`make bench`: what the same rules cost here and elsewhere, as ratios of pairs that were measured side by side.

    python tests/benchmarks/bench.py [--quick] [--json FILE]

A row is the median over rounds of (ours / theirs), with the smallest and the largest; below 1 we are cheaper. Both sides of
a round run one after the other within a second or two, so that what else the machine does weighs on both. CPU is user and
system time of all processes of a side: for the service its server, workers and audit writer.

What is the same: the rules, their data, and the requests (deploys and connector calls of `deploy/examples/where2eat`, all
allowed, each a little different). What is not: OPA is handed the finished input with all facts, and only evaluates; our
service reads a native request, looks up the registry, scans for secrets and personal data, evaluates, and has its record on
disk before it answers. `conftest` gets the facts as data and decodes the file; `governance check` finds facts, validates the
schema and says line and column. The rows "same input" put OPA's own question to both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import yaml  # noqa: E402

from governance.enrich.port import enrich_all  # noqa: E402
from governance.model.request import Source  # noqa: E402
from governance.normalise.admission import request_of, review_of  # noqa: E402
from governance.normalise.requests import normalise_document  # noqa: E402
from governance.policy.active import load_active  # noqa: E402
from governance.policy.decide import policy_input  # noqa: E402
from governance.settings import Settings  # noqa: E402
from governance.wiring import directory_of, enrichers_of, for_check  # noqa: E402
from tests.benchmarks import impact, load, peers, swap  # noqa: E402
from tests.ports import free_port  # noqa: E402

EXAMPLES = ROOT / "deploy" / "examples" / "where2eat"
KUBERNETES = ROOT / "deploy" / "examples" / "kubernetes"
NOW = "2026-03-01T10:00:00Z"
CONNECTIONS = 16
API_SERVERS = 64
MAIN = "from governance.entrypoints.cli.main import main; main()"


class Row(NamedTuple):
    """One line of the table."""

    what: str
    cpu: list[float]
    wall: list[float]
    p99: list[float]
    """Empty where requests were not timed one by one."""
    note: str = ""
    """Absolute figures of our side and theirs, for orientation: they depend on the machine."""


def requests_of(kind: str, count: int) -> list[dict]:
    """`count` native requests, each with another name."""
    if kind == "deploy":
        resource_ = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
        return [
            {"kind": kind, "resource": {**resource_, "metadata": {"name": f"app-{number}"}}, "dry_run": True}
            for number in range(count)
        ]
    call = json.loads((EXAMPLES / "hr-call.json").read_text())
    return [{**call, "context": {"number": number}} for number in range(count)]


def deploy_example(home: Path) -> None:
    """The app whose calls are measured, allowed and on record."""
    env = {**os.environ, "GOVERNANCE_HOME": str(home)}
    for kind, file in (("template", "template.yaml"), ("deploy", "app-fixed.yaml")):
        argv = [sys.executable, "-c", MAIN, "decide", "--kind", kind, str(EXAMPLES / file)]
        subprocess.run(argv, env=env, cwd=ROOT, check=True, capture_output=True)


def inputs_of(requests: list[dict], home: Path) -> list[dict]:
    """The same as finished inputs, facts and all."""
    enrichers = enrichers_of(directory_of(Settings({"home": str(home)})), Settings({}))
    found = []
    for document in requests:
        request = normalise_document(document, Source("bench", "bench", ("service",)))
        found.append(json.loads(policy_input(request, enrich_all(request, enrichers), NOW)))
    return found


@contextlib.contextmanager
def server(
    argv: list[str], path: str, env: dict[str, str], log: Path, patience_s: int = 30
) -> Iterator[tuple[int, int]]:
    """A server in a process group of its own: (port, group). `{port}` in `argv` is replaced."""
    port = free_port()
    argv = [word.replace("{port}", str(port)) for word in argv]
    with log.open("wb") as out:
        process = subprocess.Popen(argv, env=env, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait(port, path, process, log, patience_s)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(port: int, path: str, process: subprocess.Popen, log: Path, patience_s: int) -> None:
    import urllib.error
    import urllib.request

    for _ in range(patience_s * 20):
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5)
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"a server did not start: {log.read_text()[-2000:]}")


def paired(what: str, ours: Callable[[], load.Spent], theirs: Callable[[], load.Spent], rounds: int) -> Row:
    """`rounds` pairs after one that does not count; who begins alternates."""
    cpu, wall, p99, pairs = [], [], [], []
    for number in range(rounds + 1):
        if number % 2:
            left, right = ours(), theirs()
        else:
            right, left = theirs(), ours()
        if number:
            cpu.append(left.cpu / max(right.cpu, 1e-9))
            wall.append(left.wall / max(right.wall, 1e-9))
            pairs.append((left, right))
            if left.p99 and right.p99:
                p99.append(left.p99 / right.p99)
    return Row(what, cpu, wall, p99, _absolute(pairs))


def _absolute(pairs: list[tuple[load.Spent, load.Spent]]) -> str:
    walls = [statistics.median(side.wall for side in sides) for sides in zip(*pairs, strict=True)]
    p99s = [1000 * statistics.median(side.p99 for side in sides) for sides in zip(*pairs, strict=True)]
    return f"wall {walls[0]:.2f} s / {walls[1]:.2f} s, p99 {p99s[0]:.0f} ms / {p99s[1]:.0f} ms"


def bench_http(folder: Path, rounds: int, count: int) -> Iterator[Row]:
    """Our service against OPA's server."""
    opa = peers.opa()
    if opa is None:
        print("OPA: not measured, there is no Go to build it with")
        return
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE_")}
    env = {**plain, "GOVERNANCE_HOME": str(folder / "home")}
    ours = [sys.executable, "-c", MAIN, "serve", "--dev", "--port", "{port}", "--workers", "1"]
    base = [str(opa), "run", "--server", "--addr", "127.0.0.1:{port}", "--log-level", "error"]
    theirs = [*base, str(folder / "policy"), str(folder / "data")]
    logging = [*base, "--set", "decision_logs.console=true", str(folder / "policy"), str(folder / "data")]
    with (
        server(ours, "/readyz", env, folder / "ours.log") as (port, group),
        server(theirs, "/health", plain, folder / "opa.log") as (opa_port, opa_group),
        server(logging, "/health", plain, folder / "opa-log.log") as (log_port, log_group),
    ):
        for kind in ("connector_call", "deploy"):
            native = requests_of(kind, count)
            finished = [json.dumps({"input": document}).encode() for document in inputs_of(native, folder / "home")]
            path = f"/v1/data/platform/main/{kind}"
            mine = [load.request_bytes("/v1/decisions", json.dumps(d).encode(), {}) for d in native]
            same = [load.request_bytes(path, body, {}) for body in finished]

            def run(where: int, whose: int, what: list[bytes]) -> Callable[[], load.Spent]:
                return lambda: load.run(where, whose, what, CONNECTIONS)

            us, opa_plain = run(port, group, mine), run(opa_port, opa_group, same)
            opa_logging = run(log_port, log_group, same)
            yield paired(f"{kind}: decision, durable record / OPA without a log", us, opa_plain, rounds)
            yield paired(f"{kind}: decision, durable record / OPA, log on console", us, opa_logging, rounds)
            yield paired(
                f"{kind}: same input, durable record / OPA without a log", run(port, group, same), opa_plain, rounds
            )


def bench_admission(folder: Path, rounds: int, count: int) -> Iterator[Row]:
    """Reviews as 64 clients of the API server send them, against OPA's server with the input that each becomes."""
    opa = peers.opa()
    if opa is None:
        return
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE_")}
    env = {**plain, "GOVERNANCE_HOME": str(folder / "home"), "GOVERNANCE_ADMISSION": "open"}
    ours = [sys.executable, "-c", MAIN, "serve", "--port", "{port}", "--workers", "1"]
    base = [str(opa), "run", "--server", "--addr", "127.0.0.1:{port}", "--log-level", "error"]
    theirs = [*base, str(folder / "policy"), str(folder / "data")]
    logging = [*base, "--set", "decision_logs.console=true", str(folder / "policy"), str(folder / "data")]
    source = Source("bench", "bench", ("service",))
    enrichers = enrichers_of(directory_of(Settings({"home": str(folder / "home")})), Settings({}))
    with (
        server(ours, "/readyz", env, folder / "ours-admission.log") as (port, group),
        server(theirs, "/health", plain, folder / "opa3.log") as (opa_port, opa_group),
        server(logging, "/health", plain, folder / "opa3-log.log") as (log_port, log_group),
    ):
        for kind, reviews in reviews_of(count).items():
            requests = [request_of(review_of(review), source) for review in reviews]
            texts = [policy_input(request, enrich_all(request, enrichers), NOW) for request in requests]
            path = f"/v1/data/platform/main/{kind}"
            same = [load.request_bytes(path, b'{"input":' + text.encode() + b"}", {}) for text in texts]
            mine = [load.request_bytes("/admission/validate", json.dumps(review).encode(), {}) for review in reviews]

            def run(where: int, whose: int, what: list[bytes]) -> Callable[[], load.Spent]:
                return lambda: load.run(where, whose, what, API_SERVERS)

            us = run(port, group, mine)
            what = f"{kind} review, {API_SERVERS} clients, {count} reviews: decision, durable record / OPA"
            yield paired(f"{what} without a log", us, run(opa_port, opa_group, same), rounds)
            yield paired(f"{what}, log on console", us, run(log_port, log_group, same), rounds)


def reviews_of(count: int) -> dict[str, list[dict]]:
    """Good objects under `count` names, by the kind of request they are; only kinds that the pack has rules for."""
    found: dict[str, list[dict]] = {}
    for kind, file in (("deploy", EXAMPLES / "app-fixed.yaml"), ("workload", KUBERNETES / "deployment-good.yaml")):
        if load_active().rules_for(kind):
            obj = yaml.safe_load(file.read_text())
            found[kind] = [
                _review({**obj, "metadata": {**obj["metadata"], "name": f"app-{number}"}}) for number in range(count)
            ]
    return found


def _review(obj: dict) -> dict:
    group, _, version = obj["apiVersion"].rpartition("/")
    request = {
        "uid": obj["metadata"]["name"], "operation": "CREATE", "object": obj, "oldObject": None, "dryRun": True,
        "kind": {"group": group, "version": version, "kind": obj["kind"]}, "namespace": "apps",
        "name": obj["metadata"]["name"], "userInfo": {"username": "dev@example.com", "groups": ["devs"]},
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def bench_in_process(folder: Path, rounds: int, count: int) -> Iterator[Row]:
    """A decision as a function call, without a record, against OPA's server with the same requests."""
    opa = peers.opa()
    if opa is None:
        return
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE_")}
    base = [str(opa), "run", "--server", "--addr", "127.0.0.1:{port}", "--log-level", "error"]
    line = for_check(Settings({"home": str(folder / "home")}))
    source = Source("bench", "bench", ("service",))
    with server([*base, str(folder / "policy"), str(folder / "data")], "/health", plain, folder / "opa2.log") as (
        port,
        group,
    ):
        for kind in ("connector_call", "deploy"):
            native = requests_of(kind, count)
            finished = [json.dumps({"input": document}).encode() for document in inputs_of(native, folder / "home")]
            same = [load.request_bytes(f"/v1/data/platform/main/{kind}", body, {}) for body in finished]

            def ours(native: list[dict] = native) -> load.Spent:
                wall, cpu = time.perf_counter(), time.process_time()
                for document in native:
                    line.assess(normalise_document(document, source))
                return load.Spent(time.perf_counter() - wall, time.process_time() - cpu)

            yield paired(
                f"{kind}: in process, no record / OPA without a log", ours,
                lambda same=same: load.run(port, group, same, CONNECTIONS), rounds,
            )  # fmt: skip


def bench_check(folder: Path, rounds: int) -> Iterator[Row]:
    """`governance check` against `conftest test`."""
    conftest = peers.conftest()
    if conftest is None:
        print("conftest: not measured, there is no Go to build it with")
        return
    facts = inputs_of(requests_of("deploy", 1), folder / "home")[0]["facts"]
    peers.write_policy(folder, facts)
    app = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
    env = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE_") and k != "PYTHONDONTWRITEBYTECODE"}
    for ending in ("yaml", "json"):
        for files in (1, 200):
            place = folder / f"{ending}{files}"
            place.mkdir()
            for number in range(files):
                document = {**app, "metadata": {"name": f"app-{number}"}}
                text = json.dumps(document, indent=2) if ending == "json" else yaml.safe_dump(document, sort_keys=False)
                (place / f"app-{number}.{ending}").write_text(text)
            ours = [str(Path(sys.executable).with_name("governance")), "check", str(place)]
            theirs = [
                str(conftest), "test", "--policy", str(folder / "policy"), "--policy", str(folder / "conftest"),
                "--data", str(folder / "data"), str(place),
            ]  # fmt: skip
            each = 5 if files == 1 else 1
            yield paired(
                f"check {files} {ending.upper()} file{'s' * (files > 1)} / conftest",
                lambda argv=ours, each=each: _command(argv, env, each),
                lambda argv=theirs, each=each: _command(argv, env, each), rounds,
            )  # fmt: skip


def bench_impact(folder: Path, rounds: int, count: int) -> Iterator[Row]:
    """Replay of recorded decisions against OPA's Go SDK."""
    program = impact.sdk()
    if program is None:
        print("OPA's SDK: not measured, there is no Go to build it with")
        return
    peers.write_policy(folder, {})
    home, lines = folder / "home", folder / "recorded.jsonl"
    impact.record(home, [*requests_of("connector_call", count), *requests_of("deploy", count)])
    impact.write_lines(home, lines)
    indexes = impact.indexes_of(home)
    full, one = impact.jobs(home, folder)
    for what, job in (("every rule asked again", full), ("one rule changed", one)):
        ours = impact.Ours(job, indexes)
        row = paired(
            f"impact analysis, {what} / OPA's Go SDK", ours, lambda: impact.theirs(program, folder, lines), rounds
        )
        yield row
        spent = ours()
        print(f"impact analysis, {what}: {len(indexes) / spent.cpu:.0f} decisions/s of a core", flush=True)


def bench_swap(folder: Path, rules: int) -> None:
    """A bundle of many rules is replaced under load; tells what happened, for there is no peer to divide by."""
    pack, home = folder / "bulk", folder / "swap-home"
    swap.write_pack(pack, rules, "old")
    plain = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE_")}
    env = {**plain, "GOVERNANCE_HOME": str(home), "GOVERNANCE_BUNDLE": str(pack)}
    ours = [sys.executable, "-c", MAIN, "serve", "--dev", "--port", "{port}", "--workers", "1"]
    with server(ours, "/readyz", env, folder / "swap.log", 600) as (port, _):
        done = swap.measure(port, pack, home, rules, 10)
    waits = f"longest wait {done.longest * 1000:.0f} ms (without a swap {done.longest_quiet * 1000:.0f} ms)"
    print(
        f"hot swap of {rules} rules: {done.failed} of {done.requests} requests failed; {waits}; "
        f"in force {done.noticed_after:.1f} s after the change",
        flush=True,
    )


def _command(argv: list[str], env: dict[str, str], times: int) -> load.Spent:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    for _ in range(times):
        done = subprocess.run(argv, env=env, capture_output=True, check=False, cwd=ROOT)
        if done.returncode != 0:
            raise RuntimeError(f"{argv[:2]}: {done.returncode}: {(done.stdout + done.stderr).decode()[-600:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return load.Spent((time.perf_counter() - started) / times, cpu / times)


def table(rows: list[Row]) -> str:
    """Markdown, as the README has it."""
    lines = ["| ours / theirs | CPU | wall | p99 |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {_cell(row.cpu)} | {_cell(row.wall)} | {_cell(row.p99)} |" for row in rows]
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: for a first look")
    parser.add_argument("--only", default="", metavar="PART", help="http, admission, in_process or check")
    parser.add_argument("--json", metavar="FILE", help="the ratios of every round")
    options = parser.parse_args()
    rounds, count = (3, 300) if options.quick else (9, 1500)
    folder = Path(tempfile.mkdtemp(prefix="governance-bench-"))
    rows: list[Row] = []
    deploy_example(folder / "home")
    try:
        peers.write_policy(folder, {})
        parts = {
            "http": lambda: bench_http(folder, rounds, count),
            "admission": lambda: bench_admission(folder, rounds, count),
            "in_process": lambda: bench_in_process(folder, rounds, count),
            "check": lambda: bench_check(folder, rounds),
            "impact": lambda: bench_impact(folder, rounds, count),
        }
        for name, part in parts.items():
            for row in part() if options.only in {"", name} else ():
                print(f"{row.what}: CPU {_cell(row.cpu)}, wall {_cell(row.wall)} ({row.note})", flush=True)
                rows.append(row)
        if options.only in {"", "swap"}:
            bench_swap(folder, 1000)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table(rows)}")
    if options.json:
        Path(options.json).write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
