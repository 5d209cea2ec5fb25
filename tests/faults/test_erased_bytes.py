"""A person is erased: every byte of the home, and of PostgreSQL's folder where there is one, is searched for them."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
import time
from pathlib import Path

import pytest

from audit.certificate import check_certificate
from audit.errors import LogTorn
from audit.exports.package import Wanted, export
from audit.keys import load_or_make
from audit.notes import parse_verifier_key
from audit.record import Entry
from audit.rows import SubjectKey
from audit.shared import SharedLog
from audit.store import Filter
from audit.subjects import Wraps
from audit.tree import is_consistent
from governance.broker_wiring import consents_of, secrets_of
from governance.entrypoints.cli.main import run
from governance.erasure_wiring import opened_beside
from governance.events_wiring import outbox_of
from governance.log_wiring import open_reader, open_recorder, seeds_of
from governance.platform.broker.events.outbox_rows import UNBOUND, Accepted, Target
from governance.platform.broker.events.outbox_seal import OUTBOX
from governance.platform.erasure import erase, look, mention_of
from governance.platform.oauth.consents import Consent
from governance.settings import from_environment
from governance.state.wrapping import Wrapping
from tests.postgres import needs_postgres

ORIGIN = "log.example/erased"
NOW = "2026-06-01T00:00:00Z"
NAME, VALUE = "Canary-Trillian-5150", "Canary-Heart-of-Gold-2718"

TARGETS = [Target("canteen", "on-lunch", is_pushed=False), Target("lunch", "own", is_pushed=False)]


def entry(number: int, subject: str) -> Entry:
    public = {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": []}
    return Entry(
        "deploy", "2026-03-01T10:00:00Z", public, {"input": f"{VALUE if subject == NAME else number}"}, subject
    )


def files_with(folder: Path, *needles: bytes) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # a server tidies up while it is searched
            raw = path.read_bytes() if path.is_file() else b""
            whole = without_page_heads(raw) if path.parent.name == "pg_wal" else b""
            found += [str(path) for needle in needles if needle in raw or needle in whole]
    return found


def without_page_heads(segment: bytes) -> bytes:
    """A segment of PostgreSQL's write-ahead log without what stands between two pages in the middle of a record.

    Pages have 8 KiB; a page's head has 24 bytes, a segment's first one 40 (XLogPageHeaderData, XLogLongPageHeaderData).
    """
    return b"".join(segment[at + (24 if at else 40) : at + 8192] for at in range(0, len(segment), 8192))


@needs_postgres
@pytest.mark.xdist_group("postgres")
def test_no_byte_of_the_server_or_the_home_holds_name_value_or_key_and_a_changed_key_closes_the_rest(
    tmp_path, postgres
):
    database, data, home = postgres.database(), Path(postgres._data), tmp_path / "home"
    with SharedLog(home, origin=ORIGIN, database=database, complain=lambda _: None) as log:

        def act(verb: str, **arguments):
            return log.act(verb, {"time": NOW, "public": {"decision_id": verb}, **arguments})

        for done in [log.submit(entry(n, NAME if n % 5 == 1 else f"person-{n % 7}")) for n in range(200)]:
            done.result(60)
        hold = act("hold", scope={"subject": NAME}, reason=f"about {NAME}", owner="legal")["hold"]
        act("release", hold=hold, reason="closed")
        assert log.reader.search(Filter(subject=NAME))
        known = log.reader._store.subject_key(NAME)
        with contextlib.closing(database.connect()) as connection:
            row = SubjectKey(
                *connection.execute(
                    "SELECT number, subject, key FROM subjects WHERE number = %s", (known.number,)
                ).fetchone()
            )
            connection.execute("CHECKPOINT")
            clear = (NAME.encode(), VALUE.encode(), known.key)
            assert files_with(data, *clear) == []
            assert files_with(data / "base", bytes(row.key))  # what is searched for can be found
            before = log.reader.newest()
            done = act("erase", subject=NAME, reason="request 17")
            assert done["records"] == 41
            connection.execute("CHECKPOINT")
        assert files_with(data, *clear) + files_with(home, *clear, bytes(row.key)) == []
        # The wrapped key left every table; what its write-ahead log still has is of no use once the log's key is another.
        assert files_with(data / "base", bytes(row.key)) == []
        seeds = load_or_make(home / "audit" / "key", ORIGIN, may_make=False).seeds
        assert Wraps(seeds).opened(row).subject == NAME
        note, key = done["certificate"], parse_verifier_key(log.reader.verifier_key)
        outside = " ".join(check_certificate(note, key, NAME).outside)
        assert ("write-ahead log" in outside, "exports" in outside) == (True, False)
        act("rotate_key")
        act("finish_rotation")
        with pytest.raises(LogTorn, match="not wrapped under this log's key"):
            Wraps(load_or_make(home / "audit" / "key", ORIGIN, may_make=False).seeds).opened(row)
        after = log.reader.newest()
        assert is_consistent(
            before.size, after.size, before.root, after.root, log.reader.consistency(before.size, after.size)
        )
        assert log.reader.record(0)["opened"] == {"input": "0"}
        assert log.append(entry(300, NAME)).index == after.size
        assert log.reader.verify_self() == after.size + 1
        export(log.reader, Wanted(Filter(before=after.size), ["csv"]), tmp_path / "package", created=NOW)
    assert files_with(tmp_path / "package", *clear) == []


@needs_postgres
@pytest.mark.xdist_group("postgres")
def test_the_certificate_names_exports_that_were_handed_out_before(tmp_path, postgres):
    with SharedLog(tmp_path, origin=ORIGIN, database=postgres.database(), complain=lambda _: None) as log:
        public = {"decision_id": "x", "app": "", "effect": "allow", "rules": []}
        for one in (entry(0, "b"), Entry("export", NOW, public, {}), entry(1, NAME), Entry("export", NOW, public, {})):
            log.append(one)
        arguments = {"time": NOW, "public": {"decision_id": "e"}, "subject": NAME, "reason": "asked"}
        note = log.act("erase", arguments)["certificate"]
        certificate = check_certificate(note, parse_verifier_key(log.reader.verifier_key), NAME)
        assert certificate.outside[0].startswith("exports 3: ")


@needs_postgres
@pytest.mark.xdist_group("postgres")
def test_rows_that_an_earlier_version_left_in_clear_are_wrapped_by_whoever_is_elected(tmp_path, postgres):
    database, name = (
        postgres.database(),
        "Canary-Marvin-1978",
    )  # in clear here: other tests of this server search for NAME
    with SharedLog(tmp_path, origin=ORIGIN, database=database, complain=lambda _: None) as log:
        log.append(entry(0, name))
        key = log.reader._store.subject_key(name).key
    with contextlib.closing(database.connect()) as connection:
        connection.execute("UPDATE subjects SET subject = %s, key = %s", (name, key))
    with SharedLog(tmp_path, origin=ORIGIN, database=database, complain=lambda _: None) as log:
        log.append(entry(1, name))
        assert log.reader.search(Filter(subject=name)) == [1, 0]
        assert log.reader.record(0)["opened"] == {"input": "0"}
        assert log.reader.verify_self() == 2
        with contextlib.closing(database.connect()) as connection:
            rows = connection.execute("SELECT subject, length(key) FROM subjects").fetchall()
    assert [(name in subject, length > 32) for subject, length in rows] == [(False, True)]


class Home:
    """One person in the log, in a consent with its token, in events that wait, in dead letters, and in the id of one event."""

    def __init__(self, folder: Path, monkeypatch, **env: str) -> None:
        self.settings = from_environment({"GOVERNANCE_HOME": str(folder), **env})
        for name, value in {"GOVERNANCE_HOME": str(folder), **env}.items():
            monkeypatch.setenv(name, value)
        self.home = self.settings.home
        self.outbox = outbox_of(self.settings)
        self.now = time.time()
        with open_recorder(self.settings) as recorder:
            for number in range(20):
                recorder.append(entry(number, NAME if number % 5 == 1 else f"person-{number}"))
        self.consent("0190-a", NAME)
        self.consent("0190-b", f"{NAME}-the-second")
        self.consent("0190-c", "person-2")
        secrets_of(self.settings).put("marketing/consent-0190-a", json.dumps([["token", "", "", 0, [], ""], None]))

    def consent(self, consent_id: str, person: str) -> None:
        times = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
        asked = Consent(consent_id, "dates", "marketing", "calendar", person, ("read",), "Free hours", times[1])
        store = consents_of(self.settings)
        store.ask(asked, consent_id * 8)
        assert store.give(asked._replace(given_at=times[0]))

    def publish(self, event_id: str, said: object, ordering: str = "") -> None:
        body = {"specversion": "1.0", "id": event_id, "source": "/apps/lunch", "type": "t", "tenantid": "marketing"}
        event = Accepted("/apps/lunch", event_id, "sha256:1", "d", ordering, json.dumps({**body, "data": said}))
        assert self.outbox.add(event, TARGETS, self.now)

    def publish_all(self) -> None:
        for number in range(60):
            self.publish(str(number), {"n": number, "who": [NAME.upper() if number % 3 else "nobody"], "x": VALUE * 20})
        self.publish("first", {"people": {NAME: 1}}, ordering="table-7")
        self.publish("second", {"people": []}, ordering="table-7")
        self.publish(f"order of {NAME}", {})
        for one in self.outbox.claim(self.now, 60, 5, ("canteen", "on-lunch"), is_pushed=False):
            assert self.outbox.bury(one.number, one.lease, f"{NAME} could not be served")

    def audit(self, *argv: str) -> tuple[int, str]:
        said = io.StringIO()
        return run(["audit", *argv], io.StringIO(), said, said), said.getvalue()

    def records(self, kind: str) -> list[dict]:
        with contextlib.closing(open_reader(self.settings)) as log:
            return [log.record(index) for index in log.search(Filter(kind=kind), newest_first=False)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    made = Home(tmp_path / "home", monkeypatch)
    yield made
    made.outbox.close()


def in_any_case(name: str) -> tuple[bytes, ...]:
    return name.encode(), name.upper().encode()


def wrapped_keys(home: Home) -> list[bytes]:
    """What seals the events, as it stands in the outbox; the key of the tags stays."""
    with home.outbox._store.transaction() as execute:
        return [bytes(raw) for (raw,) in execute("SELECT wrapped FROM sealing WHERE generation > 0", ())]


def said_to(home: Home) -> dict[str, str]:
    """Every event with its body."""
    return {one.id: one.body for one in home.outbox.kept(UNBOUND, 1000)}


def test_erasing_reaches_consents_event_bodies_and_dead_letters_and_leaves_everybody_else(home, tmp_path):
    home.publish_all()
    # What is searched for can be found, and what waits is sealed from the beginning: also the reasons of dead letters.
    assert {Path(name).name for name in files_with(home.home, *in_any_case(NAME), VALUE.encode())} == {"consents.db"}
    [letter, *_] = home.outbox.dead(1)
    assert (NAME in letter.reason, VALUE in letter.body) == (True, True)
    wrapped = wrapped_keys(home)
    assert files_with(home.home, *wrapped)
    with contextlib.closing(sqlite3.connect(home.home / "events.db")) as looking:  # as a running service's processes do
        assert looking.execute("SELECT count(*) FROM deliveries").fetchone() == (126,)
        code, said = home.audit("erase", NAME, "--reason", "request 17", "--out", str(tmp_path / "certificate"))
    assert (code, said.partition("\n")[0]) == (0, "1 consents, and 44 events with 88 deliveries, are gone")
    consents_of(home.settings).remove("0190-b")  # somebody else, whose name begins alike
    assert files_with(home.home, *in_any_case(NAME), b"0190-a0190-a", *wrapped) == []
    assert [one.id for one in consents_of(home.settings).all()] == ["0190-c"]
    assert secrets_of(home.settings).all() == []
    left = home.outbox.claim(home.now, 60, 100, ("canteen", "on-lunch"), is_pushed=False)
    assert {one.id for one in left} == {str(n) for n in range(6, 60, 3)} | {"second"}
    assert home.outbox.dead(100) == []
    ended = home.records("event_ended")
    assert {(one["public"]["change"], tuple(one["opened"])) for one in ended} == {("erased", ())}
    assert len({one["public"]["delivery"] for one in ended}) == 88
    assert [one["public"]["consent"] for one in home.records("consent_erased")] == ["0190-a"]
    with contextlib.closing(open_reader(home.settings)) as log:
        key = parse_verifier_key(log.verifier_key)
        assert log.verify_self() == log.size()
    certificate = check_certificate((tmp_path / "certificate").read_text(encoding="utf-8"), key, NAME)
    assert certificate.reached == ("1 consents", "44 events", "88 deliveries")
    assert "tokens of 1 consents that their vendors did not take back" in " ".join(certificate.outside)
    assert "events.db" not in " ".join(certificate.outside)


@pytest.mark.parametrize("scope", [("--app", "canteen"), ("--tenant", "marketing"), ("--subject", NAME)])
def test_a_hold_on_the_app_the_tenant_or_the_person_keeps_all_of_it(home, scope):
    home.publish("1", {"who": NAME})
    assert home.audit("hold", "add", *scope, "--reason", "case 9", "--owner", "legal")[0] == 0
    code, said = home.audit("erase", NAME, "--reason", "request 17")
    assert (code, "nothing was erased" in said) == (1, True)
    assert home.outbox.counts() == {"waiting": 2, "dead": 0}
    assert [one.id for one in consents_of(home.settings).all(person=NAME)] == ["0190-a"]


def test_what_cannot_be_recorded_stays_and_the_next_try_goes_on_from_there(home):
    for number in range(3):
        home.publish(str(number), {"who": NAME})
    entries: list[Entry] = []

    def record(one: Entry) -> None:
        if len(entries) == 3:
            raise OSError("no space left on device")
        entries.append(one)

    with opened_beside(home.settings) as parts:
        found = look(parts, NAME)
        with pytest.raises(OSError, match="no space"):
            erase(parts, NAME, "os:0", found, record)
    assert [one.kind for one in entries] == ["consent_withdrawn", "consent_erased", "event_ended"]
    assert (consents_of(home.settings).all(person=NAME), home.outbox.counts()["waiting"]) == ([], 6)
    code, said = home.audit("erase", NAME, "--reason", "request 17")
    assert (code, "0 consents, and 3 events with 6 deliveries" in said, "reached 3 events" in said) == (0, True, True)
    assert files_with(home.home, NAME.encode()) == [str(home.home / "consents.db")]  # of whose name it is a part


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("anna", True), ("ANNA", True), ("order of anna, table 7", True), ("/people/anna/x", True), ("anna@example.com", True),
        ("anna-lena", True), ("annabelle", False), ("joanna", False), ("anna2", False), ("ann a", False), ("", False),
        ("\u7530annaさん", True),
    ],
)  # fmt: skip
def test_a_name_is_meant_where_it_stands_as_a_word(text, is_meant):
    assert mention_of("Anna")(text) is is_meant


def test_a_name_with_what_json_escapes_and_in_another_composition_is_found(home):
    for number, said in enumerate(('Anna "Bo" M\u00fcller', 'Anna "Bo" Mu\u0308ller', "Anna Bo Muller", {"n": 4711})):
        home.publish(str(number), [said])
    with opened_beside(home.settings) as parts:
        assert [event.id for _, event in look(parts, 'anna "bo" m\u00fcller').events] == ["0", "1"]
        assert [event.id for _, event in look(parts, "4711").events] == ["3"]
        assert look(parts, "lunch").events == []


def test_a_write_ahead_log_of_consents_is_emptied_or_there_is_no_certificate(home):
    path, person = home.home / "consents.db", "person-8271"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("PRAGMA journal_mode = WAL")  # as a program that copies databases leaves it
        reader.execute("SELECT * FROM consents").fetchall()
        home.consent("0190-d", person)
        assert {Path(name).name for name in files_with(home.home, person.encode())} >= {"consents.db-wal"}
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM consents").fetchall()
        code, said = home.audit("erase", person, "--reason", "request 17")
        assert (code, "write-ahead log from being emptied" in said, "/erasure\n" in said) == (3, True, False), said
        assert [one.id for one in consents_of(home.settings).all(person=person)] == []
        reader.execute("COMMIT")
        code, said = home.audit("erase", person, "--reason", "request 17")
        assert code == 0, said
        assert files_with(home.home, person.encode()) == []
        assert (home.home / "consents.db-wal").exists()
    assert len(consents_of(home.settings).all()) == 3


@needs_postgres
@pytest.mark.xdist_group("postgres")
def test_in_a_shared_database_and_in_what_a_move_left_in_the_home_as_well(tmp_path, postgres, monkeypatch):
    left = Home(tmp_path / "home", monkeypatch)
    left.publish("left behind", {"who": NAME})
    left.outbox.close()
    left.home.rename(tmp_path / "before")
    (left.home / "audit").mkdir(parents=True)
    for name in ("audit/key", "consents.db", "events.db"):
        (tmp_path / "before" / name).rename(left.home / name)
    database, data = postgres.database(), Path(postgres._data)
    home = Home(tmp_path / "home", monkeypatch, GOVERNANCE_DATABASE=database.url)
    home.publish_all()
    wrapped = wrapped_keys(home)
    # Before a checkpoint, after which the server may tidy it away.
    assert files_with(data / "pg_wal", *wrapped)
    with contextlib.closing(database.connect()) as connection:
        connection.execute("CHECKPOINT")
        # No file of the server, its write-ahead log included, ever holds what was said; what it is sealed under is there.
        assert files_with(data, *in_any_case(NAME), VALUE.encode()) == []
        assert files_with(data / "base", *wrapped)
        code, said = home.audit("erase", NAME, "--reason", "request 17")
        connection.execute("CHECKPOINT")
    assert (code, "1 consents, and 45 events with 90 deliveries" in said) == (0, True), said
    assert "outside the database's write-ahead log" in said
    assert files_with(data, *in_any_case(NAME), VALUE.encode()) == []
    assert files_with(data / "base", *wrapped) == []
    assert files_with(home.home, *in_any_case(NAME)) == [
        str(home.home / "consents.db")
    ]  # somebody's whose name begins so
    assert [one.person for one in consents_of(home.settings).all()] == ["person-2", f"{NAME}-the-second"]
    home.outbox.close()


@pytest.fixture(
    params=["sqlite", pytest.param("postgres", marks=[needs_postgres, pytest.mark.xdist_group("postgres")])]
)
def either(request, tmp_path, monkeypatch):
    """A home with its outbox in a file, or in a server."""
    database = request.getfixturevalue("postgres").database() if request.param == "postgres" else None
    made = Home(tmp_path / "home", monkeypatch, **({} if database is None else {"GOVERNANCE_DATABASE": database.url}))
    yield made
    made.outbox.close()


def test_what_was_sealed_before_an_erasure_opens_for_nobody_once_the_log_s_key_was_changed(either):
    either.publish("1", {"who": NAME})
    either.publish("2", {"who": "person-2"})
    before = dict(zip(("tags", "seals"), _sealing(either), strict=True))
    assert either.audit("erase", NAME, "--reason", "request 17")[0] == 0
    assert _sealing(either)[0] == before["tags"], "an event that is known is known by the same tag"
    assert set(said_to(either)) == {"1", "2"}
    assert said_to(either)["1"] == ""
    for step in ([], ["--finish"]):
        assert either.audit("rotate-key", *step)[0] == 0
        assert "person-2" in said_to(either)["2"]
    either.outbox.close()
    either.outbox = outbox_of(either.settings)
    assert "person-2" in said_to(either)["2"]
    assert not either.outbox.add(Accepted("/apps/lunch", "1", "sha256:1", "d", "", "{}"), TARGETS, either.now)
    wrapping = Wrapping(seeds_of(either.settings), OUTBOX)
    assert [each.keys() for each in _sealing(either)] == [set(wrapping.ids)] * 2, "for the new key, and no other"
    assert wrapping.opened(before["seals"], b"generation 1") is None


def _sealing(home: Home) -> list[dict[bytes, bytes]]:
    """The wrapped keys of each generation: of the tags first."""
    found: dict[int, dict[bytes, bytes]] = {}
    with home.outbox._store.transaction() as execute:
        for generation, key_id, wrapped in execute("SELECT generation, id, wrapped FROM sealing", ()):
            found.setdefault(generation, {})[bytes(key_id)] = bytes(wrapped)
    return [found[generation] for generation in sorted(found)]
