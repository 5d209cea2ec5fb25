"""What every store of the state promises: files of one home, and the database of several replicas."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from audit.keys import load_or_make
from governance.enrich.app_changes import AppChanges
from governance.enrich.apps import AppDirectory, AppFacts
from governance.enrich.port import enrich_all
from governance.errors import DependencyError, Forbidden, NotFound, NotSignedIn, Overtaken
from governance.model.facts import Facts
from governance.model.moment import utc_now
from governance.platform.broker.limits import Call, FileCounters, Meter
from governance.platform.broker.tokens import AppTokens, Caller
from governance.platform.excuses import Excuses
from governance.platform.keys import KeyStore
from governance.platform.review_budget import Budget, Spent
from governance.platform.waivers import Conflict, Proposal, WaiverStore, place_of
from governance.settings import Settings
from governance.state.files import FileState
from tests.postgres import needs_postgres

ROOT = Path(__file__).parents[2]
ORIGIN = "state.example/audit"
RULES = {"REQ-004": None}
SPEC = {
    "rule": "REQ-004", "subject": "app:lunch", "owner": "ann", "reason": "moved by hand", "expires": "2099-01-01T00:00:00Z",
}  # fmt: skip
HOLDS = """
import pathlib, sys, time
from audit.keys import load_or_make
from audit.postgres import Database
from governance.platform.keys import KeyStore
from governance.state.files import FileState
from governance.state.shared import SharedState
home = pathlib.Path(sys.argv[1])
state = SharedState(Database(sys.argv[2]), home / "key", sys.argv[3]) if sys.argv[2] else FileState(home)
for line in range(20):
    state.change("counted", lambda held: str(int(held or b"0") + 1).encode())
print(KeyStore(state).identify(sys.stdin.readline().strip()).role)
"""


class Files:
    """Two processes of one home."""

    def __init__(self, home: Path) -> None:
        self.home, self.url = home, ""

    def replica(self):
        return FileState(self.home)

    def counters(self):
        return FileCounters(self.home)


class Shared:
    """Two replicas of one database, with one key."""

    def __init__(self, home: Path, database) -> None:
        self.home, self.database, self.url = home, database, database.url
        load_or_make(home / "key", ORIGIN, may_make=True)

    def replica(self, key: Path | None = None):
        from governance.state.shared import SharedState

        return SharedState(self.database, key or self.home / "key", ORIGIN)

    def counters(self):
        from governance.state.counters import SharedCounters

        return SharedCounters(self.database)


@pytest.fixture(params=["files", pytest.param("postgres", marks=needs_postgres)])
def place(request, tmp_path):
    if request.param == "files":
        return Files(tmp_path)
    return Shared(tmp_path, request.getfixturevalue("postgres").database())


@pytest.fixture
def database(postgres):
    return postgres.database()


def settle(excuses: Excuses, name: str, spec: dict) -> None:
    """Take up a waiver that the door which made it has put on record."""
    excuses.refresh(RULES)
    place = place_of(name, spec)
    with excuses.alone(waits=True):
        (change,) = excuses.changes({place["file"]: place["digest"]})
        assert change.entry is None
        excuses.settled(change)


def within(holds, seconds: float = 20.0) -> None:
    """Far more than the second that is promised: a loaded machine is not asked for its clock, but see `stops_within`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def refused(keys: KeyStore, text: str) -> bool:
    try:
        keys.identify(text)
    except NotSignedIn:
        return True
    return False


def is_cut_off(keys: KeyStore, text: str) -> bool:
    try:
        keys.identify(text)
    except DependencyError:
        return True
    return False


def stops_within(keys: KeyStore, text: str, since: float) -> None:
    """Nothing is let in that began more than a second after a revocation that was done at `since`, however slow all is."""
    while True:
        began = time.monotonic()
        if refused(keys, text):
            return
        assert began - since <= 1.0


