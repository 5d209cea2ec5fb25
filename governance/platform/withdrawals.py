"""After an erasure or the end of retention: what this home keeps of it beside the log goes as well, on record.

Those are packages of export jobs, finished or not, and copies of the database. The log's records say by index what went, so
that every replica's home finds its own without the person's name. An export that is being written notices that by itself and
begins anew; until it has, it is looked at again.
"""

from __future__ import annotations

import fcntl
import json
from typing import TYPE_CHECKING, Any

from audit.copies import forget_in_copies
from audit.record import Entry
from audit.rows import in_ranges
from governance.model.moment import new_decision_id, utc_now
from governance.platform.export_jobs import Gone, Jobs, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audit.reader import LogReader

_ENDINGS = ("erasure", "prune")


class Withdrawals:
    """What follows the erasures and prunings of one home's log; remembers how far it came."""

    def __init__(self, home: Path, reader: LogReader, record: Callable[[Entry], object]) -> None:
        """`record` returns once an entry is durable, or raises."""
        self._jobs, self._folder, self._reader, self._record = Jobs(home), home / "audit", reader, record
        self._state = self._folder / "withdrawn.json"
        self._next = self._remembered()

    def step(self) -> int:
        """Take away what erasures and prunings since the last step ended; returns how many packages.

        Costs little where there was none. A service and a command at its terminal follow the same erasure: one after the
        other, so that a package goes once, and whoever returns finds it gone.
        """
        ended = [record for kind in _ENDINGS for record in self._reader.custody(kind, since=self._next)]
        if not ended:
            return 0
        with (self._folder / "withdrawn.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return self._follow(ended)

    def _follow(self, ended: list[dict[str, Any]]) -> int:
        texts = [text for record in ended if (text := str(record["public"].get("indexes", "")))]
        minimum = max(int(record["public"].get("minimum", 0)) for record in ended)
        forget_in_copies(self._folder, texts)
        is_done, count = True, 0
        is_named = any(record["kind"] == "erasure" for record in ended)
        gone = Gone(lambda index: any(in_ranges(text, index) for text in texts), minimum, is_named)
        for job_id in self._jobs.about(gone):
            with self._jobs.held(job_id) as is_mine:
                if is_mine:
                    # On record before it is gone: killed in between, it is found again.
                    self._record(_entry(job_id, ended))
                    self._jobs.remove(job_id)
                    count += 1
                else:
                    is_done = False
        if is_done:
            self._next = max(record["index"] for record in ended) + 1
            write_json(self._state, {"next": self._next})
        return count

    def _remembered(self) -> int:
        try:
            return int(json.loads(self._state.read_bytes())["next"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0  # looking again at what was looked at is no loss


def _entry(job_id: str, ended: list[dict[str, Any]]) -> Entry:
    erasures, prunings = ([one["index"] for one in ended if one["kind"] == kind][-50:] for kind in _ENDINGS)
    public = {
        "decision_id": new_decision_id(), "app": "", "tenant": "", "actor": "system", "entry_point": "exports",
        "effect": "allow", "rules": [], "export": job_id, "erasures": erasures,
        "prunings": prunings,
    }  # fmt: skip
    return Entry("export_withdrawn", utc_now(), public, {})
