"""What the outbox of either store holds is sealed: rows of an earlier version too, and against whoever changes the database."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

import pytest

from governance.errors import Damaged, DependencyError
from governance.platform.broker.events.outbox import Outbox
from governance.platform.broker.events.outbox_rows import UNBOUND, Accepted, Target
from governance.platform.broker.events.outbox_seal import Keys
from governance.platform.broker.events.outbox_store import PostgresStore, SqliteStore
from tests.postgres import needs_postgres

NOW, PLACE = 1_700_000_000.0, ("canteen", "on-lunch")
CANTEEN = Target(*PLACE, is_pushed=True)
SECRET = "Canary-Zaphod-4242"
# As the version before sealed ones made them.
EARLIER = """
CREATE TABLE events (
    seq {identity}, source TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, decision_id TEXT NOT NULL,
    body TEXT NOT NULL, accepted {real} NOT NULL, UNIQUE (source, id));
CREATE INDEX events_by_age ON events (accepted);
CREATE TABLE deliveries (
    number {identity}, seq BIGINT NOT NULL, app TEXT NOT NULL, subscription TEXT NOT NULL, ordering TEXT NOT NULL,
    state TEXT NOT NULL, head INTEGER NOT NULL, pushed INTEGER NOT NULL, attempts INTEGER NOT NULL, due {real} NOT NULL,
    lease TEXT NOT NULL, leased_until {real} NOT NULL, reason TEXT NOT NULL, UNIQUE (seq, app, subscription));
CREATE INDEX deliveries_due ON deliveries (pushed, app, subscription, due) WHERE state = 'waiting' AND head = 1;
CREATE INDEX deliveries_ordered ON deliveries (app, subscription, ordering, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_dead ON deliveries (number) WHERE state = 'dead';
CREATE TABLE firings (
    app TEXT NOT NULL, name TEXT NOT NULL, at {real} NOT NULL, leased_until {real} NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (app, name, at));
INSERT INTO firings VALUES ('a', 's', 1, 0, 1);
"""
ROWS = "INSERT INTO events (source, id, digest, decision_id, body, accepted) VALUES ('/apps/a', '{id}', 'd', 'x', '{body}', 1)"
SENT = (
    "INSERT INTO deliveries "
    "(seq, app, subscription, ordering, state, head, pushed, attempts, due, lease, leased_until, reason) VALUES "
    " ({seq}, 'canteen', 'on-lunch', '{key}', '{state}', {head}, 1, {tries}, 0, '', 0, '{why}')"
)


class Place:
    """An outbox's database, reached by the outbox and by whoever can write to it."""

    def __init__(self, folder, database) -> None:
        self.folder, self.database, self.seeds, self._made = folder, database, (os.urandom(32),), []

    def outbox(self, seeds=None) -> Outbox:
        store = SqliteStore(self.folder) if self.database is None else PostgresStore(self.database)
        self._made.append(Outbox(store, Keys(lambda: seeds or self.seeds)))
        return self._made[-1]

    def run(self, *statements: str) -> list[tuple]:
        if self.database is None:
            with contextlib.closing(sqlite3.connect(self.folder / "events.db", isolation_level=None)) as connection:
                return [connection.execute(one).fetchall() for one in statements][-1]
        with contextlib.closing(self.database.connect()) as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS event_exchange; SET search_path = event_exchange")
            cursor = None
            for one in statements:
                cursor = connection.execute(one.encode())
            return cursor.fetchall() if cursor.description else []

    def earlier(self) -> None:
        """Three events of one key: the first a dead letter, two that wait; a fourth that is through."""
        types = {"identity": "INTEGER PRIMARY KEY AUTOINCREMENT", "real": "REAL"}
        if self.database is not None:
            types = {"identity": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "real": "DOUBLE PRECISION"}
        events = [ROWS.format(id=f"{SECRET} {n}", body="" if n == 4 else f'{{"n":"{SECRET}"}}') for n in (1, 2, 3, 4)]
        sent = [
            SENT.format(seq=seq, key=SECRET, state=state, head=head, tries=seq, why=why)
            for seq, state, head, why in ((1, "dead", 0, SECRET), (2, "waiting", 1, ""), (3, "waiting", 0, ""))
        ]
        self.run(*[one for one in EARLIER.format(**types).split(";") if one.strip()], *events, *sent)

    def close(self) -> None:
        for outbox in self._made:
            outbox.close()


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=[needs_postgres, pytest.mark.xdist_group("postgres")])]
)
def place(request, tmp_path):
    made = Place(tmp_path, request.getfixturevalue("postgres").database() if request.param == "postgres" else None)
    yield made
    made.close()


