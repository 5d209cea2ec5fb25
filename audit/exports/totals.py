"""What a report says about many records: counted while they pass, a few of them kept as samples."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from audit.walk import Record

_MOST_SAMPLES = 8
_MOST_PLACES = 100


class ControlTotals:
    """What the records show about one control."""

    def __init__(self) -> None:
        self.failed = self.waived = 0
        self.places: list[int] = []
        """The first indexes of records with a violation."""
        self.rules: Counter[str] = Counter()


class Totals:
    """Counts over all records."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.apps: Counter[str] = Counter()
        self.days: dict[str, Counter[str]] = {}
        self.controls: dict[str, ControlTotals] = {}
        self.samples: list[tuple[int, str, str, str]] = []
        """(index, time, app, reason) of the first records that were not allowed."""
        self.first = self.last = ""

    def add(self, record: Record) -> None:
        """One record more."""
        leaf, public = record.leaf, record.leaf["public"]
        effect, app, time = str(public.get("effect", "")), str(public.get("app", "")), str(leaf.get("time", ""))
        self.effects[effect] += 1
        self.kinds[str(leaf.get("kind", ""))] += 1
        self.apps[app] += 1
        self.rules.update(map(str, public.get("rules") or ()))
        self.days.setdefault(time[:10], Counter())[effect] += 1
        self.first, self.last = min(self.first or time, time), max(self.last, time)
        if public.get("rules") or effect == "deny":
            self._add_answer(record, app, time, is_no=effect == "deny")

    def _add_answer(self, record: Record, app: str, time: str, *, is_no: bool) -> None:
        answer = answer_of(record)
        if is_no and len(self.samples) < _MOST_SAMPLES:
            self.samples.append((record.leaf["index"], time, app, str(answer.get("reason", "(not readable here)"))))
        for violation in answer.get("violations", []):
            for control in violation.get("controls", []):
                total = self.controls.setdefault(str(control), ControlTotals())
                total.rules[str(violation.get("rule"))] += 1
                if violation.get("waived_by"):
                    total.waived += 1
                else:
                    total.failed += 1
                if len(total.places) < _MOST_PLACES and record.leaf["index"] not in total.places[-1:]:
                    total.places.append(record.leaf["index"])


def answer_of(record: Record) -> dict[str, Any]:
    """The sealed answer, where it may be read; empty otherwise."""
    opening = record.openings.get("answer")
    value = json.loads(opening.raw) if opening is not None else None
    return value if isinstance(value, dict) else {}


def is_decision(record: Record) -> bool:
    """Whether a record is of something that was decided on, and not of reading, exporting or what could not be understood."""
    public = record.leaf["public"]
    return bool(public.get("effect")) and bool(public.get("input_digest")) and bool(public.get("revision"))
