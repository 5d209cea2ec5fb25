"""The log: what was acknowledged can be read, found, exported and proved; what cannot be trusted does not open."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from audit.errors import AuditError, LogInUse, LogRolledBack, LogTorn, NotDurable, RecordTooLarge
from audit.exports.package import Wanted, export
from audit.log import AuditLog
from audit.reader import LogReader
from audit.record import Entry
from audit.store import Filter

ORIGIN = "log.example/audit"


def entry(number: int = 0, **public) -> Entry:
    fields = {
        "decision_id": f"d{number}",
        "app": "where2eat",
        "tenant": "marketing",
        "effect": "deny",
        "rules": ["R-1"],
    }
    when = f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return Entry("connector_call", when, {**fields, **public}, {"input": {"n": number}}, "somebody")


def log_of(home: Path) -> AuditLog:
    return AuditLog(home, origin=ORIGIN)


@pytest.fixture
def home(tmp_path):
    with log_of(tmp_path) as log:
        for number in range(10):
            log.append(entry(number))
    return tmp_path


class TestAppendAndRead:
    def test_a_receipt_says_where_the_record_is_and_the_record_is_there(self, home):
        with log_of(home) as log:
            receipt = log.append(entry(10))
            assert (receipt.index, receipt.app_sequence, receipt.size) == (10, 11, 11)
            record = log.reader.record(10)
        assert record["public"]["decision_id"] == "d10"
        assert record["opened"] == {"input": {"n": 10}}

    def test_each_app_counts_its_own_records(self, home):
        with log_of(home) as log:
            assert log.append(entry(20, app="other")).app_sequence == 1
            assert log.append(entry(21)).app_sequence == 11
            assert log.append(entry(22, app="other")).app_sequence == 2

    def test_many_callers_at_once_each_get_their_own_record(self, tmp_path):
        receipts: dict[int, int] = {}
        with log_of(tmp_path) as log:

            def write(start: int) -> None:
                for number in range(start, start + 25):
                    receipts[number] = log.append(entry(number)).index

            threads = [threading.Thread(target=write, args=(25 * i,)) for i in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(receipts.values()) == list(range(200))
            assert all(log.reader.record(i)["public"]["decision_id"] == f"d{n}" for n, i in receipts.items())
            assert log.reader.verify_self() == 200

    def test_content_is_not_readable_in_the_files_without_its_key(self, tmp_path):
        with log_of(tmp_path) as log:
            log.append(entry(0)._replace(sealed={"input": "a very particular sentence"}))
        raw = b"".join(path.read_bytes() for path in (tmp_path / "audit").iterdir() if path.is_file())
        assert b"a very particular sentence" not in raw

    def test_a_key_that_somebody_deleted_by_hand_opens_nothing_and_is_damage(self, home):
        """An erasure is a record and says which records it took; this is not one."""
        with sqlite3.connect(home / "audit" / "log.db") as database:
            database.execute("DELETE FROM subjects")
        with log_of(home) as log:
            assert log.reader.record(3)["opened"] == {}
            with pytest.raises(LogTorn, match="sealed fields of record 0"):
                log.reader.verify_self()

    def test_a_clock_that_jumped_back_is_noted_in_the_record(self, home):
        with log_of(home) as log:
            index = log.append(entry(0)._replace(time="2025-01-01T00:00:00Z")).index
            record = log.reader.record(index)
        assert record["time"] == "2025-01-01T00:00:00Z"
        assert record["clock_back_from"] == "2026-03-01T10:00:09Z"

    @pytest.mark.parametrize(
        ("public", "error"),
        [({"x": "y" * 70_000}, RecordTooLarge), ({"x": float("nan")}, NotDurable), ({"x": {1, 2}}, NotDurable)],
    )
    def test_a_record_that_cannot_be_one_is_refused_and_the_others_of_its_batch_are_not(self, home, public, error):
        with log_of(home) as log:
            good, bad = log.submit(entry(30)), log.submit(entry(31, **public))
            after = log.submit(entry(32))
            with pytest.raises(error):
                bad.result(10)
            assert [good.result(10).index, after.result(10).index] == [10, 11]
            assert log.reader.verify_self() == 12

    def test_a_closed_log_takes_nothing(self, home):
        log = log_of(home)
        log.close()
        with pytest.raises(NotDurable):
            log.append(entry(1))


class TestSearch:
    @pytest.fixture
    def reader(self, home):
        with log_of(home) as log:
            log.append(entry(40, app="other", tenant="finance", effect="allow", rules=["R-1", "R-2"], actor="key:1"))
            self.log = log
            yield log.reader

    @pytest.mark.parametrize(
        ("wanted", "indexes"),
        [
            (Filter(app="other"), [10]),
            (Filter(tenant="finance"), [10]),
            (Filter(effect="allow"), [10]),
            (Filter(rule="R-2"), [10]),
            (Filter(actor="key:1"), [10]),
            (Filter(kind="deploy"), []),
            (Filter(app="where2eat", before=2), [1, 0]),
            (Filter(since="2026-03-01T10:00:08Z", until="2026-03-01T10:00:10Z"), [9, 8]),
            (Filter(app="' OR 1=1 --"), []),
        ],
    )
    def test_filters_narrow_and_newest_comes_first(self, reader, wanted, indexes):
        assert reader.search(wanted) == indexes

    @pytest.mark.parametrize(
        ("wanted", "indexes"),
        [
            (Filter(trace_id="t-1"), [11]),
            (Filter(connector="mail"), [12, 11]),
            (Filter(subject="ann"), [12]),
            (Filter(rules=("R-2", "R-9")), [12, 10]),
            (Filter(text="SALT and"), [12]),
            (Filter(text='"quoted"', connector="mail"), [12]),
            (Filter(text="not there"), []),
            (Filter(subject="nobody"), []),
        ],
    )
    def test_by_trace_connector_person_control_and_text(self, reader, wanted, indexes):
        self.log.append(entry(41, trace_id="t-1", connectors=["mail", "mail"]))
        said = {"input": 'Pepper, salt and "quoted"'}
        self.log.append(entry(42, connectors=["mail"], rules=["R-9"])._replace(sealed=said, subject="ann"))
        assert reader.search(wanted) == indexes
        assert reader.page(wanted, 50).indexes == indexes
        assert reader.verify_self() == 13

    def test_pages_of_a_text_search_go_on_where_they_ended(self, reader, monkeypatch):
        monkeypatch.setattr("audit.reader.MOST_OPENED", 3)
        found, before, pages = [], 0, 0
        while True:
            page = reader.page(Filter(text="Where2EAT", before=before), 2)
            found += page.indexes
            pages += 1
            if page.next is None:
                break
            before = page.next
        assert found == list(range(9, -1, -1))
        assert pages > 4
        assert (
            reader.search(Filter(text='opened": {"input": {"n')) == []
        )  # only values are looked at, not how they are stored

    def test_a_decision_is_found_by_its_id(self, reader):
        assert reader.find("d40") == 10
        assert reader.find("none") is None


class TestWhatDoesNotOpen:
    def test_two_writers(self, home):
        with log_of(home), pytest.raises(LogInUse, match="another process"):
            log_of(home)

    def test_a_record_that_was_changed_in_the_database_is_named(self, home):
        with sqlite3.connect(home / "audit" / "log.db") as database:
            leaf = database.execute("SELECT leaf FROM leaves WHERE idx = 4").fetchone()[0]
            database.execute("UPDATE leaves SET leaf = ? WHERE idx = 4", (leaf.replace(b"deny", b"alow"),))
        with pytest.raises(LogTorn, match="record 4"):
            log_of(home)

    @pytest.mark.parametrize(
        ("damage", "named"),
        [
            ("UPDATE tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 0", "records"),
            ("UPDATE leaves SET idx = CASE idx WHEN 3 THEN -4 ELSE -3 END WHERE idx IN (3, 4)", "record 3"),
            (
                "UPDATE head SET note = replace(note, char(10) || '10' || char(10), char(10) || '11' || char(10))",
                "checkpoint",
            ),
            ("DELETE FROM tiles", "hashes are incomplete"),
        ],
        ids=["tile byte", "swapped order", "edited size", "removed hashes"],
    )
    def test_what_was_bent_in_the_database_is_named(self, home, damage, named):
        with sqlite3.connect(home / "audit" / "log.db") as database:
            database.execute(damage)
            database.execute("UPDATE leaves SET idx = -idx WHERE idx < 0")
        with pytest.raises(LogTorn, match=named):
            log_of(home)

    def test_a_checkpoint_that_another_key_signed_is_not_the_log_s(self, home, tmp_path):
        with log_of(tmp_path / "other") as other:
            forged = other.key.checkpoint(10, LogReader(home, origin=ORIGIN).root(10))
        with sqlite3.connect(home / "audit" / "log.db") as database:
            database.execute("UPDATE head SET note = ?", (forged,))
        with pytest.raises(LogTorn, match="not this log's"):
            log_of(home)

    def test_a_record_that_was_removed_is_named(self, home):
        with sqlite3.connect(home / "audit" / "log.db") as database:
            database.execute("DELETE FROM leaves WHERE idx = 4")
        with pytest.raises(LogTorn, match="record 4"):
            log_of(home)

    def test_a_tail_that_was_cut_off(self, home):
        with sqlite3.connect(home / "audit" / "log.db") as database:
            database.execute("DELETE FROM leaves WHERE idx > 6")
        with pytest.raises(LogRolledBack, match="7 records, its signed head says 10"):
            log_of(home)

    def test_a_record_and_its_hashes_rewritten_together_do_not_fit_the_signed_head(self, home, tmp_path):
        other = tmp_path / "other"
        shutil.copytree(home / "audit" / "..", other, ignore=shutil.ignore_patterns("other"))
        for name in ("log.db", "head"):
            (other / "audit" / name).unlink()
        with log_of(other) as log:
            for number in range(10):
                log.append(entry(number, effect="allow"))
        shutil.copy(other / "audit" / "log.db", home / "audit" / "log.db")
        with pytest.raises(LogTorn, match="not those the signed head speaks of"):
            log_of(home)

    def test_an_older_copy_of_the_database(self, home, tmp_path):
        old = (home / "audit" / "log.db").read_bytes()
        with log_of(home) as log:
            log.append(entry(10))
        (home / "audit" / "log.db").write_bytes(old)
        with pytest.raises(LogRolledBack, match="older copy"):
            log_of(home)

    def test_a_missing_head_file(self, home):
        (home / "audit" / "head").unlink()
        with pytest.raises(LogTorn, match="head is missing"):
            log_of(home)

    @pytest.mark.parametrize("damage", [b"\0" * 100, b"", b"SQLite format 3\0" + b"\xff" * 200])
    def test_a_database_that_is_none(self, home, damage):
        path = home / "audit" / "log.db"
        path.write_bytes(damage or path.read_bytes()[:5000])
        with pytest.raises((LogTorn, LogRolledBack)):
            log_of(home)

    def test_another_key_than_the_log_was_written_with(self, home):
        (home / "audit" / "key").write_bytes(os.urandom(32))
        with pytest.raises(LogTorn):
            log_of(home)

    def test_a_head_slot_that_was_torn_leaves_the_other(self, home):
        path = home / "audit" / "head"
        with log_of(home) as log:
            size = log.append(entry(10)).size
        raw = bytearray(path.read_bytes())
        newest = 0 if f"\n{size}\n".encode() in raw[:1024] else 1024
        raw[newest + 20 : newest + 60] = b"\xff" * 40
        path.write_bytes(raw)
        with log_of(home) as log:
            assert log.append(entry(11)).size == size + 1

    def test_a_head_file_with_nothing_in_it_that_verifies(self, home):
        (home / "audit" / "head").write_bytes(b"x" * 2048)
        with pytest.raises(LogTorn, match="no checkpoint"):
            log_of(home)

    def test_hashes_above_the_leaves_that_were_changed_are_named(self, tmp_path):
        with log_of(tmp_path) as log:
            for done in [log.submit(entry(number)) for number in range(300)]:
                done.result(30)
            with sqlite3.connect(tmp_path / "audit" / "log.db") as database:
                database.execute("UPDATE tiles SET hashes = zeroblob(32) WHERE level = 1")
            with pytest.raises(LogTorn, match="hashes"):
                log.reader.verify_part(0, 256)

    def test_reading_where_nothing_was_written(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            LogReader(tmp_path, origin=ORIGIN)


class TestReadingBesideAWriter:
    def test_a_reader_sees_what_was_acknowledged(self, home):
        with log_of(home) as log:
            reader = LogReader(home, origin=ORIGIN)
            index = log.append(entry(10)).index
            assert reader.record(index)["public"]["decision_id"] == "d10"
            reader.close()

    def test_an_export_covers_whole_batches_and_never_overwrites(self, home, tmp_path):
        with log_of(home) as log:
            wanted, created = Wanted(Filter(app="where2eat"), ["jsonl"]), "2026-03-02T00:00:00Z"
            done = export(log.reader, wanted, tmp_path / "out", created=created)
            assert done.records == 10
            with pytest.raises(AuditError, match="exists already"):
                export(log.reader, wanted, tmp_path / "out", created=created)
            with pytest.raises(AuditError, match="xml"):
                export(log.reader, Wanted(Filter(), ["xml"]), tmp_path / "new", created=created)
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
        assert manifest["filter"] == {"app": "where2eat"}
