"""`governance audit hold|erase|prune|rotate-key`: what may become of records. Each of them is a record."""

from __future__ import annotations

import json
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from audit.record import Entry
    from governance.settings import Settings

    Act = Callable[[str, dict[str, Any]], dict[str, Any]]

VERBS = frozenset({"hold", "erase", "prune", "rotate-key"})
_SCOPE = ("app", "tenant", "actor", "kind", "connector", "subject", "since", "until")


def add_verbs(verbs: Any) -> None:
    """Add the verbs of this module to a parser's."""
    hold = verbs.add_parser("hold", help="add, list, release a legal hold").add_subparsers(dest="step", required=True)
    adding = hold.add_parser("add", help="nothing that it covers is pruned or erased")
    for name in _SCOPE:
        adding.add_argument(f"--{name}", default="")
    adding.add_argument("--reason", required=True)
    adding.add_argument("--owner", required=True, help="who answers for it")
    hold.add_parser("list", help="holds in force")
    releasing = hold.add_parser("release")
    releasing.add_argument("hold")
    releasing.add_argument("--reason", required=True)
    erase = verbs.add_parser("erase", help="end a person's consents and waiting events, and destroy their key")
    erase.add_argument("subject")
    erase.add_argument("--reason", required=True, help="stays in the log: a request's number, not a name")
    erase.add_argument("--out", default="", metavar="FILE", help="the certificate; empty: standard output")
    prune = verbs.add_parser("prune", help="end what its retention class says (GOVERNANCE_RETENTION)")
    prune.add_argument("--dry-run", action="store_true", help="only say how much")
    rotate = verbs.add_parser("rotate-key", help="a new signing key; both sign until --finish")
    rotate.add_argument("--finish", action="store_true", help="let the old key go: auditors have the new one")
    rotate.add_argument(
        "--without-witnesses", action="store_true", help="also where one of them does not know the new key yet"
    )


def carry_out(options: argparse.Namespace, settings: Settings, stdout: TextIO, stderr: TextIO) -> None:
    """Carry out one verb; raises AuditError where the log refuses."""
    from governance.log_wiring import open_custody, open_reader

    if options.verb == "hold" and options.step == "list":
        _list_holds(settings, stdout)
        return
    open_reader(settings).close()  # a home without a log is a typo, and no place to make one
    if options.verb == "erase":
        _erase(options, settings, stdout, stderr)
        stderr.write(_withdraw(settings))
        return
    with open_custody(settings) as act:
        if options.verb == "hold":
            _hold(act, options, stdout)
        elif options.verb == "prune":
            _prune(act, options, settings, stdout)
            if not options.dry_run:
                stderr.write(_withdraw(settings))
        else:
            _rotate(act, options, settings, stdout)


def record_reading(settings: Settings, what: dict[str, Any], private: dict[str, Any] | None = None) -> None:
    """Who read the log at a terminal, and what they looked for; `private` (about a person) is sealed under their key."""
    from audit.record import Entry
    from governance.log_wiring import open_recorder

    asked = _asked("")
    public = {**asked["public"], "app": "", "tenant": "", **what}
    private = private or {}
    with open_recorder(settings) as recorder:
        recorder.append(Entry("audit_read", asked["time"], public, private, str(private.get("subject", ""))))


def _asked(reason: str) -> dict[str, Any]:
    from governance.model.moment import new_decision_id, utc_now

    public = {
        "decision_id": new_decision_id(), "app": "", "tenant": "", "actor": f"os:{os.getuid()}",
        "entry_point": "cli.audit", "effect": "allow", "rules": [],
    }  # fmt: skip
    return {"time": utc_now(), "public": public, "reason": reason}


def _hold(act: Act, options: argparse.Namespace, stdout: TextIO) -> None:
    if options.step == "release":
        done = act("release", {**_asked(options.reason), "hold": options.hold})
        stdout.write(f"hold {done['hold']} is released (record {done['record']})\n")
        return
    scope = {name: getattr(options, name) for name in _SCOPE if getattr(options, name)}
    done = act("hold", {**_asked(options.reason), "owner": options.owner, "scope": scope})
    stdout.write(f"hold {done['hold']} is in force (record {done['record']})\n")


