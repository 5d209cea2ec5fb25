"""Writing an export: records with proofs and openings, a checkpoint, views, and a manifest that is signed."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import AuditError
from audit.exports.csv_view import CsvView
from audit.notes import opened, parse_checkpoint, parse_verifier_key, signed
from audit.verify import CHECKPOINT, FORMAT, MANIFEST, MANIFEST_NOTE, RECORDS, manifest_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from audit.reader import LogReader
    from audit.store import Filter

FORMATS = ("jsonl", "csv")
_README = """This folder is an export of an audit log.

  manifest.json   what was asked for, how many records, digests of the files; signed in manifest.note
  checkpoint      the log's signed statement of its size and root
  records.jsonl   each record as it stands in the log, its inclusion proof, and what may be read of it
  records.csv     the same as a table, if it was asked for

To check it you need Python and the audit package, no server and no trust in whoever sent it:

  python -m audit.verify THIS_FOLDER --key 'THE KEY YOU WERE GIVEN'
"""


class Exported(NamedTuple):
    """What was written."""

    path: Path
    records: int


def export(log: LogReader, wanted: Filter, out: Path, *, formats: Sequence[str], created: str) -> Exported:
    """Write a package to the new folder `out`; raises AuditError when it exists or a format is unknown.

    Records stream, so a large export needs little memory. Sealed fields whose key was erased are left out.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown:
        raise AuditError(f"{unknown[0]!r} is not one of {', '.join(FORMATS)}")
    try:
        out.mkdir(mode=0o700, parents=True)
    except FileExistsError as error:
        raise AuditError(f"{out} exists already; name a new folder") from error
    key = parse_verifier_key(log.verifier_key)
    note = log.checkpoint()
    size = parse_checkpoint(opened(note, key)).size
    digests, count = _write_records(log, wanted, out, size, with_csv="csv" in formats)
    for name, text in ((CHECKPOINT, note), ("README.txt", _README)):
        digests[name] = _write(out / name, text.encode())
    manifest = _manifest(log, wanted, created, digests, count)
    statement = manifest_text(key.name, manifest)
    _write(out / MANIFEST, manifest)
    _write(out / MANIFEST_NOTE, signed(statement, key, log.signing_key.sign(statement.encode())).encode())
    return Exported(out, count)


def _write_records(
    log: LogReader, wanted: Filter, out: Path, size: int, *, with_csv: bool
) -> tuple[dict[str, str], int]:
    digest, count = hashlib.sha256(), 0
    view = CsvView(out / "records.csv") if with_csv else None
    with (out / RECORDS).open("wb") as file:
        for index in log.search(wanted, newest_first=False):
            if index >= size:
                break
            leaf, openings = log.leaf(index), log.openings(index)
            line = _line(index, leaf, [base64.b64encode(p).decode() for p in log.proof(index, size)], openings)
            file.write(line)
            digest.update(line)
            count += 1
            if view is not None:
                view.add(json.loads(leaf), openings)
        file.flush()
        os.fsync(file.fileno())
    digests = {RECORDS: digest.hexdigest()}
    if view is not None:
        digests["records.csv"] = view.close()
    return digests, count


def _line(index: int, leaf: bytes, proof: list[str], openings: dict[str, Any]) -> bytes:
    row: dict[str, Any] = {"index": index, "leaf": leaf.decode("utf-8", "surrogatepass"), "proof": proof}
    if openings:
        row["openings"] = openings
    return json.dumps(row, separators=(",", ":")).encode() + b"\n"


def _manifest(log: LogReader, wanted: Filter, created: str, digests: dict[str, str], count: int) -> bytes:
    body = {
        "format": FORMAT,
        "created": created,
        "verifier_key": log.verifier_key,
        "filter": {name: value for name, value in wanted._asdict().items() if value},
        "records": count,
        "sha256": digests,
    }
    return json.dumps(body, indent=2).encode() + b"\n"


def _write(path: Path, raw: bytes) -> str:
    """Returns the SHA-256, hex."""
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    return hashlib.sha256(raw).hexdigest()
