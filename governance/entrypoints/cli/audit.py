"""`governance audit …`: read the log, ask it, prove and export from it, verify. Reading is itself a record."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TextIO

from governance.entrypoints.cli import audit_custody as custody
from governance.entrypoints.cli.audit_proofs import add_prove_options, index_of, prove
from governance.errors import CallerError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from audit.reader import LogReader
    from audit.store import Filter
    from governance.settings import Settings


_FILTERS = {
    "app": "", "tenant": "", "actor": "who asked, such as key:0a1b2c", "kind": "", "effect": "", "rule": "rule id",
    "connector": "connector's name", "trace_id": "W3C trace id", "subject": "whose data it holds",
    "text": "stands in what may be read of the record; opens one after the other",
}  # fmt: skip


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb; exit 1 when a verification fails, or a hold stands against what was asked."""
    options = _parser().parse_args(argv)
    if options.verb == "verify":
        from governance.entrypoints.cli.audit_packages import verify

        return verify(options, stdout, stderr)
    from audit.errors import AuditError, HeldBack, LogRolledBack, LogTorn
    from governance.log_wiring import open_reader, refusal_of

    settings = from_environment(os.environ)
    if getattr(options, "control", ""):
        options.rules = _rules_of(options.control, settings)
    try:
        if options.verb in custody.VERBS:
            custody.carry_out(options, settings, stdout, stderr)
            return 0
        if options.verb == "migrate":
            _migrate(options.to, settings, stdout)
            return 0
        log = open_reader(settings)
        if options.verb == "export":
            from governance.entrypoints.cli.audit_packages import export

            export(log, _filter(options), options, settings, stdout, stderr)
        else:
            _read(log, options, settings, stdout)
    except AuditError as error:
        if isinstance(error, HeldBack) or (options.verb == "check" and isinstance(error, LogTorn | LogRolledBack)):
            stderr.write(f"governance: {error.code}: {error}\n")  # what was asked has an answer, and it is no
            return 1
        raise refusal_of(error) from error
    return 0


