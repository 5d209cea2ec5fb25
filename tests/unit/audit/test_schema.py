"""A log.db of an earlier schema is changed at the start of whoever writes it, after a copy; a newer one is refused by name."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from audit.custody import Custody
from audit.errors import LogUnusable
from audit.log import AuditLog
from audit.reader import LogReader
from audit.record import Entry
from audit.rows import Filter, SubjectKey
from audit.schema import HEAD, KNOWN, bound, from_nothing, upgrade

ORIGIN = "log.example/schema"
NOW = "2026-06-01T00:00:00Z"
NAME = "Canary-Ford-Prefect"

# As the last version without Alembic made it, with the number 2 in user_version.
BEFORE = """
CREATE TABLE leaves (
    idx INTEGER PRIMARY KEY, leaf BLOB NOT NULL, kind TEXT NOT NULL, time TEXT NOT NULL, decision_id TEXT NOT NULL,
    app TEXT NOT NULL, app_sequence INTEGER NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, effect TEXT NOT NULL,
    trace_id TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX leaves_by_app ON leaves (app, app_sequence);
CREATE INDEX leaves_by_decision ON leaves (decision_id);
CREATE INDEX leaves_by_tenant ON leaves (tenant, idx);
CREATE INDEX leaves_by_kind ON leaves (kind, idx) WHERE kind IN (
    'hold', 'erasure', 'prune', 'key_rotation', 'bundle_activated');
CREATE INDEX leaves_by_trace ON leaves (trace_id) WHERE trace_id <> '';
CREATE TABLE rules_hit (rule TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (rule, idx)) WITHOUT ROWID;
CREATE TABLE connectors_hit (
    connector TEXT NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (connector, idx)) WITHOUT ROWID;
CREATE TABLE tiles (
    level INTEGER NOT NULL, idx INTEGER NOT NULL, hashes BLOB NOT NULL, PRIMARY KEY (level, idx)) WITHOUT ROWID;
CREATE TABLE sealed (idx INTEGER PRIMARY KEY, subject INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
CREATE INDEX sealed_by_subject ON sealed (subject, idx);
CREATE TABLE emptied (idx INTEGER PRIMARY KEY, by INTEGER NOT NULL) STRICT;
CREATE TABLE subjects (number INTEGER PRIMARY KEY, subject TEXT NOT NULL UNIQUE, key BLOB NOT NULL) STRICT;
CREATE TABLE pruned_apps (app TEXT PRIMARY KEY, app_sequence INTEGER NOT NULL) STRICT;
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL, note TEXT NOT NULL);
"""
TABLES = ("leaves", "rules_hit", "connectors_hit", "tiles", "sealed", "emptied", "pruned_apps", "head")


def entry(number: int, subject: str) -> Entry:
    public = {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": ["R-1"], "connectors": ["mail"]}
    return Entry("deploy", "2026-03-01T10:00:00Z", public, {"input": {"n": number}}, subject)


@pytest.fixture
def home(tmp_path):
    """Of the earlier version: names and keys in clear, a beginning that was pruned."""
    with AuditLog(tmp_path, origin=ORIGIN) as log:
        for done in [log.submit(entry(number, NAME if number % 5 == 0 else "b")) for number in range(300)]:
            done.result(30)
        retention = {"classes": [{"keep": "P30D"}], "leaves": "P30D"}
        for _ in range(2):
            Custody(log).act("prune", {"retention": retention, "time": NOW, "public": {}})
        for number in range(300, 310):
            log.append(entry(number, NAME if number % 5 == 0 else "b"))
        rows = log._store.rows("SELECT number, subject, key FROM subjects")
        subjects = [log._store.wraps().opened(SubjectKey(*row)) for row in rows]
    make_old(tmp_path / "audit" / "log.db", subjects)
    return tmp_path


def make_old(path: Path, subjects) -> None:
    with contextlib.closing(sqlite3.connect(path.with_name("old.db"))) as old:
        old.executescript(BEFORE)
        old.execute("ATTACH ? AS new", (str(path),))
        for table in TABLES:
            old.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")  # noqa: S608  our own names
        old.executemany("INSERT INTO main.subjects VALUES (?, ?, ?)", subjects)
        old.commit()
        old.execute("PRAGMA user_version=2")
    for name in ("log.db-wal", "log.db-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.with_name("old.db").replace(path)


def test_it_is_changed_at_the_start_after_a_copy_and_nothing_is_lost(home):
    raw = (home / "audit" / "log.db").read_bytes()
    assert NAME.encode() in raw
    with pytest.raises(LogUnusable, match="governance audit migrate"):
        LogReader(home, origin=ORIGIN)
    with AuditLog(home, origin=ORIGIN) as log:
        assert log.append(entry(400, NAME)).index == log.reader.size() - 1
        newest = log.reader.search(Filter(subject=NAME))
        assert len(newest) == 3
        assert log.reader.record(newest[1])["opened"]["input"]["n"] == 305
        assert log.reader.verify_self() == log.reader.size() - 256
    with contextlib.closing(sqlite3.connect(home / "audit" / "log.db")) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]
    assert NAME.encode() not in (home / "audit" / "log.db").read_bytes()
    copy = home / "audit" / f"log.db.before-{HEAD}"
    assert NAME.encode() in copy.read_bytes()
    assert copy.stat().st_mode & 0o077 == 0
    with contextlib.closing(sqlite3.connect(copy)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("SELECT count(*) FROM sealed").fetchone() == (10,)
    # What is erased afterwards is erased there too.
    from governance.platform.withdrawals import Withdrawals

    with AuditLog(home, origin=ORIGIN) as log:
        Custody(log).act("erase", {"time": NOW, "public": {}, "subject": NAME, "reason": "asked"})
        Withdrawals(home, log.reader, log.append).step()
    assert [path for path in home.rglob("*") if path.is_file() and NAME.encode() in path.read_bytes()] == []


def test_a_command_changes_it_as_well(home, monkeypatch):
    import io

    from governance.entrypoints.cli.main import run

    monkeypatch.setenv("GOVERNANCE_HOME", str(home))
    monkeypatch.setenv("GOVERNANCE_LOG_ORIGIN", ORIGIN)
    out, complaints = io.StringIO(), io.StringIO()
    assert run(["audit", "migrate"], io.BytesIO(), out, complaints) == 0, complaints.getvalue()
    assert out.getvalue() == f"the log's schema is revision {HEAD}\n"
    with contextlib.closing(LogReader(home, origin=ORIGIN)) as reader:
        assert reader.verify_self() == reader.size() - 256
    monkeypatch.setenv("GOVERNANCE_HOME", str(home / "nothing"))
    assert run(["audit", "migrate"], io.BytesIO(), out, complaints) == 2


def test_killed_in_the_middle_it_is_the_old_one_still(home, monkeypatch):
    import audit.schema

    def fails(*_args: object, **_options: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(audit.schema, "upgrade", fails)
        with pytest.raises(OSError, match="full"):
            AuditLog(home, origin=ORIGIN)
    with contextlib.closing(sqlite3.connect(home / "audit" / "log.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone() is None
    with AuditLog(home, origin=ORIGIN) as log:
        assert log.append(entry(400, NAME)).index == log.reader.size() - 1


def test_one_of_a_newer_program_and_one_from_before_all_others_are_refused_by_name(home):
    with AuditLog(home, origin=ORIGIN) as log:
        log.append(entry(400, NAME))
    with contextlib.closing(sqlite3.connect(home / "audit" / "log.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '0099'")
        database.commit()
    before = (home / "audit" / "log.db").read_bytes()
    for opening in (AuditLog, LogReader):
        with pytest.raises(LogUnusable, match=r"revision '0099'.*up to '0003'"):
            opening(home, origin=ORIGIN)
    with contextlib.closing(sqlite3.connect(home / "audit" / "log.db")) as database:
        database.execute("DROP TABLE alembic_version")
        database.execute("PRAGMA user_version=1")
        database.commit()
    for opening in (AuditLog, LogReader):
        with pytest.raises(LogUnusable, match="before the first schema"):
            opening(home, origin=ORIGIN)
    assert len(before) == (home / "audit" / "log.db").stat().st_size


def shape(database: sqlite3.Connection) -> list[tuple[str, ...]]:
    said = database.execute("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2")
    return [
        (kind, name, "" if name == "alembic_version" else " ".join((sql or "").split())) for kind, name, sql in said
    ]


def test_a_new_database_has_the_schema_that_alembic_would_make_step_by_step():
    straight, stepwise = (sqlite3.connect(":memory:", isolation_level=None) for _ in range(2))
    for statement in from_nothing("sqlite"):
        straight.execute(statement)
    for statement in from_nothing("sqlite", KNOWN[0]):
        stepwise.execute(statement)
    with bound("sqlite", stepwise) as alembic:
        upgrade(alembic, KNOWN[0], HEAD, "memory")
    assert shape(straight) == shape(stepwise)
    assert stepwise.execute("SELECT version_num FROM alembic_version").fetchall() == [(HEAD,)]


def test_the_revisions_are_one_chain_that_alembic_reads():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import audit.migrations

    config = Config()
    config.set_main_option("script_location", str(Path(audit.migrations.__file__).parent))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    assert [one.revision for one in script.walk_revisions()] == list(reversed(KNOWN))


def test_neither_a_new_log_nor_one_that_is_up_to_date_loads_sqlalchemy(tmp_path):
    script = (
        "import sys; from pathlib import Path; from audit.log import AuditLog\n"
        "for _ in range(2): AuditLog(Path(sys.argv[1]), origin='log.example/x').close()\n"
        "sys.exit(bool({'sqlalchemy', 'alembic'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == 0
