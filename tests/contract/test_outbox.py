"""One suite for both stores of the outbox: nothing is lost, one lease a delivery, order per key, under several workers."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections import defaultdict

import pytest

from governance.errors import DependencyError, NotFound
from governance.platform.broker.events.outbox import Outbox
from governance.platform.broker.events.outbox_rows import UNBOUND, Accepted, Ended, Target
from governance.platform.broker.events.outbox_seal import Keys
from governance.platform.broker.events.outbox_store import PostgresStore, SqliteStore
from tests.postgres import needs_postgres
from tests.unit.events.conftest import engines_stay_in_their_thread

# Engines of earlier tests must not be collected in the threads below.
__all__ = ["engines_stay_in_their_thread"]
SEEDS = (b"s" * 32,)
NOW = 1_700_000_000.0
CANTEEN = Target("canteen", "on-lunch", is_pushed=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=needs_postgres)])
def another(request, tmp_path):
    """Another connection to one outbox, as another process would have it."""
    made = []
    database = request.getfixturevalue("postgres").database() if request.param == "postgres" else None

    def make() -> Outbox:
        made.append(Outbox(SqliteStore(tmp_path) if database is None else PostgresStore(database), Keys(lambda: SEEDS)))
        return made[-1]

    yield make
    for outbox in made:
        outbox.close()


@pytest.fixture
def outbox(another):
    return another()


def accepted(event_id: str, ordering: str = "") -> Accepted:
    return Accepted("/apps/a", event_id, f"sha256:{event_id}", "decision", ordering, "{}")


PLACE = ("canteen", "on-lunch")


def claim(outbox, now=NOW, of=PLACE, *, is_pushed=True, most=100, lease_s=60.0):
    return outbox.claim(now, lease_s, most, of, is_pushed=is_pushed)


def claimed(outbox, now=NOW, of=PLACE, *, is_pushed=True):
    return [one.id for one in claim(outbox, now, of, is_pushed=is_pushed)]


def test_an_event_is_accepted_once(outbox, another):
    assert outbox.add(accepted("1"), [CANTEEN], NOW)
    assert not another().add(accepted("1"), [CANTEEN], NOW)
    assert another().known("/apps/a", "1") == ("sha256:1", "decision")
    assert outbox.known("/apps/a", "2") is None
    assert claimed(outbox) == ["1"]


def test_what_is_leased_is_nobody_else_s_until_the_lease_ends(outbox, another):
    outbox.add(accepted("1"), [CANTEEN], NOW)
    [first] = claim(outbox)
    assert claimed(another(), NOW + 59) == []
    [second] = claim(another(), NOW + 60)
    assert not outbox.done(first.number, first.lease)
    assert outbox.done(second.number, second.lease)
    assert outbox.counts() == {"waiting": 0, "dead": 0}


def test_the_oldest_of_a_key_holds_up_its_own_and_nobody_else(outbox):
    for number in range(4):
        outbox.add(accepted(f"k{number}", "k"), [CANTEEN, Target("other", "s", is_pushed=True)], NOW)
    outbox.add(accepted("free"), [CANTEEN], NOW)
    assert sorted(outbox.due(NOW)) == [PLACE, ("other", "s")]
    leased = [*claim(outbox), *claim(outbox, of=("other", "s"))]
    assert sorted((one.app, one.id) for one in leased) == [("canteen", "free"), ("canteen", "k0"), ("other", "k0")]
    [mine] = [one for one in leased if (one.app, one.id) == ("canteen", "k0")]
    assert outbox.failed(mine.number, mine.lease, "not now", lambda attempts: NOW + 10)
    assert claimed(outbox) == []
    [again] = claim(outbox, NOW + 10)
    assert (again.id, again.attempts, again.reason) == ("k0", 2, "not now")
    assert outbox.bury(again.number, again.lease, "given up")
    assert claimed(outbox, NOW + 10) == ["k1"]


def test_a_dead_letter_tries_again_behind_the_one_that_is_on_its_way(outbox):
    outbox.add(accepted("1", "k"), [CANTEEN], NOW)
    outbox.add(accepted("2", "k"), [CANTEEN], NOW)
    [first] = claim(outbox)
    assert outbox.failed(first.number, first.lease, "no", lambda attempts: None)
    [letter] = outbox.dead(10)
    assert (letter.id, letter.reason, letter.attempts) == ("1", "no", 1)
    assert outbox.dead(10, "another") == []
    [second] = claim(outbox)
    outbox.retry(letter.number, NOW)
    assert claimed(outbox) == []
    outbox.done(second.number, second.lease)
    assert claimed(outbox) == ["1"]
    with pytest.raises(NotFound):
        outbox.retry(letter.number, NOW)


def test_fetched_and_sent_do_not_get_in_each_other_s_way(outbox):
    outbox.add(accepted("1"), [Target("canteen", "fetching", is_pushed=False), CANTEEN], NOW)
    assert outbox.due(NOW)
    assert len(claimed(outbox)) == 1
    assert not outbox.due(NOW)
    assert claimed(outbox, of=("canteen", "other"), is_pushed=False) == []
    [one] = claim(outbox, of=("canteen", "fetching"), is_pushed=False)
    assert not outbox.done(one.number, one.lease, ("canteen", "other"))
    assert outbox.done(one.number, one.lease, ("canteen", "fetching"))


def test_a_time_of_a_schedule_is_one_caller_s(outbox, another):
    other = another()
    assert [outbox.fires("a", "s", NOW, NOW, 60), other.fires("a", "s", NOW, NOW, 60)] == ["mine", "taken"]
    assert other.fires("a", "s", NOW, NOW + 60, 60) == "mine"
    other.fired("a", "s", NOW)
    assert outbox.fires("a", "s", NOW, NOW + 1000, 60) == "done"
    assert outbox.fires("a", "s", NOW + 300, NOW + 300, 60) == "mine"


def test_old_things_go_and_a_key_without_a_head_gets_one(outbox):
    outbox.add(accepted("1", "k"), [Target("canteen", "s", is_pushed=False)], NOW - 100)
    outbox.add(accepted("2", "k"), [Target("canteen", "s", is_pushed=False)], NOW)
    ended: list[Ended] = []
    outbox.tidy(NOW, 50, ended.append)
    assert outbox.counts() == {"waiting": 1, "dead": 1}
    assert claimed(outbox, of=("canteen", "s"), is_pushed=False) == ["2"]
    outbox.tidy(NOW + 200, 50, ended.append)
    assert outbox.known("/apps/a", "1") is None
    assert [(one.change, one.id, one.reason) for one in ended] == [
        ("given_up", "1", "nobody fetched it"),
        ("deleted", "1", "nobody fetched it"),
        ("given_up", "2", "nobody fetched it"),
    ]


def test_nothing_ends_that_could_not_be_recorded(outbox):
    outbox.add(accepted("1"), [Target("canteen", "s", is_pushed=False)], NOW - 100)
    outbox.add(accepted("2"), [CANTEEN], NOW - 100)
    (one,) = claim(outbox, NOW - 90)
    outbox.bury(one.number, one.lease, "refused")

    def fail(_: Ended) -> None:
        raise DependencyError("the disk is full")

    with pytest.raises(DependencyError, match="the disk is full"):
        outbox.tidy(NOW, 5, fail)
    assert outbox.counts() == {"waiting": 1, "dead": 1}
    assert outbox.known("/apps/a", "1") is not None


def test_several_publishers_and_workers_lose_nothing_and_keep_each_key_s_order(another):
    """Some leases are dropped without a word, as a worker that is killed drops them."""
    keys, each, seen = 4, 12, defaultdict(list)
    broken: list[Exception] = []
    lock, ended = threading.Lock(), threading.Event()

    def guarded(work, number: int) -> None:
        try:
            work(number)
        except Exception as error:  # noqa: BLE001  a thread's error has to fail the test
            broken.append(error)

    def publishes(key: int) -> None:
        outbox = another()
        for number in range(each):
            outbox.add(accepted(f"{key}-{number}", f"k{key}"), [CANTEEN], NOW)

    def works(mark: int) -> None:
        outbox, turns = another(), 0
        while not ended.is_set():
            turns += 1
            for one in claim(outbox, time.time(), most=3, lease_s=0.05):
                if (turns + mark) % 5 == 0:
                    continue
                with lock:
                    key, _, number = one.id.partition("-")
                    seen[f"k{key}"].append(int(number))
                outbox.done(one.number, one.lease)

    workers = [threading.Thread(target=guarded, args=(works, n)) for n in range(3)]
    publishers = [threading.Thread(target=guarded, args=(publishes, n)) for n in range(keys)]
    for thread in workers + publishers:
        thread.start()
    for thread in publishers:
        thread.join()
    watcher, deadline = another(), time.monotonic() + 120
    while watcher.counts()["waiting"] and time.monotonic() < deadline:
        time.sleep(0.05)
    ended.set()
    for thread in workers:
        thread.join()
    assert broken == []
    assert set(seen) == {f"k{key}" for key in range(keys)}
    for numbers in seen.values():
        assert list(dict.fromkeys(numbers)) == list(range(each))


def test_a_file_that_somebody_else_is_just_making_is_waited_for(tmp_path):
    """SQLite does not wait by itself when a file that another writes to is to be turned to WAL."""
    with contextlib.closing(
        sqlite3.connect(tmp_path / "events.db", isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        ending = threading.Timer(0.3, other.execute, ["COMMIT"])
        ending.start()
        outbox = Outbox(SqliteStore(tmp_path), Keys(lambda: SEEDS))
        assert outbox.add(accepted("1"), [CANTEEN], NOW)
        ending.join()
        outbox.close()


def test_an_outbox_that_cannot_be_written_says_so_and_takes_nothing(tmp_path):
    (tmp_path / "events.db").write_bytes(b"this is no database, but it is long enough to be looked at" * 20)
    outbox = Outbox(SqliteStore(tmp_path), Keys(lambda: SEEDS))
    with pytest.raises(DependencyError, match="outbox"):
        outbox.add(accepted("1"), [CANTEEN], NOW)


def test_a_forgotten_event_lets_those_behind_it_pass_and_is_still_known_unless_its_id_goes_too(outbox):
    for name in ("1", "2", "3"):
        assert outbox.add(accepted(name, "k"), [CANTEEN], NOW)
    [leased] = outbox.claim(NOW, 60, 10, PLACE, is_pushed=True)
    seqs = [event.seq for event in outbox.kept(UNBOUND, 10)]
    assert [event.id for event in outbox.kept(seqs[0], 1)] == ["2"]
    outbox.forget(seqs[0], is_named=False)
    assert not outbox.done(leased.number, leased.lease)
    outbox.forget(seqs[1], is_named=True)
    assert [one.id for one in outbox.claim(NOW, 60, 10, PLACE, is_pushed=True)] == ["3"]
    assert [(event.id, event.body, len(event.deliveries)) for event in outbox.kept(UNBOUND, 10)] == [
        ("1", "", 0), ("3", "{}", 1),
    ]  # fmt: skip
    assert (outbox.add(accepted("1"), [CANTEEN], NOW), outbox.add(accepted("2"), [CANTEEN], NOW)) == (False, True)
    outbox.scrub()
    assert outbox.counts() == {"waiting": 2, "dead": 0}
