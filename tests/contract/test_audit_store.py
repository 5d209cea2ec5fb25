"""Every store keeps the same promises: one suite on SQLite and on a real PostgreSQL, with its elected sequencer."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from audit.care import Care
from audit.custody import Custody
from audit.errors import AuditError, HeldBack, LogRolledBack, LogTorn, NotDurable, NothingThere, RecordTooLarge
from audit.exports.package import Wanted, export
from audit.log import AuditLog
from audit.proofs import Trusted, check_proof
from audit.proving import prove_growth, prove_inclusion
from audit.questions import data_of, who_allowed
from audit.record import Entry
from audit.rows import Filter
from audit.tree import is_consistent, leaf_hash, root_from_inclusion
from audit.verify import main as verify

ORIGIN = "log.example/contract"
NOW = "2026-06-01T00:00:00Z"


def entry(number: int = 0, subject: str = "somebody", **public) -> Entry:
    fields = {
        "decision_id": f"d{number}",
        "app": "where2eat",
        "tenant": "marketing",
        "effect": "deny",
        "rules": ["R-1"],
    }
    when = f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return Entry("deploy", when, {**fields, **public}, {"input": {"n": number}}, subject)


class OnSqlite:
    database = None

    def __init__(self, home: Path) -> None:
        self.home = home

    def open(self, timeout_s=30.0):
        return AuditLog(self.home, origin=ORIGIN)

    def act(self, log, verb, **arguments):
        return Custody(log).act(verb, {"time": NOW, "public": {"decision_id": f"by-{verb}"}, **arguments})

    def sql(self, statement: str) -> None:
        with contextlib.closing(sqlite3.connect(self.home / "audit" / "log.db")) as database, database:
            database.execute(statement)


class OnPostgres(OnSqlite):
    def __init__(self, home: Path, server) -> None:
        super().__init__(home)
        self.database = server.database()
        self.said: list[str] = []

    def open(self, timeout_s=30.0):
        from audit.shared import SharedLog

        return SharedLog(
            self.home, origin=ORIGIN, database=self.database, complain=self.said.append, timeout_s=timeout_s
        )

    def act(self, log, verb, **arguments):
        return log.act(verb, {"time": NOW, "public": {"decision_id": f"by-{verb}"}, **arguments})

    def sql(self, statement: str) -> None:
        with contextlib.closing(self.database.connect()) as connection:
            connection.execute(statement.encode())


@pytest.fixture(params=["sqlite", "postgres"])
def kept(request, tmp_path):
    if request.param == "sqlite":
        return OnSqlite(tmp_path / "home")
    return OnPostgres(tmp_path / "home", request.getfixturevalue("postgres"))


def fill(log, entries):
    return [done.result(60) for done in [log.submit(one) for one in entries]]


def test_receipts_say_where_records_are_and_they_are_there_also_after_reopening(kept):
    with kept.open() as log:
        receipts = fill(log, (entry(n, app=f"app{n % 2}") for n in range(20)))
        assert [(r.index, r.app_sequence) for r in receipts] == [(n, n // 2 + 1) for n in range(20)]
        assert all(leaf_hash(log.reader.leaf(r.index)).hex() == r.leaf_hash for r in receipts)
        head = log.reader.newest()
    with kept.open() as log:
        assert log.reader.newest() == head
        assert log.append(entry(20, app="app0")).app_sequence == 11
        assert log.reader.record(20)["opened"] == {"input": {"n": 20}}
        assert log.reader.verify_self() == 21


@pytest.mark.parametrize(
    ("public", "error"),
    [
        ({"x": "y" * 70_000}, RecordTooLarge),
        ({"x": float("nan")}, NotDurable),
        ({"x": {1, 2}}, NotDurable),
        ({"app": "\ud800"}, AuditError),
    ],
)
def test_what_cannot_be_a_record_is_refused_and_the_others_are_not(kept, public, error):
    with kept.open() as log:
        good = log.submit(entry(1))
        with pytest.raises(error):
            log.submit(entry(2, **public)).result(20)
        assert good.result(20).index == 0
        assert log.append(entry(3)).index == 1
        assert log.reader.verify_self() == 2


def test_a_subject_that_is_no_text_is_refused_and_the_others_of_its_batch_are_not(kept):
    with kept.open() as log:
        sent = [log.submit(entry(n, subject="\ud800" if n == 3 else "ann")) for n in range(8)]
        with pytest.raises(AuditError):
            sent.pop(3).result(20)
        assert sorted(done.result(20).index for done in sent) == list(range(7))


@pytest.mark.parametrize("name", ["a\0b", "a\x01\x02b", "x" * 5000, "é" * 3000, "'; DROP TABLE leaves --", "%s ? {}"])
def test_hostile_names_are_records_and_are_found_by_themselves_alone(kept, name):
    with kept.open() as log:
        fill(log, [entry(0, subject=name, app=name, actor=name, rules=[name], trace_id=name), entry(1, app=name + "x")])
        for wanted in (
            Filter(app=name),
            Filter(actor=name),
            Filter(rule=name),
            Filter(trace_id=name),
            Filter(subject=name),
        ):
            assert log.reader.search(wanted) == [0]
        assert log.reader.record(0)["public"]["app"] == name
        assert log.reader.verify_self() == 2


def test_filters_pages_and_questions(kept):
    with kept.open() as log:
        fill(log, (entry(n) for n in range(10)))
        fill(
            log,
            [
                entry(40, app="other", tenant="finance", effect="allow", rules=["R-1", "R-2"], actor="key:1"),
                entry(41, trace_id="t-1", connectors=["mail", "mail"]),
                entry(42, subject="ann", connectors=["mail"], rules=["R-9"])._replace(sealed={"input": "Pepper, salt"}),
            ],
        )
        reader = log.reader
        for wanted, indexes in (
            (Filter(app="other"), [10]), (Filter(tenant="finance"), [10]), (Filter(effect="allow"), [10]),
            (Filter(rule="R-2"), [10]), (Filter(actor="key:1"), [10]), (Filter(kind="hold"), []),
            (Filter(app="where2eat", before=2), [1, 0]), (Filter(trace_id="t-1"), [11]),
            (Filter(since="2026-03-01T10:00:08Z", until="2026-03-01T10:00:10Z"), [9, 8]),
            (Filter(connector="mail"), [12, 11]), (Filter(subject="ann"), [12]), (Filter(subject="nobody"), []),
            (Filter(rules=("R-2", "R-9")), [12, 10]), (Filter(text="SALT"), [12]),
        ):  # fmt: skip
            assert reader.search(wanted) == indexes, wanted
        page = reader.page(Filter(app="where2eat"), 5)
        assert (page.indexes, reader.page(Filter(app="where2eat", before=page.next), 2).indexes) == (
            [12, 11, 9, 8, 7],
            [6, 5],
        )
        assert reader.find("d40") == 10
        assert reader.find("nothing") is None
        assert who_allowed(reader, app="other")[0]["actor"] == "key:1"
        assert data_of(reader, "ann")["connectors"] == {"mail": 1}


def test_proofs_tiles_and_an_export_that_verifies(kept, tmp_path):
    with kept.open() as log:
        fill(log, (entry(n) for n in range(300)))
        old = log.reader.newest()
        fill(log, (entry(n) for n in range(300, 330)))
        new = log.reader.newest()
        for index in (0, 255, 256, 299, 329):
            path = log.reader.proof(index, new.size)
            assert root_from_inclusion(index, new.size, leaf_hash(log.reader.leaf(index)), path) == new.root
        assert is_consistent(old.size, new.size, old.root, new.root, log.reader.consistency(old.size, new.size))
        assert [len(log.reader.tile(*at)) // 32 for at in ((0, 0), (0, 1), (1, 0), (2, 0))] == [256, 74, 1, 0]
        done = export(log.reader, Wanted(Filter(), ("jsonl", "csv")), tmp_path / "package", created=NOW)
        key = log.reader.verifier_key
    assert done.records == 330
    assert verify([str(tmp_path / "package"), "--key", key], lambda _: None, lambda _: None) == 0


def test_hold_erase_and_what_stays(kept):
    with kept.open() as log:
        fill(log, (entry(n, subject="ann" if n % 3 == 0 else "bob") for n in range(12)))
        before = log.reader.newest()
        hold = kept.act(log, "hold", scope={"subject": "ann"}, reason="case 9", owner="legal")
        with pytest.raises(HeldBack, match=hold["hold"]):
            kept.act(log, "erase", subject="ann", reason="request")
        kept.act(log, "release", hold=hold["hold"], reason="closed")
        done = kept.act(log, "erase", subject="ann", reason="request 17")
        # The hold named her too, and is sealed for her.
        assert (done["records"], done["indexes"]) == (5, "0,3,6,9,12")
        with pytest.raises(NothingThere):
            kept.act(log, "erase", subject="ann", reason="again")
        assert log.reader.record(0)["opened"] == {}
        assert log.reader.record(1)["opened"] == {"input": {"n": 1}}
        assert log.reader.search(Filter(subject="ann")) == []
        new = log.reader.newest()
        assert is_consistent(
            before.size, new.size, before.root, new.root, log.reader.consistency(before.size, new.size)
        )
        # A new key for the same name is another key.
        assert log.reader.record(log.append(entry(50, subject="ann")).index)["opened"] == {"input": {"n": 50}}
        assert log.reader.verify_self() == new.size + 1
        with pytest.raises(AuditError):
            kept.act(log, "no-such-verb")


def test_retention_takes_content_first_and_then_leaves_and_counting_goes_on(kept):
    retention = {"classes": [{"keep": "P30D"}], "leaves": "P30D"}
    with kept.open() as log:
        fill(log, (entry(n) for n in range(600)))
        before = log.reader.newest()
        assert kept.act(log, "prune", retention=retention, dry_run=True)["records"] == 600
        assert kept.act(log, "prune", retention=retention)["records"] == 600
        assert kept.act(log, "prune", retention=retention)["minimum"] == 512
        assert log.reader.minimum() == 512
        with pytest.raises(KeyError):
            log.reader.leaf(511)
        assert log.reader.record(512)["opened"] == {}
        new = log.reader.newest()
        assert is_consistent(
            before.size, new.size, before.root, new.root, log.reader.consistency(before.size, new.size)
        )
        assert log.append(entry(600)).app_sequence == 601
        assert log.reader.verify_self() == log.reader.size() - 512
    with kept.open() as log:
        assert log.append(entry(601)).app_sequence == 602


def test_a_record_and_the_growth_are_proved_from_either(kept):
    with kept.open() as log:
        fill(log, (entry(n) for n in range(300)))
        trusted = Trusted(log.reader.verifier_key, log.reader.checkpoint())
        fill(log, (entry(n) for n in range(300, 560)))
        for index, size in ((0, 1), (255, 257), (256, 0), (559, 560)):
            text = prove_inclusion(log.reader, index, size).text()
            assert f"record {index} (" in check_proof(text.encode(), trusted._replace(pinned=""))
        grown = prove_growth(log.reader, 300).text()
        assert "of 560 continues your checkpoint of 300" in check_proof(grown.encode(), trusted)


def test_a_new_key_signs_beside_the_old_one_and_then_alone(kept):
    with kept.open() as log:
        log.append(entry(0))
        old = log.reader.verifier_key
        keys = kept.act(log, "rotate_key")
        assert keys["old_key"] == old
        log.append(entry(1))
        assert log.reader.checkpoint().count("\n\u2014 ") == 2
        assert kept.act(log, "finish_rotation")["new_key"] == keys["new_key"] == log.reader.verifier_key
        log.append(entry(2))
    with kept.open() as log:
        assert log.append(entry(3)).size == 6
        assert log.reader.checkpoint().count("\n\u2014 ") == 1
        assert log.reader.verify_self() == 6


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE leaves SET app = 'other' WHERE idx = 4", "record 4 would not be found"),
        ("UPDATE leaves SET kind = 'hold' WHERE idx = 4", "record 4 would not be found"),
        ("DELETE FROM rules_hit WHERE idx = 4", "record 4 would not be found"),
        ("DELETE FROM sealed WHERE idx = 4", "sealed fields of record 4"),
        ("DELETE FROM subjects", "sealed fields of record 0"),
        ("DELETE FROM leaves WHERE idx = 4", "record 4 is missing"),
        ("UPDATE leaves SET leaf = (SELECT leaf FROM leaves WHERE idx = 5) WHERE idx = 4", "record 4 was changed"),
        ("DELETE FROM tiles", "hashes"),
    ],
)
def test_self_audit_names_what_was_bent(kept, damage, named):
    with kept.open() as log:
        fill(log, (entry(n) for n in range(10)))
        kept.sql(damage)
        with pytest.raises(LogTorn, match=named):
            log.reader.verify_self()
        care = Care(
            log, kept.home, origin=ORIGIN, witnesses=None, self_audit_s=3600, complain=lambda _: None,
            database=kept.database,
        )  # fmt: skip
        try:
            with pytest.raises(LogTorn):
                care.audit_part()
        finally:
            care.stop()


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("DELETE FROM leaves WHERE idx = 4", LogTorn),
        ("DELETE FROM leaves WHERE idx > 6", (LogRolledBack, LogTorn)),
        ("UPDATE tiles SET hashes = (SELECT leaf FROM leaves WHERE idx = 0)", LogTorn),
    ],
)
def test_a_log_that_does_not_fit_its_signed_head_is_not_written_any_more(kept, damage, error):
    with kept.open() as log:
        fill(log, (entry(n) for n in range(10)))
    kept.sql(damage)
    with pytest.raises((*(error if isinstance(error, tuple) else (error,)), NotDurable)):  # noqa: SIM117
        with kept.open(timeout_s=2) as log:
            log.append(entry(10))
