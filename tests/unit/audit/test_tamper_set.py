"""Everything that somebody may do to an export, put before both verifiers in processes of their own.

Each refuses it with exit code 1, names what is wrong, and says nothing else: no traceback, no file written.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audit
from audit.exports.package import Doing, Wanted, export
from audit.exports.standalone import standalone
from audit.keys import SigningKey
from audit.log import AuditLog
from audit.notes import parse_checkpoint
from audit.store import Filter
from tests.unit.audit.packages_made import (
    CREATED,
    ORIGIN,
    Made,
    bomb,
    copied,
    cosignature_line,
    entry,
    make,
    signed_again,
    verified,
    witness_key,
    zipped,
)

ROOM = Path(audit.__file__).parent
WITNESS = SigningKey("witness.example", bytes([7]) * 32)
POLICY = f"policy-{'0' * 16}-{'1' * 16}.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """With policies beside the records, and cosigned by a witness."""
    folder = tmp_path_factory.mktemp("tamper")
    plain = make(folder)
    shutil.rmtree(plain.package)
    text = plain.older.rpartition("\n\n")[0] + "\n"
    line = cosignature_line(
        "witness.example", WITNESS.verifier.public, 5, WITNESS.sign(f"cosignature/v1\ntime 5\n{text}".encode())
    )
    with AuditLog(folder / "home", origin=ORIGIN) as log:
        wanted = Wanted(Filter(app="app1"), ["jsonl", "csv"], pinned=[plain.older], cosigned=plain.older + line)
        doing = Doing(beside=lambda _revisions: {POLICY: b'{"modules": {}}'})
        export(log.reader, wanted, folder / "package", created=CREATED, doing=doing)
    (folder / "verify.py").write_bytes(standalone())
    (folder / "kept").write_text(plain.older)
    return plain


def key_of(made: Made) -> SigningKey:
    return SigningKey(ORIGIN, (made.folder / "home" / "audit" / "key").read_bytes())


def trusting(made: Made) -> list[str]:
    witness = witness_key("witness.example", WITNESS.verifier.public)
    return ["--key", made.key, "--pinned", str(made.folder / "kept"), "--witness", witness]


def both(made: Made, package: Path) -> list[subprocess.CompletedProcess[str]]:
    """What the one file says in a bare interpreter, and what the module says."""
    said = []
    for how in (["-I", "-S", str(made.folder / "verify.py")], ["-m", "audit.verify"]):
        done = subprocess.run(
            [sys.executable, *how, str(package), *trusting(made)],
            capture_output=True, text=True, check=False, cwd=ROOM.parent, timeout=120,
        )  # fmt: skip
        said.append(done)
    return said


def edited(package: Path, name: str, old: bytes, new: bytes) -> Path:
    raw = (package / name).read_bytes()
    assert old in raw
    (package / name).write_bytes(raw.replace(old, new, 1))
    return package


def flipped(package: Path, name: str) -> Path:
    raw = bytearray((package / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (package / name).write_bytes(raw)
    return package


def removed(package: Path, name: str) -> Path:
    (package / name).unlink()
    return package


def stripped(package: Path, made: Made, *, signed: bool) -> Path:
    """Without the witness's line; `signed`: by somebody who has the log's key and makes all else fit."""
    (package / "cosigned").write_text(made.older)
    if signed:
        signed_again(package, key_of(made))
    return package


def rewritten(package: Path, made: Made) -> Path:
    """Another past, by whoever has the log's own key: all in it fits, but for what was kept."""
    home = package.with_name("stolen")
    (home / "audit").mkdir(parents=True, mode=0o700)
    shutil.copy(made.folder / "home" / "audit" / "key", home / "audit" / "key")
    with AuditLog(home, origin=ORIGIN) as log:
        for number in range(11):
            log.append(entry(number, effect="allow" if number == 3 else "deny"))
        size = parse_checkpoint(made.older).size
        wanted = Wanted(
            Filter(app="app1"), pinned=[log.key.checkpoint(size, log.reader.root(size))], cosigned=made.older
        )
        export(log.reader, wanted, package.with_name("rewritten"), created=CREATED)
    other = package.with_name("rewritten")
    shutil.copy(package / "cosigned", other / "cosigned")
    signed_again(other, key_of(made))
    return other


def swapped(package: Path) -> Path:
    lines = (package / "records.jsonl").read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    (package / "records.jsonl").write_bytes(b"".join(lines))
    return package


def of_another_log(package: Path, made: Made) -> Path:
    with AuditLog(package.with_name("other"), origin=ORIGIN) as log:
        for number in range(11):
            log.append(entry(number))
        export(log.reader, Wanted(Filter(app="app1")), package.with_name("foreign"), created=CREATED)
    return package.with_name("foreign")


def forged(package: Path, made: Made) -> Path:
    """A checkpoint that states another root, signed with the log's key."""
    (package / "checkpoint").write_text(key_of(made).checkpoint(11, bytes(32)))
    signed_again(package, key_of(made))
    return package


def cut(package: Path) -> Path:
    packed = zipped(package, package.with_name("cut.zip"))
    packed.write_bytes(packed.read_bytes()[:-500])
    return packed


def slipping(package: Path) -> Path:
    return zipped(package, package.with_name("slip.zip"), change=lambda archive: archive.writestr("../../evil", "x"))


