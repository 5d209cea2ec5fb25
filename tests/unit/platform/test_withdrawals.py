"""After an erasure nothing of the person is left in the home: packages, interrupted ones, copies of the database."""

from __future__ import annotations

import sqlite3
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audit.custody import Custody
from audit.errors import LogUnusable
from audit.exports.package import Doing, Wanted, export
from audit.log import AuditLog
from audit.record import Entry
from audit.store import Filter
from governance.platform.export_jobs import DONE, Job, Jobs
from governance.platform.withdrawals import Withdrawals

ORIGIN = "log.example/withdrawals"
NOW = "2026-06-01T00:00:00Z"
NAME, VALUE = "Canary-Person-8472", "Canary-Value-1138"


def entry(number: int, subject: str) -> Entry:
    public = {"decision_id": f"d{number}", "app": f"app{number % 2}", "effect": "deny", "rules": []}
    said = VALUE if subject == NAME else "something else"
    return Entry(
        "deploy", "2026-03-01T10:00:00Z", public, {"input": {"n": number, "said": f"{said} {subject}"}}, subject
    )


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def log(home):
    with AuditLog(home, origin=ORIGIN) as log:
        for number in range(40):
            log.append(entry(number, NAME if number % 10 == 4 else f"person-{number % 3}"))
        yield log


def erase(log: AuditLog, subject: str = NAME) -> dict:
    return Custody(log).act(
        "erase", {"time": NOW, "public": {"decision_id": "e"}, "subject": subject, "reason": "asked"}
    )


def job(home: Path, log: AuditLog, number: int, **filters: str) -> str:
    """One that is done."""
    jobs, job_id = Jobs(home), f"{number:032x}"
    jobs.make(Job(job_id, "key:1", "", {"filter": filters}, NOW))
    export(log.reader, Wanted(Filter(**filters), ["csv", "jsonl"]), jobs.package(job_id), created=NOW)
    jobs.tell(job_id, {"state": DONE})
    return job_id


