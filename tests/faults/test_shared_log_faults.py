"""Two replicas on one PostgreSQL, killed, paused, cut off and restarted under load: what was acknowledged is there, once."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit import inbox
from audit.errors import AuditError, LogInUse, LogRolledBack, LogTorn, LogUnusable, NotDurable
from audit.postgres import Database
from audit.postgres_store import PostgresStore
from audit.reader import LogReader
from audit.record import Entry
from audit.rows import Batch
from audit.sequencer import elect
from audit.shared import SharedLog
from tests.postgres import Server, needs_postgres

ROOT = Path(__file__).parents[2]
ORIGIN = "log.example/shared-faults"
REPLICA = Path(__file__).with_name("replicas.py")

pytestmark = [needs_postgres, pytest.mark.timeout(280)]


def entry(number: int) -> Entry:
    public = {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": []}
    return Entry("deploy", "2026-03-01T10:00:00Z", public, {"input": {"n": number}}, "s")


def log_of(home: Path, database: Database, **options) -> SharedLog:
    said: list[str] = []
    log = SharedLog(home, origin=ORIGIN, database=database, complain=said.append, **options)
    log.said = said
    return log


def wait_until(holds, seconds: float = 60.0) -> float:
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, "did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - begun


class Replica:
    """A process that writes for ever."""

    def __init__(self, folder: Path, name: str, database: Database) -> None:
        self.home, self.ledger, self._database = folder / name, folder / f"{name}.ledger", database
        self._name, self._run, self._said = name, 0, b""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._run += 1
        self._said = b""
        self.process = subprocess.Popen(
            [sys.executable, str(REPLICA), self.home, self.ledger, f"{self._name}{self._run}", self._database.url],
            stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        wait_until(lambda: b"ready" in self.said())

    def said(self) -> bytes:
        while select.select([self.process.stdout], [], [], 0)[0]:
            piece = os.read(self.process.stdout.fileno(), 4096)
            if not piece:
                break
            self._said += piece
        return self._said

    @property
    def is_elected(self) -> bool:
        lines = [line for line in self.said().split(b"\n") if b"elected" in line]
        return bool(lines) and lines[-1] == b"elected"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def promised(self) -> list[tuple[int, str]]:
        if not self.ledger.exists():
            return []
        return [(int(index), name) for index, name in (line.split() for line in self.ledger.read_text().splitlines())]


@pytest.fixture
def pair(tmp_path, postgres):
    yield from replicas(tmp_path, postgres.database())


def replicas(folder: Path, database: Database):
    """Two replicas with one key; the first was started once, so that the key is there."""
    first, second = Replica(folder, "one", database), Replica(folder, "two", database)
    with log_of(first.home, database) as log:
        log.append(entry(0))
    (second.home / "audit").mkdir(parents=True, mode=0o700)
    shutil.copy(first.home / "audit" / "key", second.home / "audit" / "key")
    both = [first, second]
    for replica in both:
        replica.start()
    yield both, database
    for replica in both:
        if replica.process.poll() is None:
            replica.process.send_signal(signal.SIGCONT)
            replica.kill()


def check_all(both: list[Replica], database: Database) -> int:
    """Everything that anybody was told is there, at its place, and once; and the log is whole."""
    told = [pair for replica in both for pair in replica.promised()]
    assert len({index for index, _ in told}) == len(told)
    reader = LogReader(both[0].home, origin=ORIGIN, database=database)
    try:
        size = reader.size()
        named: dict[str, int] = {}
        for index in range(size):
            name = reader.record(index)["public"]["decision_id"]
            assert name not in named, f"{name} is there twice"
            named[name] = index
        assert all(named.get(name) == index for index, name in told)
        assert reader.verify_self() == size
    finally:
        reader.close()
    return len(told)


def elected(both: list[Replica]) -> Replica | None:
    return next((replica for replica in both if replica.process.poll() is None and replica.is_elected), None)


def kill_many_times(pair, times: int) -> int:
    both, database = pair
    chance = random.Random(20260301)
    for round_number in range(times):
        wait_until(lambda: elected(both) is not None)
        time.sleep(chance.uniform(0.05, 0.5))
        # Two times out of three the one that writes the log, else the one that forwards.
        leading = elected(both) or both[0]
        victim = leading if round_number % 3 else next(one for one in both if one is not leading)
        other = next(one for one in both if one is not victim)
        victim.kill()
        before = len(other.promised())
        wait_until(lambda other=other, before=before: len(other.promised()) > before + 5, 30)
        victim.start()
    for replica in both:
        replica.kill()
    return check_all(both, database)


def test_kill_9_of_replicas_and_of_the_sequencer_under_load_loses_and_doubles_nothing(pair):
    assert kill_many_times(pair, 5) > 200


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kill_9_of_replicas_and_of_the_sequencer_lose_and_double_nothing(pair):
    assert kill_many_times(pair, 100) > 5000


def test_another_takes_over_within_seconds_when_the_sequencer_is_killed(pair):
    both, database = pair
    wait_until(lambda: elected(both) is not None)
    leading = elected(both)
    other = next(one for one in both if one is not leading)
    leading.kill()
    assert wait_until(lambda: other.is_elected, 30) < 10
    before = len(other.promised())
    wait_until(lambda: len(other.promised()) > before)
    other.kill()
    check_all(both, database)


def test_a_paused_sequencer_is_deposed_and_writes_nothing_when_it_wakes_up(pair):
    both, database = pair
    wait_until(lambda: elected(both) is not None)
    leading = elected(both)
    other = next(one for one in both if one is not leading)
    leading.process.send_signal(signal.SIGSTOP)
    assert wait_until(lambda: other.is_elected, 60) < 30
    before = len(other.promised())
    wait_until(lambda: len(other.promised()) > before + 5)
    leading.process.send_signal(signal.SIGCONT)
    told = len(leading.promised())
    wait_until(lambda: len(leading.promised()) > told + 5)  # as one that forwards
    wait_until(lambda: not leading.is_elected)
    for replica in both:
        replica.kill()
    check_all(both, database)


@pytest.mark.slow
def test_a_server_that_fails_and_comes_back_loses_nothing_that_was_acknowledged(tmp_path):
    server = Server()
    try:
        for both, database in replicas(tmp_path, server.database()):
            for _ in range(2):
                wait_until(lambda both=both: all(len(one.promised()) > 5 for one in both))
                before = [len(one.promised()) for one in both]
                server.stop()
                time.sleep(0.3)
                server.start()
                wait_until(
                    lambda both=both, before=before: all(
                        len(one.promised()) > count + 5 for one, count in zip(both, before, strict=True)
                    )
                )
            for replica in both:
                replica.kill()
            check_all(both, database)
    finally:
        server.remove()


def test_while_the_database_is_away_everybody_hears_no_and_why(tmp_path):
    server = Server()
    try:
        with log_of(tmp_path, server.database()) as log:
            log.append(entry(0))
            server.stop()
            with pytest.raises(NotDurable, match="PostgreSQL"):
                log.append(entry(1), timeout_s=20)
            with pytest.raises(NotDurable, match="PostgreSQL"):
                log.act("erase", {"subject": "s", "reason": "r", "time": "2026-03-01T10:00:00Z", "public": {}})
            with pytest.raises(LogUnusable):
                log.reader.record(0)
            server.start()
            wait_until(lambda: is_taken(log))
            assert log.reader.record(0)["public"]["decision_id"] == "d0"
    finally:
        server.remove()


def is_taken(log: SharedLog) -> bool:
    with contextlib.suppress(NotDurable):
        log.append(entry(2), timeout_s=5)
        return True
    return False


def test_a_database_that_cannot_be_reached_at_start_says_so_without_a_password(tmp_path):
    password = tmp_path / "password"
    password.write_text("very-secret-word\n")
    nowhere = Database("postgresql://governance@127.0.0.1:1/audit", str(password))
    with pytest.raises(LogUnusable, match="cannot be reached") as refused:
        log_of(tmp_path / "home", nowhere)
    assert "very-secret-word" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:very-secret-word@h/d", "postgresql://u@h/d?password=very-secret-word", "mysql://u:very-secret-word@h",
     "postgresql://u:very-secret-word/@h:x/d", "host=h password=very-secret-word"],
)  # fmt: skip
def test_a_password_in_a_url_is_refused_and_not_repeated(url):
    with pytest.raises(LogUnusable) as refused:
        Database(url).checked()
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_who_was_deposed_writes_nothing_in_the_same_transaction(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path, database) as log:
        log.append(entry(0))
        note = log.reader.checkpoint()
    old, new = PostgresStore(database, read_only=False), PostgresStore(database, read_only=False)
    try:
        wait_until(lambda: elect(old))  # the server hears a moment later that the log was closed
        assert not elect(new)
        # As if the server had given the lock away meanwhile: the old session lives, and believes that it was elected.
        old.connection.execute("SELECT pg_advisory_unlock_all()")
        assert elect(new)
        with pytest.raises(LogInUse, match="another process was elected"):
            old.append(Batch([], [], [], 1, note))
        assert old.lost
        with pytest.raises(LogInUse):
            old.append(Batch([], [], [], 1, note))
        new.append(Batch([], [], [], 1, note))
    finally:
        old.close()
        new.close()


def test_a_reader_s_session_cannot_write(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path, database) as log:
        log.append(entry(0))
        with contextlib.closing(PostgresStore(database)) as store, pytest.raises(LogInUse):
            store.append(Batch([], [], [], 1, ""))


def test_an_older_copy_of_the_database_is_refused_by_a_replica_that_saw_more(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path / "one", database) as log:
        log.append(entry(0))
        yesterday = (tmp_path / "one" / "audit" / "head").read_bytes()
        assert yesterday
        older = copy_of(database, postgres)
        log.append(entry(1))
    with pytest.raises(LogRolledBack, match="1 records, this replica saw 2"):
        log_of(tmp_path / "one", older)
    with pytest.raises(LogRolledBack):
        LogReader(tmp_path / "one", origin=ORIGIN, database=older)
    # Grown beyond what was seen, by somebody who has the key but not the memory: another history.
    (tmp_path / "two" / "audit").mkdir(parents=True, mode=0o700)
    shutil.copy(tmp_path / "one" / "audit" / "key", tmp_path / "two" / "audit" / "key")
    with log_of(tmp_path / "two", older) as other:
        for number in range(5, 9):
            other.append(entry(number))
    with pytest.raises(LogTorn, match="first 2 records are not those"):
        log_of(tmp_path / "one", older)


def copy_of(database: Database, server: Server) -> Database:
    """What a restored backup is: the same rows in another database."""
    copy = server.database()
    tables = ("leaves", "rules_hit", "connectors_hit", "tiles", "sealed", "emptied", "subjects", "pruned_apps", "head")
    with contextlib.closing(database.connect()) as old, contextlib.closing(copy.connect()) as new:
        from audit.postgres import migrate

        migrate(new)
        new.execute("DELETE FROM head")
        for table in tables:
            with (
                old.cursor().copy(f"COPY {table} TO STDOUT") as out,
                new.cursor().copy(f"COPY {table} FROM STDIN") as into,
            ):
                for piece in out:
                    into.write(piece)
    return copy


def test_a_replica_with_another_key_neither_writes_nor_acknowledges(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path / "one", database) as log:
        log.append(entry(0))
    with pytest.raises(LogTorn, match="missing"):
        log_of(tmp_path / "two", database)
    with log_of(tmp_path / "other", postgres.database()) as other:
        other.append(entry(0))
    shutil.rmtree(tmp_path / "two")
    (tmp_path / "two" / "audit").mkdir(parents=True, mode=0o700)
    shutil.copy(tmp_path / "other" / "audit" / "key", tmp_path / "two" / "audit" / "key")
    with pytest.raises(LogTorn, match="another key"):
        log_of(tmp_path / "two", database)


def test_what_somebody_else_puts_into_the_inbox_is_no_record_and_what_waits_is_not_readable(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path, database) as log:
        first = log.append(entry(0))
        with contextlib.closing(database.connect()) as connection:
            row = connection.execute("SELECT entry_id FROM leaves WHERE idx = 0").fetchone()
            forged = [(inbox.new_entry_id(), inbox.ENTRY, b"x" * 80), (inbox.new_entry_id(), inbox.ACT, b"")]
            inbox.put(connection, [*forged, (row[0].bytes, inbox.ENTRY, b"an old row that was put back")])
            wait_until(lambda: connection.execute("SELECT count(*) FROM inbox").fetchone() == (0,))
        assert log.append(entry(1)).index == first.index + 1
        sealed = inbox.Seal(log.key).sealed(inbox.entry_value(entry(7)), b"bound")
        assert b"deploy" not in sealed
        with pytest.raises(NotDurable):
            inbox.Seal(log.key).opened(sealed, b"another")
        assert log.reader.verify_self() == 2


def test_what_the_database_will_not_store_keeps_nobody_else_waiting(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path, database) as log:
        log.append(entry(0))
        with contextlib.closing(database.connect()) as connection:
            connection.execute("ALTER TABLE leaves ADD CHECK (decision_id <> 'd5')")
        sent = [log.submit(entry(number)) for number in range(1, 10)]
        with pytest.raises(AuditError, match="refused"):
            sent.pop(4).result(20)
        assert sorted(done.result(20).index for done in sent) == list(range(1, 9))
        assert log.is_elected
        assert log.reader.verify_self() == 9


def test_a_replica_that_hears_of_damage_stops_writing_for_the_others(tmp_path, postgres):
    with log_of(tmp_path, postgres.database()) as log:
        log.append(entry(0))
        assert log.is_elected
        log.distrust("a witness saw more")
        with pytest.raises(NotDurable, match="a witness saw more"):
            log.append(entry(1))
        wait_until(lambda: not log.is_elected)


def test_two_writers_in_one_home(tmp_path, postgres):
    database = postgres.database()
    with log_of(tmp_path, database), pytest.raises(AuditError) as refused:
        log_of(tmp_path, database)
    assert isinstance(refused.value, LogInUse)
