"""Waivers in files: none counts before its record, each change is one record, whoever of many goes by it first."""

from __future__ import annotations

import pytest
import yaml

from audit.log import AuditLog
from audit.reader import LogReader
from governance.platform.excuses import Excuses, recorded_waivers
from governance.state.files import FileState

RULES = ("REQ-004",)


def text(**changed: str) -> str:
    spec = {
        "rule": "REQ-004", "subject": "app:lunch", "owner": "ann", "approver": "bob", "reason": "r",
        "expires": "2100-01-01T00:00:00Z",
    }  # fmt: skip
    return yaml.safe_dump({"kind": "Waiver", "metadata": {"name": "w"}, "spec": {**spec, **changed}})


class Home:
    """A home with its log, and as many processes as are asked for."""

    def __init__(self, folder) -> None:
        self.home = folder / "home"
        self.files = folder / "files"
        self.files.mkdir()
        self.log = AuditLog(self.home, origin="test")
        self.reader = LogReader(self.home, origin="test")

    def process(self, home=None) -> Excuses:
        place = home or self.home
        return Excuses(FileState(place), place, str(self.files))

    def settle(self, excuses: Excuses, rules=RULES) -> tuple[str, ...]:
        problems = excuses.refresh(rules)
        with excuses.alone(waits=True):
            for change in excuses.changes(recorded_waivers(self.reader)):
                if change.entry is not None:
                    self.log.append(change.entry, 30)
                excuses.settled(change)
        return problems

    def said(self) -> list[tuple[str, str]]:
        rows = [self.reader.record(index) for index in range(self.reader.size())]
        return [(row["kind"], row["public"]["change"]) for row in rows]


@pytest.fixture
def home(tmp_path):
    made = Home(tmp_path)
    yield made
    made.reader.close()
    made.log.close()


def test_none_counts_before_its_record(home):
    (home.files / "w.yaml").write_text(text())
    excuses = home.process()
    assert excuses.refresh(RULES) == ()
    assert (excuses.valid, excuses.is_behind) == ((), True)
    home.settle(excuses)
    assert ([w.name for w in excuses.valid], excuses.is_behind) == (["w"], False)
    (home.files / "w.yaml").write_text(text(subject="app:everything"))
    excuses.refresh(RULES)
    assert excuses.valid == (), "what it says now is not on record"
    home.settle(excuses)
    assert home.said() == [("waiver_added", "taken up"), ("waiver_added", "changed")]


def test_one_record_for_many_processes_and_replicas(home, tmp_path):
    (home.files / "w.yaml").write_text(text())
    processes = [home.process(), home.process(), home.process(tmp_path / "replica")]
    for _ in range(2):
        for process in processes:
            home.settle(process)
    assert home.said() == [("waiver_added", "taken up")]
    assert all(process.valid for process in processes)
    (home.files / "w.yaml").unlink()
    for process in processes:
        home.settle(process)
    assert home.said() == [("waiver_added", "taken up"), ("waiver_revoked", "gone")]
    (home.files / "w.yaml").write_text(text())
    for process in processes:
        home.settle(process)
    assert home.said()[2:] == [("waiver_added", "taken up")], "the same file again is another change"


def test_what_went_while_nobody_looked_is_recorded_at_the_next_start(home):
    (home.files / "w.yaml").write_text(text())
    home.settle(home.process())
    (home.files / "w.yaml").unlink()
    home.settle(home.process())
    home.settle(home.process())
    assert home.said() == [("waiver_added", "taken up"), ("waiver_revoked", "gone")]


@pytest.mark.parametrize("bad", ["kind: Waiver\n", "a: [", "a: &a [*a]\nb: *a\n", text(rule="NOPE-001"), "\x00"])
def test_a_file_that_turns_bad_stops_counting_and_that_is_on_record(home, bad):
    (home.files / "w.yaml").write_text(text())
    (home.files / "x.yaml").write_text(text(subject="tenant:hr"))
    excuses = home.process()
    home.settle(excuses)
    (home.files / "w.yaml").write_text(bad)
    (problem,) = home.settle(excuses)
    assert "w.yaml" in problem
    assert [w.subject for w in excuses.valid] == ["tenant:hr"]
    assert home.said()[2:] == [("waiver_revoked", "gone")]
