"""`governance key …`: API keys for programs. The full text of a key is shown once and kept nowhere."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.platform.keys import Key
    from governance.settings import Settings

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DAYS = re.compile(r"(\d{1,4})d")


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Dispatch one verb; creating and revoking are recorded in the audit log."""
    from governance.log_wiring import state_of
    from governance.platform.keys import KeyStore

    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    store = KeyStore(state_of(settings))
    if options.verb == "create":
        expires = expiry(options.expires)
        text = created(settings, options.role, options.tenant, expires, options.team, options.person)
        stdout.write(f"{text}\n")
    elif options.verb == "revoke":
        _record(settings, "key_revoked", store.revoke(options.id))
        stdout.write(f"{options.id} is revoked; a running service refuses it within a second\n")
    else:
        _list(store.all(), options.format, stdout)
    return 0


def created(
    settings: Settings, role: str, tenant: str = "", expires: str = "", team: str = "", person: str = ""
) -> str:
    """A new key's full text; that it was made is on record."""
    from governance.log_wiring import state_of
    from governance.platform.keys import KeyStore

    key, text = KeyStore(state_of(settings)).create(role, tenant, expires, team, person)
    _record(settings, "key_created", key)
    return text


def expiry(text: str) -> str:
    """RFC 3339 in UTC from `YYYY-MM-DDThh:mm:ssZ` or `30d`; empty stays empty. Raises CallerError."""
    from datetime import datetime, timedelta

    days = _DAYS.fullmatch(text)
    if days is not None:
        moment = datetime.now(UTC) + timedelta(days=int(days[1]))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    if not text:
        return ""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        text = ""
    if not _MOMENT.fullmatch(text):
        raise CallerError("no such moment", where="--expires", hint="2027-01-31T00:00:00Z, or a number of days: 30d")
    return f"{text[:-1]}.000000Z"


def _record(settings: Settings, kind: str, key: Key) -> None:
    from audit.record import Entry
    from governance.log_wiring import open_recorder
    from governance.model.moment import new_decision_id, utc_now

    public = {
        "decision_id": new_decision_id(), "actor": f"os-uid:{os.getuid()}", "entry_point": "cli.key", "effect": "",
        "app": "", "tenant": key.tenant, "rules": [], "key": key.id, "role": key.role, "expires": key.expires,
        "team": key.team,
    }  # fmt: skip
    with open_recorder(settings) as recorder:
        recorder.append(Entry(kind, utc_now(), public, {"person": key.person} if key.person else {}, key.person))


def _list(keys: Sequence[Key], form: str, stdout: TextIO) -> None:
    shown = [{name: value for name, value in key._asdict().items() if name != "digest"} for key in keys]
    if form == "json":
        stdout.write(json.dumps(shown, indent=2) + "\n")
        return
    for key in keys:
        state = f"revoked {key.revoked}" if key.revoked else f"until {key.expires}" if key.expires else "no end"
        speaks = f"  for {key.team}" if key.team else ""
        speaks += f"  of {key.person}" if key.person else ""
        whose = key.tenant or "(any tenant)"
        stdout.write(f"{key.id}  {key.role:<11} {whose:<20} since {key.created}  {state}{speaks}\n")


def _parser() -> argparse.ArgumentParser:
    import argparse

    from governance.platform.keys import ROLES

    parser = argparse.ArgumentParser("governance key", description="API keys of the service in GOVERNANCE_HOME.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", help="make a key; its text is printed once")
    create.add_argument("--role", required=True, choices=ROLES)
    create.add_argument("--tenant", default="", help="the only tenant it may ask for; left out: any")
    create.add_argument("--expires", default="", help="2027-01-31T00:00:00Z, or a number of days: 30d; left out: never")
    create.add_argument("--team", default="", help="the owner it speaks for, as connectors name theirs: collaboration")
    create.add_argument(
        "--person",
        default="",
        help="whose it is, as your directory names people: ana.k; without one it approves no connector, "
        "for two keys may be one person's",
    )
    listing = verbs.add_parser("list", help="every key, without its secret")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    revoke = verbs.add_parser("revoke", help="a key stops within a second")
    revoke.add_argument("id", help="the part after gk_")
    return parser
