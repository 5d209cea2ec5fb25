"""Impact analysis against OPA's Go SDK: decisions per second of CPU, a full replay and one changed rule.

Ours reads from the audit log: it decrypts, checks the digests of what was decided on, decides, and compares whole answers.
The Go program reads the same decisions as JSON lines, evaluates, and compares the number of violations. Both on one core,
both without what compiling costs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from audit.log import AuditLog
from audit.reader import LogReader
from audit.store import Filter
from governance.log_wiring import LogRecorder
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.impact.analysis import Job, job_of, sides_from
from governance.platform.impact.compare import compare
from governance.platform.impact.recorded import recorded_of
from governance.policy.decide import policy_input
from governance.settings import Settings
from governance.wiring import active_of, packed_of, parts_for
from tests.benchmarks import load, peers

ROOT = Path(__file__).parents[2]
ORIGIN = "governance.local/audit"


def record(home: Path, requests: list[dict]) -> None:
    """Decide and record every request.

    Owners are no addresses here: the log masks those, and a rule that compares two of them could not be asked again.
    """
    for request in requests:
        if request["kind"] == "deploy":
            spec = request["resource"]["spec"]
            request["resource"] = {**request["resource"], "spec": {**spec, "owner": "ann", "secondaryOwner": "bob"}}
    settings = Settings({"home": str(home)})
    active, source = active_of(settings), Source("bench", "bench", ("service",))
    with AuditLog(home, origin=ORIGIN) as log:
        line = Pipeline(parts_for(settings, lambda: active)._replace(recorder=LogRecorder(log, 60)))
        for request in requests:
            line.decide(normalise_document(request, source))


def indexes_of(home: Path) -> list[int]:
    """The records that are compared: those of which nothing is masked."""
    reader = LogReader(home, origin=ORIGIN)
    try:
        found = [*reader.search(Filter(kind="connector_call")), *reader.search(Filter(kind="deploy"))]
        return [index for index in found if not recorded_of(reader.record(index)).masked]
    finally:
        reader.close()


def write_lines(home: Path, path: Path) -> None:
    """The same records as the Go program reads them."""
    reader = LogReader(home, origin=ORIGIN)
    with path.open("w") as file:
        for index in indexes_of(home):
            row = recorded_of(reader.record(index))
            document = json.loads(policy_input(row.request, row.facts, row.time))
            file.write(
                json.dumps({"kind": row.request.kind, "violations": len(row.violations), "input": document}) + "\n"
            )
    reader.close()


def jobs(home: Path, folder: Path) -> tuple[Job, Job]:
    """(every rule asked again, one rule changed)."""
    changed = folder / "candidate"
    shutil.copytree(ROOT / "rules", changed)
    rule = changed / "request" / "app_named.rego"
    rule.write_text(rule.read_text() + "\n# changed\n")
    base = packed_of(Settings({"home": str(home)}))
    made = [
        job_of(base, str(source), [], b"", home=home, origin=ORIGIN, full=full)
        for source, full in ((ROOT / "rules", True), (changed, False))
    ]
    if len(made[1].changed) != 1:
        raise RuntimeError(f"one rule was changed, and {sorted(made[1].changed)} differ")
    return made[0], made[1]


class Ours:
    """One side, loaded; a call replays everything once."""

    def __init__(self, job: Job, indexes: list[int]) -> None:
        self._sides = sides_from(job)
        self._indexes = indexes
        self._reader = LogReader(Path(job.home), origin=ORIGIN)

    def __call__(self) -> load.Spent:
        wall, cpu = time.perf_counter(), time.process_time()
        outcomes = {compare(recorded_of(self._reader.record(index)), self._sides).outcome for index in self._indexes}
        if outcomes != {"same"}:
            raise RuntimeError(f"an unchanged bundle changed something: {outcomes}")
        return load.Spent(time.perf_counter() - wall, time.process_time() - cpu)


def theirs(program: Path, folder: Path, lines: Path) -> load.Spent:
    """The Go program once."""
    argv = [str(program), str(folder / "policy"), str(folder / "data" / "data.json"), str(lines)]
    found = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    if found["different"]:
        raise RuntimeError(f"the SDK answers otherwise for {found['different']} of {found['decisions']}")
    return load.Spent(found["wall_s"], found["cpu_s"])


def sdk() -> Path | None:
    """The Go program, built once; None where there is no Go."""
    return peers.program(
        "replay", Path(__file__).with_name("replay") / "main.go", "github.com/open-policy-agent/opa/v1/rego"
    )