class TestEveryStore:
    def test_a_document_is_there_whole_or_not(self, place):
        one, two = place.replica(), place.replica()
        assert (one.read("apps/a.json"), one.names("apps"), one.stamp("apps/a.json")) == (None, [], None)
        one.change("apps/a.json", lambda held: b"1" if held is None else b"?")
        one.change("apps/deeper/b.json", lambda _: b"2")
        within(lambda: two.read("apps/deeper/b.json") == b"2")
        assert (two.read("apps/a.json"), two.names("apps")) == (b"1", ["apps/a.json"])
        before = two.stamp("apps/a.json"), two.stamp("apps")
        one.change("apps/a.json", lambda held: held + b"1")
        within(lambda: two.read("apps/a.json") == b"11")
        after = two.stamp("apps/a.json"), two.stamp("apps")
        assert before[0] != after[0]
        assert before[1] != after[1]
        one.change("apps/a.json", lambda _: None)
        within(lambda: two.read("apps/a.json") is None)
        assert (two.names("apps"), two.stamp("apps/a.json")) == ([], None)

    def test_an_edit_that_raises_changes_nothing_and_holds_up_nobody(self, place):
        state = place.replica()
        state.change("a", lambda _: b"1")

        def no(_held):
            raise Conflict("no")

        with pytest.raises(Conflict):
            state.change("a", no)
        assert place.replica().read("a") == b"1"
        place.replica().change("a", lambda held: held + b"2")
        assert state.stamp("a", newest=True) is not None
        assert state.read("a") == b"12"

    def test_of_changes_at_once_in_several_processes_none_is_lost(self, place):
        state = place.replica()
        key, text = KeyStore(state).create("auditor", "bank")
        running = [
            subprocess.Popen(
                [sys.executable, "-c", HOLDS, str(place.home), place.url, ORIGIN], cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        threads = [
            threading.Thread(target=lambda: state.change("counted", lambda held: str(int(held or b"0") + 1).encode()))
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        said = [process.communicate(f"{text}\n", timeout=120)[0] for process in running]
        for thread in threads:
            thread.join()
        assert said == ["auditor\n", "auditor\n"]
        state.stamp("counted", newest=True)
        assert state.read("counted") == b"50"
        KeyStore(place.replica()).revoke(key.id)
        within(lambda: refused(KeyStore(state), text))

    def test_a_key_made_here_works_there_at_once_and_stops_there(self, place):
        here, there = KeyStore(place.replica()), KeyStore(place.replica())
        with pytest.raises(NotSignedIn):
            there.identify("gk_000000000000_" + "0" * 64)
        key, text = here.create("service", "bank")
        assert there.identify(text)[1:3] == ("service", "bank")
        assert [row.id for row in there.all()] == [key.id]
        here.revoke(key.id)
        stops_within(there, text, time.monotonic())
        with pytest.raises(NotFound):
            there.revoke("ffff")

    def test_an_app_deployed_here_is_known_there(self, place):
        from tests.unit.enrich.test_facts import carried_out, deploy

        state = place.replica()
        here, there = AppDirectory(state), AppDirectory(place.replica())
        assert there.app("a") is None
        for audience in ("team", "company"):
            request = deploy({"audience": audience})
            carried_out(state, request)
            assert here.spec_of("a") == {"audience": audience}
            within(lambda said={"audience": audience}: there.spec_of("a") == said)
        assert (there.specs(), list(there.apps())) == ([("a", {"audience": "company"})], ["a"])

    def test_of_two_yeses_on_the_same_facts_one_takes_effect(self, place):
        from tests.unit.enrich.test_facts import _allowed, deploy

        states = [place.replica(), place.replica()]
        for before in ("nobody's", "the first's"):
            asked = [deploy({"tenant": tenant, "purpose": before}) for tenant in ("marketing", "hr")]
            facts = [enrich_all(one, [AppFacts(AppDirectory(states[0]))]) for one in asked]
            AppChanges(states[0]).carry_out(asked[0], facts[0], _allowed(asked[0]))
            with pytest.raises(Overtaken):
                AppChanges(states[1]).carry_out(asked[1], facts[1], _allowed(asked[1]))
            with pytest.raises(Overtaken):
                AppChanges(states[1]).carry_out(asked[1], Facts({}, "", ""), _allowed(asked[1]))
            assert AppDirectory(states[0]).spec_of("a") == {"tenant": "marketing", "purpose": before}
            assert AppDirectory(states[0]).last_good("a") == AppDirectory(states[0]).app("a")

    def test_of_two_who_publish_a_template_at_once_one_owns_it(self, place):
        from tests.unit.enrich.test_facts import _allowed, template

        here, there = place.replica(), place.replica()
        mine, same, next_one = (
            template({"title": title}, tenant=tenant, version=version)
            for title, tenant, version in (("A", "hr", "1.0.0"), ("B", "sales", "1.0.0"), ("B", "sales", "1.1.0"))
        )
        late = [(one, enrich_all(one, [AppFacts(AppDirectory(there))])) for one in (same, next_one)]
        AppChanges(here).carry_out(mine, enrich_all(mine, [AppFacts(AppDirectory(here))]), _allowed(mine))
        for one, facts in [*late, (same, Facts({}, "", ""))]:
            with pytest.raises(Overtaken):
                AppChanges(there).carry_out(one, facts, _allowed(one))
        directory = AppDirectory(here)
        assert directory.publisher("lunch")["tenant"] == "hr"
        assert (directory.template("lunch", "1.0.0")["spec"], directory.template("lunch", "1.1.0")) == (
            {"title": "A"},
            None,
        )

    def test_several_documents_change_together_or_not_at_all(self, place):
        state = place.replica()
        state.change_together(("x/a", "x/b", "x/c"), lambda held: (b"1", b"2", held[2]))
        assert (state.read("x/a"), state.read("x/b"), state.names("x")) == (b"1", b"2", ["x/a", "x/b"])

        def no(held):
            assert held == (b"1", b"2")
            raise NotFound("no")

        with pytest.raises(NotFound):
            state.change_together(("x/a", "x/b"), no)
        state.change_together(("x/a", "x/b"), lambda held: (None, held[1] + b"0"))
        assert (state.read("x/a"), state.read("x/b"), state.names("x")) == (None, b"20", ["x/b"])

    def test_a_waiver_is_proposed_here_approved_there_and_ends_everywhere(self, place, tmp_path):
        here, there = place.replica(), place.replica()
        excuses = Excuses(there, tmp_path / "there", "")
        excuses.refresh(RULES)
        proposal = Proposal("by-hand", dict(SPEC), "key:ann", utc_now())
        WaiverStore(here).propose(proposal)
        with pytest.raises(Conflict):
            WaiverStore(here).propose(proposal)
        there.pulse()
        within(lambda: "by-hand" in {row["name"] for row in WaiverStore(there).all()})
        with pytest.raises(Forbidden):
            WaiverStore(there).approved_spec(WaiverStore(there).proposal("by-hand"), "key:ann")
        assert excuses.in_force() == ()
        spec = WaiverStore(there).approved_spec(proposal, "key:bob")
        WaiverStore(there).add("by-hand", spec)
        excuses.refresh(RULES)
        assert excuses.in_force() == ()  # nobody has looked yet whether it is on record
        settle(excuses, "by-hand", spec)
        assert [waiver.approver for waiver in excuses.in_force()] == ["key:bob"]
        WaiverStore(here).revoke("by-hand")

        def is_over() -> bool:
            if place.url == "":
                excuses.refresh(RULES)  # of files, the worker's tick does this
            return excuses.in_force() == ()

        within(is_over)
        assert WaiverStore(here).all() == []

    def test_a_token_of_one_is_good_at_the_other_until_it_is_revoked_there(self, place):
        here, there = AppTokens(place.replica()), AppTokens(place.replica())
        caller = Caller("lunch", "t", "i-1")
        token = here.issue(caller)

        def good() -> bool:
            with contextlib.suppress(NotSignedIn):
                return there.verify(token) == caller
            return False

        within(good)
        here.revoke(caller.actor)
        within(lambda: not good())
        here.rotate()
        other = caller._replace(instance="i-2")
        token = there.issue(other)
        assert there.verify(token) == other

    def test_calls_count_once_for_all(self, place):
        call, day = Call("lunch", "t", "a", "hris"), "2026-11-25"
        here, there = Meter(place.counters()), Meter(place.counters())
        taken = [meter.take(call, 100.0, day) for meter in (here, there, here)]
        assert [one.usage["calls_today"]["hris"] for one in taken] == [0, 1, 2]
        assert [one.usage["calls_last_minute"]["hris"] for one in taken] == [0, 1, 2]
        there.finish(taken[0], None)
        usage = there.take(call, 161.0, day).usage
        assert (usage["calls_last_minute"]["hris"], usage["app_calls_today"]) == (0, 2)
        here.close()
        there.close()

    def test_what_calls_cost_is_set_aside_and_settled_once_for_all(self, place):
        call, day = Call("lunch", "t", "a", "hris", 500), "2026-11-25"
        here, there = Meter(place.counters()), Meter(place.counters())
        first, second = here.take(call, 100.0, day), there.take(call, 100.0, day)
        assert (second.usage["app_microeur"], second.usage["tenant_microeur"]) == (500, 500)
        there.finish(first, 200)
        here.finish(second, None)
        usage = here.take(call._replace(app="dinner"), 100.0, day).usage
        assert (usage["app_microeur"], usage["tenant_microeur"]) == (0, 200)
        here.close()
        there.close()

    def test_a_budget_is_one_for_all(self, place):
        settings = Settings({"review_budget_tokens": "100", "review_budget_cents": "1"})
        here, there = Budget(settings, place.replica()), Budget(settings, place.replica())
        assert here.take("t", "2026-11", Spent(60, 0))
        assert not there.take("t", "2026-11", Spent(60, 0))
        here.settle("t", "2026-11", Spent(60, 0), Spent(30, 0))
        assert there.take("t", "2026-11", Spent(60, 0))
        assert here.spent("t", "2026-11") == Spent(90, 0)


@needs_postgres
class TestSharedByReplicas:
    def test_without_the_database_nobody_is_let_in_and_nothing_is_excused(self, tmp_path):
        from tests.postgres import Server

        server = Server()
        try:
            place = Shared(tmp_path, server.database())
            state = place.replica()
            keys, excuses, directory = KeyStore(state), Excuses(state, tmp_path / "here", ""), AppDirectory(state)
            _, text = keys.create("service")
            spec = {**SPEC, "approver": "bob"}
            WaiverStore(state).add("w", spec)
            settle(excuses, "w", spec)
            assert (keys.identify(text).role, len(excuses.in_force())) == ("service", 1)
            meter = Meter(place.counters())
            server.stop()
            within(lambda: is_cut_off(keys, text))
            for ask in (
                excuses.in_force,
                lambda: directory.app("a"),
                lambda: keys.revoke("x"),
                lambda: meter.take(Call("a", "t", "b", "c"), 1.0, "2026-11-25"),
            ):
                with pytest.raises(DependencyError):
                    ask()
            server.start()
            within(lambda: not is_cut_off(keys, text))
            assert (len(excuses.in_force()), directory.app("a")) == (1, None)
        finally:
            server.remove()

    def test_a_database_that_hangs_is_no_reason_to_go_by_what_was_known(self, tmp_path, database):
        place = Shared(tmp_path, database)
        keys = KeyStore(place.replica())
        _, text = keys.create("service")
        assert keys.identify(text).role == "service"
        with contextlib.closing(database.connect()) as connection, connection.transaction():
            connection.execute("LOCK TABLE state_documents IN ACCESS EXCLUSIVE MODE")
            locked = time.monotonic()
            while True:
                began = time.monotonic()
                try:
                    keys.identify(text)
                except DependencyError as error:
                    assert "does not answer" in str(error)  # noqa: PT017
                    break
                assert began - locked <= 1.0
            began = time.monotonic()
            with pytest.raises(DependencyError):
                keys.identify(text)
            assert time.monotonic() - began < 1.0, "only the first has to wait"
        within(lambda: not is_cut_off(keys, text))
        assert keys.identify(text).role == "service"

    def test_what_somebody_else_wrote_into_the_table_is_not_believed(self, tmp_path, database):
        place = Shared(tmp_path, database)
        KeyStore(place.replica()).create("service")
        place.replica().change("apps/a.json", lambda _: b'{"spec": {}}')
        with contextlib.closing(database.connect()) as connection:
            row = connection.execute("SELECT body FROM state_documents WHERE name = 'apps/a.json'").fetchone()
            connection.execute("UPDATE state_documents SET body = %s WHERE name = 'keys.json'", (row[0],))
            held = connection.execute("SELECT body FROM state_documents").fetchall()
        assert not any(b"spec" in bytes(body) or b"gk_" in bytes(body) for (body,) in held)
        state = place.replica()
        with pytest.raises(DependencyError, match=r"keys\.json.*not written by a replica"):
            KeyStore(state).identify("gk_a_b")
        assert AppDirectory(state).spec_of("a") == {}, "the others go on"

    def test_an_older_copy_of_the_database_is_refused_by_who_saw_more(self, tmp_path, database):
        place = Shared(tmp_path, database)
        state = place.replica()
        state.change("a", lambda _: b"1")
        assert state.read("a") == b"1"
        with contextlib.closing(database.connect()) as connection:
            connection.execute("UPDATE state_clock SET version = 0")

        def is_refused() -> bool:
            try:
                state.stamp("a", newest=True)
            except DependencyError as error:
                return "older than what was seen" in str(error)
            return False

        within(is_refused)

    def test_a_replica_with_another_key_is_refused(self, tmp_path, database):
        place = Shared(tmp_path, database)
        place.replica().change("a", lambda _: b"1")
        load_or_make(tmp_path / "other", ORIGIN, may_make=True)
        with pytest.raises(DependencyError, match="same <home>/audit/key"):
            place.replica(tmp_path / "other").read("a")
        with pytest.raises(DependencyError, match="is missing"):
            place.replica(tmp_path / "none").read("a")

    def test_it_outlives_the_log_s_change_of_keys(self, tmp_path, database):
        place = Shared(tmp_path, database)
        place.replica().change("a", lambda _: b"1")
        path = tmp_path / "key"
        both = load_or_make(path, ORIGIN, may_make=False).successor()
        both.save(path)
        assert place.replica().read("a") == b"1", "with both, which wraps it for the new one"
        both.alone().save(path)
        assert place.replica().read("a") == b"1"

    def test_a_running_replica_wraps_it_for_a_key_that_comes(self, tmp_path, database):
        place = Shared(tmp_path, database)
        running = place.replica()
        running.change("a", lambda _: b"1")
        assert running.read("a") == b"1"
        both = load_or_make(tmp_path / "key", ORIGIN, may_make=False).successor()
        both.save(tmp_path / "key")
        with contextlib.closing(database.connect()) as connection:
            within(lambda: connection.execute("SELECT count(*) FROM state_keys").fetchone() == (2,))
        both.alone().save(tmp_path / "alone")
        assert place.replica(tmp_path / "alone").read("a") == b"1"

    def test_a_database_of_a_newer_program_is_left_alone(self, tmp_path, database):
        place = Shared(tmp_path, database)
        place.replica().change("a", lambda _: b"1")
        with contextlib.closing(database.connect()) as connection:
            connection.execute("UPDATE state_schema SET version = 99")
        with pytest.raises(DependencyError, match="update it"):
            place.replica().read("a")
