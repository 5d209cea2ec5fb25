"""`governance connector list|show|approve|withdraw-approval|export-approvals|import|retire|unused|call`: the registry."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TextIO

from governance.documents.files import read_whole
from governance.entrypoints.cli.connector_approvals import answered, arguments, entry_of, export, standings
from governance.errors import CallerError, NotFound
from governance.model.moment import utc_now
from governance.settings import from_environment
from governance.wiring import directory_of, registry_of, scope_use_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.settings import Settings


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb."""
    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    if options.verb == "list":
        return _list(settings, options, stdout)
    if options.verb == "show":
        return _show(settings, options, stdout)
    if options.verb in {"approve", "withdraw-approval"}:
        return answered(settings, options, stdin, stdout, stderr)
    if options.verb == "export-approvals":
        return export(settings, stdout)
    if options.verb == "call":
        return _call(settings, options, stdin, stdout)
    if options.verb == "import":
        return _import(options, stdin, stdout, stderr)
    if options.verb == "unused":
        return _unused(settings, options, stdout)
    return _retire(settings, options, stdout, stderr)


def _list(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    entries = sorted(registry_of(settings).connectors.values(), key=lambda row: str(row["name"]))
    rows = [{**row, **about} for row, about in zip(entries, standings(settings, entries), strict=True)]
    if options.format == "json":
        stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    today = utc_now()[:10]
    for row in rows:
        ends = f"  retires {row['retires_at'][:10]}" if row.get("retires_at") else ""
        ends += f"  review overdue since {row['review_by']}" if row["review_by"] < today else ""
        # What calls itself proposed and waits for nobody is in service.
        state = "approved" if row["state"] == "proposed" and not row["waits_for"] else row["state"]
        waits = f"  waits for {' and '.join(row['waits_for'])}" if row["waits_for"] else ""
        stdout.write(f"{row['name']:<20} {state:<11} {row['owner']:<18} {', '.join(row['hosts'])}{ends}{waits}\n")
    return 0


def _show(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    """The entry, which may be read in again, and as comments who has approved it."""
    entry = entry_of(settings, options.name)
    (about,) = standings(settings, [entry])
    stdout.write(f"# {about['digest']}\n")
    stdout.writelines(
        f"# approved as {row['as']} by {row['person'] or 'nobody known'} ({row['role']}, {row['by']}), {row['at'][:10]}\n"
        for row in about["approvals"]
    )
    if about.get("withdrawn"):
        stdout.write(f"# taken back as {' and '.join(about['withdrawn'])}\n")
    if about["waits_for"]:
        stdout.write(f"# waits for {' and '.join(about['waits_for'])}: governance connector approve\n")
    stdout.write(_yaml(entry))
    return 0


def _call(settings: Settings, options: argparse.Namespace, stdin: TextIO, stdout: TextIO) -> int:
    """One call in the name of a deployed app: decided, recorded and masked as everywhere."""
    import asyncio

    from governance.broker_wiring import broker_of
    from governance.platform.broker.calls import called_json
    from governance.platform.broker.guests import new_trace
    from governance.platform.broker.tokens import Caller
    from governance.wiring import for_cli

    known = directory_of(settings).app(options.app)
    if known is None:
        raise NotFound(f"no app {options.app[:63]!r} was deployed")
    caller = Caller(options.app, str(known["spec"].get("tenant", "")), f"cli-{os.getuid()}")
    asked: dict[str, Any] = {"method": options.method, "url": options.url, "scopes": options.scope}
    if options.consent:
        asked["consent"] = options.consent
    if options.body:
        asked["body"] = json.loads(stdin.read())

    async def once() -> dict[str, Any]:
        registry = registry_of(settings)
        with for_cli(settings, registry) as line:
            broker = broker_of(settings, line, registry)
            try:
                called = await broker.call(
                    caller, options.name, asked, entry_point="cli.connector", trace_id=new_trace()
                )
            finally:
                await broker.close()
        return called_json(called)

    said = asyncio.run(once())
    stdout.write(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    return 0 if "answer" in said else 1


def _import(options: argparse.Namespace, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """The entry to standard output; what its owner still has to say, and what was left out, beside it."""
    from connectors_registry.load import BadEntry
    from connectors_registry.openapi import imported
    from connectors_registry.openapi_schemas import UNCLASSIFIED
    from governance.normalise.documents import read_documents

    raw = stdin.buffer.read() if options.file == "-" else read_whole(options.file)
    documents = read_documents(raw, options.file)
    if len(documents) != 1:
        raise CallerError("one OpenAPI document is needed", where=options.file)
    try:
        entry, notes = imported(documents[0].value, options.name, owner=options.owner, review_by=options.review_by)
    except BadEntry as error:
        raise CallerError(str(error), where=options.file) from error
    stderr.writelines(f"{note}\n" for note in notes)
    count = sum(field["class"] == UNCLASSIFIED for field in entry["fields"])
    stderr.write("Still to say: data_classes, limits, tenants, regions, auth, a group of combinations.yaml;\n")
    stderr.write(f"and, before anybody can approve it, the class of {count} fields.\n")
    stdout.write(_yaml(entry))
    return 0


def _retire(settings: Settings, options: argparse.Namespace, stdout: TextIO, stderr: TextIO) -> int:
    """Who is affected, and the entry as it reads during the grace period; committing it is the owner's, by review."""
    from datetime import datetime

    entry = entry_of(settings, options.name)
    try:
        day = datetime.fromisoformat(options.at).date().isoformat()
    except ValueError as error:
        raise CallerError("no such day", where="--at", hint="YYYY-MM-DD") from error
    if day <= utc_now()[:10]:
        hint = f"to stop it now: governance connector withdraw-approval {options.name}"
        raise CallerError("a grace period ends on a day that is ahead", where="--at", hint=hint)
    _say_who(settings, options.name, day, stderr)
    if options.successor:
        _say_of_successor(settings, options, stderr)
    ending = {"state": "deprecated", "retires_at": f"{day}T00:00:00Z"}
    stdout.write(_yaml({**entry, **ending, **({"replaced_by": options.successor} if options.successor else {})}))
    return 0


def _say_who(settings: Settings, name: str, day: str, stderr: TextIO) -> None:
    directory = directory_of(settings)
    apps = [app for app, spec in directory.specs() if name in _connectors_of(spec)]
    templates = [template for template, spec in directory.templates() if name in _connectors_of(spec)]
    stderr.write(f"{len(apps)} apps use {name}: {', '.join(apps) or 'none'}\n")
    stderr.write(f"{len(templates)} templates name it: {', '.join(templates) or 'none'}\n")
    stderr.write(
        f"Once this is the entry they are told (CONN-003) and no template that names it is published (CONN-020); "
        f"from {day} on calls are refused (CONN-002).\n"
    )


def _say_of_successor(settings: Settings, options: argparse.Namespace, stderr: TextIO) -> None:
    """Whether it is any: in service, approved, and open to who has to move. Raises CallerError where it is none."""
    successor, tenants = entry_of(settings, options.successor), registry_of(settings).tenants
    if options.successor == options.name or successor["state"] in {"deprecated", "retired"}:
        raise CallerError(f"{options.successor} is on its way out itself", where="--successor")
    (about,) = standings(settings, [successor])
    if about["waits_for"]:
        stderr.write(f"{options.successor} waits for {' and '.join(about['waits_for'])}\n")
    for app, spec in directory_of(settings).specs():
        tenant = str(spec.get("tenant", ""))
        is_open = {tenant, "*"} & set(successor["tenants"])
        has_it = options.successor in tenants.get(tenant, {}).get("connectors", [])
        if options.name in _connectors_of(spec) and not (is_open and has_it):
            stderr.write(f"{app} cannot move to {options.successor} yet: it is not open to the tenant {tenant}\n")


def _unused(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    """Scopes that apps hold, and the last day on which a call used each; exit 1 where one was not used."""
    registry, is_unused = registry_of(settings), False
    names = [options.app] if options.app else [name for name, _ in directory_of(settings).specs()]
    for name in names:
        if directory_of(settings).app(name) is None:
            raise NotFound(f"no app {name[:63]!r} was deployed")
        use = scope_use_of(settings, registry, name)
        for row in use["scopes"]:
            is_unused = is_unused or not row["last_used"]
            last = row["last_used"][:10] or f"not since {use['looked_since'][:10]}"
            stdout.write(
                f"{name:<20} {row['connector']:<18} {row['scope']:<40} asked {row['asked_since'][:10]}  used {last}\n"
            )
    return int(is_unused)


def _connectors_of(spec: Any) -> set[str]:
    rows = spec.get("connectors", []) if isinstance(spec, dict) else []
    return {str(row.get("name")) for row in rows if isinstance(row, dict)}


def _yaml(value: Any) -> str:
    import yaml

    return str(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance connector", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="every registered connector")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    verbs.add_parser("show", help="one entry as it is registered").add_argument("name")
    arguments(verbs)
    call = verbs.add_parser("call", help="one call in the name of a deployed app, through the whole broker")
    call.add_argument("name")
    call.add_argument("url")
    call.add_argument("--app", required=True)
    call.add_argument("--method", default="GET")
    call.add_argument("--scope", action="append", default=[])
    call.add_argument("--consent", default="", help="the person's consent, where the connector acts for one")
    call.add_argument("--body", action="store_true", help="read a JSON body from standard input")
    imports = verbs.add_parser("import", help="print a proposed entry made from an OpenAPI 3.1 file")
    imports.add_argument("name")
    imports.add_argument("file", help="- reads standard input")
    imports.add_argument("--owner", required=True)
    imports.add_argument("--review-by", required=True, metavar="YYYY-MM-DD")
    unused = verbs.add_parser("unused", help="which scopes apps hold, and when a call last used each; 1: one is unused")
    unused.add_argument("app", nargs="?", default="")
    retire = verbs.add_parser("retire", help="who is affected, and the entry with its grace period")
    retire.add_argument("name")
    retire.add_argument("--at", required=True, metavar="YYYY-MM-DD")
    retire.add_argument("--successor", default="")
    return parser