def interrupted(log: AuditLog, out: Path) -> None:
    class Stop(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if stage != "records":
            raise Stop

    with pytest.raises(Stop):
        export(log.reader, Wanted(Filter(), ["csv"]), out, created=NOW, doing=Doing(stop))


def holding(folder: Path, *words: str) -> list[str]:
    """Files that hold a word, in clear or packed."""
    found = []
    for path in sorted(folder.rglob("*")):
        raws = [path.read_bytes()] if path.is_file() else []
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                raws += [archive.read(name) for name in archive.namelist()]
        found += [str(path.relative_to(folder)) for raw in raws if any(word.encode() in raw for word in words)]
    return found


def withdrawals(home: Path, log: AuditLog) -> Withdrawals:
    return Withdrawals(home, log.reader, log.append)


def test_packages_that_hold_or_name_the_person_go_and_the_others_stay(home, log):
    whole, hers = job(home, log, 1), job(home, log, 2, subject=NAME)
    other, empty = job(home, log, 3, subject="person-1"), job(home, log, 4, text=NAME, app="nothing")
    jobs = Jobs(home)
    jobs.make(Job(f"{5:032x}", "key:1", "", {"filter": {"subject": NAME}}, NOW))  # asked for, and not begun
    begun = f"{6:032x}"
    jobs.make(Job(begun, "key:1", "", {"filter": {}}, NOW))
    interrupted(log, jobs.package(begun))
    assert holding(home / "exports", NAME, VALUE)
    step = withdrawals(home, log).step
    assert step() == 0  # nobody was erased
    by = erase(log)["by"]
    assert step() == 5
    assert holding(home, NAME, VALUE) == []
    assert jobs.state(other)["state"] == DONE
    assert [job_id for job_id in (whole, hers, empty, begun) if (home / "exports" / job_id).exists()] == []
    size = log.reader.size()
    records = [log.reader.record(index)["public"] for index in log.reader.search(Filter(kind="export_withdrawn"))]
    assert {record["export"] for record in records} == {whole, hers, empty, begun, f"{5:032x}"}
    assert all(record["erasures"] == by for record in records)
    assert step() == withdrawals(home, log).step() == 0
    assert log.reader.size() == size


def prune(log: AuditLog, keep: str, leaves: str = "") -> dict:
    retention = {"classes": [{"kind": "deploy", "keep": keep}], **({"leaves": leaves} if leaves else {})}
    asked = {"time": NOW, "public": {"decision_id": "p"}, "reason": "retention", "retention": retention}
    return Custody(log).act("prune", asked)


def test_what_its_retention_ended_lives_on_in_no_package_and_what_is_held_or_kept_does(home, log):
    held = Custody(log).act(
        "hold",
        {"time": NOW, "public": {"decision_id": "h"}, "scope": {"app": "app1"}, "reason": "case", "owner": "legal"},
    )
    whole, kept = job(home, log, 1), job(home, log, 2, app="app1")
    empty = job(home, log, 3, text=NAME, app="nothing")
    step = withdrawals(home, log).step
    prune(log, "P1Y")
    assert step() == 0  # nothing is as old as that
    prune(log, "P30D")
    assert step() == 1
    assert [one for one in (whole, kept, empty) if (home / "exports" / one).exists()] == [kept, empty]
    (index,) = log.reader.search(Filter(kind="export_withdrawn"))
    record = log.reader.record(index)["public"]
    assert (record["export"], record["erasures"], len(record["prunings"])) == (whole, [], 1)
    Custody(log).act(
        "release", {"time": NOW, "public": {"decision_id": "r"}, "hold": held["hold"], "reason": "case closed"}
    )
    prune(log, "P30D")
    assert step() == 1
    assert not (home / "exports" / kept).exists()


def test_a_package_that_is_being_written_is_looked_at_again(home, log):
    job_id, step = job(home, log, 1), withdrawals(home, log).step
    erase(log)
    with Jobs(home).held(job_id):
        assert step() == 0
        assert withdrawals(home, log).step() == 0
    assert step() == 1
    assert holding(home, NAME, VALUE) == []


def test_an_export_that_was_interrupted_before_an_erasure_begins_anew_after_it(home, log, tmp_path):
    out = tmp_path / "out"
    interrupted(log, out)
    assert holding(tmp_path, VALUE)
    erase(log)
    done = export(log.reader, Wanted(Filter(), ["csv"]), out, created=NOW)
    assert done.size == 41
    assert holding(tmp_path, NAME, VALUE) == []


def test_an_erasure_while_an_export_is_written_makes_it_begin_anew(home, log, tmp_path):
    erased = []

    def tell(stage: str, done: int, total: int) -> None:
        if stage == "csv view" and not erased:
            erased.append(erase(log))

    done = export(log.reader, Wanted(Filter(), ["csv"]), tmp_path / "out", created=NOW, doing=Doing(tell))
    assert (len(erased), done.size) == (1, 41)
    assert holding(tmp_path, NAME, VALUE) == []
    from tests.unit.audit.packages_made import verified

    assert verified(tmp_path / "out")[0] == 0


def test_copies_of_the_database_forget_the_person_and_keep_the_others(home, log):
    """Written by an earlier version: names and keys stand there in clear."""
    copy = home / "audit" / "log.db.moved"
    with sqlite3.connect(copy) as database:
        log._store._db.backup(database)
        database.execute("PRAGMA journal_mode=WAL")
        number = log._store.subject_key(NAME).number
        database.execute("UPDATE subjects SET subject = ?, key = ? WHERE number = ?", (NAME, b"k" * 32, number))
    database.close()
    assert holding(home, NAME)
    erase(log)
    withdrawals(home, log).step()
    assert holding(home, NAME, "k" * 32) == []
    with sqlite3.connect(copy) as database:
        assert database.execute("SELECT count(*) FROM sealed").fetchone() == (36,)
        assert database.execute("SELECT count(*) FROM subjects").fetchone() == (3,)
        assert database.execute("SELECT count(*) FROM leaves").fetchone() == (40,)
    database.close()


def test_a_copy_that_cannot_be_changed_is_named(home, log):
    (home / "audit" / "log.db.moved").write_bytes(b"no database" * 1000)
    erase(log)
    with pytest.raises(LogUnusable, match=r"log\.db\.moved.*remove it"):
        withdrawals(home, log).step()
    (home / "audit" / "log.db.moved").unlink()
    assert withdrawals(home, log).step() == 0


def test_the_record_of_an_export_does_not_name_the_person_it_is_about():
    from governance.platform.export_records import entry_of_export

    wanted = Wanted(Filter(subject=NAME, text=VALUE, app="a"))
    entry = entry_of_export(wanted, "", actor="os:1", entry_point="cli.audit", size=1)
    assert entry.public["filter"] == {"app": "a", "subject": "given", "text": "given"}
    assert (entry.sealed, entry.subject) == ({"subject": NAME, "text": VALUE}, NAME)


def test_a_command_beside_the_service_takes_each_package_once_and_returns_when_all_are_gone(home, log):
    """Both follow the same erasure, each with its own view of what is there."""
    for number in range(12):
        job(home, log, number)
    erase(log)
    begin, left = threading.Barrier(2), []

    def step(own: Withdrawals) -> int:
        begin.wait(60)
        count = own.step()
        left.extend(holding(home / "exports", NAME, VALUE))
        return count

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(step, [withdrawals(home, log), withdrawals(home, log)]))
    assert (sum(counts), left) == (12, [])
    assert len(list(log.reader.search(Filter(kind="export_withdrawn")))) == 12
