"""The log from a terminal: what is asked wrongly, what does not fit, and that neither leaves a trace of having happened."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from audit.log import AuditLog
from audit.notes import COSIGNATURE, parse_verifier_key, verifier_key
from audit.record import Entry
from audit.witness import Witness
from tests.witness_server import Serving

ORIGIN = "governance.local/audit"


def write(home, count: int, effect: str = "deny") -> None:
    with AuditLog(home, origin=ORIGIN) as log:
        for number in range(count):
            public = {"app": "a", "effect": effect, "rules": [], "decision_id": f"d{number}"}
            log.append(Entry("deploy", "2026-03-01T10:00:00Z", public, {"input": number}))


@pytest.fixture
def log(cli, tmp_path):
    write(tmp_path / "home", 5)
    return cli


def records(cli) -> int:
    return int(cli("audit", "checkpoint").out.split("\n")[1])


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["list", "--since", "nonsense"], "bad_filter: 'nonsense' is not a time"),
        (["list", "--limit", "0"], "--limit: invalid"),
        (["list", "--limit", "-3"], "--limit: invalid"),
        (["list", "--before", "-1"], "--before: invalid"),
        (["show", "999"], "no record '999'"),
        (["export", "--out", "home"], "exists already"),
        (["export", "--until", "2026-13-01", "--out", "o"], "bad_filter"),
        (["export", "--pinned", "junk", "--out", "o"], "bad_question: the pinned checkpoint is not one of this log"),
        (["hold", "add", "--reason", "r", "--owner", "o"], "bad_filter: a hold names what it covers"),
        (["hold", "add", "--app", "a", "--reason", " ", "--owner", "o"], "bad_question: a hold needs a reason"),
        (["hold", "release", "nope", "--reason", "r"], "nothing_there: no hold 'nope'"),
        (["erase", "nobody", "--reason", "r"], "nothing_there"),
        (["rotate-key", "--finish"], "nothing_there: no key is on its way out"),
    ],
)
def test_what_is_asked_wrongly_is_said_and_is_no_failure_of_the_log_nor_a_record(log, capsys, tmp_path, argv, said):
    (tmp_path / "junk").write_text("no checkpoint")
    done = log("audit", *argv)
    assert (done.code, said in done.err + capsys.readouterr().err) == (2, True), done
    assert records(log) == 5
    assert not (tmp_path / "o").exists()


def test_a_log_that_does_not_continue_a_checkpoint_says_so_instead_of_exporting(log, tmp_path):
    (tmp_path / "kept").write_text(log("audit", "checkpoint").out)
    (tmp_path / "rewritten" / "audit").mkdir(parents=True)
    shutil.copy(tmp_path / "home" / "audit" / "key", tmp_path / "rewritten" / "audit" / "key")
    for size, said in ((4, "its end was lost"), (3, "history was rewritten")):
        write(tmp_path / "rewritten", size, effect="allow")
        done = log("audit", "export", "--pinned", "kept", "--out", "o", GOVERNANCE_HOME=str(tmp_path / "rewritten"))
        assert (done.code, "log_rolled_back" in done.err, said in done.err) == (3, True, True), done
        assert not (tmp_path / "o").exists()
    assert log("audit", "export", "--pinned", "kept", "--out", "o").code == 0
    assert log("audit", "verify", "o", "--pinned", "kept").code == 0


def test_a_record_that_was_changed_is_named_by_check_with_the_exit_code_of_a_verification_that_fails(log, tmp_path):
    assert log("audit", "check") == (0, "5 records, each as it was written\n", "")
    with closing(sqlite3.connect(tmp_path / "home" / "audit" / "log.db")) as db, db:
        db.execute("UPDATE leaves SET leaf = CAST(replace(leaf, 'deny', 'alow') AS BLOB) WHERE idx = 2")
    done = log("audit", "check")
    assert (done.code, "log_torn: record 2 was changed" in done.err) == (1, True), done


def test_one_record_and_the_growth_since_a_checkpoint_are_proved_and_who_asked_is_on_record(log, tmp_path):
    key = log("audit", "key").out.strip()
    (tmp_path / "kept").write_text(log("audit", "checkpoint").out)
    assert log("audit", "prove", "d3", "--out", "one").code == 0
    assert log("audit", "prove", "3", "--size", "5").out == (tmp_path / "one").read_text()
    (tmp_path / "two").write_text(log("audit", "prove", "--since", "kept").out)
    assert log("audit", "prove", "--since", "5", "--size", "7").out == (tmp_path / "two").read_text()
    assert "record 3 (kind deploy" in log("audit", "verify", "one", "--key", key).out
    assert "of 7 continues your checkpoint of 5" in log("audit", "verify", "two", "--key", key, "--pinned", "kept").out
    assert log("audit", "verify", "two", "--key", key).code == 1
    again = log("audit", "verify", "one", "--key", key, "--re-evaluate")
    assert (again.code, "--re-evaluate needs an export" in again.err) == (2, True), again
    reads = log("audit", "list", "--kind", "audit_read", "--format", "json").out.splitlines()
    asked = [json.loads(line)["public"]["asked_for"] for line in reversed(reads)]
    assert asked == ["proof of record 3"] * 2 + ["proof that it grew from 5"] * 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "one of a record's ID and --since"),
        (["3", "--since", "2"], "one of a record's ID and --since"),
        (["nope"], "no record 'nope'"),
        (["\u00b2"], "no record"),
        (["9" * 18], "nothing_there"),
        (["9" * 40], "no record"),
        (["3", "--size", "3"], "bad_question: a tree of 3"),
        (["3", "--size", "-1"], "bad_question"),
        (["3", "--size", "50"], "bad_question"),
        (["--since", "absent"], "absent: cannot be read"),
        (["--since", "0"], "bad_question"),
        (["--since", "50"], "bad_question"),
        (["3", "--out", "home"], "home: cannot be written"),
    ],
)
def test_a_proof_that_cannot_be_had_says_why(log, argv, said):
    done = log("audit", "prove", *argv)
    assert (done.code, said in done.err) == (2, True), done


class TestWitnesses:
    @pytest.fixture
    def serving(self, log, tmp_path):
        """Starts a witness that knows the keys it is given."""
        with contextlib.ExitStack() as stack:

            def start(*keys: str) -> str:
                witness = Witness(tmp_path / str(len(keys)), "w.example/1", map(parse_verifier_key, keys))
                stack.callback(witness.close)
                running = Serving(witness)
                stack.callback(running.stop)
                return f"{running.peer.url} {witness.verifier}"

            yield start

    def test_the_old_key_stays_while_a_witness_does_not_know_the_new_one(self, log, serving):
        old = log("audit", "key").out.strip()
        witness = serving(old)
        assert log("audit", "rotate-key", GOVERNANCE_WITNESSES=witness).code == 0
        new = log("audit", "key").out.strip()
        for env in ({"GOVERNANCE_WITNESSES": witness}, {}):  # what the service was told counts as well
            done = log("audit", "rotate-key", "--finish", **env)
            assert (done.code, "w.example/1 (http" in done.err, f"serve --log {new}" in done.err) == (2, True, True), (
                done
            )
            assert "answers 403" in done.err
        size = records(log)
        assert log("audit", "checkpoint").out.count("\u2014") == 2
        done = log("audit", "rotate-key", "--finish", GOVERNANCE_WITNESSES=serving(old, new))
        assert (done.code, new in done.out) == (0, True), done
        assert records(log) == size + 1
        log("audit", "list")  # is a record, and the first that the new key alone signs
        assert log("audit", "checkpoint").out.count("\u2014") == 1

    def test_one_that_cannot_be_asked_counts_as_not_knowing_unless_one_says_so(self, log):
        key = verifier_key("w.example/1", bytes(32), COSIGNATURE)
        gone = {"GOVERNANCE_WITNESSES": f"http://127.0.0.1:1 {key}"}
        assert log("audit", "rotate-key", **gone).code == 0
        done = log("audit", "rotate-key", "--finish", **gone)
        assert (done.code, "w.example/1 (http://127.0.0.1:1) cannot be asked" in done.err) == (2, True), done
        assert log("audit", "rotate-key", "--finish", "--without-witnesses", **gone).code == 0


def test_whoever_decides_and_reads_at_a_terminal_is_one_actor_by_a_number_that_no_variable_changes(cli):
    cli("decide", "-", stdin=b'{"kind": "lifecycle", "resource": {}}', LOGNAME="ada", USER="ada")
    cli("audit", "list", LOGNAME="ada")
    actors = {json.loads(line)["public"]["actor"] for line in cli("audit", "list", "--format", "json").out.splitlines()}
    assert actors == {f"os:{os.getuid()}"}


def test_a_record_of_pruning_that_is_no_record_any_more_is_damage_and_no_crash(log, tmp_path):
    (tmp_path / "retention.yaml").write_text("classes:\n  - {kind: deploy, keep: P1D}\n")
    assert log("audit", "prune", GOVERNANCE_RETENTION="retention.yaml").code == 0
    with closing(sqlite3.connect(tmp_path / "home" / "audit" / "log.db")) as db, db:
        db.execute("UPDATE leaves SET leaf = CAST('[' || leaf AS BLOB) WHERE kind = 'prune'")
    for argv, code in ((["check"], 1), (["list"], 3), (["export", "--out", "o"], 3), (["hold", "list"], 3)):
        done = log("audit", *argv)
        assert (done.code, "was changed after it was written" in done.err) == (code, True), done
    assert "record 5 was changed" in log("audit", "check").err