def _read(log: LogReader, options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    if options.verb == "key":
        stdout.write(log.verifier_key + "\n")
    elif options.verb == "checkpoint":
        stdout.write(log.checkpoint())
    elif options.verb == "check":
        stdout.write(f"{log.verify_self()} records, each as it was written\n")
    elif options.verb == "witness":
        _witness(log, settings, stdout)
    elif options.verb == "prove":
        prove(log, options, settings, stdout)
    elif options.verb == "show":
        _show(log, options.id, settings, stdout)
    elif options.verb == "ask":
        _ask(log, options, settings, stdout)
    else:
        _list(log, options, settings, stdout)


def _witness(log: LogReader, settings: Settings, stdout: TextIO) -> None:
    """What the witnesses said last, and how far the cosigned checkpoint is behind."""
    from datetime import UTC, datetime

    from audit.witnessing import STATE

    try:
        state = json.loads((settings.home / "audit" / STATE).read_text("utf-8"))
    except FileNotFoundError:
        stdout.write("no witness is named, or no service ran since (GOVERNANCE_WITNESSES)\n")
        return
    for name, said in sorted(state["witnesses"].items()):
        when = datetime.fromtimestamp(said["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if "time" in said else "never"
        trouble = f"; now: {said['error']}" if said["error"] else ""
        stdout.write(f"{name}  {said['url']}  cosigned {said.get('size', 0)} at {when}{trouble}\n")
    cosigned = log.cosigned()
    behind = f"cosigned by enough: {log.size_of(cosigned)}" if cosigned else "no checkpoint was cosigned by enough"
    stdout.write(f"{behind} of {log.size()} records; {state['needed']} witnesses are needed\n")


def _show(log: LogReader, wanted: str, settings: Settings, stdout: TextIO) -> None:
    try:
        record = log.record(index_of(log, wanted))
    except KeyError as error:
        raise CallerError(
            f"there is no record {wanted[:64]!r}", hint="`governance audit list` shows what there is"
        ) from error
    custody.record_reading(settings, {"asked_for": wanted[:64], "records": 1})
    stdout.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _ask(log: LogReader, options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    from audit.questions import data_of, who_allowed

    what: dict[str, Any] = {"asked_for": options.question, "app": getattr(options, "app", "")}
    answer: Any
    if options.question == "data-of":
        answer = data_of(log, options.subject)
        custody.record_reading(settings, {**what, "records": answer["records"]}, {"subject": options.subject})
    else:
        if bool(options.id) == bool(options.app):
            raise CallerError("one of a decision's ID and --app is needed")
        answer = who_allowed(log, decision_id=options.id, app=options.app)
        custody.record_reading(
            settings, {**what, "asked_for": f"who-allowed {options.id[:64]}", "records": len(answer)}
        )
    stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")


def _list(log: LogReader, options: argparse.Namespace, settings: Settings, stdout: TextIO) -> None:
    wanted = _filter(options)
    indexes: list[int] = []
    before = options.before
    while len(indexes) < options.limit:
        page = log.page(wanted._replace(before=before), options.limit - len(indexes))
        indexes += page.indexes
        if page.next is None:
            before = 0
            break
        before = page.next
    records = [log.record(index) for index in indexes]
    private = {name: value for name, value in wanted.said().items() if name in {"subject", "text"}}
    what = {"app": wanted.app, "tenant": wanted.tenant, "records": len(records)}
    # Who read, before what was read is shown: without that record there is no reading.
    custody.record_reading(settings, {**what, "filter": {**wanted.said(), **dict.fromkeys(private, "given")}}, private)
    for record in records:
        line = json.dumps(record, ensure_ascii=False) if options.format == "json" else _row(record)
        stdout.write(line + "\n")
    if before and options.format == "text":
        stdout.write(f"more: --before {before}\n")


def _rules_of(control: str, settings: Settings) -> tuple[str, ...]:
    from governance.policy.metadata import rules_of_control
    from governance.wiring import active_of

    return rules_of_control(active_of(settings).rules.values(), control)


def _row(record: dict[str, Any]) -> str:
    public = record["public"]
    rules = " ".join(public.get("rules", []))
    place = f"{public.get('tenant', '') or '-'}/{public.get('app', '') or '-'}"
    return (
        f"{record['index']:>6}  {record['time'][:19]}Z  {record['kind']:<14} {public.get('effect', ''):<17}"
        f"{place:<28} {public.get('actor', ''):<18} {rules}"
    )


def _migrate(url: str, settings: Settings, stdout: TextIO) -> None:
    from governance.broker_wiring import move_people
    from governance.events_wiring import move_events
    from governance.log_wiring import database_of, move_state, open_log
    from governance.settings import Settings as Changed

    if not url:
        from audit.schema import HEAD

        if database_of(settings) is None and not (settings.home / "audit" / "log.db").exists():
            raise CallerError("no audit log there yet", where=str(settings.home / "audit"))
        open_log(settings).close()  # who opens the log for writing brings its schema up to date
        stdout.write(f"the log's schema is revision {HEAD}\n")
        return
    moved = Changed({**settings.values, "database": url})
    database = database_of(moved)
    if database is None:
        raise CallerError("--to needs a postgresql:// URL", where="--to")
    from audit.migrate import move

    folder = settings.home / "audit"
    if (folder / "log.db").exists() or not (folder / "log.db.moved").exists():
        head = move(settings.home, settings.text("log_origin"), database)
        stdout.write(f"{head.size} records moved, the root is the same ({head.root.hex()})\n")
    documents = move_state(settings, moved)
    consents, credentials = move_people(settings, moved)
    deliveries = move_events(moved)
    stdout.write(
        f"{documents} keys, apps, waivers and the like are there as well, {consents} consents and {credentials} credentials, "
        f"{deliveries} deliveries of events; counts of calls and sign-in sessions begin anew. From now on set "
        f"GOVERNANCE_DATABASE; give further replicas this home's audit/key. The old file is {folder}/log.db.moved\n"
    )


def _filter(options: argparse.Namespace) -> Filter:
    from audit.store import Filter

    values = {name: getattr(options, name) for name in (*_FILTERS, "since", "until")}
    return Filter(**values, rules=getattr(options, "rules", ()))


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _parser() -> argparse.ArgumentParser:
    import argparse

    from governance.entrypoints.cli.audit_packages import add_export_options, add_verify_options

    parser = argparse.ArgumentParser("governance audit", description="The audit log under GOVERNANCE_HOME.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("key", help="the log's verifier key: give it to auditors")
    verbs.add_parser("checkpoint", help="the newest signed checkpoint")
    verbs.add_parser("witness", help="what the witnesses said last")
    verbs.add_parser("check", help="hash every record again")
    show = verbs.add_parser("show", help="one record by index or decision id")
    show.add_argument("id")
    add_prove_options(verbs.add_parser("prove", help="that a record is in the log, or that the log only grew"))
    listing = verbs.add_parser("list", help="records, newest first")
    listing.add_argument("--limit", type=_count, default=50)
    listing.add_argument("--before", type=_count, default=0, metavar="INDEX", help="go on from where a list ended")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    exporting = verbs.add_parser("export", help="a package that verifies offline")
    add_export_options(exporting)
    for verb in (listing, exporting):
        for name, meaning in _FILTERS.items():
            verb.add_argument(f"--{name.replace('_', '-')}", default="", help=meaning)
        verb.add_argument(
            "--control", default="", help="of a rule that names this control or one within it: SOC2:CC9.2, SOC2"
        )
        verb.add_argument("--since", default="", help="RFC 3339, included")
        verb.add_argument("--until", default="", help="RFC 3339, not included")
    asking = verbs.add_parser("ask", help="who-allowed, data-of").add_subparsers(dest="question", required=True)
    who = asking.add_parser("who-allowed", help="who asked, by which policy it was allowed, which waivers counted")
    who.add_argument("id", nargs="?", default="", help="a decision")
    who.add_argument("--app", default="", help="every yes that made this app what it is")
    asking.add_parser("data-of", help="what a person's data touched").add_argument("subject")
    custody.add_verbs(verbs)
    migrating = verbs.add_parser(
        "migrate", help="bring the log's schema up to date, or move log, keys, apps and waivers into PostgreSQL"
    )
    migrating.add_argument("--to", default="", metavar="URL", help="move it: postgresql://user@host/name, no password")
    add_verify_options(verbs.add_parser("verify", help="check an export; needs no server and no trust in it"))
    return parser