def event(event_id: str, said: str = "{}", ordering: str = "") -> Accepted:
    return Accepted("/apps/a", event_id, f"sha256:{event_id}", "decision", ordering, said)


def claimed(outbox: Outbox) -> list[tuple[str, str]]:
    return [(one.id, one.body) for one in outbox.claim(NOW, 60, 100, PLACE, is_pushed=True)]


def test_what_an_earlier_version_left_in_clear_is_sealed_and_goes_on_where_it_was(place):
    place.earlier()
    outbox, other = place.outbox(), place.outbox()
    [letter] = outbox.dead(10)
    said = f'{{"n":"{SECRET}"}}'
    assert letter[:2] == (1, "canteen")
    assert (letter.id, letter.body, letter.reason, letter.attempts) == (f"{SECRET} 1", said, SECRET, 1)
    assert outbox.known("/apps/a", f"{SECRET} 4") == ("d", "x")
    assert not other.add(event(f"{SECRET} 4"), [CANTEEN], NOW)
    assert other.add(event("5", ordering=SECRET), [CANTEEN], NOW)
    *moved, last = [one.seq for one in outbox.kept(UNBOUND, 10)]
    assert (moved, last > 4) == ([1, 2, 3, 4], True)
    assert claimed(outbox) == [(f"{SECRET} 2", said)], "of one key the oldest alone"
    assert outbox.fires("a", "s", 1, NOW, 60) == "done"
    shown = [
        place.run(statement)
        for statement in ("SELECT * FROM events", "SELECT * FROM deliveries", "SELECT * FROM sealing")
    ]
    assert [len(rows) for rows in shown] == [5, 4, 2]
    assert SECRET not in repr(shown)
    if place.database is None:
        outbox.close()
        assert not [path for path in place.folder.iterdir() if SECRET.encode() in path.read_bytes()]


def test_a_row_that_somebody_changed_or_swapped_is_no_event_and_holds_up_no_other(place):
    outbox = place.outbox()
    for name in ("1", "2", "3"):
        outbox.add(event(name, f'{{"said":"{name}"}}'), [CANTEEN], NOW)
    one, two = [row[0] for row in place.run("SELECT body FROM events ORDER BY seq LIMIT 2")]
    for body, number in ((two, 1), (one, 2)):
        put = f"x'{bytes(body).hex()}'" if place.database is None else f"'\\x{bytes(body).hex()}'"
        place.run(f"UPDATE events SET body = {put} WHERE seq = {number}")  # noqa: S608  as who can write there would
    assert claimed(outbox) == [("", ""), ("", ""), ("3", '{"said":"3"}')]
    with pytest.raises(Damaged, match="was not written by this installation"):
        outbox.kept(UNBOUND, 10)
    with pytest.raises(Damaged):
        outbox.scrub()


def test_with_another_key_nothing_is_read_and_nothing_is_taken(place):
    assert place.outbox().add(event("1"), [CANTEEN], NOW)
    stranger = place.outbox((os.urandom(32),))
    for attempt in (
        lambda: claimed(stranger),
        lambda: stranger.known("/apps/a", "1"),
        lambda: stranger.add(event("2"), [CANTEEN], NOW),
        lambda: stranger.dead(10),
        stranger.scrub,
        stranger.wrap,
    ):
        with pytest.raises(DependencyError, match="log's key opens nothing"):
            attempt()
    assert claimed(place.outbox()) == [("1", "{}")]


def test_a_key_that_was_changed_in_the_database_opens_nothing(place):
    outbox = place.outbox()
    assert outbox.add(event("1"), [CANTEEN], NOW)
    place.run("UPDATE sealing SET generation = 7 WHERE generation = 1")
    with pytest.raises(DependencyError, match="changed in the database"):
        claimed(place.outbox())
    place.run("DELETE FROM sealing WHERE generation = 7")
    with pytest.raises(DependencyError, match="a key of the outbox is missing"):
        claimed(place.outbox())


