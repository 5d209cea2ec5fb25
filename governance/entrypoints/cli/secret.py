"""`governance secret put|rotate|list`: credentials of connectors. A value is read from standard input and never printed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.broker_wiring import secrets_of
from governance.errors import CallerError
from governance.log_wiring import open_recorder
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.platform.broker.secrets import About
    from governance.settings import Settings


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Dispatch one verb; that a value was put or rotated is recorded, without the value."""
    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    store = secrets_of(settings)
    if options.verb == "list":
        _list(store.all(), options.format, stdout)
        return 0
    write = store.put if options.verb == "put" else store.rotate
    about = write(options.name, _value(stdin))
    _record(settings, options.verb, about)
    stdout.write(f"{about.name} version {about.version}\n")
    return 0


def _value(stdin: TextIO) -> str:
    if stdin.isatty():
        import getpass

        return getpass.getpass("value: ")
    value = stdin.readline().rstrip("\r\n")
    if not value or stdin.read(1):
        raise CallerError("one line with the value is needed", where="standard input")
    return value


def _record(settings: Settings, verb: str, about: About) -> None:
    from audit.record import Entry
    from governance.model.moment import new_decision_id, utc_now

    public = {
        "decision_id": new_decision_id(), "actor": f"os-uid:{os.getuid()}", "entry_point": "cli.secret", "effect": "",
        "app": "", "tenant": about.name.partition("/")[0], "rules": [], "secret": about.name, "version": about.version,
    }  # fmt: skip
    with open_recorder(settings) as recorder:
        recorder.append(Entry(f"secret_{verb}", utc_now(), public, {}))


def _list(rows: Sequence[About], form: str, stdout: TextIO) -> None:
    if form == "json":
        stdout.write(json.dumps([row._asdict() for row in rows], indent=2) + "\n")
        return
    stdout.writelines(f"{row.name:<40} version {row.version:<4} since {row.rotated}\n" for row in rows)


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance secret", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, words in (
        ("put", "store a new value from standard input"),
        ("rotate", "replace a value; the old one is gone"),
    ):
        command = verbs.add_parser(verb, help=words)
        command.add_argument("name", help="tenant/connector, such as marketing/hris")
    listing = verbs.add_parser("list", help="names, versions and ages; never a value")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    return parser