def bombs(package: Path) -> Path:
    packed = package.with_name("bomb.zip")
    packed.write_bytes(bomb("manifest.json", 64 << 20))
    return packed


def unfolding(package: Path) -> Path:
    removed(package, "records.jsonl")
    packed = zipped(package, package.with_name("unfolding.zip"))
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("records.jsonl", "w") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    return packed


TAMPERED = {
    "a record's byte": (lambda p, m: edited(p, "records.jsonl", b"deny", b"denY"), ["records.jsonl:1", "record 1"]),
    "a leaf hash's byte": (lambda p, m: flipped(p, "leaves.bin"), ["leaves.bin"]),
    "a tile hash's byte in the proof": (lambda p, m: flipped(p, "proof.bin"), ["proof.bin"]),
    "a removed policy bundle": (lambda p, m: removed(p, POLICY), [POLICY]),
    "a removed entry bundle": (lambda p, m: removed(p, "records.jsonl"), ["records.jsonl"]),
    "an edited size": (lambda p, m: edited(p, "checkpoint", b"\n11\n", b"\n12\n"), ["checkpoint"]),
    "a stripped cosignature": (lambda p, m: stripped(p, m, signed=False), ["cosigned", "witness.example"]),
    "one stripped by the key's holder": (lambda p, m: stripped(p, m, signed=True), ["cosigned", "witness.example"]),
    "a rewritten history": (rewritten, ["does not continue", "rewritten"]),
    "swapped records": (lambda p, m: swapped(p), ["records.jsonl:2", "out of order"]),
    "another log's export": (of_another_log, ["manifest.json", "not by the key you trust"]),
    "a forged checkpoint": (forged, ["not in the log of checkpoint"]),
    "a truncated zip": (lambda p, m: cut(p), ["cut.zip"]),
    "a zip that leads out": (lambda p, m: slipping(p), ["leads out of the package"]),
    "a zip bomb": (lambda p, m: bombs(p), ["manifest.json: larger than"]),
    "a record file that unfolds": (lambda p, m: unfolding(p), ["records.jsonl"]),
}


def test_as_it_was_made_both_accept_it(made):
    for done in both(made, made.package):
        assert done.returncode == 0, done.stderr
        assert "It continues the checkpoint that you kept" in done.stdout
        assert "Cosigned by 1 witnesses" in done.stdout
        assert not done.stderr


@pytest.mark.parametrize("tampered", TAMPERED)
def test_both_verifiers_refuse_and_name(made, tmp_path, tampered):
    change, words = TAMPERED[tampered]
    package = change(copied(made.package, tmp_path / "package"), made)
    before = sorted(tmp_path.rglob("*"))
    said = both(made, package)
    for done in said:
        assert (done.returncode, done.stdout) == (1, ""), done.stdout + done.stderr
        assert done.stderr.startswith("NOT VERIFIED: ")
        assert "Traceback" not in done.stderr
        for word in words:
            assert word in done.stderr
    assert said[0].stderr == said[1].stderr
    assert sorted(tmp_path.rglob("*")) == before


SLOW = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def changed(data: st.DataObject, raw: bytes) -> bytes:
    """Cut, lengthened, a piece taken out or said twice, or a bit turned."""
    how = data.draw(st.sampled_from(["cut", "longer", "without", "twice", "bit"]))
    at, end = sorted((data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, len(raw)))))
    if how == "cut":
        return raw[:at]
    if how == "longer":
        return raw + data.draw(st.binary(min_size=1, max_size=40))
    if how == "without":
        return raw[:at] + raw[end:]
    if how == "twice":
        return raw[:end] + raw[at:end] + raw[end:]
    at = min(at, len(raw) - 1)
    return raw[:at] + bytes([raw[at] ^ 1 << data.draw(st.integers(0, 7))]) + raw[at + 1 :]


@SLOW
@given(data=st.data())
def test_no_change_of_any_file_passes_or_crashes(made, tmp_path_factory, data):
    folder = copied(made.package, tmp_path_factory.mktemp("fuzz") / "package")
    path = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    raw = path.read_bytes()
    bent = changed(data, raw)
    path.write_bytes(bent)
    code, said = verified(folder, *trusting(made))
    shutil.rmtree(folder)
    if bent == raw:
        assert code == 0
    else:
        assert (code, said.startswith("NOT VERIFIED: ")) == (1, True)


@SLOW
@given(data=st.data())
def test_a_changed_zip_passes_only_where_every_file_in_it_is_as_it_was(made, tmp_path_factory, data):
    """A zip holds times, attributes and padding that are no part of any file."""
    folder = tmp_path_factory.mktemp("fuzz")
    packed = zipped(made.package, folder / "p.zip")
    packed.write_bytes(changed(data, packed.read_bytes()))
    code, said = verified(packed, *trusting(made))
    if code == 0:
        with zipfile.ZipFile(packed) as archive:
            named = set(json.loads(archive.read("manifest.json"))["files"]) | {"manifest.json", "manifest.note"}
            assert all(archive.read(name) == (made.package / name).read_bytes() for name in named)
    else:
        assert (code, said.startswith("NOT VERIFIED: ")) == (1, True)
    shutil.rmtree(folder)
