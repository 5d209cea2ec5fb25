"""An export in the hands of somebody who trusts nobody: the verifier alone, with nothing but Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import audit
from audit.exports.package import export
from audit.log import AuditLog
from audit.record import Entry
from audit.store import Filter

ROOM = Path(audit.__file__).parent


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(package, verifier key, a copy of the room in a folder of its own)."""
    folder = tmp_path_factory.mktemp("export")
    shutil.copytree(ROOM, folder / "room" / "audit", ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    with AuditLog(folder / "home", origin="log.example/audit") as log:
        for number in range(8):
            public = {
                "decision_id": f"d{number}",
                "app": f"app{number % 2}",
                "effect": "deny",
                "rules": [],
                "actor": "=cmd",
            }
            log.append(Entry("deploy", f"2026-03-01T10:00:0{number}Z", public, {"input": {"n": number}}, "s"))
        export(
            log.reader, Filter(app="app1"), folder / "package", formats=["jsonl", "csv"], created="2026-03-02T00:00:00Z"
        )
        key = log.reader.verifier_key
    return folder / "package", key, folder / "room"


@pytest.fixture
def package(made, tmp_path):
    shutil.copytree(made[0], tmp_path / "package")
    return tmp_path / "package"


def verify(made, package: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """In an interpreter without site-packages, environment or current folder."""
    code = (
        "import sys, runpy; room = sys.argv.pop(1); sys.path.insert(0, room);"
        "runpy.run_module('audit.verify', run_name='__main__')"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(made[2]), str(package), *more],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip


def refused(made, package: Path, *words: str) -> None:
    done = verify(made, package)
    assert done.returncode == 1
    assert done.stderr.startswith("NOT VERIFIED: ")
    for word in words:
        assert word in done.stderr


def test_a_package_as_it_was_made_verifies(made, package):
    done = verify(made, package, "--key", made[1])
    assert done.returncode == 0, done.stderr
    assert "VERIFIED: 4 records" in done.stdout
    assert "4 sealed fields readable" in done.stdout


def test_a_zip_of_it_verifies_too(made, package, tmp_path):
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for file in package.iterdir():
            archive.write(file, file.name)
    assert verify(made, tmp_path / "p.zip").returncode == 0


def test_the_key_one_was_given_decides(made, package, tmp_path):
    with AuditLog(tmp_path / "other", origin="log.example/audit") as log:
        other = log.reader.verifier_key
    done = verify(made, package, "--key", other)
    assert done.returncode == 1
    assert "not by the key you trust" in done.stderr


@pytest.mark.parametrize("line", [0, 1, 3])
def test_one_changed_byte_of_a_record_names_it(made, package, line):
    file = package / "records.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    index = json.loads(lines[line])["index"]
    lines[line] = lines[line].replace("deny", "dena", 1)
    file.write_text("".join(lines))
    refused(made, package, f"records.jsonl:{line + 1}", f"record {index} (decision d{index})")


def test_a_changed_opening_names_it(made, package):
    file = package / "records.jsonl"
    file.write_text(file.read_text().replace('"value":{"n":3}', '"value":{"n":4}', 1))
    refused(made, package, "records.jsonl:2", "record 3")


@pytest.mark.parametrize("damage", ["removed", "twice", "swapped", "junk", "empty", "cut", "no newline"])
def test_records_that_are_not_those_of_the_manifest(made, package, damage):
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
        }[damage]
    )
    refused(made, package)


def test_a_record_of_another_place_does_not_fit(made, package):
    file = package / "records.jsonl"
    file.write_text(file.read_text().replace('"index":1,', '"index":5,', 1))
    refused(made, package)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.note", "checkpoint", "records.jsonl", "records.csv"])
def test_a_file_that_is_missing_or_changed_is_named(made, package, name):
    raw = bytearray((package / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (package / name).write_bytes(raw)
    refused(made, package)
    (package / name).unlink()
    refused(made, package, name)


def test_a_manifest_that_promises_less_is_refused(made, package):
    """Dropping a record and its count from the manifest needs the log's key."""
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["records"] = 3
    (package / "manifest.json").write_text(json.dumps(manifest))
    refused(made, package, "manifest.json")


def test_a_forger_with_a_key_of_their_own_shows(made, package, tmp_path):
    """Everything signed again by another key: consistent in itself, and not whose it says it is."""
    with AuditLog(tmp_path / "forged", origin="log.example/audit") as log:
        log.append(
            Entry(
                "deploy",
                "2026-03-01T10:00:00Z",
                {"decision_id": "d1", "app": "app1", "effect": "allow", "rules": []},
                {},
            )
        )
        export(log.reader, Filter(), tmp_path / "fake", formats=["jsonl"], created="2026-03-02T00:00:00Z")
    assert "Compare this key" in verify(made, tmp_path / "fake").stdout
    assert verify(made, tmp_path / "fake", "--key", made[1]).returncode == 1


def test_the_table_holds_no_formula(package):
    table = (package / "records.csv").read_text()
    assert "'=cmd" in table
    assert ",=cmd" not in table


@pytest.mark.parametrize("argv", [[], ["--key"], ["a", "b"]])
def test_wrong_use_says_how(argv):
    done = subprocess.run(
        [sys.executable, "-m", "audit.verify", *argv], capture_output=True, text=True, check=False, cwd=ROOM.parent
    )
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_nothing_at_the_path(made, tmp_path):
    refused(made, tmp_path / "absent")
