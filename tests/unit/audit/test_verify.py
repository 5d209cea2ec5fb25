"""An export in the hands of somebody who trusts nobody: the verifier alone, with nothing but Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audit
from audit.exports.package import Wanted, export
from audit.exports.standalone import standalone
from audit.keys import SigningKey
from audit.log import AuditLog
from audit.notes import parse_checkpoint, signed
from audit.record import Entry
from audit.store import Filter
from tests.unit.audit.packages_made import (
    CREATED,
    ORIGIN,
    bomb,
    copied,
    entry,
    make,
    refused,
    signed_again,
    verified,
    zipped,
)

ROOM = Path(audit.__file__).parent
CORE = ["manifest.json", "manifest.note", "checkpoint", "records.jsonl", "openings.jsonl", "leaves.bin", "proof.bin"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("export"))


@pytest.fixture
def package(made, tmp_path):
    return copied(made.package, tmp_path / "package")


@pytest.fixture
def key(made):
    return SigningKey(ORIGIN, (made.folder / "home" / "audit" / "key").read_bytes())


def alone(script: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter without site-packages, environment or current folder."""
    return subprocess.run(
        [sys.executable, "-I", "-S", str(script), *argv], capture_output=True, text=True, check=False, cwd="/"
    )


# -- what is as it was made ------------------------------------------------------------------------------------------


def test_the_verifier_in_the_package_needs_nothing_but_python(made, package):
    done = alone(package / "verify.py", str(package), "--key", made.key)
    assert done.returncode == 0, done.stderr
    assert "VERIFIED: 5 records" in done.stdout
    assert "10 sealed fields readable" in done.stdout


def test_the_package_s_verifier_is_the_modules_themselves(package):
    assert (package / "verify.py").read_bytes() == standalone()
    compile(standalone(), "verify.py", "exec")
    assert b"from audit" not in standalone()
    assert b"import audit" not in standalone()


def test_the_verifier_in_the_package_refuses_as_the_module_does(package):
    (package / "records.jsonl").write_bytes((package / "records.jsonl").read_bytes().replace(b"deny", b"dena", 1))
    done = alone(package / "verify.py", str(package))
    assert done.returncode == 1
    assert "records.jsonl:1: record 1 (decision d1) was changed" in done.stderr


def test_a_whole_log_needs_no_proof_hashes(made):
    assert (made.whole / "proof.bin").stat().st_size == 0
    assert verified(made.whole, "--key", made.key)[0] == 0


@pytest.mark.parametrize("prefix", ["", "export/"])
def test_a_zip_of_it_verifies_too(package, tmp_path, prefix):
    assert verified(zipped(package, tmp_path / "p.zip", prefix=prefix))[0] == 0


def test_an_export_straight_into_a_zip_verifies(made, tmp_path):
    with AuditLog(made.folder / "home", origin=ORIGIN) as log:
        export(log.reader, Wanted(Filter(app="app0"), ["csv"]), tmp_path / "out.zip", created=CREATED)
    code, said = verified(tmp_path / "out.zip", "--key", made.key)
    assert (code, "VERIFIED: 6 records" in said) == (0, True)
    assert [path.name for path in tmp_path.iterdir()] == ["out.zip"]


def test_openings_that_may_not_leave_are_counted_as_not_included(made, tmp_path):
    with AuditLog(made.folder / "home", origin=ORIGIN) as log:
        for name, fields in (("none", []), ("answer", ["answer"])):
            export(log.reader, Wanted(Filter(app="app1"), [], fields), tmp_path / name, created=CREATED)
    assert "0 sealed fields readable as recorded, 10 not included" in verified(tmp_path / "none")[1]
    assert "5 sealed fields readable as recorded, 5 not included" in verified(tmp_path / "answer")[1]
    assert b'"input"' not in (tmp_path / "answer" / "openings.jsonl").read_bytes()


def test_a_decision_is_shown_with_what_it_was(package):
    code, said = verified(package, "--decision", "d3")
    assert code == 0
    assert "record 3, 2026-03-01T10:00:03Z: deploy by =cmd" in said
    assert "=no 3" in said
    assert "no record of the decision" in verified(package, "--decision", "d99")[1]


def test_what_a_record_says_is_not_obeyed_by_the_terminal(tmp_path):
    with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
        public = {"decision_id": "d", "app": "a\x1b[2Jb\u202e", "effect": "deny", "rules": []}
        log.append(Entry("deploy", "2026-03-01T10:00:00Z", public, {}))
        export(log.reader, Wanted(Filter()), tmp_path / "package", created=CREATED)
    said = verified(tmp_path / "package", "--decision", "d")[1]
    assert "a\\x1b[2Jb\\u202e" in said
    assert not {"\x1b", "\u202e"} & set(said)


