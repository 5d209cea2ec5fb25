"""The pool: everybody's share, bounded queues, nothing warm that should be gone."""

from __future__ import annotations

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime_adapters.fair_share import Busy, FairShare, Share
from runtime_adapters.pool import MOST_WARM, Pool, Ready
from runtime_adapters.port import Outcome, RuntimeRefusal, Usage


def run_through(queue: FairShare[str], cost, limit: int) -> list[str]:
    """One worker takes what is next, `limit` times."""
    order = []
    for _ in range(limit):
        taken = queue.take()
        if taken is None:
            break
        order.append(taken[0])
        queue.done(taken[0], cost(taken[0]))
    return order


@given(st.integers(1, 6), st.integers(5, 40))
def test_a_tenant_that_floods_the_pool_waits_for_itself(others, flood):
    queue: FairShare[str] = FairShare(1, Share(most_waiting=100))
    for number in range(flood):
        queue.add("flood", f"f{number}")
    for number in range(others):
        queue.add(f"other{number}", "x")
    order = run_through(queue, lambda _: 0.1, flood + others)
    assert len(order) == flood + others
    assert max(order.index(f"other{number}") for number in range(others)) <= others


@given(st.floats(1, 10))
def test_weights_are_shares_of_time_and_not_of_calls(cost):
    queue: FairShare[str] = FairShare(1, Share(most_waiting=500), {"big": Share(weight=3, most_waiting=500)})
    for number in range(400):
        queue.add("big", f"b{number}")
        queue.add("small", f"s{number}")
    order = run_through(queue, lambda name: cost if name == "small" else 1.0, 200)
    time_of = {"big": order.count("big") * 1.0, "small": order.count("small") * cost}
    assert time_of["big"] == pytest.approx(3 * time_of["small"], abs=4 * cost + 4)


def test_who_rested_has_earned_nothing():
    queue: FairShare[str] = FairShare(1, Share(most_waiting=100))
    for number in range(50):
        queue.add("busy", f"{number}")
    assert run_through(queue, lambda _: 1.0, 20) == ["busy"] * 20
    for number in range(20):
        queue.add("late", f"{number}")
    order = run_through(queue, lambda _: 1.0, 20)
    assert 8 <= order.count("late") <= 12


def test_queues_are_bounded_and_say_when_to_come_back():
    queue: FairShare[str] = FairShare(1, Share(most_waiting=2))
    queue.add("a", "1")
    queue.add("a", "2")
    with pytest.raises(Busy) as caught:
        queue.add("a", "3")
    assert caught.value.retry_after_s >= 1
    queue.add("b", "1")


def test_a_tenant_runs_no_more_at_once_than_it_may():
    queue: FairShare[str] = FairShare(4, Share(most_running=2))
    for number in range(4):
        queue.add("a", f"{number}")
    assert [queue.take() is not None for _ in range(3)] == [True, True, False]
    queue.done("a", 0.1)
    assert queue.take() == ("a", "2")


@given(st.integers(2, 8), st.integers(1, 20))
def test_whoever_has_nothing_running_finds_a_worker_free(workers, flood):
    queue: FairShare[str] = FairShare(workers, Share(most_running=20))
    for number in range(flood):
        queue.add("flood", f"{number}")
    taken = [queue.take() for _ in range(workers)]
    assert [one is not None for one in taken] == [number < min(flood, workers - 1) for number in range(workers)]
    queue.add("other", "first")
    queue.add("other", "second")
    assert queue.take() == ("other", "first")
    if flood >= workers:
        assert queue.take() is None


def test_a_tenant_that_keeps_every_place_of_its_queue_full_holds_up_no_other():
    """Neither call of the flood ends before the other tenant's did."""
    made, held, log = Pool(3, Share(most_waiting=10)), threading.Event(), []

    class Waits(Guest):
        def call(self, request: bytes) -> Outcome:
            held.wait(60)
            return super().call(request)

    waiting = [made.call("loud", "app", "d", lambda: Waits(log, "loud"), b"x") for _ in range(8)]
    try:
        assert ask(made, log).output == b"hi"
        assert not any(one.done() for one in waiting)
    finally:
        held.set()
        made.close()
    assert {one.result(60).status for one in waiting if one.exception(60) is None} == {"done"}


