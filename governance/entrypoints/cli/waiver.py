"""`governance waiver …`: waivers of the service in GOVERNANCE_HOME. Every change is a record before it counts."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.model.request import Json
    from governance.settings import Settings


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Dispatch one verb; exit 2 for a waiver that must not count."""
    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    if options.verb == "add":
        _add(options, settings, stdout)
    elif options.verb == "revoke":
        _revoke(options.name, settings, stdout)
    else:
        _list(options, settings, stdout)
    return 0


def _add(options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    from governance.entrypoints.cli.key import expiry
    from governance.log_wiring import state_of
    from governance.model.request import Source
    from governance.platform.waivers import WaiverStore, check_allowed, place_of, question_of
    from governance.wiring import about_waivers, active_of

    expires = expiry(options.expires)
    spec = {
        "rule": options.rule, "subject": options.subject, "owner": options.owner, "approver": options.approver,
        "reason": options.reason, "expires": expires, **({"ticket": options.ticket} if options.ticket else {}),
    }  # fmt: skip
    store = WaiverStore(state_of(settings))
    store.check(options.name, spec, active_of(settings).rules)
    store.check_free(options.name)
    with about_waivers(settings) as line:
        check_allowed(line.decide(question_of(options.name, spec, Source("cli.waiver", f"os-uid:{os.getuid()}"))))
    _record(settings, "waiver_added", options.name, spec, **place_of(options.name, spec))
    store.add(options.name, spec)
    stdout.write(f"{options.name}: {options.rule} is waived for {options.subject} until {expires}\n")


def _revoke(name: str, settings: Settings, stdout: TextIO) -> None:
    from governance.log_wiring import state_of
    from governance.platform.waivers import WaiverStore, place_of

    store = WaiverStore(state_of(settings))
    row = store.held(name)
    _record(settings, "waiver_revoked", name, row, **place_of(name, None))
    store.revoke(name)
    stdout.write(f"{name} is revoked; a running service goes by it within a second\n")


def _list(options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    from governance.log_wiring import state_of
    from governance.platform.waivers import listed

    folder = settings.text("waivers")
    if folder and not os.path.isdir(folder):
        raise CallerError("there is no such folder", where=folder, hint="GOVERNANCE_WAIVERS names it")
    rows = listed(state_of(settings), folder)
    if options.format == "json":
        stdout.write(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
        return
    for row in rows:
        about = row.get("problem") or f"{row['rule']} for {row['subject']} until {row['expires']}, owner {row['owner']}"
        stdout.write(f"{row['name']:<24} {row['state']:<10} {row['source']:<5} {about}\n")


def _record(settings: Settings, kind: str, name: str, spec: dict[str, Json], **more: Json) -> None:
    from governance.platform.waivers import public_of, sealed_of
    from governance.wiring import record_change

    actor = f"os-uid:{os.getuid()}"
    public = {
        **public_of(name, spec, author=str(spec.get("author", actor)), **more),
        "actor": actor,
        "entry_point": "cli.waiver",
    }
    record_change(settings, kind, public, sealed_of(spec))


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        "governance waiver",
        description="One rule, excused for one app or tenant until an instant. Over HTTP two people with keys of their own "
        "do it (POST /v1/waivers, then …/approval); here whoever may write GOVERNANCE_HOME names owner and approver. A file "
        "put into <home>/waivers or GOVERNANCE_WAIVERS counts once the service, or `governance decide`, has recorded it; "
        "`governance check`, which has no log, goes by the files.",
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    add = verbs.add_parser("add", help="put a waiver in force")
    add.add_argument("name", help="like moving-to-the-new-api")
    add.add_argument("--rule", required=True)
    add.add_argument("--subject", required=True, help="app:<name> or tenant:<name>")
    add.add_argument("--owner", required=True, help="who asked for it")
    add.add_argument("--approver", required=True, help="somebody else")
    add.add_argument("--reason", required=True)
    add.add_argument("--expires", required=True, help="2027-01-31T00:00:00Z, or a number of days: 30d")
    add.add_argument("--ticket", default="")
    listing = verbs.add_parser("list", help="every waiver: in force, expired, proposed")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    revoke = verbs.add_parser("revoke", help="end a waiver")
    revoke.add_argument("name")
    return parser