def _list_holds(settings: Settings, stdout: TextIO) -> None:
    from governance.log_wiring import open_reader

    holds: dict[str, dict[str, Any]] = {}
    for record in open_reader(settings).custody("hold"):
        if record["public"]["change"] == "add":
            holds[record["public"]["hold"]] = record
        else:
            holds.pop(record["public"]["hold"], None)
    record_reading(settings, {"asked_for": "holds", "records": len(holds)})
    for hold, record in holds.items():
        said = record["opened"]
        scope = " ".join(f"{name}={value}" for name, value in said.get("scope", {}).items())
        stdout.write(
            f"{hold}  {record['time'][:10]}  {said.get('owner', '?'):<16} {scope}  ({said.get('reason', '?')})\n"
        )


def _erase(options: argparse.Namespace, settings: Settings, stdout: TextIO, stderr: TextIO) -> None:
    """Beside the log first: its certificate, which comes last, is only given where all of that has gone."""
    from governance.erasure_wiring import opened_beside, said_of
    from governance.log_wiring import open_custody, open_recorder
    from governance.platform.erasure import erase, look

    asked = {**_asked(options.reason), "subject": options.subject}
    if not options.subject.strip():
        raise CallerError("an erasure names a subject")
    with opened_beside(settings) as parts:
        found = look(parts, options.subject)
        with open_custody(settings) as act:
            act("erase", {**asked, "dry_run": True, "touches": {"app": found.apps, "tenant": found.tenants}})
        with open_recorder(settings) as recorder:
            gone = erase(parts, options.subject, asked["public"]["actor"], found, recorder.append)
    if gone.consents or gone.events:
        stderr.write(
            f"{gone.consents} consents, and {gone.events} events with {gone.deliveries} deliveries, are gone\n"
        )
    with open_custody(settings) as act:
        done = act("erase", {**asked, **said_of(settings, gone)})
    if options.out:
        with open(options.out, "x", encoding="utf-8") as file:
            file.write(done["certificate"])
    else:
        stdout.write(done["certificate"])
    stderr.write(f"{done['records']} records can no longer be read; keep the certificate, it is kept nowhere else\n")


def _withdraw(settings: Settings) -> str:
    """What this home kept of it beside the log goes too; other replicas' services look after their own."""
    from governance.log_wiring import open_reader, open_recorder
    from governance.platform.withdrawals import Withdrawals

    def record(entry: Entry) -> None:
        with open_recorder(settings) as recorder:
            recorder.append(entry)

    reader = open_reader(settings)
    try:
        count = Withdrawals(settings.home, reader, record).step()
    finally:
        reader.close()
    return f"{count} exports that were kept here held something of it, and are gone\n" if count else ""


def _prune(act: Act, options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    retention = _retention(settings)
    records = minimum = held = 0
    while True:
        done = act("prune", {**_asked("retention"), "retention": retention, "dry_run": options.dry_run})
        records, minimum, held = records + done["records"], max(minimum, done["minimum"]), done["held"]
        if options.dry_run or not done["more"]:
            break
    verb = "would go" if options.dry_run else "went"
    begins = f"; the log's leaves begin at {minimum}" if minimum else ""
    stdout.write(f"the content of {records} records {verb}, {held} are held back{begins}\n")


def _retention(settings: Settings) -> Any:
    import yaml

    path = settings.text("retention")
    if not path:
        raise CallerError(
            "no retention classes are set", where="GOVERNANCE_RETENTION", hint="audit/README.md has an example"
        )
    try:
        with open(path, encoding="utf-8") as file:
            return json.loads(json.dumps(yaml.safe_load(file)))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise CallerError(f"cannot be read: {error}", where=path) from error


def _rotate(act: Act, options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    if options.finish:
        from governance.events_wiring import wrap_outboxes
        from governance.log_wiring import open_reader, state_of
        from governance.platform.witnesses import refuse_strangers

        if not options.without_witnesses:
            with closing(open_reader(settings)) as reader:
                refuse_strangers(settings, reader)
        # Who reads the replicas' state wraps it for the new key; without that the old key would take it along.
        state_of(settings).stamp("keys.json", newest=True)
        wrap_outboxes(settings, is_alone=False)
        done = act("finish_rotation", _asked(""))
        stdout.write(f"only this key signs now:\n{done['new_key']}\n")
        wrap_outboxes(settings, is_alone=True)
        return
    done = act("rotate_key", _asked(""))
    stdout.write(f"both keys sign until `rotate-key --finish`. Give auditors the new one:\n{done['new_key']}\n")
