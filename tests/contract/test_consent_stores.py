"""What every store of consents and sign-in sessions promises to two who read it: a home's, and that of several replicas."""

from __future__ import annotations

import contextlib
import json
import threading
import time

import pytest

from audit.keys import load_or_make
from governance.errors import DependencyError, NotFound, NotSignedIn
from governance.log_wiring import open_recorder
from governance.platform.broker.calls import Broker
from governance.platform.keys import KeyStore
from governance.platform.oauth.consents import QUESTION_LIVES_S, Consent, SqliteConsents
from governance.platform.oauth.sessions import LIVES_S, Sessions
from governance.settings import Settings
from governance.state.files import FileState
from tests.consenting import CALL
from tests.postgres import needs_postgres
from tests.unit.broker.conftest import engines_stay_in_their_thread  # noqa: F401  threads of doubles as there

ORIGIN = "consents.example/audit"
NOW = "2026-11-25T10:00:00.000000Z"
ADA = Consent(
    "0190-a", "dates", "marketing", "calendar", "key:ada", ("Calendars.Read",), "Free hours", "2099-01-01T00:00:00Z"
)


class Home:
    def __init__(self, folder, _database=None) -> None:
        self.folder, self.late = folder, 0.0

    def clock(self) -> float:
        return time.time() + self.late

    def consents(self):
        return SqliteConsents(self.folder, self.clock)

    def state(self):
        return FileState(self.folder)


class Replicas(Home):
    def __init__(self, folder, database) -> None:
        super().__init__(folder)
        self.database = database
        load_or_make(folder / "key", ORIGIN, may_make=True)

    def consents(self):
        from governance.platform.oauth.shared_consents import SharedConsents

        return SharedConsents(self.state(), self.clock)

    def state(self):
        from governance.state.shared import SharedState

        return SharedState(self.database, self.folder / "key", ORIGIN)


@pytest.fixture(params=["home", pytest.param("postgres", marks=[needs_postgres, pytest.mark.xdist_group("postgres")])])
def place(request, tmp_path):
    if request.param == "home":
        return Home(tmp_path)
    return Replicas(tmp_path, request.getfixturevalue("postgres").database())


def state_within_a_second(store, since: float, wanted: str) -> None:
    """Nothing is read that began more than a second after `since` and still says otherwise, however slow the machine is."""
    while True:
        began = time.monotonic()
        if store.get(ADA.id).state == wanted:
            return
        assert began - since <= 1.0


def test_what_one_gives_the_other_knows_at_once_and_a_withdrawal_within_a_second(place):
    here, there = place.consents(), place.consents()
    assert there.get(ADA.id) is None
    here.ask(ADA, "ab12")
    assert there.get(ADA.id) == ADA
    given = ADA._replace(state="given", given_at=NOW, scopes=("less",))
    assert here.give(given)
    assert there.get(ADA.id) == given
    ended = here.withdraw(ADA.id, "key:bob", NOW)
    since = time.monotonic()
    state_within_a_second(there, since, "withdrawn")
    assert (there.get(ADA.id), ended.ended_by) == (ended, "key:bob")


def test_nothing_leads_back_from_an_end(place):
    here, there = place.consents(), place.consents()
    here.ask(ADA, "")
    ended = there.withdraw(ADA.id, "vendor", NOW)
    assert not here.give(ADA._replace(state="given", given_at=NOW))
    assert here.withdraw(ADA.id, "key:eve", "2027-01-01T00:00:00.000000Z") == ended
    with pytest.raises(NotFound):
        here.withdraw("0190-none", "key:eve", NOW)
    assert not here.give(ADA._replace(id="0190-none"))


@pytest.mark.parametrize("name", ["../keys", "", "a/b", "0190-a.json", "questions/ab", "consents", "é/../x"])
def test_an_identifier_leads_nowhere_else(place, name):
    store = place.consents()
    store.ask(ADA, "ab12")
    assert store.get(name) is None
    assert not store.lease(name, 5)


