"""Killed, flipped, cut, filled up: what was acknowledged is there, and what is not whole does not open."""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit.errors import LogInUse, LogRolledBack, LogTorn, NotDurable
from audit.log import AuditLog
from audit.record import Entry

ROOT = Path(__file__).parents[2]
ORIGIN = "log.example/faults"
WRITERS = Path(__file__).with_name("writers.py")


def log_of(home: Path) -> AuditLog:
    return AuditLog(home, origin=ORIGIN)


def entry(number: int, size: int = 0) -> Entry:
    public = {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": []}
    return Entry("deploy", "2026-03-01T10:00:00Z", public, {"input": "x" * size} if size else {}, "s")


def run_and_kill(home: Path, ledger: Path, run: str, after_s: float, least: int) -> None:
    """Killed `after_s` after its twenty writers were promised `least` records."""
    process = subprocess.Popen(
        [sys.executable, str(WRITERS), str(home), str(ledger), run],
        stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 60
    while ledger.read_text().count(f" {run}-") < least:
        assert time.monotonic() < deadline, "it promises nothing"
        time.sleep(0.002)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def promised(ledger: Path) -> dict[int, str]:
    lines = [line.split() for line in ledger.read_text().splitlines()]
    kept = {int(index): name for index, name in lines}
    assert len(kept) == len(lines), "one place was promised to two"
    return kept


def check_all(home: Path, ledger: Path, *, is_thorough: bool = True) -> int:
    """Everything in the ledger is in the log at its place, once, and the log is whole (its hashes: looked at by opening it)."""
    with log_of(home) as log:
        kept = promised(ledger)
        named: dict[str, int] = {}
        for index, leaf in enumerate(log.reader.leaves(0, log.reader.size())):
            name = json.loads(leaf)["public"]["decision_id"]
            assert named.setdefault(name, index) == index, f"{name} is there twice"
        assert all(named[decision_id] == index for index, decision_id in kept.items())
        assert len(named) >= len(kept)
        if is_thorough:
            assert log.reader.verify_self() == len(named)
    return len(kept)


def kill_many_times(folder: Path, times: int) -> int:
    home, ledger = folder / "home", folder / "ledger"
    chance = random.Random(20260301)
    for run in range(times):
        # Every other life may end before it has promised anything.
        run_and_kill(home, ledger, f"r{run}", chance.uniform(0.0, 0.25), least=run % 2 * 40)
        check_all(home, ledger, is_thorough=run % 10 == 9)
    return check_all(home, ledger)


def test_kill_9_under_twenty_writers_loses_nothing_that_was_acknowledged(tmp_path):
    assert kill_many_times(tmp_path, 12) > 200


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_hundred_kill_9_under_twenty_writers_lose_nothing(tmp_path):
    assert kill_many_times(tmp_path, 100) > 2000


@pytest.fixture
def killed(tmp_path):
    """A log whose writer was killed early: its records are only in the write-ahead log."""
    statement = (
        "import os, sys; sys.path[:0] = sys.argv[1:3]; from test_log_faults import *; log = log_of(Path(sys.argv[3]));"
        "promised = [(log.append(entry(n)).index, f'd{n}') for n in range(30)];"
        "Path(sys.argv[4]).write_text(''.join(f'{i} {d}\\n' for i, d in promised)); os.kill(os.getpid(), 9)"
    )
    here = str(Path(__file__).parent)
    subprocess.run(
        [sys.executable, "-c", statement, here, str(ROOT), str(tmp_path / "home"), str(tmp_path / "ledger")],
        check=False,
    )
    assert (tmp_path / "home" / "audit" / "log.db-wal").stat().st_size > 0
    return tmp_path / "home"


def test_one_flipped_bit_anywhere_in_the_write_ahead_log_is_refused_or_does_no_harm(killed, tmp_path):
    """SQLite drops a frame that does not check out, and all behind it, without a word. The head file has the word."""
    chance, refused = random.Random(7), []
    wal = (killed / "audit" / "log.db-wal").read_bytes()
    for attempt in range(12):
        copy = tmp_path / f"copy{attempt}"
        shutil.copytree(killed, copy)
        bent = bytearray(wal)
        place = chance.randrange(32, len(bent)) if attempt else len(bent) // 2
        bent[place] ^= 1 << chance.randrange(8)
        (copy / "audit" / "log.db-wal").write_bytes(bent)
        try:
            check_all(copy, tmp_path / "ledger")
        except (LogRolledBack, LogTorn) as error:
            refused.append(str(error))
    assert refused
    assert all("restore" in reason.lower() for reason in refused)


def test_a_write_ahead_log_that_is_gone_or_cut_is_a_rolled_back_log(killed, tmp_path):
    wal = killed / "audit" / "log.db-wal"
    raw = wal.read_bytes()
    wal.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(LogRolledBack, match="lost its end"):
        log_of(killed)
    wal.unlink()
    (killed / "audit" / "log.db-shm").unlink(missing_ok=True)
    with pytest.raises((LogRolledBack, LogTorn)):
        log_of(killed)


def test_yesterday_s_database_copied_back_is_refused_by_name(tmp_path):
    with log_of(tmp_path) as log:
        log.append(entry(1))
    shutil.copy(tmp_path / "audit" / "log.db", tmp_path / "yesterday.db")
    with log_of(tmp_path) as log:
        log.append(entry(2))
    shutil.copy(tmp_path / "yesterday.db", tmp_path / "audit" / "log.db")
    with pytest.raises(LogRolledBack, match="older copy of the database"):
        log_of(tmp_path)


def test_a_second_process_does_not_write(tmp_path):
    process = subprocess.Popen(
        [sys.executable, str(WRITERS), str(tmp_path / "home"), str(tmp_path / "ledger"), "r"],
        stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(LogInUse, match="another process"):
            log_of(tmp_path / "home")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    check_all(tmp_path / "home", tmp_path / "ledger")


@contextlib.contextmanager
def small_disk(size: int):
    """Files of this process cannot grow beyond `size`: the disk says no in the middle of a write, as a full one does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_is_a_no_and_with_room_again_the_log_goes_on(tmp_path):
    acknowledged = []
    with log_of(tmp_path) as log:
        for number in range(5):
            acknowledged.append(log.append(entry(number, 2000)).index)
        with small_disk(300_000), pytest.raises(NotDurable, match="could not be written"):
            for number in range(5, 2000):
                acknowledged.append(log.append(entry(number, 20_000)).index)
        assert len(acknowledged) < 1000
        acknowledged.append(log.append(entry(9999)).index)
        assert log.reader.verify_self() >= len(acknowledged)
    with log_of(tmp_path) as log:
        for index in acknowledged:
            assert log.reader.record(index)["index"] == index
        assert len(set(acknowledged)) == len(acknowledged)


def test_a_head_file_that_cannot_be_written_is_a_no(tmp_path):
    """The database took the batch, the head file did not: nobody is told yes, and the log still opens."""
    with log_of(tmp_path) as log:
        log.append(entry(1))
        head = tmp_path / "audit" / "head"
        size = head.stat().st_size
        with small_disk(size // 2 if size > 1024 else 1), pytest.raises(NotDurable):
            log.append(entry(2))
            log.append(entry(3))
    with log_of(tmp_path) as log:
        index = log.append(entry(4)).index
        assert log.reader.record(index)["public"]["decision_id"] == "d4"
        log.reader.verify_self()


def test_a_database_that_another_program_holds_is_a_no_not_a_wait_for_ever(tmp_path):
    with log_of(tmp_path) as log:
        log.append(entry(1))
        other = sqlite3.connect(tmp_path / "audit" / "log.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotDurable):
            log.append(entry(2), timeout_s=10)
        other.execute("ROLLBACK")
        other.close()
        assert log.append(entry(3)).index >= 1
        log.reader.verify_self()
