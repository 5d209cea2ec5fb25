"""A candidate bundle beside the one in force: asked about a sample of what was decided, and never heard by anybody who asked.

It works from the log, in a process of its own: a decision is compared after its record is durable, by the same code as
`governance rules impact`. So whatever the candidate does, even not ending, costs a decision neither time nor its answer.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from governance.model.moment import utc_now
from governance.platform.impact.analysis import Tally, row_of
from governance.platform.impact.compare import compare
from governance.platform.impact.recorded import recorded_of
from governance.state.files import write_whole

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from audit.reader import LogReader
    from governance.platform.impact.compare import Sides

_LOOK_S = 0.5
_FOLDER, _FILE = "candidate", "summary.json"


class Candidate:
    """Follows the log. `sides_for` compiles the comparison with the release in force and is asked again when that changes."""

    def __init__(
        self, reader: LogReader, home: Path, percent: int, sides_for: Callable[[], Sides], stamp: Callable[[], object]
    ) -> None:
        self._reader = reader
        self._home = home
        self._percent = percent
        self._sides_for = sides_for
        self._stamp_of = stamp
        self._stamp = stamp()
        self._sides = sides_for()
        self._tally = Tally()
        self._next = reader.size()
        self._since = utc_now()
        self.save()

    def run(self, stopped: threading.Event) -> None:
        """Until stopped."""
        while not stopped.wait(_LOOK_S):
            self.step()

    def step(self) -> int:
        """Compare what was recorded since the last time; how many records were passed."""
        if self._stamp != (stamp := self._stamp_of()):
            # Counted against another release: these numbers would say nothing about this one.
            self._stamp, self._sides, self._tally, self._since = stamp, self._sides_for(), Tally(), utc_now()
            self.save()
        size = self._reader.size()
        passed = size - self._next
        for index in range(self._next, size):
            self._compare(index)
        self._next = size
        if passed:
            self.save()
        return passed

    def _compare(self, index: int) -> None:
        recorded = recorded_of(self._reader.record(index))
        if recorded is not None and is_sampled(recorded.decision_id, self._percent):
            self._tally.add(row_of(recorded, compare(recorded, self._sides)))

    def save(self) -> None:
        """Put the summary where workers find it for `/metrics` and `/v1/status`."""
        folder = self._home / _FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        summary = {
            "state": "OK", "base": self._sides.base.revision, "candidate": self._sides.whole.revision, "since": self._since,
            "percent": self._percent, "counts": dict(self._tally.counts), "by": self._tally.groups(),
            "examples": self._tally.examples[-20:],
        }  # fmt: skip
        write_whole(str(folder / _FILE), json.dumps(summary, ensure_ascii=False).encode("utf-8", "replace"))


def is_sampled(decision_id: str, percent: int) -> bool:
    """Whether a decision belongs to the sample: by its id, so that the same ones do every time."""
    return int.from_bytes(hashlib.sha256(decision_id.encode()).digest()[:4], "big") % 100 < percent


def candidate_status(home: Path) -> dict[str, Any]:
    """The summary as it was saved last."""
    try:
        return dict(json.loads((home / _FOLDER / _FILE).read_bytes()))
    except (OSError, ValueError):
        return {"state": "NOT_READY"}


def candidate_metrics(home: Path) -> str:
    """Prometheus text: decisions of the sample by what the candidate would change."""
    counts = candidate_status(home).get("counts")
    if not isinstance(counts, dict):
        return ""
    rows = [
        f'governance_candidate_decisions_total{{outcome="{name}"}} {count}' for name, count in sorted(counts.items())
    ]
    return "\n".join(["# TYPE governance_candidate_decisions_total counter", *rows]) + "\n"
