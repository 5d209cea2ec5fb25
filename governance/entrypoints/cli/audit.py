"""`governance audit …`: read the log, export from it, verify an export."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError, DependencyError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from audit.reader import LogReader
    from audit.store import Filter


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb; exit 1 when a verification fails."""
    options = _parser().parse_args(argv)
    if options.verb == "verify":
        from governance.entrypoints.cli.audit_packages import verify

        return verify(options, stdout, stderr)
    from audit.errors import AuditError
    from governance.wiring import open_reader

    settings = from_environment(os.environ)
    try:
        log = open_reader(settings)
        if options.verb == "export":
            from governance.entrypoints.cli.audit_packages import export

            export(log, _filter(options), options, settings, stdout, stderr)
        else:
            _read(log, options, stdout)
    except AuditError as error:
        raise DependencyError(f"{error.code}: {error}") from error
    return 0


def _read(log: LogReader, options: argparse.Namespace, stdout: TextIO) -> None:
    if options.verb == "key":
        stdout.write(log.verifier_key + "\n")
    elif options.verb == "checkpoint":
        stdout.write(log.checkpoint())
    elif options.verb == "check":
        stdout.write(f"{log.verify_self()} records, each as it was written\n")
    elif options.verb == "show":
        _show(log, options.id, stdout)
    else:
        _list(log, options, stdout)


def _show(log: LogReader, wanted: str, stdout: TextIO) -> None:
    index = int(wanted) if wanted.isdigit() else log.find(wanted)
    try:
        record = log.record(index if index is not None else -1)
    except KeyError as error:
        raise CallerError(
            f"there is no record {wanted!r}", hint="`governance audit list` shows what there is"
        ) from error
    stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _list(log: LogReader, options: argparse.Namespace, stdout: TextIO) -> None:
    for index in log.search(_filter(options), limit=options.limit):
        record = log.record(index)
        if options.format == "json":
            stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            stdout.write(_row(record) + "\n")


def _row(record: dict[str, Any]) -> str:
    public = record["public"]
    rules = " ".join(public.get("rules", []))
    place = f"{public.get('tenant', '') or '-'}/{public.get('app', '') or '-'}"
    return (
        f"{record['index']:>6}  {record['time'][:19]}Z  {record['kind']:<14} {public.get('effect', ''):<17}"
        f"{place:<28} {public.get('actor', ''):<18} {rules}"
    )


def _filter(options: argparse.Namespace) -> Filter:
    from audit.store import Filter

    names = ("app", "tenant", "actor", "kind", "effect", "rule", "since", "until")
    return Filter(**{name: getattr(options, name) for name in names})


def _parser() -> argparse.ArgumentParser:
    import argparse

    from governance.entrypoints.cli.audit_packages import add_export_options, add_verify_options

    parser = argparse.ArgumentParser("governance audit", description="The audit log under GOVERNANCE_HOME.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("key", help="the log's verifier key: give it to auditors")
    verbs.add_parser("checkpoint", help="the newest signed checkpoint")
    verbs.add_parser("check", help="hash every record again")
    show = verbs.add_parser("show", help="one record by index or decision id")
    show.add_argument("id")
    listing = verbs.add_parser("list", help="records, newest first")
    listing.add_argument("--limit", type=int, default=50)
    listing.add_argument("--format", choices=("text", "json"), default="text")
    exporting = verbs.add_parser("export", help="a package that verifies offline")
    add_export_options(exporting)
    for verb in (listing, exporting):
        for name in ("app", "tenant", "actor", "kind", "effect", "rule"):
            verb.add_argument(f"--{name}", default="")
        verb.add_argument("--since", default="", help="RFC 3339, included")
        verb.add_argument("--until", default="", help="RFC 3339, not included")
    add_verify_options(verbs.add_parser("verify", help="check an export; needs no server and no trust in it"))
    return parser
