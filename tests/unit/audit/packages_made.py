"""A log and exports of it, for whoever takes packages apart."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

from audit.exports.package import Wanted, export
from audit.keys import SigningKey
from audit.log import AuditLog
from audit.notes import COSIGNATURE, signature_line, verifier_key
from audit.record import Entry
from audit.store import Filter
from audit.verify import main

ORIGIN = "log.example/audit"
CREATED = "2026-03-02T00:00:00Z"


def entry(number: int, *, app: str = "", effect: str = "deny") -> Entry:
    public = {
        "decision_id": f"d{number}", "app": app or f"app{number % 2}", "effect": effect, "rules": ["CONN-001"],
        "actor": "=cmd", "revision": "sha256:ab",
    }  # fmt: skip
    answer = {"reason": f"=no {number}", "violations": [], "waivers": []}
    # What the input holds looks like the next sealed member: finding members by their look alone would be fooled.
    tricky = {"x": {"a": 1}, "answer": {"salt": "0" * 32, "value": number}}
    return Entry("deploy", f"2026-03-01T10:00:{number % 60:02d}Z", public, {"input": tricky, "answer": answer}, "s")


class Made(NamedTuple):
    """What a module's tests share."""

    folder: Path
    package: Path
    """Of app1, with CSV and JSON lines."""
    whole: Path
    """Of everything."""
    key: str
    older: str
    """A checkpoint of the log's first records, as somebody kept it."""


def make(folder: Path, *, count: int = 11) -> Made:
    with AuditLog(folder / "home", origin=ORIGIN) as log:
        for number in range(count):
            log.append(entry(number))
            if number == count // 2:
                older = log.reader.checkpoint()
        for name, app in (("package", "app1"), ("whole", "")):
            wanted = Wanted(Filter(app=app), ["jsonl", "csv"], pinned=[older])
            export(log.reader, wanted, folder / name, created=CREATED)
        key = log.reader.verifier_key
    return Made(folder, folder / "package", folder / "whole", key, older)


def verified(package: Path, *more: str) -> tuple[int, str]:
    """(exit code, everything that was said), in this process."""
    said: list[str] = []
    code = main([str(package), *more], said.append, said.append)
    return code, "".join(said)


def refused(package: Path, *words: str, more: tuple[str, ...] = ()) -> str:
    """Asserts that the verifier says no with exit code 1 and names what is wrong; gives what it said."""
    code, said = verified(package, *more)
    assert code == 1, said
    assert said.startswith("NOT VERIFIED: ")
    for word in words:
        assert word in said
    return said


def signed_again(package: Path, key: SigningKey, **changes) -> None:
    """What somebody who holds a key can do: change the manifest and sign it."""
    from audit.exports.core import digest_of
    from audit.notes import signed
    from audit.packages import manifest_text

    manifest = json.loads((package / "manifest.json").read_text())
    for name in manifest["files"]:
        digest, size = digest_of(package / name)
        manifest["files"][name] = {"sha256": digest, "bytes": size}
    raw = json.dumps({**manifest, "verifier_key": str(key.verifier), **changes}).encode()
    statement = manifest_text(key.verifier.name, raw)
    (package / "manifest.json").write_bytes(raw)
    (package / "manifest.note").write_text(signed(statement, key.verifier, key.sign(statement.encode())))


def zipped(package: Path, path: Path, *, prefix: str = "", change=None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.iterdir()):
            archive.writestr(prefix + file.name, file.read_bytes())
        if change is not None:
            change(archive)
    return path


def copied(package: Path, to: Path) -> Path:
    shutil.copytree(package, to)
    return to


def bomb(name: str, size: int) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return raw.getvalue()


def witness_key(name: str, public: bytes) -> str:
    return str(verifier_key(name, public, COSIGNATURE))


def cosignature_line(name: str, public: bytes, seconds: int, signature: bytes) -> str:
    return signature_line(verifier_key(name, public, COSIGNATURE), seconds.to_bytes(8, "big") + signature)