def test_keys_follow_each_other_while_others_publish_and_deliver(place):
    place.outbox().add(event("first"), [CANTEEN], NOW)
    broken: list[Exception] = []
    seen: list[str] = []
    published = threading.Event()

    def guarded(work) -> None:
        try:
            work(place.outbox())
        except Exception as error:  # noqa: BLE001  a thread's error has to fail the test
            broken.append(error)

    def publishes(outbox: Outbox) -> None:
        for number in range(30):
            outbox.add(event(f"n{number}", f'"{number}"'), [CANTEEN], NOW)
        published.set()

    def delivers(outbox: Outbox) -> None:
        while not (published.is_set() and outbox.counts()["waiting"] == 0):
            for one in outbox.claim(NOW, 60, 5, PLACE, is_pushed=True):
                seen.append(f"{one.id} {one.body}")
                outbox.done(one.number, one.lease)

    def erases(outbox: Outbox) -> None:
        while not published.is_set():
            with contextlib.suppress(DependencyError):  # a reader kept the write-ahead log from being emptied
                outbox.scrub()

    threads = [threading.Thread(target=guarded, args=(work,)) for work in (publishes, delivers, erases, erases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert broken == []
    assert sorted(seen) == sorted(["first {}", *(f'n{number} "{number}"' for number in range(30))])
    [generations] = [{row[0] for row in place.run("SELECT generation FROM sealing")}]
    assert 0 in generations
    assert max(generations) > 1


@needs_postgres
@pytest.mark.xdist_group("postgres")
def test_an_outbox_moves_into_the_database_whole_and_again_what_came_later(tmp_path, postgres):
    home, shared = Place(tmp_path, None), Place(tmp_path, postgres.database())
    home.earlier()
    with contextlib.closing(home.outbox()) as before, contextlib.closing(shared.outbox()) as after:
        key = f'{{"partitionkey":"{SECRET}"}}'
        for name in ("late", "later"):
            assert before.add(event(name, key, ordering=SECRET), [CANTEEN], NOW)
        assert after.add(event("theirs", key, ordering=SECRET), [CANTEEN], NOW)
        [letter], kept = before.dead(10), before.kept(UNBOUND, 10)
        assert after.take_over(before) == 5
        assert after.dead(10) == [letter._replace(number=after.dead(1)[0].number, ordering=after.dead(1)[0].ordering)]
        assert [(one.id, one.body) for one in after.kept(UNBOUND, 10)][1:] == [(one.id, one.body) for one in kept]
        assert (before.kept(UNBOUND, 10), before.counts()) == ([], {"waiting": 0, "dead": 0})
        assert not after.add(event(f"{SECRET} 4"), [CANTEEN], NOW)
        assert after.fires("a", "s", 1, NOW, 60) == "done"
        assert before.add(event("another"), [CANTEEN], NOW)
        assert (after.take_over(before), after.take_over(before)) == (1, 0)
        seen = []
        while found := after.claim(NOW, 60, 10, PLACE, is_pushed=True):
            seen += [one.id for one in found]
            for one in found:
                assert after.done(one.number, one.lease)
        ordered = [one for one in seen if one in {"theirs", "late", "later"}]
        assert ordered == ["theirs", "late", "later"]
        assert sorted(seen) == sorted(["theirs", "late", "later", "another", f"{SECRET} 2", f"{SECRET} 3"])
    assert not [path for path in tmp_path.iterdir() if SECRET.encode() in path.read_bytes()]


@needs_postgres
@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize(("is_deleting", "copied"), [(True, 0), (False, 1)])
def test_a_move_that_was_killed_goes_on(tmp_path, postgres, is_deleting, copied):
    """While it took away what it had copied, and between the two ends' commits: nothing is lost, nothing comes twice."""
    home, shared = Place(tmp_path, None), Place(tmp_path, postgres.database())
    deletes = []

    class Killed(SqliteStore):
        @contextlib.contextmanager
        def transaction(self, *, is_reading: bool = False):
            with super().transaction(is_reading=is_reading) as execute:

                def dying(statement, values):
                    if statement.startswith("DELETE"):
                        deletes.append(statement)
                        if is_deleting:
                            raise KeyboardInterrupt
                    return execute(statement, values)

                yield dying
                if deletes:
                    raise KeyboardInterrupt

    with (
        contextlib.closing(Outbox(Killed(tmp_path), Keys(lambda: home.seeds))) as dying,
        contextlib.closing(shared.outbox()) as after,
    ):
        dying.add(event("1"), [CANTEEN], NOW)
        with pytest.raises(KeyboardInterrupt):
            after.take_over(dying)
        assert deletes
        with contextlib.closing(home.outbox()) as again:
            assert (after.counts()["waiting"], again.counts()["waiting"]) == (copied, 1)
            assert after.take_over(again) == 1 - copied
            assert again.counts() == {"waiting": 0, "dead": 0}
        assert claimed(after) == [("1", "{}")]
