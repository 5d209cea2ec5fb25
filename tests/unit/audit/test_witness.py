"""A witness cosigns what only grew, remembers it before it answers, and a log that it disowns is not served."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.care import Care
from audit.cosignature import cosignatures
from audit.errors import LogInUse, LogRolledBack, LogTorn, LogUnusable, NotDurable
from audit.log import AuditLog
from audit.notes import COSIGNATURE, BadNote, opened, parse_checkpoint, parse_verifier_key
from audit.proofs import Growth
from audit.reader import LogReader
from audit.record import Entry
from audit.witness import SIZE_TYPE, Witness
from audit.witnessing import Peer, Witnesses, parse_peers
from tests.witness_server import Serving

ORIGIN = "log.example/witnessed"
ROOT = Path(__file__).parents[3]


def log_of(home: Path) -> AuditLog:
    return AuditLog(home, origin=ORIGIN)


def grow(log: AuditLog, count: int, effect: str = "deny") -> None:
    public = {"app": "a", "effect": effect, "rules": []}
    for done in [log.submit(Entry("deploy", "2026-03-01T10:00:00Z", public, {})) for _ in range(count)]:
        done.result(30)


@pytest.fixture
def log(tmp_path):
    with log_of(tmp_path / "home") as opened_log:
        grow(opened_log, 5)
        yield opened_log


def witness_of(tmp_path: Path, *logs: AuditLog, name: str = "w.example/1") -> Witness:
    return Witness(
        tmp_path / name.replace("/", "-"), name, [log.key.verifier for log in logs], clock=lambda: 1_772_000_000
    )


@pytest.fixture
def witness(tmp_path, log):
    running = witness_of(tmp_path, log)
    yield running
    with contextlib.suppress(OSError):  # a test may have closed it
        running.close()


def submit(witness: Witness, log: AuditLog, old: int, note: str = "", proof=None):
    proof = log.reader.consistency(old, log.reader.size()) if proof is None else proof
    return witness.add_checkpoint(Growth(old, tuple(proof), note or log.reader.checkpoint()).text().encode())


@pytest.fixture(scope="module")
def witness_for_noise(tmp_path_factory):
    running = Witness(tmp_path_factory.mktemp("noise"), "w", [])
    yield running
    running.close()


class TestProtocol:
    def test_a_cosignature_says_when_and_verifies_over_the_checkpoint(self, log, witness):
        answer = submit(witness, log, 0)
        assert answer.status == 200
        cosigned = log.reader.checkpoint() + answer.body
        assert cosignatures(cosigned, [witness.verifier]) == {"w.example/1": 1_772_000_000}
        assert (
            parse_checkpoint(opened(cosigned, log.key.verifier)).size == 5
        )  # a client that knows no witness reads it too
        assert cosignatures(log.reader.checkpoint(), [witness.verifier]) == {}  # stripped: nobody vouches for it
        with pytest.raises(BadNote):
            cosignatures(cosigned.replace("\n5\n", "\n4\n"), [witness.verifier])

    def test_it_follows_a_log_that_grows(self, log, witness):
        assert submit(witness, log, 0).status == 200
        grow(log, 300)
        assert submit(witness, log, 5).status == 200
        assert submit(witness, log, 305).status == 200  # once more, for a newer time
        assert witness.newest(ORIGIN).size == 305

    def test_another_old_size_is_a_conflict_that_names_the_right_one(self, log, witness):
        submit(witness, log, 0)
        grow(log, 3)
        answer = submit(witness, log, 0)
        assert (answer.status, answer.body, answer.content_type) == (409, "5\n", SIZE_TYPE)

    def test_a_log_that_was_rolled_back_is_refused(self, log, witness):
        early = log.reader.checkpoint()
        grow(log, 3)
        submit(witness, log, 0)
        assert submit(witness, log, 8, note=early, proof=[]).status == 400
        assert submit(witness, log, 5, note=early, proof=[]).status == 409
        assert witness.newest(ORIGIN).size == 8

    def test_a_history_that_was_rewritten_with_the_logs_own_key_is_refused(self, tmp_path, log, witness):
        submit(witness, log, 0)
        other = tmp_path / "rewritten"
        (other / "audit").mkdir(parents=True)
        shutil.copy(tmp_path / "home" / "audit" / "key", other / "audit" / "key")
        with log_of(other) as rewritten:
            grow(rewritten, 5, effect="allow")
            assert submit(witness, rewritten, 5).status == 409
            grow(rewritten, 4)
            assert submit(witness, rewritten, 5).status == 422
        assert witness.newest(ORIGIN).root == log.reader.root(5)

    def test_an_unknown_log_and_a_key_that_is_not_the_logs_are_refused(self, tmp_path, log, witness):
        with AuditLog(tmp_path / "x", origin="other.example/log") as other, log_of(tmp_path / "y") as impostor:
            grow(other, 1)
            grow(impostor, 1)
            assert submit(witness, other, 0).status == 404
            assert submit(witness, impostor, 0).status == 403

    @pytest.mark.parametrize(
        "body",
        [b"", b"old 5", b"old x\n\nnote", b"old 05\n\na\n", b"old -1\n\na\n", b"\xff\xfe", b"old 0\nAAAA\n\no\n0\nAA==\n\n\n",
         b"old 0\n" + b"AAAA\n" * 64 + b"\nx\n"],
    )  # fmt: skip
    def test_noise_is_a_bad_request(self, witness, body):
        assert witness.add_checkpoint(body).status == 400

    @given(st.binary(max_size=300))
    def test_noise_never_breaks_it(self, witness_for_noise, body):
        assert witness_for_noise.add_checkpoint(body).status in {400, 404}

    def test_a_proof_that_is_bent_or_too_much_is_unprocessable(self, log, witness):
        assert submit(witness, log, 0, proof=[b"\0" * 32]).status == 422
        submit(witness, log, 0)
        grow(log, 9)
        proof = log.reader.consistency(5, 14)
        for bent in ([], proof[:-1], [*proof, b"\0" * 32], [b"\0" * 32, *proof[1:]]):
            assert submit(witness, log, 5, proof=bent).status == 422
        assert witness.newest(ORIGIN).size == 5


class TestState:
    def test_what_was_cosigned_outlives_the_process_and_damage_is_not_a_new_beginning(self, tmp_path, log, witness):
        submit(witness, log, 0)
        key = witness.verifier
        witness.close()
        again = witness_of(tmp_path, log)
        assert again.verifier == key
        assert again.newest(ORIGIN).size == 5
        (state,) = (tmp_path / "w.example-1").glob("*.json")
        state.write_text("{}")
        with pytest.raises(Exception, match="damaged"):
            submit(again, log, 0)
        again.close()

    def test_two_processes_do_not_share_a_folder(self, tmp_path, log, witness):
        with pytest.raises(LogInUse):
            witness_of(tmp_path, log)

    def test_two_submissions_at_once_are_judged_one_after_the_other(self, log, witness):
        submit(witness, log, 0)
        grow(log, 100)
        note, proof = log.reader.checkpoint(), log.reader.consistency(5, 105)
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(submit(witness, log, 5, note, proof).status))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [409] * 7


@pytest.fixture
def serving(witness):
    running = Serving(witness)
    yield running
    running.stop()


def witnesses(tmp_path: Path, *peers: Peer, needed: int = 1) -> Witnesses:
    return Witnesses(tmp_path / "home", peers, needed, timeout_s=5)


class TestTheLogsSide:
    def test_a_cosigned_checkpoint_is_kept_for_who_reads(self, tmp_path, log, witness, serving):
        asked = witnesses(tmp_path, serving.peer)
        assert asked.submit(log.reader) == 1
        grow(log, 20)
        assert asked.submit(log.reader) == 1
        kept = log.reader.cosigned()
        assert log.reader.size_of(kept) == 25
        assert list(cosignatures(kept, [witness.verifier])) == ["w.example/1"]

    def test_fewer_than_are_needed_change_nothing_and_do_not_start(self, tmp_path, log, witness, serving):
        dead = Peer("http://127.0.0.1:9", parse_verifier_key(str(witness.verifier), COSIGNATURE)._replace(name="dead"))
        asked = witnesses(tmp_path, serving.peer, dead, needed=2)
        assert asked.submit(log.reader) == 1
        assert log.reader.cosigned() == ""
        with pytest.raises(LogUnusable, match="1 of the 2 witnesses"):
            asked.check_start(log.reader)
        witnesses(tmp_path, serving.peer, dead, needed=1).check_start(log.reader)
        with pytest.raises(LogUnusable, match="3 witnesses are needed and 1"):
            witnesses(tmp_path, serving.peer, needed=3)

    def test_an_older_copy_of_everything_head_file_included_is_not_served(self, tmp_path, log, witness, serving):
        """What the head file cannot notice, since it was rolled back as well."""
        log.close()
        shutil.copytree(tmp_path / "home", tmp_path / "old")
        with log_of(tmp_path / "home") as grown:
            grow(grown, 3)
            witnesses(tmp_path, serving.peer).submit(grown.reader)
        with (
            log_of(tmp_path / "old") as rolled_back,
            pytest.raises(LogRolledBack, match="saw 8 records, the log has 5"),
        ):
            Witnesses(tmp_path / "old", [serving.peer], 0, 5).check_start(rolled_back.reader)

    def test_a_replica_that_was_slower_than_another_does_not_mistake_that_for_a_rollback(self, tmp_path, log, serving):
        """Its checkpoint was the newest when it read it; the log that it reads has what the witness saw."""
        read_before = [log.reader.checkpoint()]

        class Slow(LogReader):
            def checkpoint(self) -> str:
                return read_before.pop() if read_before else super().checkpoint()

        grow(log, 3)
        assert witnesses(tmp_path, serving.peer).submit(log.reader) == 1
        slow = Slow(tmp_path / "home", origin=ORIGIN)
        try:
            assert witnesses(tmp_path, serving.peer).submit(slow) == 0
        finally:
            slow.close()

    def test_a_log_that_begins_anew_under_its_key_is_not_served(self, tmp_path, log, witness, serving):
        witnesses(tmp_path, serving.peer).submit(log.reader)
        (tmp_path / "new" / "audit").mkdir(parents=True)
        shutil.copy(tmp_path / "home" / "audit" / "key", tmp_path / "new" / "audit" / "key")
        with log_of(tmp_path / "new") as anew:
            with pytest.raises(LogRolledBack, match="saw 5 records"):
                Witnesses(tmp_path / "new", [serving.peer], 1, 5).check_start(anew.reader)
            grow(anew, 5, effect="allow")
            with pytest.raises(LogRolledBack, match="rewritten"):
                Witnesses(tmp_path / "new", [serving.peer], 1, 5).check_start(anew.reader)

    def test_while_it_runs_a_witness_that_disagrees_ends_decisions(self, tmp_path, log, witness, serving):
        complaints: list[str] = []
        care = Care(
            log, tmp_path / "home", origin=ORIGIN, witnesses=witnesses(tmp_path, serving.peer), self_audit_s=1000,
            complain=complaints.append,
        )  # fmt: skip
        state = witness._path(ORIGIN)
        state.write_text(state.read_text().replace('"size": 5', '"size": 500'))
        grow(log, 1)
        care._thread.join(20)
        with pytest.raises(NotDurable, match="saw 500 records"):
            grow(log, 1)
        care.stop()
        assert "nothing allowed" in complaints[0]

    @pytest.mark.parametrize("text", ["ftp://x k", "http://x", "http://x name+00000000+AAAA", "https://x log.example"])
    def test_a_witness_that_is_not_written_as_one_is_refused(self, text):
        with pytest.raises(BadNote):
            parse_peers(text)

    def test_a_logs_key_is_not_a_witness_key(self, log):
        with pytest.raises(BadNote):
            parse_peers(f"http://x {log.reader.verifier_key}")


class TestSelfAudit:
    def care(self, tmp_path: Path, log: AuditLog) -> Care:
        return Care(log, tmp_path / "home", origin=ORIGIN, witnesses=None, self_audit_s=1, complain=lambda _: None)

    def test_a_record_that_is_changed_while_the_service_runs_ends_decisions(self, tmp_path, log):
        care = self.care(tmp_path, log)
        with sqlite3.connect(tmp_path / "home" / "audit" / "log.db") as database:
            leaf = database.execute("SELECT leaf FROM leaves WHERE idx = 2").fetchone()[0]
            database.execute("UPDATE leaves SET leaf = ? WHERE idx = 2", (leaf.replace(b"deny", b"alow"),))
        care._thread.join(20)
        with pytest.raises(NotDurable, match="record 2 was changed"):
            grow(log, 1)
        care.stop()

    def test_a_log_that_never_stops_growing_is_looked_at_from_its_beginning_again(self, tmp_path, log):
        care = Care(log, tmp_path / "home", origin=ORIGIN, witnesses=None, self_audit_s=1000, complain=lambda _: None)
        try:
            care.audit_part()
            with sqlite3.connect(tmp_path / "home" / "audit" / "log.db") as database:
                database.execute("UPDATE leaves SET leaf = CAST(replace(leaf, 'deny', 'alow') AS BLOB) WHERE idx = 2")
            with pytest.raises(LogTorn, match="record 2 was changed"):
                for _ in range(3):
                    grow(log, 1)
                    care.audit_part()
        finally:
            care.stop()

    def test_what_fails_beside_it_keeps_it_from_nothing(self, tmp_path, log):
        said: list[str] = []

        def follow() -> None:
            raise ValueError("a file that nobody can read")

        with sqlite3.connect(tmp_path / "home" / "audit" / "log.db") as database:
            database.execute("UPDATE leaves SET leaf = CAST(replace(leaf, 'deny', 'alow') AS BLOB) WHERE idx = 2")
        care = Care(
            log, tmp_path / "home", origin=ORIGIN, witnesses=None, self_audit_s=1, complain=said.append, follow=follow
        )
        care._thread.join(20)
        care.stop()
        assert ["unexpected ValueError" in said[0], "record 2 was changed" in log.distrusted] == [True, True]

    def test_a_database_whose_pages_are_damaged_ends_decisions(self, tmp_path):
        with log_of(tmp_path / "home") as large:
            grow(large, 400)
            care = self.care(tmp_path, large)
            with (tmp_path / "home" / "audit" / "log.db").open("r+b") as file:
                large._store.fold()
                size = file.seek(0, 2)
                file.seek(4096)
                file.write(bytes(size - 4096))
            care._thread.join(20)
            assert large.distrusted
            care.stop()

    def test_a_whole_log_goes_through_it_again_and_again(self, tmp_path, log):
        grow(log, 3000)
        care = self.care(tmp_path, log)
        for _ in range(8):
            care.audit_part()
        assert not log.distrusted
        care.stop()


def test_cosignatures_are_verified_with_the_standard_library_alone():
    code = "import audit.cosignature, audit.rotation, audit.certificate, sys; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
