"""Exports of a log whose key was changed and whose beginning was pruned: an auditor of earlier times still checks them."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import NamedTuple

import pytest

from audit.custody import Custody
from audit.exports.package import Wanted, export
from audit.keys import SigningKey
from audit.log import AuditLog
from audit.pruned import statement_lines
from audit.record import Entry
from audit.store import Filter
from tests.unit.audit.packages_made import CREATED, ORIGIN, copied, entry, refused, signed_again, verified

NOW = "2026-06-01T00:00:00Z"


def act(log: AuditLog, verb: str, time: str = NOW, **arguments):
    return Custody(log).act(verb, {"time": time, "public": {"decision_id": f"by-{verb}"}, **arguments})


def fill(log: AuditLog, count: int, start: int = 0) -> None:
    for done in [log.submit(entry(number)) for number in range(start, start + count)]:
        done.result(30)


class Changed(NamedTuple):
    folder: Path
    first: str
    """The key of the beginning."""
    second: str
    third: str
    kept: str
    """A checkpoint that only the first key signed."""
    key: SigningKey


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changed")
    with AuditLog(folder / "home", origin=ORIGIN) as log:
        fill(log, 5)
        first, kept = log.reader.verifier_key, log.reader.checkpoint()
        keys = []
        for start in (5, 10):
            keys.append(act(log, "rotate_key")["new_key"])
            act(log, "finish_rotation")
            fill(log, 5, start)
        for name, app in (("one", "app1"), ("whole", "")):
            export(log.reader, Wanted(Filter(app=app), ["csv"], pinned=[kept]), folder / name, created=CREATED)
        return Changed(folder, first, *keys, kept, log.key)


@pytest.fixture
def package(changed, tmp_path):
    return copied(changed.folder / "one", tmp_path / "package")


class TestKeys:
    @pytest.mark.parametrize("name", ["one", "whole"])
    def test_every_key_that_leads_to_the_signer_s_is_as_good_and_a_checkpoint_that_it_signed(
        self, changed, tmp_path, name
    ):
        (tmp_path / "checkpoint").write_text(changed.kept)
        for key, steps in ((changed.first, "by 2 rotations"), (changed.second, "by 1 rotations"), (changed.third, "")):
            code, said = verified(changed.folder / name, "--key", key, "--pinned", str(tmp_path / "checkpoint"))
            assert (code, "It continues the checkpoint" in said, steps in said) == (0, True, True), said

    def test_a_missing_step_breaks_the_chain_for_key_and_checkpoint(self, changed, package, tmp_path):
        (tmp_path / "checkpoint").write_text(changed.kept)
        steps = (package / "keys.jsonl").read_text().splitlines(keepends=True)
        signed_again(package, changed.key)
        assert verified(package, "--key", changed.first)[0] == 0, "with every step, whoever signed it again"
        (package / "keys.jsonl").write_text(steps[0])
        signed_again(package, changed.key)
        for key in (changed.first, changed.second):
            refused(package, "no unbroken chain of rotations", more=("--key", key))
        pinned = ("--key", changed.third, "--pinned", str(tmp_path / "checkpoint"))
        refused(package, "the pinned checkpoint", more=pinned)

    @pytest.mark.parametrize("member", ["signed_by_old", "signed_by_new"])
    def test_a_step_that_one_side_did_not_sign_is_named(self, changed, package, member):
        """Who holds the newest key cannot make themselves the heir of another."""
        lines = [json.loads(line) for line in (package / "keys.jsonl").read_text().splitlines()]
        signed_again(package, changed.key)
        assert verified(package, "--key", changed.first)[0] == 0, "as both signed it"
        lines[1][member] = lines[0][member]
        (package / "keys.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        signed_again(package, changed.key)
        refused(package, "keys.jsonl", "is not signed by", more=("--key", changed.first))

    def test_another_log_s_key_is_no_heir_and_junk_is_no_crash(self, changed, package):
        stranger = SigningKey("other.example/log", b"7" * 32)
        refused(package, "not by the key you trust", more=("--key", str(stranger.verifier)))
        for junk in ("[]", "{", "null", "{}\n7", '{"change":"rotate"}', "[" * 100_000):
            (package / "keys.jsonl").write_text(junk)
            signed_again(package, changed.key)
            said = refused(package, more=("--key", changed.first))
            assert "keys.jsonl" in said or "no unbroken chain" in said

    def test_an_export_that_was_begun_before_the_change_is_signed_after_it_and_verifies(self, tmp_path):
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            fill(log, 4)
            old = log.reader.verifier_key

            class Stop(Exception):
                pass

            def stop(stage: str, done: int, total: int) -> None:
                raise Stop

            from audit.exports.package import Doing

            with pytest.raises(Stop):
                export(log.reader, Wanted(Filter()), tmp_path / "p", created=CREATED, doing=Doing(stop))
            act(log, "rotate_key")
            act(log, "finish_rotation")
            export(log.reader, Wanted(Filter()), tmp_path / "p", created=CREATED)
        assert verified(tmp_path / "p", "--key", old)[0] == 0


RETENTION = {"classes": [{"keep": "P1D"}], "leaves": "P1D"}


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """In two steps, with a changed key among what went."""
    folder = tmp_path_factory.mktemp("pruned")
    with AuditLog(folder / "home", origin=ORIGIN) as log:
        first = log.reader.verifier_key
        second = act(log, "rotate_key", "2026-02-01T00:00:00Z")["new_key"]
        act(log, "finish_rotation", "2026-02-01T00:00:00Z")
        for start, now in ((0, NOW), (300, "2027-06-01T00:00:00Z")):
            fill(log, 300, start)
            while act(log, "prune", now, retention=RETENTION)["more"]:
                pass
        assert log.reader.minimum() == 512
        fill(log, 4, 600)
        for name, app in (("one", "app1"), ("whole", ""), ("none", "app9")):
            export(log.reader, Wanted(Filter(app=app), ["csv"]), folder / name, created=CREATED)
        assert log.reader.verify_self() == log.reader.size() - 512
        return Changed(folder, first, second, second, "", log.key)


class TestPruned:
    @pytest.mark.parametrize("name", ["one", "whole"])
    def test_a_beginning_that_the_log_says_was_pruned_is_accepted(self, pruned, name):
        code, said = verified(pruned.folder / name, "--key", pruned.first)
        assert code == 0, said
        assert "Records of the log say that" in said
        assert verified(pruned.folder / "none", "--key", pruned.second)[0] == 0

    def test_the_manifest_s_word_alone_is_not_enough(self, pruned, tmp_path):
        package = copied(pruned.folder / "one", tmp_path / "package")
        manifest = json.loads((package / "manifest.json").read_text())
        (app, gone) = next(iter(manifest["pruned"].items()))
        assert (app, gone > 200) == ("app1", True)
        for said in ({app: gone + 1}, {app: gone - 1}, {}, {app: gone, "app0": 3}):
            signed_again(package, pruned.key, pruned=said)
            refused(package, "missing")
        signed_again(package, pruned.key, pruned={app: gone})
        assert verified(package)[0] == 0
        (package / "pruned.jsonl").write_text("")
        signed_again(package, pruned.key)
        refused(package, "the log says of none that they were", "records are missing")

    @pytest.mark.parametrize(
        ("damage", "words"),
        [
            (lambda line: {**line, "leaf": line["leaf"].replace('"app1":', '"appX":')}, "not in the log"),
            (lambda line: {**line, "index": line["index"] - 1}, "pruned.jsonl:1"),
            (lambda line: {**line, "proof": line["proof"][:-1]}, "pruned.jsonl:1"),
            (lambda line: {**line, "proof": "x"}, "pruned.jsonl:1"),
            (lambda line: [], "pruned.jsonl:1"),
            (lambda line: {**line, "leaf": 7}, "pruned.jsonl:1"),
        ],
    )
    def test_a_record_that_was_made_up_is_not_in_the_log(self, pruned, tmp_path, damage, words):
        package = copied(pruned.folder / "one", tmp_path / "package")
        lines = [json.loads(line) for line in (package / "pruned.jsonl").read_text().splitlines()]
        lines[0] = damage(lines[0])
        (package / "pruned.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        signed_again(package, pruned.key)
        refused(package, words)

    @pytest.mark.parametrize("kind", ["deploy", "erasure"])
    def test_another_record_of_the_log_says_nothing_about_pruning(self, pruned, tmp_path, kind):
        """Not even one that holds the same members: a caller may have chosen them."""
        copytree(pruned.folder / "home", tmp_path / "home")
        package = tmp_path / "package"
        with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
            gone = json.loads((pruned.folder / "one" / "manifest.json").read_text())["pruned"]
            public = {"decision_id": "d", "app": "", "effect": "allow", "rules": [], "sequences": gone}
            index = log.append(Entry(kind, NOW, public, {})).index
            export(log.reader, Wanted(Filter(app="app1")), package, created=CREATED)
            assert verified(package, "--key", pruned.first)[0] == 0
            found, size = [(index, log.reader.leaf(index))], log.reader.size_of((package / "checkpoint").read_text())
            (package / "pruned.jsonl").write_bytes(statement_lines(found, lambda index: log.reader.proof(index, size)))
        signed_again(package, log.key)
        refused(package, f"pruned.jsonl:1: record {index} does not say what was pruned")


def test_many_apps_are_said_in_several_records(tmp_path):
    from audit.pruned import in_parts

    sequences = {f"app-{number:05d}": number for number in range(5000)}
    parts = in_parts(sequences)
    assert len(parts) > 1
    assert {app: n for part in parts for app, n in part.items()} == sequences
    assert all(len(json.dumps(part)) < 60_000 for part in parts)
    assert in_parts({}) == [{}]
