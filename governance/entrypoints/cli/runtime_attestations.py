"""`governance runtime attestations`: what was started, as the log has it signed, and whether the signatures hold.

With `--file` and `--key` nothing but those two is needed: no home, no service. A line of `--format dsse` is one DSSE envelope
with an in-toto statement, which other tools verify as well.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from audit.canonical import canonical
from audit.envelopes import envelope, opened
from audit.errors import AuditError
from audit.notes import BadNote, VerifierKey, parse_verifier_key
from governance.documents.files import read_whole
from governance.entrypoints.cli.audit_custody import record_reading
from governance.errors import CallerError, DependencyError
from governance.settings import from_environment
from runtime_adapters.statement import PREDICATE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from audit.reader import LogReader


class _Start(NamedTuple):
    """One start: when, its envelope, and what is wrong with that."""

    where: str
    time: str
    envelope: Any
    statement: dict[str, Any]
    trouble: str


def run(options: argparse.Namespace, stdout: TextIO) -> int:
    """A row each, newest first; exit 1 where one is not signed, or not by a key that is trusted."""
    starts = list(_in_file(options) if options.file else _in_log(options))
    stdout.writelines(_told(start, options.format) + "\n" for start in starts)
    wrong = sum(bool(start.trouble) for start in starts)
    if options.format == "text":
        stdout.write(f"{len(starts)} starts: {len(starts) - wrong} signed, {wrong} not\n" if starts else "no starts\n")
    return 1 if wrong else 0


def _in_file(options: argparse.Namespace) -> Iterator[_Start]:
    if not options.key:
        raise CallerError("--file needs --key, the verifier key of the log (`governance audit key`)", where="--key")
    try:
        keys = [parse_verifier_key(key) for key in options.key]
    except BadNote as error:
        raise CallerError(str(error), where="--key") from error
    for number, line in enumerate(read_whole(options.file).splitlines(), 1):
        try:
            told = json.loads(line)
        except (ValueError, RecursionError):
            told = None
        yield _checked(f"{options.file}:{number}", "", told, keys)


def _in_log(options: argparse.Namespace) -> list[_Start]:
    from audit.rows import Filter
    from governance.log_wiring import open_reader

    settings = from_environment(os.environ)
    wanted = Filter(kind="runtime_started", app=options.app, tenant=options.tenant, since=options.since)
    try:
        log = open_reader(settings)
        found = [_of_record(log, index) for index in log.search(wanted, limit=options.limit)]
    except AuditError as error:
        raise DependencyError(f"{error.code}: {error}") from error
    # Who read, before what was read is shown: without that record there is no reading.
    record_reading(
        settings, {"app": wanted.app, "tenant": wanted.tenant, "records": len(found), "filter": wanted.said()}
    )
    return found


def _of_record(log: LogReader, index: int) -> _Start:
    record = log.record(index)
    public = record["public"]
    told = envelope(canonical(public.get("statement")), public.get("signatures", []))
    return _checked(str(index), str(record["time"]), told, log.keys())


def _checked(where: str, time: str, told: Any, keys: Sequence[VerifierKey]) -> _Start:
    try:
        statement = opened(told, keys)
    except BadNote as error:
        return _Start(where, time, told, {}, str(error))
    kind = statement.get("predicateType")
    return _Start(where, time, told, statement, "" if kind == PREDICATE else f"no start of an app: {str(kind)[:60]}")


def _told(start: _Start, form: str) -> str:
    if form == "dsse":
        return json.dumps(start.envelope, separators=(",", ":"))
    if form == "json":
        said = {"where": start.where, "time": start.time, "is_signed": not start.trouble, "trouble": start.trouble}
        return json.dumps({**said, "statement": start.statement}, ensure_ascii=False)
    if start.trouble:
        return f"{start.where:>8}  {start.time[:19]:<19}  NOT SIGNED: {start.trouble}"
    predicate = start.statement["predicate"]
    parts = " ".join(f"{part['name']}:{part['digest']['sha256'][:12]}" for part in start.statement["subject"])
    return (
        f"{start.where:>8}  {start.time[:19]:<19}  {predicate['tenant']}/{predicate['app']}  {predicate['boundary']} "
        f"{predicate['engine']}  {parts}  {predicate['decision_id']}"
    )
