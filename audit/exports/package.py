"""Writing an export: records, one proof for all of them, openings, a checkpoint, views, and a manifest that is signed.

Everything streams, so a large export needs little memory. It is made in a folder beside its place and moved there whole;
what was interrupted is found in that folder and goes on where it stopped when the same export is asked for again. Before
it is signed, the root is computed from what was written: an export that would not verify is never signed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import AuditError, BadQuestion
from audit.exports.core import FILES, PROGRESS, Core, digest_of
from audit.exports.standalone import standalone
from audit.exports.views import VIEWS, Context
from audit.notes import parse_checkpoint, parse_verifier_key, signed
from audit.packages import CHECKPOINT, COSIGNED, FORMAT, KEYS, MANIFEST, MANIFEST_NOTE, PRUNED, manifest_text
from audit.proving import continued
from audit.pruned import statement_lines, statements

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from audit.exports.core import Written
    from audit.reader import LogReader
    from audit.store import Filter

FORMATS = tuple(VIEWS)
_STATE = "unfinished.json"
# An erasure while an export is written makes it begin anew.
_MOST_BEGINNINGS = 10
_README = """This is an export of an audit log.

  manifest.json   what was asked for, how many records, digests of the files; signed in manifest.note
  checkpoint      the log's signed statement of its size and root
  cosigned        the newest one that witnesses cosigned, if the log has any
  keys.jsonl      the steps from each of the log's keys to the next, if it was changed, signed by both
  pruned.jsonl    where older records are no longer kept, the log's own records that say so, with their proofs
  records.jsonl   the records, each line byte for byte as it stands in the log
  openings.jsonl  values and salts of their sealed members, as far as they may be read
  leaves.bin      each record's place in the log (8 bytes) and leaf hash (32 bytes)
  proof.bin       the hashes of everything between them: with the records they lead to the root
  verify.py       checks all of this with Python 3.11 and nothing else
  policy-*.json   the policies and data that decided, by revision, if they were asked for
  all others      views of the same records in the formats that were asked for

Check it with a verify.py that you have from somewhere you trust, and the key you were given:

  python verify.py THIS_EXPORT --key 'THE KEY YOU WERE GIVEN'
  python verify.py THIS_EXPORT --key … --pinned A_CHECKPOINT_YOU_KEPT
  python verify.py THIS_EXPORT --key … --decision A_DECISION_ID
"""


class Wanted(NamedTuple):
    """What is asked for."""

    filter: Filter
    formats: Sequence[str] = ()
    fields: Sequence[str] | None = None
    """Sealed members whose openings may leave; None for all."""
    pinned: Sequence[str] = ()
    """Checkpoints that somebody kept: the proof shows that the log continues them."""
    cosigned: str = ""
    """The newest checkpoint that witnesses cosigned, with their lines; empty where there are none."""


class Exported(NamedTuple):
    """What was written."""

    path: Path
    records: int
    size: int
    """Records in the log at the export's checkpoint."""


class Doing(NamedTuple):
    """How whoever waits is kept informed, and what only the caller can add."""

    progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None
    """(stage, done, of how many)."""
    beside: Callable[[set[str]], Mapping[str, bytes]] = lambda _revisions: {}
    """More files, made from the policy revisions that the records name."""
    controls: Mapping[str, Sequence[str]] = {}
    """Rule id to the controls it serves, for the views that speak of controls."""


def export(log: LogReader, wanted: Wanted, out: Path, *, created: str, doing: Doing = Doing()) -> Exported:  # noqa: B008
    """Write a package to the new folder (or .zip) `out`; raises AuditError when it exists, and what `check_wanted` raises."""
    check_wanted(log, wanted)
    if out.exists():
        raise BadQuestion(f"{out} exists already; name a new one")
    work = out.with_name(f".{out.name}.unfinished")
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _held(work):
        for _ in range(_MOST_BEGINNINGS):
            state = _state(log, wanted, work, created)
            files, written = _files(log, wanted, work, state, doing)
            if not log.took_away(log.size_of(state["checkpoint"])):
                break
        else:
            _clear(work)
            raise AuditError("again and again content was taken out of the log while it was exported; export again")
        _sign(log, work, _manifest(log, wanted, state, files, written))
        _put_in_place(work, out, doing)
    return Exported(out, written.records, parse_checkpoint(state["checkpoint"].partition("\n\n")[0] + "\n").size)


def check_wanted(log: LogReader, wanted: Wanted) -> None:
    """Raises BadQuestion or BadFilter for what is not one, LogRolledBack where the log does not continue a checkpoint.

    An export could not prove what was asked for then; whoever brings the checkpoint has to hear it now, not the auditor.
    """
    unknown = sorted(set(wanted.formats) - set(FORMATS))
    if unknown:
        raise BadQuestion(f"{unknown[0][:40]!r} is not one of {', '.join(FORMATS)}")
    log.search(wanted.filter._replace(text=""), limit=1)
    for text in wanted.pinned:
        continued(log, text)


@contextlib.contextmanager
def _held(work: Path) -> Iterator[None]:
    """Two processes that write one export would both spoil it."""
    descriptor = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise AuditError(f"{work}: another process writes this export") from error
    finally:
        os.close(descriptor)


