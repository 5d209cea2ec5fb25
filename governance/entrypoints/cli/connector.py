"""`governance connector list|show|approve|call|import|retire|unused`: the registry, and a call through the broker."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TextIO

from governance.documents.files import read_whole
from governance.errors import CallerError, NotFound
from governance.settings import from_environment
from governance.wiring import active_of, approvals_of, directory_of, registry_of, scope_use_of, shipped_connectors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.settings import Settings


_LONGEST_KEY = 1024


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb."""
    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    if options.verb == "list":
        return _list(settings, options, stdout)
    if options.verb == "show":
        return _show(settings, options, stdout)
    if options.verb == "approve":
        return _approve(settings, options, stdin, stdout, stderr)
    if options.verb == "call":
        return _call(settings, options, stdin, stdout)
    if options.verb == "import":
        return _import(options, stdin, stdout)
    if options.verb == "unused":
        return _unused(settings, options, stdout)
    return _retire(settings, options, stdout, stderr)


def _list(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    entries = sorted(registry_of(settings).connectors.values(), key=lambda row: str(row["name"]))
    rows = [{**row, **about} for row, about in zip(entries, _standings(settings, entries), strict=True)]
    if options.format == "json":
        stdout.write(json.dumps(rows, indent=2) + "\n")
        return 0
    for row in rows:
        ends = f"  retires {row['retires_at'][:10]}" if row.get("retires_at") else ""
        waits = f"  waits for {' and '.join(row['waits_for'])}" if row["waits_for"] else ""
        stdout.write(
            f"{row['name']:<20} {row['state']:<11} {row['owner']:<18} {', '.join(row['hosts'])}{ends}{waits}\n"
        )
    return 0


def _show(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    """The entry, which may be read in again, and as comments who has approved it."""
    entry = _entry(settings, options.name)
    (about,) = _standings(settings, [entry])
    stdout.write(f"# {about['digest']}\n")
    stdout.writelines(
        f"# approved as {row['as']} by {row['by']} ({row['role']}), {row['at'][:10]}\n" for row in about["approvals"]
    )
    if about["waits_for"]:
        stdout.write(f"# waits for {' and '.join(about['waits_for'])}: governance connector approve\n")
    stdout.write(_yaml(entry))
    return 0


def _approve(settings: Settings, options: argparse.Namespace, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """One approval in the name of the key on standard input: decided, recorded, and then a fact."""
    from connectors_registry.digests import digest_of
    from governance.log_wiring import open_recorder, state_of
    from governance.model.request import Source
    from governance.platform.connector_approvals import Asked
    from governance.platform.keys import KeyStore
    from governance.wiring import for_cli

    presented = stdin.readline(_LONGEST_KEY).strip()
    if not presented:
        raise CallerError("no key was presented", where="<stdin>", hint="the text of an API key on standard input")
    identity = KeyStore(state_of(settings)).identify(presented)
    entry, approvals = _entry(settings, options.name), approvals_of(settings)
    digest = options.digest or digest_of(entry)
    asked = Asked(entry, approvals, identity, part=options.part, digest=digest, reason=options.reason)
    source = Source("cli.connector", identity.actor, (identity.role,))
    with for_cli(settings) as line:
        decision = line.knowing(asked).decide(asked.request(source))
    if not decision.is_allowed:
        stderr.writelines(f"{v.rule}: {v.message}\n  fix: {v.remediation}\n" for v in decision.violations)
        return 1
    with open_recorder(settings) as recorder:
        recorder.append(asked.entry(source))
    approvals.keep(asked)
    waiting = _standings(settings, [entry])[0]["waits_for"]
    stdout.write(f"{options.name} is approved as {options.part}: {digest}\n")
    stdout.write(f"It waits for {' and '.join(waiting)}.\n" if waiting else "Apps may use it.\n")
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
        with for_cli(settings) as line:
            broker = broker_of(settings, line)
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


def _import(options: argparse.Namespace, stdin: TextIO, stdout: TextIO) -> int:
    from connectors_registry.load import BadEntry
    from connectors_registry.openapi import entry_from
    from governance.normalise.documents import read_documents

    raw = stdin.buffer.read() if options.file == "-" else read_whole(options.file)
    documents = read_documents(raw, options.file)
    if len(documents) != 1:
        raise CallerError("one OpenAPI document is needed", where=options.file)
    try:
        entry = entry_from(documents[0].value, options.name, owner=options.owner, review_by=options.review_by)
    except BadEntry as error:
        raise CallerError(str(error), where=options.file) from error
    stdout.write(_yaml(entry))
    return 0


def _retire(settings: Settings, options: argparse.Namespace, stdout: TextIO, stderr: TextIO) -> int:
    """Who is affected, and the entry as it reads during the grace period; committing it is the owner's, by review."""
    from datetime import datetime

    entry = _entry(settings, options.name)
    try:
        day = datetime.fromisoformat(options.at).date().isoformat()
    except ValueError as error:
        raise CallerError("no such day", where="--at", hint="YYYY-MM-DD") from error
    if options.successor:
        _entry(settings, options.successor)
    affected = [name for name, spec in directory_of(settings).specs() if options.name in _connectors_of(spec)]
    stderr.write(f"{len(affected)} apps use {options.name}: {', '.join(affected) or 'none'}\n")
    stderr.write(f"From now on they are told (CONN-003); from {day} on their calls are refused (CONN-002).\n")
    ending = {"state": "deprecated", "retires_at": f"{day}T00:00:00Z"}
    stdout.write(_yaml({**entry, **ending, **({"replaced_by": options.successor} if options.successor else {})}))
    return 0


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


def _standings(settings: Settings, entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    from governance.platform.connector_approvals import standing

    approvals, shipped = approvals_of(settings), shipped_connectors(active_of(settings))
    return [standing(entry, approvals, shipped) for entry in entries]


def _connectors_of(spec: Any) -> set[str]:
    rows = spec.get("connectors", []) if isinstance(spec, dict) else []
    return {str(row.get("name")) for row in rows if isinstance(row, dict)}


def _entry(settings: Settings, name: str) -> dict[str, Any]:
    found = registry_of(settings).connectors.get(name)
    if found is None:
        raise NotFound(f"there is no connector {name[:63]!r}", hint="governance connector list")
    return found


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
    approve = verbs.add_parser(
        "approve",
        help="approve a connector as its owner or as compliance; two people have to before it has any effect",
        description="The API key of who approves is read from standard input: of a role of "
        "rules/data/platform/connectors.yaml, and for its owner made with --team OWNER. A document that changes has "
        "to be approved again; state, retires_at, replaced_by, documentation and usage_limits may change without.",
    )
    approve.add_argument("name")
    approve.add_argument("--as", dest="part", required=True, choices=("owner", "compliance"))
    approve.add_argument("--reason", required=True, help="one sentence, kept in the audit log")
    approve.add_argument(
        "--digest", default="", help="of the document that was read, as `show` prints it; left out: today's"
    )
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
