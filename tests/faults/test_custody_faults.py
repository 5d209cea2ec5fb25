"""Killed while it erases, changes keys or talks to a witness; disks whose fsync fails; clocks that jump."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit.cosignature import cosignatures
from audit.log import AuditLog
from audit.record import Entry
from audit.witness import Witness
from audit.witnessing import Witnesses
from tests.witness_server import Serving

ROOT = Path(__file__).parents[2]
ORIGIN = "log.example/faults"
CUSTODIAN = Path(__file__).with_name("custodian.py")


def run_and_kill(home: Path, ledger: Path, run: str, after_s: float, peers: str = "", least: int = 0) -> None:
    """Killed `after_s` after it has promised the end of `least` persons."""
    process = subprocess.Popen(
        [sys.executable, str(CUSTODIAN), str(home), str(ledger), run, peers],
        stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 60
    while ledger.read_text().count(f"erased person-{run}-") < least:
        assert time.monotonic() < deadline, "it promises nothing"
        time.sleep(0.01)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def check_all(home: Path, ledger: Path) -> tuple[int, int]:
    """What was promised holds: records are there, the erased are nowhere in any file."""
    lines = [line.split() for line in ledger.read_text().splitlines()]
    erased = {subject for word, subject in lines if word == "erased"}
    with AuditLog(home, origin=ORIGIN) as log:
        for word, name in lines:
            if word != "erased":
                assert log.reader.record(int(word))["public"]["decision_id"] == name
        log.reader.verify_self()
        for path in home.rglob("*"):
            raw = path.read_bytes() if path.is_file() else b""
            # Whole names only: the erasure of `…-12` may be under way when that of `…-1` was promised.
            assert not {name.decode() for name in re.findall(rb"person-r\d+-erased-\d+", raw)} & erased, path
    return len(lines) - len(erased), len(erased)


def kill_many_times(folder: Path, times: int) -> tuple[int, int]:
    chance = random.Random(42)
    for run in range(times):
        # Every other life may end before it has promised anything.
        run_and_kill(folder / "home", folder / "ledger", f"r{run}", chance.uniform(0.2, 0.8), least=run % 2 * 3)
        counts = check_all(folder / "home", folder / "ledger")
    return counts


def test_killed_while_it_erases_and_changes_keys_it_keeps_every_promise(tmp_path):
    records, erased = kill_many_times(tmp_path, 4)
    assert records > 20
    assert erased > 4


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_same_fifty_times(tmp_path):
    records, erased = kill_many_times(tmp_path, 50)
    assert (records > 1000, erased > 100) == (True, True)


def test_a_witness_never_saw_more_than_survives_a_kill(tmp_path):
    with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
        key = log.key.verifier
    witness = Witness(tmp_path / "witness", "w.example/1", [key])
    serving = Serving(witness)
    try:
        chance = random.Random(1)
        for run in range(4):
            peers = f"{serving.peer.url} {serving.peer.key}"
            run_and_kill(tmp_path / "home", tmp_path / "ledger", f"r{run}", chance.uniform(0.3, 1.6), peers)
            with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
                assert witness.newest(ORIGIN).size <= log.reader.size()
                Witnesses(tmp_path / "home", [serving.peer], 1, 5).check_start(log.reader)
                assert cosignatures(log.reader.cosigned(), [witness.verifier])
        assert witness.newest(ORIGIN).size > 10
    finally:
        serving.stop()
        witness.close()


FSYNC_SHIM = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int failing(void) { return access(getenv("FAIL_FSYNC"), F_OK) == 0; }
int fsync(int fd) { if (failing()) { errno = EIO; return -1; } return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { if (failing()) { errno = EIO; return -1; } return syscall(SYS_fdatasync, fd); }
"""

FSYNC_SCRIPT = """
import os, sys
from pathlib import Path
from audit.errors import NotDurable
from audit.log import AuditLog
from audit.record import Entry

flag, home = Path(os.environ["FAIL_FSYNC"]), Path(sys.argv[1])

def entry(n):
    return Entry("deploy", "2026-03-01T10:00:00Z", {"decision_id": f"d{n}", "app": "a", "effect": "allow", "rules": []}, {})

with AuditLog(home, origin="log.example/faults") as log:
    kept = [log.append(entry(0)).index]
    flag.touch()
    for n in (1, 2):
        try:
            log.append(entry(n))
        except NotDurable:
            continue
        sys.exit("a record was acknowledged that no fsync made durable")
    flag.unlink()
    kept.append(log.append(entry(3)).index)
    log.reader.verify_self()
with AuditLog(home, origin="log.example/faults") as log:
    assert [log.reader.record(i)["public"]["decision_id"] for i in kept] == ["d0", "d3"]
print("kept")
"""


def test_an_fsync_that_fails_is_a_no(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the shim that makes fsync fail cannot be built")
    (tmp_path / "shim.c").write_text(FSYNC_SHIM)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c"], check=True)
    environment = {**os.environ, "LD_PRELOAD": str(tmp_path / "shim.so"), "FAIL_FSYNC": str(tmp_path / "fail")}
    done = subprocess.run(
        [sys.executable, "-c", FSYNC_SCRIPT, str(tmp_path / "home")],
        env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.stdout == "kept\n", done.stderr


def test_clocks_that_jump_are_noted_and_lose_nothing(tmp_path):
    times = ["2026-03-01T10:00:00Z", "2038-01-19T03:14:08Z", "1970-01-01T00:00:00Z", "2026-03-01T10:00:01Z"]
    with AuditLog(tmp_path, origin=ORIGIN) as log:
        for number, when in enumerate(times):
            log.append(
                Entry("deploy", when, {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": []}, {})
            )
        records = [log.reader.record(index) for index in range(4)]
        assert log.reader.verify_self() == 4
    assert [r["time"] for r in records] == times
    assert [r.get("clock_back_from") for r in records] == [None, None, times[1], times[1]]
