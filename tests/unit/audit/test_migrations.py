"""Schemas change by numbered steps, and a log moves from SQLite into PostgreSQL whole or not at all."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from audit.custody import Custody
from audit.errors import LogInUse, LogRolledBack, LogTorn, LogUnusable
from audit.log import AuditLog
from audit.migrate import move
from audit.postgres import migrate, revision_of
from audit.reader import LogReader
from audit.record import Entry
from audit.rows import Filter
from audit.schema import HEAD
from audit.shared import SharedLog
from audit.store import Store
from tests.postgres import needs_postgres

ORIGIN = "log.example/move"
NOW = "2026-06-01T00:00:00Z"

pytestmark = needs_postgres


def entry(number: int, subject: str = "bob") -> Entry:
    public = {"decision_id": f"d{number}", "app": "a\0b", "effect": "deny", "rules": ["R-1"], "connectors": ["mail"]}
    return Entry("deploy", "2026-03-01T10:00:00Z", public, {"input": {"n": number}}, subject)


def shared(home: Path, database) -> SharedLog:
    return SharedLog(home, origin=ORIGIN, database=database, complain=lambda _: None)


@pytest.fixture
def home(tmp_path):
    with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
        for done in [log.submit(entry(n, "ann" if n % 5 == 0 else "bob")) for n in range(300)]:
            done.result(30)
        act = Custody(log).act
        act("erase", {"subject": "ann", "reason": "request", "time": NOW, "public": {}})
        retention = {"classes": [{"keep": "P30D"}], "leaves": "P30D"}
        for _ in range(2):
            act("prune", {"retention": retention, "time": NOW, "public": {}})
        log.append(entry(400))
    return tmp_path / "home"


def test_a_log_in_the_previous_schema_is_served_after_the_step_to_this_one(home, postgres):
    """What version 1 held is written by hand; the step adds what several replicas need, and loses nothing."""
    database = postgres.database()
    with contextlib.closing(database.connect()) as connection:
        assert migrate(connection, to="0001") == ""
        assert revision_of(connection) == "0001"
        # As it was stamped before Alembic did it.
        connection.execute(
            "DROP TABLE alembic_version; CREATE TABLE schema_version (version int); INSERT INTO schema_version VALUES (1)"
        )
        assert revision_of(connection) == "0001"
        with contextlib.closing(Store(home / "audit" / "log.db", read_only=True)) as old:
            for table in ("rules_hit", "connectors_hit", "tiles", "sealed", "emptied", "subjects"):
                for row in old.rows(f"SELECT * FROM {table}"):  # noqa: S608  our own names
                    marks = ",".join(["%s"] * len(row))
                    connection.execute(f"INSERT INTO {table} VALUES ({marks})".encode(), row)  # noqa: S608  same
            for row in old.rows("SELECT * FROM leaves"):
                texts = [value.replace("\0", "\x01\x02") if isinstance(value, str) else value for value in row]
                connection.execute(f"INSERT INTO leaves VALUES ({','.join(['%s'] * 11)})".encode(), texts)  # noqa: S608  same
            connection.execute("INSERT INTO pruned_apps VALUES (%s, 256)", ("a\x01\x02b",))
            connection.execute("INSERT INTO head VALUES (1, %s, %s)", (old.size(), old.head_note()))
            size = old.size()
        with pytest.raises(LogUnusable, match="older schema"):
            LogReader(home, origin=ORIGIN, database=database)
    with shared(home, database) as log:
        assert log.reader.newest().size == size
        assert log.append(entry(500)).index == size
        assert log.reader.verify_self() == size + 1 - 256
    with contextlib.closing(database.connect()) as connection:
        assert migrate(connection) == revision_of(connection) == HEAD
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(LogUnusable, match="revision '0099'"):
        shared(home, database)


def test_the_tree_head_every_opening_and_every_proof_stay(home, postgres):
    database = postgres.database()
    with contextlib.closing(LogReader(home, origin=ORIGIN)) as reader:
        head, note, found = reader.newest(), reader.checkpoint(), reader.search(Filter(app="a\0b"))
        records = [reader.record(index) for index in range(reader.minimum(), head.size)]
        proof = reader.proof(290, head.size)
    assert move(home, ORIGIN, database) == head
    with shared(home, database) as log:
        assert log.reader.checkpoint() == note
        assert log.reader.search(Filter(app="a\0b")) == found
        assert [log.reader.record(index) for index in range(log.reader.minimum(), head.size)] == records
        assert log.reader.proof(290, head.size) == proof
        assert log.append(entry(401)).app_sequence == records[-1]["app_sequence"] + 1
        assert log.reader.verify_self() == head.size + 1 - 256
    # The old place does not begin a second history.
    with pytest.raises(LogRolledBack, match=r"log\.db is missing"):
        AuditLog(home, origin=ORIGIN)


def test_it_is_run_again_where_it_was_killed_before_the_old_file_was_put_aside(home, postgres):
    database = postgres.database()
    raw = (home / "audit" / "log.db").read_bytes()
    head = move(home, ORIGIN, database)
    (home / "audit" / "log.db.moved").rename(home / "audit" / "log.db")
    assert raw == (home / "audit" / "log.db").read_bytes()
    assert move(home, ORIGIN, database) == head
    with shared(home, database) as log:
        assert log.reader.newest() == head


def test_a_database_that_holds_another_log_is_left_as_it_is(home, tmp_path, postgres):
    database = postgres.database()
    with shared(tmp_path / "other", database) as log:
        log.append(entry(1))
        with pytest.raises(LogInUse, match="a replica writes"):
            move(home, ORIGIN, database)
    with pytest.raises(LogUnusable, match="another log"):
        move(home, ORIGIN, database)
    with AuditLog(home, origin=ORIGIN) as still:
        assert still.append(entry(500)).size > 300


def test_nothing_is_moved_while_a_service_writes_or_where_the_log_is_damaged(home, postgres):
    database = postgres.database()
    with AuditLog(home, origin=ORIGIN), pytest.raises(LogInUse):
        move(home, ORIGIN, database)
    import sqlite3

    with contextlib.closing(sqlite3.connect(home / "audit" / "log.db")) as bent, bent:
        # Below what the right edge needs, and above what was pruned: only hashing everything again finds it.
        bent.execute(
            "UPDATE tiles SET hashes = CAST(zeroblob(32) || substr(hashes, 33) AS BLOB) WHERE level = 0 AND idx = 0"
        )
    with pytest.raises(LogTorn):
        move(home, ORIGIN, database)
    assert (home / "audit" / "log.db").exists()
    with contextlib.closing(database.connect()) as connection:
        assert connection.execute("SELECT count(*) FROM leaves").fetchone() == (0,)
        assert connection.execute("SELECT note FROM head").fetchone() == ("",)
