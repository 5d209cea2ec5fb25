"""`governance audit prove`: one record, or the growth since a checkpoint, in a text that anybody checks offline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from governance.documents.files import read_whole
from governance.entrypoints.cli.audit_custody import record_reading
from governance.errors import CallerError

if TYPE_CHECKING:
    import argparse

    from audit.reader import LogReader
    from governance.settings import Settings

# SQLite's and PostgreSQL's integers end at 19 digits.
_MOST_DIGITS = 18


def add_prove_options(parser: argparse.ArgumentParser) -> None:
    """What `prove` takes."""
    parser.add_argument("id", nargs="?", default="", help="that this record is in the log: its index or decision id")
    parser.add_argument(
        "--since", default="", metavar="FILE|SIZE", help="that the log only grew since a checkpoint that was kept"
    )
    parser.add_argument("--size", type=int, default=0, help="in the tree of so many records; left out: the newest")
    parser.add_argument("--out", default="", metavar="FILE", help="a new file; left out: standard output")


def prove(log: LogReader, options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    """Write the proof; who asked for it is on record before it is there."""
    from audit.proving import continued, prove_growth, prove_inclusion

    if bool(options.id) == bool(options.since):
        raise CallerError("one of a record's ID and --since is needed")
    if options.id:
        proof: Any = prove_inclusion(log, index_of(log, options.id), options.size)
        what = {"asked_for": f"proof of record {proof.at}", "records": 1}
    else:
        old = options.since
        size = int(old) if is_number(old) else continued(log, read_whole(old).decode("utf-8", "replace")).size
        proof = prove_growth(log, size, options.size)
        what = {"asked_for": f"proof that it grew from {size}", "records": 0}
    record_reading(settings, what)
    if not options.out:
        stdout.write(proof.text())
        return
    try:
        with open(options.out, "x", encoding="utf-8") as file:
            file.write(proof.text())
    except OSError as error:
        raise CallerError(f"cannot be written: {error.strerror}", where=options.out) from error
    pinned = " --pinned THE_CHECKPOINT" if options.since else ""
    stdout.write(f"{options.out}; verify: python -m audit.verify {options.out} --key KEY{pinned}\n")


def index_of(log: LogReader, wanted: str) -> int:
    """The index of a record that is named by it, or by its decision id; raises CallerError where there is none."""
    index = int(wanted) if is_number(wanted) else log.find(wanted)
    if index is None:
        raise CallerError(f"there is no record {wanted[:64]!r}", hint="`governance audit list` shows what there is")
    return index


def is_number(text: str) -> bool:
    """Whether a text is an index or a size."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