# -- keys, witnesses, pinned checkpoints -----------------------------------------------------------------------------


def test_the_key_one_was_given_decides(made, package, tmp_path):
    other = str(SigningKey(ORIGIN, bytes(32)).verifier)
    assert verified(package, "--key", made.key)[0] == 0
    refused(package, "not by the key you trust", more=("--key", other))


def test_a_forger_with_a_key_of_their_own_shows(made, tmp_path):
    """Everything signed again by another key: consistent in itself, and not whose it says it is."""
    with AuditLog(tmp_path / "forged", origin=ORIGIN) as log:
        log.append(entry(1, app="app1", effect="allow"))
        export(log.reader, Wanted(Filter()), tmp_path / "fake", created=CREATED)
    assert "Compare this key" in verified(tmp_path / "fake")[1]
    refused(tmp_path / "fake", more=("--key", made.key))


def test_the_log_continues_a_checkpoint_that_somebody_kept(made, package, tmp_path):
    (tmp_path / "checkpoint").write_text(made.older)
    for one in (package, made.whole):
        code, said = verified(one, "--pinned", str(tmp_path / "checkpoint"))
        assert (code, "It continues the checkpoint that you kept" in said) == (0, True)
    assert verified(package, "--pinned", str(made.whole))[0] == 0


def test_history_rewritten_with_the_log_s_own_key_does_not_continue_it(made, tmp_path):
    """The thief has the key and writes another past; every proof in the export is good, and the kept checkpoint tells."""
    (tmp_path / "checkpoint").write_text(made.older)
    shutil.copytree(made.folder / "home" / "audit", tmp_path / "stolen" / "audit")
    for name in ("log.db", "log.db-wal", "log.db-shm", "head"):
        (tmp_path / "stolen" / "audit" / name).unlink(missing_ok=True)
    with AuditLog(tmp_path / "stolen", origin=ORIGIN) as log:
        for number in range(11):
            log.append(entry(number, effect="allow" if number == 3 else "deny"))
        for name, app in (("app1", "app1"), ("all", "")):
            size = parse_checkpoint(made.older).size
            pinned = log.reader.signing_key.checkpoint(size, log.reader.root(size))
            export(log.reader, Wanted(Filter(app=app), pinned=[pinned]), tmp_path / name, created=CREATED)
    for name in ("app1", "all"):
        assert verified(tmp_path / name, "--key", made.key)[0] == 0
        pinned = ("--key", made.key, "--pinned", str(tmp_path / "checkpoint"))
        refused(tmp_path / name, "does not continue the one of your checkpoint", more=pinned)


def test_an_export_that_cannot_speak_of_the_kept_checkpoint_says_what_to_ask_for(made, tmp_path):
    with AuditLog(made.folder / "home", origin=ORIGIN) as log:
        export(log.reader, Wanted(Filter(app="app9")), tmp_path / "package", created=CREATED)
    assert verified(tmp_path / "package")[0] == 0
    (tmp_path / "checkpoint").write_text(made.older)
    refused(tmp_path / "package", "made with --pinned", more=("--pinned", str(tmp_path / "checkpoint")))


def test_a_log_that_was_cut_behind_the_kept_checkpoint_is_refused(package, key, tmp_path):
    (tmp_path / "checkpoint").write_text(key.checkpoint(12, bytes(32)))
    refused(package, "or the log was cut", more=("--pinned", str(tmp_path / "checkpoint")))
    (tmp_path / "checkpoint").write_text("junk")
    refused(package, "the pinned checkpoint", more=("--pinned", str(tmp_path / "checkpoint")))
    refused(package, "no checkpoint there", more=("--pinned", str(tmp_path / "absent")))


def test_a_witness_s_cosignature_counts_and_its_absence_shows(package, key):
    from tests.unit.audit.packages_made import cosignature_line, witness_key

    witness = SigningKey("witness.example", bytes([7]) * 32)
    name, public = "witness.example", witness.verifier.public
    note = (package / "checkpoint").read_text()
    text = note.rpartition("\n\n")[0] + "\n"
    signature = witness.sign(f"cosignature/v1\ntime 1772400000\n{text}".encode())
    line = cosignature_line(name, public, 1772400000, signature)
    trusting = ("--witness", witness_key(name, public))
    refused(package, "did not cosign", more=trusting)
    (package / "checkpoint").write_text(note + line)
    signed_again(package, key)
    assert "Cosigned by 1 witnesses" in verified(package, *trusting)[1]
    (package / "checkpoint").write_text(note + cosignature_line(name, public, 1772400001, signature))
    signed_again(package, key)
    refused(package, "cosignature", more=trusting)
    refused(package, "not a verifier key", more=("--witness", "junk"))
    (package / "checkpoint").write_text(note)
    refused(package, "checkpoint: changed after the export", more=trusting)