def _state(log: LogReader, wanted: Wanted, work: Path, created: str) -> dict[str, Any]:
    """What an interrupted export had settled, or a new beginning. Another export in the same place is refused."""
    asked = json.loads(json.dumps([_said(wanted.filter), list(wanted.formats), wanted.fields, list(wanted.pinned)]))
    path = work / _STATE
    if path.exists() and log.took_away(log.size_of(json.loads(path.read_bytes())["checkpoint"])):
        _clear(work)  # what was written may hold what was erased since
    if path.exists():
        state: dict[str, Any] = json.loads(path.read_bytes())
        if state["asked"] != asked:
            raise BadQuestion(f"{work} holds another export that was interrupted; remove it, or name another place")
        _clear(work, but={*FILES, PROGRESS, _STATE})  # views are written anew, and half of one must not go along
        return state
    _clear(work)
    note = log.checkpoint()
    state = {"asked": asked, "checkpoint": note, "created": created, "stops": _stops(log, wanted, note)}
    state["cosigned"] = wanted.cosigned
    _write(path, json.dumps(state).encode())
    return state


def _clear(work: Path, *, but: Collection[str] = ()) -> None:
    for path in work.iterdir():
        if path.name not in but:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _stops(log: LogReader, wanted: Wanted, note: str) -> list[int]:
    """Sizes at which older checkpoints are to be comparable: those that were brought, and those of earlier exports."""
    size = log.size_of(note)
    brought = {log.size_of(text) for text in (*wanted.pinned, *filter(None, [wanted.cosigned]))}
    return sorted(stop for stop in brought | log.exported_sizes() if 0 < stop < size)


def _files(
    log: LogReader, wanted: Wanted, work: Path, state: dict[str, Any], doing: Doing
) -> tuple[dict[str, tuple[str, int]], Written]:
    """Every file by name with digest and length."""
    core = Core(log, work, state["checkpoint"], state["stops"])
    written = core.write(wanted.filter, wanted.fields, lambda done, of: doing.progress("records", done, of))
    files = dict(written.files)
    context = Context(
        log.verifier_key, state["created"], _said(wanted.filter), written.records, log.signing_key.sign, doing.controls
    )
    for name in dict.fromkeys(wanted.formats):
        view = VIEWS[name]
        doing.progress(f"{name} view", 0, written.records)
        view.write(core.rows, work / view.file, context)
        files[view.file] = digest_of(work / view.file)
    more = {CHECKPOINT: state["checkpoint"].encode(), "README.txt": _README.encode(), "verify.py": standalone()}
    if state["cosigned"]:
        more[COSIGNED] = state["cosigned"].encode()
    if rotations := log.rotations():
        more[KEYS] = b"".join(json.dumps(one).encode() + b"\n" for one in rotations)
    if written.pruned:
        more[PRUNED] = _said_of_pruned(log, written.pruned, log.size_of(state["checkpoint"]))
    for name, raw in {**more, **doing.beside(written.revisions)}.items():
        _write(work / name, raw)
        files[name] = digest_of(work / name)
    return files, written


def _said_of_pruned(log: LogReader, pruned: Mapping[str, int], size: int) -> bytes:
    leaves = (log.leaf(record["index"]) for record in log.custody("prune") if record["index"] < size)
    return statement_lines(statements(leaves, pruned), lambda index: log.proof(index, size))


def _manifest(
    log: LogReader, wanted: Wanted, state: dict[str, Any], files: dict[str, tuple[str, int]], written: Written
) -> bytes:
    body = {
        "format": FORMAT,
        "created": state["created"],
        "verifier_key": log.verifier_key,
        "filter": _said(wanted.filter),
        "openings": "all" if wanted.fields is None else list(wanted.fields),
        "records": written.records,
        "pruned": written.pruned,
        "stops": state["stops"],
        "files": {name: {"sha256": digest, "bytes": size} for name, (digest, size) in sorted(files.items())},
    }
    return json.dumps(body, indent=2).encode() + b"\n"


def _sign(log: LogReader, work: Path, manifest: bytes) -> None:
    key = parse_verifier_key(log.verifier_key)
    statement = manifest_text(key.name, manifest)
    _write(work / MANIFEST, manifest)
    _write(work / MANIFEST_NOTE, signed(statement, key, log.signing_key.sign(statement.encode())).encode())


def _put_in_place(work: Path, out: Path, doing: Doing) -> None:
    """Move the folder, or what it was packed into, to its place in one step."""
    if out.suffix != ".zip":
        (work / PROGRESS).unlink()
        (work / _STATE).unlink()
        work.rename(out)
        return
    import zipfile

    packed = work.with_suffix(".zip.new")
    names = sorted(path.name for path in work.iterdir() if path.name not in {PROGRESS, _STATE})
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, name in enumerate(names):
            doing.progress("packing", number, len(names))
            # These are packed already, or do not pack.
            is_dense = name.endswith((".bin", ".zst", ".parquet", ".xlsx", ".pdf"))
            archive.write(work / name, name, zipfile.ZIP_STORED if is_dense else None)
    with packed.open("rb") as file:
        os.fsync(file.fileno())
    packed.rename(out)
    shutil.rmtree(work)


def _said(wanted: Filter) -> dict[str, Any]:
    return {name: value for name, value in wanted._asdict().items() if value}


def _write(path: Path, raw: bytes) -> None:
    with path.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
