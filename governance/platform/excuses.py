"""The waivers that count: those in files, each of them on record before it excuses anything.

A file that is dropped into a folder is nobody's call to an API, so whoever goes by it writes the record: `waiver_added` when
it is first taken up or has changed, `waiver_revoked` when it is gone. The log itself says what was recorded already, so that
of several workers and replicas one does it; a change that cannot be recorded does not count, and is tried again.

    refresh             what the folders hold now; what is gone or changed stops counting at once
    changes, settled    what has to be recorded, given what the log says; a waiver counts when its change is settled
    refused             the policy was asked about a new or changed one, and said no
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from governance.enrich.scan import without_findings
from governance.errors import GovernanceError
from governance.model.moment import new_decision_id, utc_now
from governance.model.request import Source
from governance.platform.waivers import MADE, digest_of, files_of, public_of, question_of, sealed_of, texts_of
from governance.policy.waivers import waiver_in
from governance.state.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from audit.reader import LogReader
    from audit.record import Entry
    from governance.model.request import Request
    from governance.policy.waivers import Waiver
    from governance.state.port import State

ADDED, REVOKED = "waiver_added", "waiver_revoked"
_DOOR = "waivers.file"
_KINDS = (ADDED, "waiver_approved", REVOKED)


class Found(NamedTuple):
    """A waiver in a file."""

    waiver: Waiver
    digest: str
    """Of the file's bytes."""


class Change(NamedTuple):
    """What is to be settled about one file."""

    label: str
    found: Found | None
    """None: it is gone."""
    entry: Entry | None
    """Its record; None where the log has it."""

    def question(self) -> Request | None:
        """What the policy has to be asked before it is recorded; None where there is nothing to ask."""
        if self.found is None or self.entry is None:
            return None
        spec = {key: value for key, value in self.found.waiver._asdict().items() if key != "name" and value}
        return question_of(self.found.waiver.name, spec, Source(_DOOR, "file"))