def test_witnesses_may_be_a_little_behind_and_the_export_continues_what_they_saw(made, tmp_path, key):
    from tests.unit.audit.packages_made import cosignature_line, witness_key

    witness = SigningKey("witness.example", bytes([7]) * 32)
    text = made.older.rpartition("\n\n")[0] + "\n"
    line = cosignature_line(
        "witness.example", witness.verifier.public, 5, witness.sign(f"cosignature/v1\ntime 5\n{text}".encode())
    )
    trusting = ("--witness", witness_key("witness.example", witness.verifier.public))
    with AuditLog(made.folder / "home", origin=ORIGIN) as log:
        wanted = Wanted(Filter(app="app9"), cosigned=made.older + line)
        export(log.reader, wanted, tmp_path / "package", created=CREATED)
    assert "Cosigned by 1 witnesses" in verified(tmp_path / "package", *trusting)[1]
    other = key.checkpoint(
        parse_checkpoint(made.older).size, bytes(32)
    )  # another history, and the witness saw that one
    text = other.rpartition("\n\n")[0] + "\n"
    line = cosignature_line(
        "witness.example", witness.verifier.public, 5, witness.sign(f"cosignature/v1\ntime 5\n{text}".encode())
    )
    (tmp_path / "package" / "cosigned").write_text(other + line)
    refused(tmp_path / "package", "does not continue the one of what your witnesses cosigned", more=trusting)
    signed_again(tmp_path / "package", key)
    refused(tmp_path / "package", "does not continue the one of what your witnesses cosigned", more=trusting)


# -- the tamper set --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [0, 1, 4])
def test_one_changed_byte_of_a_record_names_it(package, line):
    file = package / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    index = json.loads(lines[line])["index"]
    lines[line] = lines[line].replace("deny", "dena", 1)
    file.write_text("".join(lines))
    refused(package, f"records.jsonl:{line + 1}", f"record {index} (decision d{index}) was changed")


@pytest.mark.parametrize(
    "damage", ["removed", "twice", "swapped", "junk", "empty", "cut", "no newline", "deep", "huge"]
)
def test_records_that_are_not_those_of_the_manifest(package, damage):
    file = package / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(
        {
            "removed": "".join(lines[:1] + lines[2:]),
            "twice": "".join([lines[0], *lines]),
            "swapped": "".join([lines[1], lines[0], *lines[2:]]),
            "junk": "".join(lines) + "{}\n",
            "empty": "",
            "cut": "".join(lines)[:-50],
            "no newline": "".join(lines).rstrip("\n"),
            "deep": "[" * 200_000 + "\n" + "".join(lines),
            "huge": '{"index":' + "9" * 100_000 + "}\n" + "".join(lines),
        }[damage]
    )
    refused(package, "records.jsonl")


def test_a_changed_opening_names_its_record(package):
    file = package / "openings.jsonl"
    file.write_text(file.read_text().replace('"reason":"=no 3"', '"reason":"=no 4"', 1))
    refused(package, "openings.jsonl:2", "record 3", "decision d3", "'answer'")


@pytest.mark.parametrize("change", [("=no 3", "=no 33"), ('"index":3,', '"index":5,'), ('"salt":"', '"salt":"00')])
def test_openings_that_do_not_belong_are_named(package, change):
    file = package / "openings.jsonl"
    file.write_text(file.read_text().replace(*change, 1))
    refused(package, "openings.jsonl")


def test_a_removed_opening_is_noticed(package):
    file = package / "openings.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
    refused(package, "openings.jsonl: changed")


@pytest.mark.parametrize("name", ["proof.bin", "leaves.bin"])
@pytest.mark.parametrize("damage", ["bit", "cut", "longer", "empty"])
def test_proof_and_leaves_are_the_signed_ones(package, name, damage):
    raw = bytearray((package / name).read_bytes())
    raw[3] ^= 1
    (package / name).write_bytes({"bit": raw, "cut": raw[:-1], "longer": raw + b"\0", "empty": b""}[damage])
    refused(package, name)


