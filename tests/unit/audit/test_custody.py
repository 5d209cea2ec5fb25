"""Hold, erasure, retention, key rotation: each is a record, nothing that was proved stops verifying, nothing comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.certificate import check_certificate
from audit.custody import Custody
from audit.errors import AuditError, BadRetention, HeldBack, LogTorn, NothingThere
from audit.log import AuditLog
from audit.notes import BadNote, Checkpoint, opened, parse_checkpoint, parse_verifier_key
from audit.reader import LogReader
from audit.record import Entry
from audit.retention import cut_off, parse_retention
from audit.rotation import followed
from audit.rows import Filter, in_ranges, indexes_of, ranges_text
from audit.tree import is_consistent, leaf_hash, root_from_inclusion

ORIGIN = "log.example/custody"
NOW = "2026-06-01T00:00:00Z"
MARK = "Zaphod-Beeblebrox-42"


def log_of(home: Path) -> AuditLog:
    return AuditLog(home, origin=ORIGIN)


def entry(number: int, subject: str = "someone", *, kind: str = "deploy", tenant: str = "t", day: int = 1) -> Entry:
    public = {
        "decision_id": f"d{number}",
        "app": f"app-{number % 3}",
        "tenant": tenant,
        "effect": "deny",
        "rules": ["R-1"],
    }
    when = f"2026-03-{day:02d}T10:{number // 60 % 60:02d}:{number % 60:02d}Z"
    return Entry(
        kind, when, public, {"input": {"n": number, "of": f"{subject} {MARK if subject == MARK else ''}"}}, subject
    )


def act(log: AuditLog, verb: str, **arguments):
    public = {
        "decision_id": f"by-{verb}",
        "actor": "os:1000",
        "entry_point": "cli.audit",
        "effect": "allow",
        "rules": [],
    }
    return Custody(log).act(verb, {"time": NOW, "public": public, **arguments})


def fill(log: AuditLog, entries) -> None:
    for done in [log.submit(one) for one in entries]:
        done.result(30)


def proofs(log: AuditLog) -> dict[int, tuple[bytes, list[bytes]]]:
    size = log.reader.size()
    return {i: (leaf_hash(log.reader.leaf(i)), log.reader.proof(i, size)) for i in range(size)}


def bytes_of_home(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in home.rglob("*") if path.is_file()}


class TestErasure:
    def test_afterwards_no_file_holds_the_person_or_their_key_and_every_older_proof_verifies(self, tmp_path):
        """A search over every byte below the home: names and keys may stand in free pages or in the write-ahead log."""
        with log_of(tmp_path) as log:
            # Enough for pages of the key table to have been split again and again.
            fill(log, (entry(number, MARK if number % 7 == 0 else f"person-{number}") for number in range(700)))
            before, given = log.reader.newest(), proofs(log)
            known = log._store.subject_key(MARK)
            (wrapped,) = (
                bytes(row[0]) for row in log._store.rows("SELECT key FROM subjects WHERE number = ?", (known.number,))
            )
            # Name and key never stand there in clear, the wrapped key does until it is destroyed.
            assert not any(MARK.encode() in raw or known.key in raw for raw in bytes_of_home(tmp_path).values())
            assert any(wrapped in raw for raw in bytes_of_home(tmp_path).values())
            done = act(log, "erase", subject=MARK, reason="request 17")
            assert done["records"] == 100
            for name, raw in bytes_of_home(tmp_path).items():
                assert MARK.encode() not in raw, name
                assert not {known.key in raw, wrapped in raw} & {True}, name
            assert log.reader.record(0)["opened"] == {}
            assert log.reader.record(1)["opened"]["input"]["n"] == 1
            for index, (digest, path) in given.items():
                assert root_from_inclusion(index, before.size, digest, path) == before.root
            after = log.reader.newest()
            proof = log.reader.consistency(before.size, after.size)
            assert is_consistent(before.size, after.size, before.root, after.root, proof)
            assert log.reader.verify_self() == 701
        with log_of(tmp_path) as log:
            assert log.reader.verify_self() == 701
        for name, raw in bytes_of_home(tmp_path).items():
            assert MARK.encode() not in raw, name
            assert wrapped not in raw, name

    def test_the_record_names_indexes_and_not_the_person(self, tmp_path):
        with log_of(tmp_path) as log:
            for number in range(6):
                log.append(entry(number, MARK if number in {1, 2, 4} else "b"))
            done = act(log, "erase", subject=MARK, reason="asked")
            record = log.reader.record(done["by"][0])
        assert (record["kind"], record["public"]["indexes"], record["public"]["records"]) == ("erasure", "1-2,4", 3)
        assert MARK not in json.dumps(record)
        assert record["opened"] == {"reason": "asked"}

    def test_the_certificate_is_signed_names_the_records_and_says_about_whom_only_to_who_knows(self, tmp_path):
        with log_of(tmp_path) as log:
            for number in range(4):
                log.append(entry(number, MARK if number else "b"))
            note = act(log, "erase", subject=MARK, reason="asked")["certificate"]
            key = parse_verifier_key(log.reader.verifier_key)
            certificate = check_certificate(note, key, MARK)
            assert (certificate.indexes, certificate.size, certificate.root) == ("1-3", 5, log.reader.root(5))
            assert certificate.by == (f"4 {leaf_hash(log.reader.leaf(4)).hex()}",)
            assert MARK not in note
            assert certificate.salt not in log.reader.leaf(4).decode()
            for bent, whose in (
                (note, "somebody else"),
                (note.replace("1-3", "1-2"), MARK),
                ("", MARK),
                (log.reader.checkpoint(), MARK),
            ):
                with pytest.raises(BadNote):
                    check_certificate(bent, key, whose)

    def test_what_comes_later_has_a_new_key_and_can_be_erased_again(self, tmp_path):
        with log_of(tmp_path) as log:
            log.append(entry(0, MARK))
            act(log, "erase", subject=MARK, reason="asked")
            index = log.append(entry(1, MARK)).index
            assert log.reader.record(index)["opened"]["input"]["n"] == 1
            assert log.reader.record(0)["opened"] == {}
            assert act(log, "erase", subject=MARK, reason="asked again")["indexes"] == str(index)
            assert log.reader.verify_self() == 4

    @pytest.mark.parametrize("subject", ["", "nobody"])
    def test_who_is_not_there_is_not_erased(self, tmp_path, subject):
        with log_of(tmp_path) as log:
            log.append(entry(0))
            with pytest.raises(AuditError):
                act(log, "erase", subject=subject, reason="asked")
            assert log.reader.size() == 1

    def test_an_opening_that_nobody_recorded_as_gone_is_damage(self, tmp_path):
        with log_of(tmp_path) as log:
            for number in range(3):
                log.append(entry(number, MARK if number == 1 else "b"))
            act(log, "erase", subject=MARK, reason="asked")
        import sqlite3

        with sqlite3.connect(tmp_path / "audit" / "log.db") as database:
            database.execute("DELETE FROM sealed WHERE idx = 2")
            database.execute("INSERT INTO emptied VALUES (2, 3)")  # the erasure's record does not name it
        with log_of(tmp_path) as log, pytest.raises(LogTorn, match="record 2"):
            log.reader.verify_self()


class TestHold:
    def test_it_stops_erasure_and_pruning_until_it_is_released(self, tmp_path):
        retention = {"classes": [{"keep": "P1D"}]}
        with log_of(tmp_path) as log:
            for number in range(6):
                log.append(entry(number, MARK if number == 2 else "b"))
            hold = act(log, "hold", scope={"app": "app-2"}, reason="case 9", owner="legal")["hold"]
            with pytest.raises(HeldBack, match=hold):
                act(log, "erase", subject=MARK, reason="asked")
            done = act(log, "prune", retention=retention)
            assert (done["records"], done["held"]) == (4, 2)
            assert log.reader.record(2)["opened"]["input"]["n"] == 2
            act(log, "release", hold=hold, reason="case closed")
            assert act(log, "prune", retention=retention)["records"] == 2
            with pytest.raises(NothingThere):
                act(log, "release", hold=hold, reason="twice")
            assert log.reader.verify_self() == 10

    def test_a_hold_on_a_person_counts_for_what_is_still_to_come(self, tmp_path):
        with log_of(tmp_path) as log:
            act(log, "hold", scope={"subject": MARK}, reason="case 9", owner="legal")
            log.append(entry(0, MARK))
            with pytest.raises(HeldBack):
                act(log, "erase", subject=MARK, reason="asked")

    def test_what_a_hold_covers_is_readable_only_with_its_key(self, tmp_path):
        with log_of(tmp_path) as log:
            index = act(log, "hold", scope={"subject": "x", "app": "secret-app"}, reason="case 9", owner="legal")[
                "record"
            ]
            assert b"secret-app" not in log.reader.leaf(index)
            assert log.reader.record(index)["opened"]["scope"] == {"subject": "x", "app": "secret-app"}

    @pytest.mark.parametrize("scope", [{}, {"text": "x"}, {"app": ""}, {"since": "yesterday"}])
    def test_a_hold_that_covers_nothing_in_particular_is_refused(self, tmp_path, scope):
        with log_of(tmp_path) as log, pytest.raises(AuditError):
            act(log, "hold", scope=scope, reason="r", owner="o")


class TestRetention:
    def test_the_first_class_that_fits_counts_and_what_none_fits_stays(self, tmp_path):
        retention = {
            "classes": [
                {"kind": "deploy", "tenant": "bank", "keep": "P10Y"},
                {"kind": "deploy", "keep": "P30D"},
                {"kind": "query", "keep": "P1D"},
            ]
        }
        with log_of(tmp_path) as log:
            for number, (kind, tenant) in enumerate(
                [("deploy", "bank"), ("deploy", "t"), ("query", "bank"), ("publish", "t")]
            ):
                log.append(entry(number, kind=kind, tenant=tenant))
            assert act(log, "prune", retention=retention, dry_run=True)["records"] == 2
            assert log.reader.size() == 4
            act(log, "prune", retention=retention)
            assert [bool(log.reader.record(i)["opened"]) for i in range(4)] == [True, False, False, True]
            record = log.reader.record(4)
            assert (record["kind"], record["public"]["indexes"]) == ("prune", "1-2")
            assert log.reader.verify_self() == 5

    def test_leaves_go_in_whole_bundles_and_older_proofs_still_verify(self, tmp_path):
        retention = {"classes": [{"keep": "P1D"}], "leaves": "P1D"}
        with log_of(tmp_path) as log:
            fill(log, (entry(number, f"p{number % 9}") for number in range(600)))
            before, given = log.reader.newest(), proofs(log)
            while act(log, "prune", retention=retention)["more"]:
                pass
            assert log.reader.minimum() == 512
            with pytest.raises(KeyError):
                log.reader.leaf(511)
            after = log.reader.newest()
            proof = log.reader.consistency(before.size, after.size)
            assert is_consistent(before.size, after.size, before.root, after.root, proof)
            assert all(
                root_from_inclusion(i, before.size, digest, path) == before.root for i, (digest, path) in given.items()
            )
            assert log.reader.proof(3, after.size)  # the hashes are all there
            assert log.append(entry(600)).app_sequence == 201
            assert log.reader.search(Filter(app="app-0"), newest_first=False)[0] >= 512
        with log_of(tmp_path) as log:
            assert log.reader.verify_self() == log.reader.size() - 512

    def test_a_beginning_that_was_cut_off_by_hand_does_not_open(self, tmp_path):
        import sqlite3

        with log_of(tmp_path) as log:
            fill(log, map(entry, range(300)))
        with sqlite3.connect(tmp_path / "audit" / "log.db") as database:
            database.execute("DELETE FROM leaves WHERE idx < 256")
        with pytest.raises(LogTorn, match="record 0 is missing"):
            log_of(tmp_path)

    @pytest.mark.parametrize(
        ("duration", "then"),
        [
            ("P1D", "2024-02-28T12:00:00Z"),
            ("P1Y", "2023-02-28T12:00:00Z"),
            ("P1M", "2024-01-29T12:00:00Z"),
            ("P2W", "2024-02-15T12:00:00Z"),
            ("PT12H30M", "2024-02-28T23:30:00Z"),
            ("P9999Y", "0001-01-01T00:00:00Z"),
        ],
    )
    def test_durations_are_calendar_ones(self, duration, then):
        assert cut_off("2024-02-29T12:00:00Z", duration) == then

    @pytest.mark.parametrize(
        "document",
        [
            [], {"clases": []}, {"classes": {}}, {"classes": [{}]}, {"classes": [{"keep": "30 days"}]},
            {"classes": [{"keep": "P"}]}, {"classes": [{"keep": "P1DT"}]}, {"classes": [{"keep": 30}]},
            {"classes": [{"keep": "P1D", "knd": "x"}]}, {"classes": [], "leaves": "1Y"},
        ],
    )  # fmt: skip
    def test_classes_that_could_be_misread_are_refused(self, document):
        with pytest.raises(BadRetention):
            parse_retention(document)


class TestRotation:
    def test_both_keys_sign_until_the_rotation_is_finished_and_the_old_one_leads_to_the_new(self, tmp_path):
        with log_of(tmp_path) as log:
            log.append(entry(0))
            old = log.reader.verifier_key
            first = log.reader.checkpoint()
            new = act(log, "rotate_key")["new_key"]
            assert log.reader.size() == 2
            both = log.reader.checkpoint()
            for key in (old, new):
                assert parse_checkpoint(opened(both, parse_verifier_key(key))).size == 2
            rotations = [record["public"] for record in log.reader.custody("key_rotation")]
            assert followed(old, rotations) == new
            with pytest.raises(AuditError, match="finish"):
                act(log, "rotate_key")
        with log_of(tmp_path) as log:
            assert log.append(entry(1)).size == 3
            act(log, "finish_rotation")
            log.append(entry(2))
            newest = log.reader.checkpoint()
            assert parse_checkpoint(opened(newest, parse_verifier_key(new))).size == 5
            with pytest.raises(BadNote):
                opened(newest, parse_verifier_key(old))
            with pytest.raises(BadNote):
                opened(first, parse_verifier_key(new))
        with log_of(tmp_path) as log:
            assert log.reader.verify_self() == 5
            assert log.reader.verifier_key == new

    def test_a_reader_that_was_open_all_the_time_follows(self, tmp_path):
        with log_of(tmp_path) as log:
            log.append(entry(0))
            reader = LogReader(tmp_path, origin=ORIGIN)
            act(log, "rotate_key")
            act(log, "finish_rotation")
            log.append(entry(1))
            assert reader.newest() == Checkpoint(ORIGIN, 4, log.reader.root(4))
            reader.close()

    def test_killed_between_the_key_file_and_the_record_the_rotation_can_be_done_again(self, tmp_path):
        with log_of(tmp_path) as log:
            log.append(entry(0))
            old = log.key
        successor = old.successor()
        successor.save(tmp_path / "audit" / "key")
        with log_of(tmp_path) as log:
            log.append(entry(1))
            assert act(log, "rotate_key")["new_key"] == str(successor.verifier)
            rotations = [record["public"] for record in log.reader.custody("key_rotation")]
            assert followed(str(old.verifier), rotations) == str(successor.verifier)

    @pytest.mark.parametrize("member", ["signed_by_old", "signed_by_new", "new_key"])
    def test_a_rotation_that_one_of_the_two_did_not_sign_is_refused(self, tmp_path, member):
        with log_of(tmp_path) as log:
            old = log.reader.verifier_key
            act(log, "rotate_key")
            (public,) = (record["public"] for record in log.reader.custody("key_rotation"))
        other = AuditLog(tmp_path / "other", origin=ORIGIN)
        other.close()
        forged = {**public, member: str(other.key.verifier) if member == "new_key" else "AAAA" * 22}
        with pytest.raises(BadNote):
            followed(old, [forged])

    def test_a_rotation_whose_record_does_not_reach_the_disk_did_not_happen(self, tmp_path):
        with log_of(tmp_path) as log:
            log.append(entry(0))
            before = (tmp_path / "audit" / "key").read_bytes()
            public = {"decision_id": "x", "huge": "x" * 70_000}
            with pytest.raises(AuditError):
                Custody(log).act("rotate_key", {"time": NOW, "public": public})
            assert (tmp_path / "audit" / "key").read_bytes() == before
            assert log.append(entry(1)).size == 2


def test_ranges_say_the_same_both_ways():
    indexes = sorted({*range(0, 50_000, 2), *range(60_000, 61_000)})
    texts = ranges_text(indexes)
    assert len(texts) > 1
    assert [i for text in texts for i in indexes_of(text)] == indexes
    assert in_ranges(texts[0], 2)
    assert not in_ranges(texts[0], 3)
    assert not in_ranges("1-x,,7-", 5)
    assert ranges_text([]) == []
