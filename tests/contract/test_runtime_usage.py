"""What apps used is written down once, whoever writes, whatever fails meanwhile: files of a home and the replicas' database."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from governance.errors import CallerError, DependencyError
from governance.platform.broker.limits import FileCounters
from governance.platform.runtime_usage import Row, Sums, UsageBook, period, usage_json, used
from runtime_adapters.fair_share import Share
from runtime_adapters.pool import Pool
from runtime_adapters.port import Outcome, Usage
from tests.postgres import needs_postgres

ROOT = Path(__file__).parents[2]
EVER = ("0000-00-00", "9999-99-99")
NOTHING = Usage(0, 0, 0.0, 0.0, 0, 0)
ONE = Usage(1, 1000, 2.5, 8.0, 2, 300, 0.25)
TODAY = "2026-11-25T10:00:00.000000Z"


@pytest.fixture(params=["files", pytest.param("postgres", marks=needs_postgres)])
def counters(request, tmp_path):
    """`counters()`: another process's way to the same counts."""
    if request.param == "files":
        return lambda: FileCounters(tmp_path)
    from governance.state.counters import SharedCounters

    database = request.getfixturevalue("postgres").database()
    return lambda: SharedCounters(database)


def book(counters, now=TODAY) -> UsageBook:
    return UsageBook(counters, pytest.fail, lambda: now)


def rows(counters, **asked) -> list[Row]:
    found = counters()
    try:
        return used(found, **{"days": EVER, **asked})
    finally:
        found.close()


def test_calls_of_all_processes_add_up_by_app_tenant_and_day(counters):
    for number, (tenant, app, now) in enumerate(
        [
            ("marketing", "lunch", TODAY),
            ("marketing", "lunch", TODAY),
            ("marketing", "desk", TODAY),
            ("hr", "lunch", "2026-11-26T00:00:00.000000Z"),
        ]
    ):
        one = book(counters(), now)
        before = Usage(*(field * number for field in ONE))
        one.meter(tenant, app, before, Usage(*(map(sum, zip(before, ONE, strict=True)))))
        one.close()
    single, twice = Sums(1, 1000, 2.5, 0.25, 2, 300), Sums(2, 2000, 5.0, 0.5, 4, 600)
    assert rows(counters) == [
        Row("hr", "lunch", "", single), Row("marketing", "desk", "", single), Row("marketing", "lunch", "", twice),
    ]  # fmt: skip
    assert rows(counters, by="tenant")[1] == Row("marketing", "", "", Sums(3, 3000, 7.5, 0.75, 6, 900))
    assert [row.day for row in rows(counters, by="day")] == ["2026-11-25", "2026-11-25", "2026-11-26"]
    assert rows(counters, tenant="hr") == rows(counters, days=period("2026-11-26", ""))
    assert rows(counters, app="lunch", tenant="marketing") == [Row("marketing", "lunch", "", twice)]
    assert rows(counters, app="' OR 1=1 --") == []
    body = usage_json(rows(counters), "2026-11-25", "")
    assert body["total"]["calls"] == 4
    assert body["usage"][0] == {"tenant": "hr", "app": "lunch", **single._asdict()}
    json.dumps(body)


class Failing:
    """Counts that are away, or whose answer is lost after they were kept."""

    def __init__(self, counters, *, is_kept: bool) -> None:
        self._counters, self._is_kept = counters, is_kept
        self.is_away = True

    @contextmanager
    def alone(self):
        if self.is_away and not self._is_kept:
            raise DependencyError("calls cannot be counted: away")
        with self._counters.alone() as run:
            yield run
        if self.is_away:
            raise DependencyError("calls cannot be counted: the answer was lost")

    def close(self):
        self._counters.close()


@pytest.mark.parametrize("is_kept", [False, True], ids=["never arrived", "arrived"])
def test_what_could_not_be_written_is_written_later_and_once(counters, is_kept):
    failing, told = Failing(counters(), is_kept=is_kept), []
    one = UsageBook(failing, told.append, lambda: TODAY)
    one.meter("marketing", "lunch", NOTHING, ONE)
    for _ in range(3):
        with pytest.raises(DependencyError):
            one.flush()
    one.meter("marketing", "lunch", NOTHING, ONE)
    failing.is_away = False
    one.close()
    assert [row.sums.calls for row in rows(counters)] == [2]


def test_what_is_lost_in_the_end_is_said(counters):
    told = []
    one = UsageBook(Failing(counters(), is_kept=False), told.append, lambda: TODAY)
    one.meter("marketing", "lunch", NOTHING, ONE)
    one.close()
    assert "usage of the last moments was lost" in told[-1]
    assert rows(counters) == []


def test_threads_lose_nothing_of_each_other(counters):
    one = book(counters())

    def work():
        for _ in range(200):
            one.meter("marketing", "lunch", NOTHING, ONE)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    one.flush()
    for thread in threads:
        thread.join()
    one.close()
    assert rows(counters)[0].sums == Sums(1600, 1_600_000, 4000.0, 400.0, 3200, 480_000)


LIVES = """
import sys, time
from pathlib import Path
from governance.platform.broker.limits import FileCounters
from governance.platform.runtime_usage import UsageBook
from runtime_adapters.port import Usage
book = UsageBook(FileCounters(Path(sys.argv[1])), sys.stderr.write)
for _ in range(1000):
    book.meter("marketing", "lunch", Usage(0, 0, 0.0, 0.0, 0, 0), Usage(1, 1000, 2.5, 8.0, 2, 300, 0.25))
print("metered", flush=True)
time.sleep(600)
"""


def test_a_killed_process_has_written_what_ended_before_its_last_moments(tmp_path):
    """Nobody asks it to: its own thread does, and the next process adds to it."""
    for number in (1, 2):
        process = subprocess.Popen([sys.executable, "-c", LIVES, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"metered\n"
        deadline = time.monotonic() + 60
        while [row.sums.calls for row in rows(lambda: FileCounters(tmp_path))] != [1000 * number]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
        process.wait()
        process.stdout.close()
    assert rows(lambda: FileCounters(tmp_path))[0].sums.calls == 2000


class Guest:
    """An instance that fails every other call, and counts all the same."""

    def __init__(self) -> None:
        self._calls = 0

    def call(self, _request: bytes) -> Outcome:
        self._calls += 1
        return Outcome("done" if self._calls % 2 else "timeout", b"", "", "")

    def observe(self) -> Usage:
        return Usage(*(field * self._calls for field in ONE))

    def stop(self) -> None:
        """Nothing is held."""


def test_a_pool_s_calls_are_written_however_they_ended(tmp_path):
    one = book(FileCounters(tmp_path))
    pool = Pool(2, Share(), meter=one.meter)
    waiting = [pool.call("marketing", "lunch", "d1", Guest, b"") for _ in range(20)]
    assert {future.result(60).status for future in waiting} <= {"done", "timeout"}
    pool.close()
    one.close()
    assert rows(lambda: FileCounters(tmp_path))[0].sums.calls == 20


@pytest.mark.parametrize(
    ("since", "until"), [("yesterday", ""), ("", "2026-13-01"), ("2026-11-26", "2026-11-25"), ("2026-11-25T10", "")]
)
def test_a_period_that_is_none_is_refused(since, until):
    with pytest.raises(CallerError):
        period(since, until)