def test_a_question_is_answered_once_of_many_who_try_and_by_nobody_when_it_is_old(place):
    stores = [place.consents() for _ in range(4)]
    stores[0].ask(ADA, "ab12")
    stores[0].ask(ADA._replace(id="0190-b"), "ab34")
    found: list[Consent | None] = []
    threads = [threading.Thread(target=lambda s=store: found.append(s.answered("ab12"))) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one for one in found if one] == [ADA]
    place.late = QUESTION_LIVES_S
    assert stores[1].answered("ab34") is None
    assert stores[1].answered("never") is None


def test_one_of_many_renews_and_the_next_when_it_is_done(place):
    stores = [place.consents() for _ in range(4)]
    stores[0].ask(ADA, "")
    leased: list[bool] = []
    threads = [threading.Thread(target=lambda s=store: leased.append(s.lease(ADA.id, 30))) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(leased) == [False, False, False, True]
    stores[2].release(ADA.id)
    assert stores[3].lease(ADA.id, 30)
    assert not stores[0].lease(ADA.id, 30)
    place.late = 31
    assert stores[0].lease(ADA.id, 30), "whoever died while renewing holds nobody up for ever"


def test_lists_are_of_one_tenant_or_person_and_newest_first(place):
    store = place.consents()
    rows = [ADA, ADA._replace(id="0190-b", person="key:bob"), ADA._replace(id="0190-c", tenant="hr")]
    for row in rows:
        store.ask(row, "")
    there = place.consents()
    assert there.all() == rows[::-1]
    assert there.all("marketing") == rows[1::-1]
    assert there.all("marketing", "key:ada") == [ADA]


def test_a_list_that_was_read_before_follows_what_others_change_and_forgets_who_is_erased(place):
    here, there = place.consents(), place.consents()
    bob = ADA._replace(id="0190-b", person="key:bob")
    for row in (ADA, bob):
        here.ask(row, "")
    assert there.all("marketing", "key:bob") == [bob]
    ended = here.withdraw(bob.id, "key:bob", NOW)
    here.remove(ADA.id)
    since = time.monotonic()
    while True:
        began = time.monotonic()
        if there.all() == there.all("marketing") == [ended] and there.all(person="key:ada") == []:
            break
        assert began - since <= 1.0
    assert there.all("hr") == []
    assert there.all("marketing", "key:bob") == here.all("", "key:bob") == [ended]


def test_a_person_signed_in_here_is_known_there_until_they_sign_out_or_an_hour_is_over(place):
    keys = KeyStore(place.state())
    _, text = keys.create("citizen", "marketing")
    here, there = (Sessions(place.state(), KeyStore(place.state()), place.clock) for _ in range(2))
    cookie, other = here.begin(keys.identify(text)), here.begin(keys.identify(text))
    assert there.of(cookie).identity == keys.identify(text)
    assert there.of(cookie).derived("form") == here.of(cookie).derived("form")
    here.end(cookie)
    since = time.monotonic()
    while True:
        began = time.monotonic()
        try:
            there.of(cookie)
        except NotSignedIn:
            break
        assert began - since <= 1.0
    assert there.of(other).identity.tenant == "marketing"
    place.late = LIVES_S
    with pytest.raises(NotSignedIn):
        there.of(other)


@needs_postgres
@pytest.mark.xdist_group("postgres")
class TestReplicas:
    def test_a_database_shows_neither_who_consented_nor_a_token(self, tmp_path, postgres):
        from governance.platform.broker.shared_secrets import SharedSecrets

        place = Replicas(tmp_path, postgres.database())
        place.consents().ask(ADA, "ab12")
        SharedSecrets(place.state()).put(ADA.handle, "canary-0c1d-token")
        with contextlib.closing(place.database.connect()) as connection:
            rows = connection.execute("SELECT body FROM state_documents").fetchall()
        raw = b"".join(bytes(body) for (body,) in rows if body)
        assert rows
        assert not [word for word in (b"key:ada", b"Calendars", b"canary-0c1d") if word in raw]

    def test_a_withdrawn_row_that_is_put_back_as_it_was_is_not_in_force(self, tmp_path, postgres):
        place = Replicas(tmp_path, postgres.database())
        store = place.consents()
        store.ask(ADA, "")
        store.give(ADA._replace(state="given", given_at=NOW))
        name = f"consents/{ADA.id}.json"
        with contextlib.closing(place.database.connect()) as connection:
            asked = "SELECT body FROM state_documents WHERE name = %s"
            (given,) = connection.execute(asked, (name,)).fetchone()
            store.withdraw(ADA.id, "key:ada", NOW)
            connection.execute("UPDATE state_documents SET body = %s WHERE name = %s", (given, name))
        with pytest.raises(DependencyError, match="not written by a replica"):
            place.consents().get(ADA.id)

    def test_a_call_at_one_replica_stands_on_a_consent_of_the_other_s(self, tmp_path, postgres):
        """The whole way, twice over one database: homes of their own, one key of the log."""
        from governance.broker_wiring import app_tokens_of, broker_of, secrets_of
        from governance.errors import GovernanceError
        from governance.wiring import for_cli
        from tests.unit.oauth.conftest import DATES, World, rules

        database = postgres.database()
        world = World(tmp_path / "one", settings={"database": database.url})
        (tmp_path / "two" / "audit").mkdir(parents=True, mode=0o700)
        key = tmp_path / "two" / "audit" / "key"
        key.write_bytes((tmp_path / "one" / "home" / "audit" / "key").read_bytes())
        key.chmod(0o600)
        there = Settings({**world.settings.values, "home": str(tmp_path / "two")})

        def call(broker: Broker):
            asked = {**CALL, "consent": given.id}
            return world.runner.run(broker.call(DATES, "calendar", asked, entry_point="test", trace_id="ab" * 16))

        with for_cli(there) as line:
            broker = broker_of(there, line)
            try:
                given = world.consent()
                called = call(broker)
                assert (called.refusal, called.status) == (None, 200), called
                assert "Ada" not in json.dumps(called.answer)
                ended = world.grants.consents.withdraw(given.id, "key:ada", NOW)
                since = time.monotonic()
                while True:
                    began = time.monotonic()
                    try:
                        refused = call(broker)
                    except GovernanceError:  # between the decision and the token the consent ended: nothing went out
                        continue
                    if refused.refusal is not None:
                        break
                    assert began - since <= 1.0
                assert rules(refused) == {"OAUTH-007"}
                world.runner.run(world.grants.withdrawn(ended, world.connector))
                with pytest.raises(NotFound):
                    secrets_of(there)._state.stamp("secrets", newest=True)
                    secrets_of(there).get(given.handle)
                assert app_tokens_of(there).jwks() == app_tokens_of(world.settings).jwks()
            finally:
                world.runner.run(broker.close())
                world.close()

    def test_a_home_s_consents_and_credentials_move_with_their_ages(self, tmp_path, postgres):
        from governance.broker_wiring import consents_of, move_people, secrets_of

        here = Settings({"home": str(tmp_path / "home")})
        with open_recorder(here):
            pass
        secrets_of(here).put(ADA.handle, "first")
        about = secrets_of(here).rotate(ADA.handle, "second")
        consents_of(here).ask(ADA, "")
        ended = consents_of(here).withdraw(ADA.id, "key:ada", NOW)
        there = Settings({**here.values, "database": postgres.database().url, "log_origin": here.text("log_origin")})
        assert move_people(here, there) == (1, 1)
        assert move_people(here, there) == (1, 1), "killed in between, it is run again"
        assert secrets_of(there).get(ADA.handle).reveal() == "second"
        assert (secrets_of(there).about(ADA.handle), consents_of(there).get(ADA.id)) == (about, ended)


def test_a_consent_that_is_removed_is_known_to_nobody_and_answers_no_question(place):
    here, there = place.consents(), place.consents()
    here.ask(ADA, "d" * 64)
    here.remove(ADA.id)
    here.remove("0190-nobody")
    assert (here.get(ADA.id), there.get(ADA.id), there.all(person=ADA.person)) == (None, None, [])
    assert here.answered("d" * 64) is None
    with pytest.raises(NotFound):
        here.withdraw(ADA.id, "key:ada", NOW)
