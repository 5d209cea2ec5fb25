"""Impact analysis over a whole log: pieces of it on every core, one report out of them."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.platform.impact.compare import CHANGES, Change, Sides, changed_between, compare, sides_of
from governance.platform.impact.recorded import Recorded, recorded_of
from governance.policy.active import Active, activated
from governance.policy.build import build

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from audit.store import Filter
    from governance.policy.active import Extra

_PIECE = 250
MOST_EXAMPLES = 200


class Job(NamedTuple):
    """What every process needs."""

    home: str
    origin: str
    base: bytes
    candidate: bytes
    """Entry points of the changed rules alone."""
    whole: bytes
    changed: frozenset[str]


class Report(NamedTuple):
    """What changes, counted; `examples` holds the first of each sort."""

    base: str
    candidate: str
    changed_rules: tuple[str, ...]
    counts: dict[str, int]
    by: dict[str, dict[str, dict[str, int]]]
    """`app`, `rule`, `owner`, to change, to name, to how many."""
    examples: list[dict[str, Any]]
    seconds: float
    cores: int

    @property
    def has_changes(self) -> bool:
        """Whether anybody would be newly denied or newly allowed."""
        return bool(self.counts.get("newly_denied") or self.counts.get("newly_allowed"))


def job_of(
    base: bytes, candidate: str, extras: Sequence[Extra], key: bytes, *, home: Path, origin: str, full: bool
) -> Job:
    """Compile the candidate, whole and with the changed rules alone. `full`: treat every rule as changed.

    An archive has to be signed where there is a `key`; a folder is what somebody is still writing.
    """
    key = b"" if os.path.isdir(candidate) else key
    whole = build(candidate, extras, key)
    left, right = activated(base), activated(whole)
    changed = changed_between(left, right)
    if full:
        changed = frozenset([*left.rules, *left.obligations, *right.rules, *right.obligations])
    only = _with_company(right, changed)
    partial = whole if full else build(candidate, extras, key, only=only)
    return Job(str(home), origin, base, partial, whole, changed)


def sides_from(job: Job) -> Sides:
    """Both revisions, loaded in this process."""
    return sides_of(activated(job.base), activated(job.candidate), activated(job.whole), job.changed)


def analyse(job: Job, wanted: Filter, cores: int, progress: Callable[[int, int], None]) -> Report:
    """Compare every decision that matches; `progress` hears (done, all)."""
    from audit.reader import LogReader

    began = time.monotonic()
    reader = LogReader(Path(job.home), origin=job.origin)
    try:
        indexes = reader.search(wanted, newest_first=False)
    finally:
        reader.close()
    pieces = [indexes[start : start + _PIECE] for start in range(0, len(indexes), _PIECE)]
    cores = max(1, min(cores or len(os.sched_getaffinity(0)), len(pieces)))
    tally = Tally()
    done = 0
    for rows, size in _results(job, pieces, cores):
        for row in rows:
            tally.add(row)
        done += size
        progress(done, len(indexes))
    base, candidate = activated(job.base).revision, activated(job.whole).revision
    seconds, changed = time.monotonic() - began, tuple(sorted(job.changed))
    return Report(base, candidate, changed, dict(tally.counts), tally.groups(), tally.examples, seconds, cores)


class Tally:
    """Counts of what was compared."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: list[dict[str, Any]] = []
        self._by: Counter[tuple[str, str, str]] = Counter()
        self._shown: Counter[str] = Counter()

    def add(self, row: dict[str, Any]) -> None:
        """One compared decision."""
        outcome = row["outcome"]
        self.counts[outcome] += 1
        if outcome not in CHANGES:
            return
        self._by["app", outcome, row["app"]] += 1
        self._by["owner", outcome, row["owner"]] += 1
        for rule in row["rules"]:
            self._by["rule", outcome, rule] += 1
        if self._shown[outcome] < MOST_EXAMPLES:
            self._shown[outcome] += 1
            self.examples.append(row)

    def groups(self) -> dict[str, dict[str, dict[str, int]]]:
        """As `Report.by`, the largest first."""
        found: dict[str, dict[str, dict[str, int]]] = {"app": {}, "rule": {}, "owner": {}}
        for (group, outcome, name), count in self._by.most_common():
            found[group].setdefault(outcome, {})[name] = count
        return found


def row_of(recorded: Recorded, change: Change) -> dict[str, Any]:
    """One compared decision as it is reported."""
    return {
        "outcome": change.outcome, "index": recorded.index, "decision_id": recorded.decision_id, "time": recorded.time,
        "kind": recorded.request.kind, "app": str(recorded.request.app.get("name", "")), "tenant": recorded.request.tenant,
        "owner": recorded.owner, "was": change.was, "becomes": change.becomes, "rules": list(change.rules), "why": change.why,
    }  # fmt: skip


def _with_company(candidate: Active, changed: frozenset[str]) -> frozenset[str]:
    """`changed`, and one rule for each kind of which only an obligation changed: a kind without rules has no entry point."""
    found = set(changed)
    kinds = {kind for meta in candidate.obligations.values() if meta.id in changed for kind in meta.applies_to}
    # A kind whose changed rule is gone has to be asked as well: by what is left.
    kinds |= {kind for meta in candidate.rules.values() for kind in meta.applies_to}
    for kind in kinds:
        rules = sorted(meta.id for meta in candidate.rules.values() if kind in meta.applies_to)
        if rules and not changed.intersection(rules):
            found.add(rules[0])
    return frozenset(found)


def _results(job: Job, pieces: Sequence[list[int]], cores: int) -> Any:
    if cores == 1:
        _begin(job)
        for piece in pieces:
            yield _compare_piece(piece), len(piece)
        return
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    with ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_begin, initargs=(job,)) as pool:
        sizes: dict[Future[list[dict[str, Any]]], int] = {
            pool.submit(_compare_piece, piece): len(piece) for piece in pieces
        }
        for future in as_completed(sizes):
            yield future.result(), sizes[future]


_mine: dict[str, Any] = {}


def _begin(job: Job) -> None:
    """In each process: its own engines and its own connection."""
    from audit.reader import LogReader

    _mine["sides"] = sides_from(job)
    _mine["reader"] = LogReader(Path(job.home), origin=job.origin)


def _compare_piece(indexes: Sequence[int]) -> list[dict[str, Any]]:
    rows = []
    for index in indexes:
        recorded = recorded_of(_mine["reader"].record(index))
        if recorded is not None:
            rows.append(row_of(recorded, compare(recorded, _mine["sides"])))
    return rows