class Guest:
    """An instance that does what it is told by its request."""

    def __init__(self, log: list[str], name: str, door=lambda _raw, _left: b"") -> None:
        self._log, self._name, self._door = log, name, door
        self._calls = 0
        log.append(f"start {name}")

    def call(self, request: bytes) -> Outcome:
        self._calls += 1
        if request == b"crash":
            raise ValueError("x")
        if request == b"ask":
            return Outcome("done", self._door(b"{}", 1.0), "", "")
        return Outcome("trap" if request == b"trap" else "done", request, "", "")

    def observe(self) -> Usage:
        return Usage(self._calls, 0, 0.0, 0.0, 0, 0)

    def stop(self) -> None:
        self._log.append(f"stop {self._name}")


@pytest.fixture
def pool():
    made = Pool(1, Share(most_waiting=50))
    yield made
    made.close()


def ask(pool, log, request=b"hi", app="lunch", generation="d1"):
    return pool.call("marketing", app, generation, lambda: Guest(log, f"{app}/{generation}"), request).result(30)


def test_an_instance_stays_warm_until_it_goes_wrong(pool):
    log: list[str] = []
    assert [ask(pool, log, body).output for body in (b"a", b"b")] == [b"a", b"b"]
    assert log == ["start lunch/d1"]
    assert ask(pool, log, b"trap").status == "trap"
    assert ask(pool, log).status == "done"
    assert log == ["start lunch/d1", "stop lunch/d1", "start lunch/d1"]


def test_a_new_decision_ends_what_the_old_one_permitted(pool):
    log: list[str] = []
    ask(pool, log)
    ask(pool, log, generation="d2")
    assert log == ["start lunch/d1", "stop lunch/d1", "start lunch/d2"]


def until(holds) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_stop_that_fails_costs_neither_the_call_nor_the_worker(pool, capsys):
    class Stuck(Guest):
        def stop(self) -> None:
            super().stop()
            raise OSError(24, "Too many open files")

    log: list[str] = []
    assert pool.call("t", "a", "d1", lambda: Stuck(log, "a"), b"trap").result(30).status == "trap"
    with pytest.raises(RuntimeRefusal, match="ValueError"):
        pool.call("t", "a", "d1", lambda: Stuck(log, "b"), b"crash").result(30)
    assert pool.call("t", "a", "d1", lambda: Stuck(log, "c"), b"x").result(30).status == "done"
    assert pool.call("t", "a", "d2", lambda: Guest(log, "d"), b"x").result(30).status == "done"
    assert log == [
        "start a",
        "stop a",
        "stop a",
        "start b",
        "stop b",
        "stop b",
        "start c",
        "stop c",
        "stop c",
        "start d",
    ]
    assert capsys.readouterr().err.count("could not be stopped") == 3


def test_a_meter_that_fails_costs_no_worker():
    def meter(*_: object) -> None:
        raise ValueError("x")

    made, log = Pool(1, Share(), meter=meter), []
    for _ in range(2):
        with pytest.raises(RuntimeRefusal, match="ValueError"):
            ask(made, log)
    made.close()


def test_what_nobody_calls_does_not_stay():
    made, log = Pool(2, Share(), idle_s=0.02), []
    ask(made, log)
    until(lambda: log == ["start lunch/d1", "stop lunch/d1"])
    assert ask(made, log).status == "done"
    made.close()