class Excuses:
    """The waivers of one home that count. One that does not read does not count, and holds up no other."""

    def __init__(self, state: State, home: Path, folder: str) -> None:
        self._state, self._home, self._folder = state, home, folder
        self._ledger = home / "waivers.json"
        self._stamp: object = None
        self._pulse: object = None
        self._rules: Collection[str] = ()
        self._found: dict[str, Found] = {}
        self._settled: dict[str, Found] = {}
        self._refused: dict[str, Found] = {}
        self._gone = set(_labels(self._ledger))
        self.valid: tuple[Waiver, ...] = ()

    @property
    def is_behind(self) -> bool:
        """Whether something has to be settled."""
        return self._found != {**self._settled, **self._refused} or bool(self._gone)

    def in_force(self) -> tuple[Waiver, ...]:
        """Those that count now. Raises DependencyError where other replicas may have revoked one that nobody here heard of."""
        if self._pulse != self._state.pulse():
            self.refresh(self._rules)
        return self.valid

    def refresh(self, rules: Collection[str]) -> tuple[str, ...]:
        """Read what changed, waivers or rules. Returns the problems where it was read, and nothing where not.

        Raises DependencyError where the state cannot be had: then this is still to be done, and `in_force` raises as well.
        """
        pulse = self._state.pulse()
        stamp = [_stamp(self._folder), self._state.stamp(MADE)]
        if stamp == self._stamp and rules is self._rules:
            self._pulse = pulse
            return ()
        found: dict[str, Found] = {}
        problems: list[str] = []
        for text in texts_of(self._state, self._folder):
            try:
                raw = text.read()
                found[text.label] = Found(waiver_in(raw, text.where, rules), digest_of(raw))
            except (GovernanceError, OSError) as error:
                problems.append(str(error))
        self._state.pulse()  # where the state went away while it was read, no waiver is gone for that
        refused = self._refused if rules is self._rules else {}  # other rules may let it count
        self._pulse, self._stamp, self._rules, self._found = pulse, stamp, rules, found
        self._gone = (self._gone | set(self._settled)) - set(found)
        self._settled, self._refused = _still(self._settled, found), _still(refused, found)
        self._count()
        return tuple(problems)

    @contextmanager
    def alone(self, *, waits: bool) -> Iterator[bool]:
        """Whether no other process of this home is settling: what it writes would be written twice."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / "waivers.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def changes(self, recorded: Mapping[str, str]) -> list[Change]:
        """What to settle now; `recorded` as `recorded_waivers` gives it, read while `alone`."""
        rows = [Change(label, None, _gone(label, recorded)) for label in sorted(self._gone)]
        for label, found in self._found.items():
            if found not in {self._settled.get(label), self._refused.get(label)}:
                entry = _taken_up(label, found, recorded)
                # The log may know of its end already, and would be told that it came again.
                if entry is None or self._stands(label, found):
                    rows.append(Change(label, found, entry))
        return rows

    def refused(self, change: Change) -> None:
        """The policy refused it, and that is on record: it does not count, and is not asked about again as it is."""
        if change.found is not None:
            self._refused[change.label] = change.found
            self._gone.add(change.label)  # what it was before, if that was ever in force, ends

    def settled(self, change: Change) -> None:
        """The change is on record: it counts."""
        self._gone.discard(change.label)
        if change.found is not None and self._found.get(change.label) == change.found:
            self._settled[change.label] = change.found
        write_whole(str(self._ledger), json.dumps(sorted({*self._settled, *self._gone})).encode())
        self._count()

    def _stands(self, label: str, found: Found) -> bool:
        """Whether it is still there as it was read; where not, the next `refresh` sees it."""
        for text in texts_of(self._state, self._folder):
            if text.label == label:
                with suppress(OSError):
                    return digest_of(text.read()) == found.digest
        return False

    def _count(self) -> None:
        self.valid = tuple(found.waiver for label, found in self._found.items() if label in self._settled)


def recorded_waivers(log: LogReader) -> dict[str, str]:
    """Digest of each waiver's file by its name in records, as the log last has it; empty for one that is gone."""
    from audit.store import Filter

    indexes = sorted(index for kind in _KINDS for index in log.search(Filter(kind=kind)))
    recorded: dict[str, str] = {}
    for index in indexes:
        try:
            leaf = json.loads(log.leaf(index))
        except KeyError:  # pruned since
            continue
        public = leaf["public"]
        if isinstance(public.get("file"), str):
            recorded[public["file"]] = "" if leaf["kind"] == REVOKED else str(public.get("digest", ""))
    return recorded


def _taken_up(label: str, found: Found, recorded: Mapping[str, str]) -> Entry | None:
    before = recorded.get(without_findings(label), "")
    if before == found.digest:
        return None
    return _entry(ADDED, label, found, "changed" if before else "taken up", replaces=before)


def _gone(label: str, recorded: Mapping[str, str]) -> Entry | None:
    before = recorded.get(without_findings(label), "")
    return _entry(REVOKED, label, None, "gone", replaces=before) if before else None


def _entry(kind: str, label: str, found: Found | None, change: str, *, replaces: str) -> Entry:
    from audit.record import Entry

    spec = found.waiver._asdict() if found is not None else {}
    public = {
        **public_of(spec.get("name", ""), spec),
        "decision_id": new_decision_id(),
        "actor": "file",
        "entry_point": _DOOR,
        "effect": "",
        "file": without_findings(label),
        "digest": found.digest if found is not None else "",
        "replaces": replaces,
        "change": change,
    }
    return Entry(kind, utc_now(), public, sealed_of(spec) if found is not None else {})


def _still(held: Mapping[str, Found], found: Mapping[str, Found]) -> dict[str, Found]:
    return {label: one for label, one in held.items() if found.get(label) == one}


def _labels(ledger: Path) -> list[str]:
    """Names of the files that counted when this home last looked; none where that cannot be read."""
    try:
        found = json.loads(ledger.read_bytes())
    except (OSError, ValueError):
        return []
    return [label for label in found if isinstance(label, str)] if isinstance(found, list) else []


def _stamp(folder: str) -> object:
    rows = []
    for path in files_of(folder):
        try:
            status = os.stat(path)
        except OSError:
            continue
        rows.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
    return rows
