"""The meter: exact, whoever else is counting."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from governance.errors import DependencyError
from governance.platform.broker.limits import Call, FileCounters, Meter

ROOT = Path(__file__).parents[3]
LUNCH = Call("lunch", "marketing", "sales-and-marketing", "hris")
DAY = "2026-11-25"


def test_a_call_hears_what_was_counted_before_it(tmp_path):
    meter = Meter(FileCounters(tmp_path))
    meter.take(LUNCH, 100.0, DAY)
    meter.take(LUNCH._replace(app="other"), 101.0, DAY)
    meter.take(LUNCH._replace(connector="slack"), 102.0, DAY)
    assert meter.take(LUNCH, 103.0, DAY).usage == {
        "calls_today": {"hris": 2}, "calls_last_minute": {"hris": 1}, "app_calls_today": 2, "tenant_calls_today": 3,
        "app_microeur": 0, "tenant_microeur": 0,
    }  # fmt: skip


def test_a_minute_slides_and_a_day_turns(tmp_path):
    meter = Meter(FileCounters(tmp_path))
    meter.take(LUNCH, 100.0, DAY)
    assert meter.take(LUNCH, 159.9, DAY).usage["calls_last_minute"] == {"hris": 1}
    usage = meter.take(LUNCH, 160.0, "2026-11-26").usage
    assert (usage["calls_last_minute"], usage["calls_today"]) == ({"hris": 1}, {"hris": 0})


def test_what_is_given_back_was_never_counted(tmp_path):
    meter = Meter(FileCounters(tmp_path))
    meter.finish(meter.take(LUNCH, 100.0, DAY), None)
    usage = meter.take(LUNCH, 100.0, DAY).usage
    assert (usage["calls_last_minute"], usage["app_calls_today"]) == ({"hris": 0}, 0)


def test_what_may_be_spent_is_set_aside_until_it_is_known(tmp_path):
    """Whoever asks meanwhile sees the most that it may cost: two calls at once never share the last cent."""
    meter, dear = Meter(FileCounters(tmp_path)), LUNCH._replace(most_microeur=500)
    first = meter.take(dear, 100.0, DAY)
    other = meter.take(dear._replace(app="other"), 100.0, DAY)
    assert (other.usage["app_microeur"], other.usage["tenant_microeur"]) == (0, 500)
    meter.finish(first, 200)
    meter.finish(other, None)
    usage = meter.take(dear, 100.0, DAY).usage
    assert (usage["app_microeur"], usage["tenant_microeur"]) == (200, 200)
    assert meter.take(dear, 100.0, "2026-12-01").usage["tenant_microeur"] == 0


COUNT = """
import sys, threading
from pathlib import Path
from governance.platform.broker.limits import Call, FileCounters, Meter
meter, seen = Meter(FileCounters(Path(sys.argv[1]))), []
def calls():
    for _ in range(10):
        taken = meter.take(Call("lunch", "t", "a", "hris"), 100.0, "2026-11-25")
        if taken.usage["calls_last_minute"]["hris"] < 200:
            seen.append(taken.usage["calls_today"]["hris"])
        else:
            meter.finish(taken, None)
threads = [threading.Thread(target=calls) for _ in range(32)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(*seen)
"""


def test_of_64_callers_in_two_processes_exactly_the_limit_passes(tmp_path):
    """640 calls, 200 are granted."""
    Meter(FileCounters(tmp_path)).finish(Meter(FileCounters(tmp_path)).take(LUNCH, 1.0, DAY), None)
    running = [
        subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0].split() for process in running]
    assert all(process.returncode == 0 for process in running)
    assert sum(map(len, outputs)) == 200


def test_a_request_counts_for_app_and_tenant_in_its_day_and_month(tmp_path):
    meter = Meter(FileCounters(tmp_path))
    meter.take_request("lunch", "marketing", "2026-11-24")
    meter.take_request("dinner", "marketing", DAY)
    meter.give_back_request(meter.take_request("lunch", "marketing", DAY))
    assert meter.take_request("lunch", "marketing", DAY).usage == {
        "app": {"day": 0, "month": 1}, "tenant": {"day": 1, "month": 2},
    }  # fmt: skip
    assert meter.take_request("lunch", "marketing", "2026-12-01").usage["tenant"] == {"day": 0, "month": 0}


ANSWER = """
import sys, threading
from pathlib import Path
from governance.platform.broker.limits import FileCounters, Meter
meter, seen = Meter(FileCounters(Path(sys.argv[1]))), []
def requests():
    for _ in range(10):
        taken = meter.take_request("lunch", "t", "2026-11-25")
        if taken.usage["tenant"]["month"] < 50:
            seen.append(1)
        else:
            meter.give_back_request(taken)
threads = [threading.Thread(target=requests) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(seen))
"""


def test_of_requests_in_two_processes_exactly_the_month_s_quota_passes(tmp_path):
    """160 requests, 50 are left."""
    Meter(FileCounters(tmp_path)).give_back_request(Meter(FileCounters(tmp_path)).take_request("lunch", "t", DAY))
    running = [
        subprocess.Popen([sys.executable, "-c", ANSWER, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    outputs = [int(process.communicate(timeout=120)[0]) for process in running]
    assert sum(outputs) == 50


def test_a_count_that_cannot_be_kept_is_an_error(tmp_path):
    (tmp_path / "usage.db").write_bytes(b"not a database" * 100)
    with pytest.raises(DependencyError, match="cannot be counted"):
        Meter(FileCounters(tmp_path)).take(LUNCH, 1.0, DAY)
    with pytest.raises(DependencyError, match="cannot be counted"):
        Meter(FileCounters(tmp_path)).take_request("lunch", "marketing", DAY)


def test_threads_of_one_meter_do_not_get_in_each_other_s_way(tmp_path):
    meter = Meter(FileCounters(tmp_path))
    threads = [threading.Thread(target=lambda: meter.take(LUNCH, 100.0, DAY)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.take(LUNCH, 100.0, DAY).usage["app_calls_today"] == 20