@pytest.mark.parametrize("name", [*CORE, "records.csv", "view.jsonl", "verify.py", "README.txt"])
def test_a_file_that_is_missing_or_changed_is_named(package, name):
    raw = bytearray((package / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (package / name).write_bytes(raw)
    refused(package)
    (package / name).unlink()
    refused(package, name)
    (package / name).mkdir()
    refused(package, name)


@pytest.mark.parametrize("name", CORE)
def test_a_pipe_in_the_place_of_a_file_does_not_hang(package, name):
    (package / name).unlink()
    os.mkfifo(package / name)
    refused(package, name)


@pytest.mark.parametrize(
    "change",
    [
        ("records", 4),
        ("records", -1),
        ("records", True),
        ("files", {}),
        ("files", {"../../etc/passwd": {"sha256": "00", "bytes": 1}}),
        ("files", []),
        ("stops", [10**400]),
        ("stops", ["1"]),
        ("pruned", {"app1": "x"}),
        ("format", "microapp-audit-export/9"),
        ("verifier_key", "junk"),
        ("filter", 7),
    ],
)
def test_a_manifest_that_was_edited_is_refused_and_signing_it_again_does_not_help(package, key, change):
    manifest = json.loads((package / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps({**manifest, change[0]: change[1]}))
    refused(package, "manifest.json")
    if change[0] not in {"verifier_key", "files"}:
        signed_again(package, key, **{change[0]: change[1]})
        refused(package)


@pytest.mark.parametrize("raw", ["[" * 500_000, "", "null", "[]", '{"format":1}', "\xff", '{"a":' * 9999])
def test_a_manifest_that_is_none_is_refused(package, raw):
    (package / "manifest.json").write_bytes(raw.encode("latin-1"))
    refused(package, "manifest.json")


def test_an_edited_size_in_the_checkpoint_is_refused(package, key):
    note = (package / "checkpoint").read_text()
    (package / "checkpoint").write_text(note.replace("\n11\n", "\n12\n"))
    refused(package, "checkpoint")
    signed_again(package, key)  # the manifest names the forged checkpoint now, but nobody signed that
    refused(package, "checkpoint", "signature")


def test_a_checkpoint_that_the_key_s_thief_made_up_does_not_fit_the_records(package, key):
    (package / "checkpoint").write_text(key.checkpoint(11, bytes(32)))
    signed_again(package, key)
    refused(package, "not in the log of checkpoint")


def test_a_checkpoint_of_another_log_is_refused(package, key):
    body = f"other.example/log\n11\n{'A' * 43}=\n"
    (package / "checkpoint").write_text(signed(body, key.verifier, key.sign(body.encode())))
    signed_again(package, key)
    refused(package, "of log 'other.example/log'")


def test_records_of_another_log_under_this_checkpoint_are_refused(made, package, key, tmp_path):
    with AuditLog(tmp_path / "other", origin=ORIGIN) as log:
        for number in range(11):
            log.append(entry(number, effect="allow"))
        export(log.reader, Wanted(Filter(app="app1"), ["jsonl", "csv"]), tmp_path / "export", created=CREATED)
    for name in ("records.jsonl", "openings.jsonl", "leaves.bin", "proof.bin", "records.csv", "view.jsonl"):
        shutil.copy(tmp_path / "export" / name, package / name)
    refused(package)
    signed_again(package, key)
    refused(package, "another log")


def test_leaving_out_a_record_shows_even_to_the_key_s_holder(made, tmp_path, key):
    """The exporter drops a record of the app and makes everything else fit: the app's numbering has a hole."""
    with AuditLog(made.folder / "home", origin=ORIGIN) as log:
        kept = [index for index in log.reader.indexes(Filter(app="app1")) if index != 5]
        original = log.reader.indexes
        log.reader.indexes = lambda _wanted: kept
        try:
            export(log.reader, Wanted(Filter(app="app1")), tmp_path / "package", created=CREATED)
        finally:
            log.reader.indexes = original
    refused(tmp_path / "package", "app 'app1' goes from its record 2 to 4", more=("--key", made.key))


def test_a_table_that_says_something_else_than_the_records_is_named_though_it_was_signed(package, key):
    for name, row in (("records.csv", "row 2"), ("view.jsonl", "row 2")):
        raw = (package / name).read_bytes()
        (package / name).write_bytes(raw.replace(b'"d3"', b'"d9"', 1))
        signed_again(package, key)
        refused(package, name, row, "record 3")
        (package / name).write_bytes(raw + raw.splitlines(keepends=True)[-1])
        signed_again(package, key)
        refused(package, name, "goes on")
        (package / name).write_bytes(raw)


@pytest.mark.parametrize("violations", [[1], {"a": 1}, [None], "text", [{"controls": 7}], [[[]]]])
def test_a_record_of_a_form_that_nobody_expects_is_no_crash(tmp_path, violations):
    """Whoever holds the key can sign anything."""
    with AuditLog(tmp_path / "home", origin=ORIGIN) as log:
        public = {"decision_id": "d", "app": {"x": [1]}, "effect": ["deny"], "rules": [{"a": 1}], "actor": 7}
        sealed = {"answer": {"reason": [], "violations": violations}, "é": 1, "input": "\ud800"}
        log.append(Entry("deploy", "2026-03-01T10:00:00Z", public, sealed))
        export(log.reader, Wanted(Filter(), ["jsonl", "csv"]), tmp_path / "package", created=CREATED)
    assert verified(tmp_path / "package")[0] == 0
    code, said = verified(tmp_path / "package", "--decision", "d")
    assert (code, "Traceback" in said) in {(0, False), (1, False)}
    assert code == 0 or "NOT VERIFIED: something in it is not of the form" in said


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_zip_is_refused(package, tmp_path, at):
    raw = zipped(package, tmp_path / "p.zip").read_bytes()
    (tmp_path / "p.zip").write_bytes(raw[: int(len(raw) * at)])
    refused(tmp_path / "p.zip")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/cron.d/evil", "a/../../evil", "..\\evil", "C:evil", "sub/records.csv"]
)
def test_a_zip_whose_names_lead_out_of_it_is_refused_and_nothing_is_written(package, tmp_path, name):
    zipped(package, tmp_path / "p.zip", change=lambda archive: archive.writestr(name, "x"))
    before = sorted(tmp_path.rglob("*"))
    refused(tmp_path / "p.zip", "leads out of the package")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_name_that_stands_twice_in_a_zip_is_refused(package, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        zipped(package, tmp_path / "p.zip", change=lambda archive: archive.writestr("manifest.json", "{}"))
    refused(tmp_path / "p.zip", "stands twice")


@pytest.mark.parametrize("name", ["records.jsonl", "records.csv", "leaves.bin", "openings.jsonl", "manifest.json"])
def test_a_file_that_unfolds_into_far_more_than_was_signed_is_read_no_further(package, tmp_path, name):
    (package / name).unlink()
    packed = zipped(package, tmp_path / "p.zip")
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    assert packed.stat().st_size < 1 << 18
    refused(packed, name)


def test_a_zip_of_thousands_of_names_and_a_bomb_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(1001):
            archive.writestr(f"f{number}", "")
    refused(tmp_path / "many.zip", "1001 files")
    (tmp_path / "bomb.zip").write_bytes(bomb("manifest.json", 64 << 20))
    refused(tmp_path / "bomb.zip", "manifest.json: larger than")


def test_another_packing_than_deflate_is_refused(package, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_LZMA) as archive:
        for file in package.iterdir():
            archive.write(file, file.name)
    refused(tmp_path / "p.zip", "another method")


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), name=st.sampled_from(CORE))
def test_any_junk_in_the_place_of_a_file_is_refused_without_a_crash(made, tmp_path_factory, raw, name):
    folder = copied(made.package, tmp_path_factory.mktemp("junk") / "package")
    if raw != (folder / name).read_bytes():
        (folder / name).write_bytes(raw)
        refused(folder)
    shutil.rmtree(folder)


def test_the_table_holds_no_formula(package):
    table = (package / "records.csv").read_text()
    assert "'=cmd" in table
    assert "'=no 3" in table
    assert not {'"=cmd', '"=no'} & {cell[:5] for cell in table.replace("\r\n", ",").split(",")}


def test_what_lies_beside_is_said(package):
    (package / "notes.txt").write_text("hello")
    assert "Not part of the export, whoever put it there: 'notes.txt'" in verified(package)[1]


@pytest.mark.parametrize("argv", [[], ["--key"], ["a", "b"], ["a", "--what"], ["a", "--key", "k", "--key", "l"]])
def test_wrong_use_says_how(argv):
    done = subprocess.run(
        [sys.executable, "-m", "audit.verify", *argv], capture_output=True, text=True, check=False, cwd=ROOM.parent
    )
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_nothing_at_the_path(tmp_path):
    refused(tmp_path / "absent", "absent")