def test_what_was_forgotten_ends_at_every_worker_and_what_runs_after_its_call():
    made, held, log = Pool(4, Share()), threading.Event(), []

    class Waits(Guest):
        def call(self, request: bytes) -> Outcome:
            held.wait(60)
            return super().call(request)

    waiting = [made.call("marketing", "lunch", "d1", lambda: Waits(log, "lunch"), b"x") for _ in range(2)]
    until(lambda: len(log) == 2)
    made.forget("lunch")
    ask(made, log, app="other")
    assert "stop lunch" not in log
    held.set()
    assert [one.result(60).status for one in waiting] == ["done", "done"]
    until(lambda: log.count("stop lunch") == 2)
    assert "stop other/d1" not in log
    made.close()


def test_a_call_s_way_out_is_its_own_though_the_instance_is_another_s(pool):
    log: list[str] = []
    doors = []

    def start(door):
        doors.append(door)
        return Guest(log, "lunch", door)

    def called(name: bytes) -> bytes:
        return pool.queue("t", "lunch", lambda: Ready("d1", start, lambda *_: name), b"ask").result(30).output

    assert [called(b"one"), called(b"two")] == [b"one", b"two"]
    assert len(doors) == 1
    assert json.loads(doors[0](b"{}", 1.0))["error"]["code"] == "not_available"


def test_a_call_that_is_given_up_is_not_run_and_takes_no_place():
    made, held, log = Pool(1, Share(most_waiting=1)), threading.Event(), []

    class Waits(Guest):
        def call(self, request: bytes) -> Outcome:
            held.wait(60)
            return super().call(request)

    running = made.call("marketing", "lunch", "d1", lambda: Waits(log, "lunch"), b"x")
    until(lambda: log)
    given_up = made.call("marketing", "lunch", "d1", lambda: Guest(log, "never"), b"x")
    with pytest.raises(Busy):
        made.call("marketing", "lunch", "d1", lambda: Guest(log, "never"), b"x")
    assert given_up.cancel()
    after = made.call("marketing", "lunch", "d1", lambda: Guest(log, "never"), b"after")
    held.set()
    assert running.result(60).status == "done"
    assert after.result(60).output == b"after"
    made.close()
    assert log == ["start lunch", "stop lunch"]


def test_only_so_many_are_kept_warm(pool):
    log: list[str] = []
    for number in range(MOST_WARM + 2):
        ask(pool, log, app=f"app{number}")
    assert [line for line in log if line.startswith("stop")] == ["stop app0/d1", "stop app1/d1"]


def test_closing_stops_everything_and_refuses_what_waits():
    log: list[str] = []
    made = Pool(1, Share())
    ask(made, log)
    made.close()
    assert log == ["start lunch/d1", "stop lunch/d1"]
    with pytest.raises(Busy):
        made.call("t", "a", "g", lambda: Guest(log, "x"), b"")


def test_a_start_that_is_refused_is_heard_and_the_worker_lives(pool):
    def refuse():
        raise RuntimeRefusal("no")

    with pytest.raises(RuntimeRefusal, match="no"):
        pool.call("t", "a", "g", refuse, b"").result(30)
    log: list[str] = []
    with pytest.raises(RuntimeRefusal, match="ValueError"):
        ask(pool, log, b"crash")
    assert ask(pool, log).status == "done"
    assert log == ["start lunch/d1", "stop lunch/d1", "start lunch/d1"]


def test_what_a_call_used_is_metered_once():
    heard = []
    made = Pool(
        2, Share(), meter=lambda tenant, app, before, after: heard.append((tenant, app, after.calls - before.calls))
    )
    log: list[str] = []
    for _ in range(3):
        ask(made, log)
    made.close()
    assert heard == [("marketing", "lunch", 1)] * 3


def test_many_callers_of_many_tenants_all_get_their_answer():
    made = Pool(3, Share(most_running=2, most_waiting=200))
    log: list[str] = []
    answers: list[bytes] = []

    def caller(name: str) -> None:
        for number in range(20):
            body = f"{name}-{number}".encode()
            found = made.call(name, "app", "d", lambda: Guest(log, name), body).result(60)
            answers.append(found.output)

    threads = [threading.Thread(target=caller, args=(f"t{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    assert sorted(answers) == sorted(f"t{n}-{i}".encode() for n in range(6) for i in range(20))
