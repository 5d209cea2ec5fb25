"""A person is erased from a log on PostgreSQL: every byte of the server's folder and of the home is searched for them."""

from __future__ import annotations

import contextlib
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
from tests.postgres import needs_postgres

ORIGIN = "log.example/erased"
NOW = "2026-06-01T00:00:00Z"
NAME, VALUE = "Canary-Trillian-5150", "Canary-Heart-of-Gold-2718"

pytestmark = needs_postgres


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
            found += [str(path) for needle in needles if needle in raw]
    return found


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


def test_the_certificate_names_exports_that_were_handed_out_before(tmp_path, postgres):
    with SharedLog(tmp_path, origin=ORIGIN, database=postgres.database(), complain=lambda _: None) as log:
        public = {"decision_id": "x", "app": "", "effect": "allow", "rules": []}
        for one in (entry(0, "b"), Entry("export", NOW, public, {}), entry(1, NAME), Entry("export", NOW, public, {})):
            log.append(one)
        arguments = {"time": NOW, "public": {"decision_id": "e"}, "subject": NAME, "reason": "asked"}
        note = log.act("erase", arguments)["certificate"]
        certificate = check_certificate(note, parse_verifier_key(log.reader.verifier_key), NAME)
        assert certificate.outside[0].startswith("exports 3: ")


def test_rows_that_an_earlier_version_left_in_clear_are_wrapped_by_whoever_is_elected(tmp_path, postgres):
    database = postgres.database()
    with SharedLog(tmp_path, origin=ORIGIN, database=database, complain=lambda _: None) as log:
        log.append(entry(0, NAME))
        key = log.reader._store.subject_key(NAME).key
    with contextlib.closing(database.connect()) as connection:
        connection.execute("UPDATE subjects SET subject = %s, key = %s", (NAME, key))
    with SharedLog(tmp_path, origin=ORIGIN, database=database, complain=lambda _: None) as log:
        log.append(entry(1, NAME))
        assert log.reader.search(Filter(subject=NAME)) == [1, 0]
        assert log.reader.record(0)["opened"] == {"input": VALUE}
        assert log.reader.verify_self() == 2
        with contextlib.closing(database.connect()) as connection:
            rows = connection.execute("SELECT subject, length(key) FROM subjects").fetchall()
    assert [(NAME in subject, length > 32) for subject, length in rows] == [(False, True)]
