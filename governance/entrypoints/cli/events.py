"""`governance events status|dead|subscriptions|publish|try`: events between apps, from the terminal."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.settings import Settings


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb."""
    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    if options.verb == "status":
        return _status(settings, stdout)
    if options.verb == "dead":
        return _dead(settings, options, stdout) if options.what == "list" else _retry(settings, options, stderr)
    if options.verb == "subscriptions":
        return _subscriptions(settings, stdout)
    if options.verb == "publish":
        return _publish(settings, options, stdin, stdout)
    return _try(options, stdin, stdout)


def _status(settings: Settings, stdout: TextIO) -> int:
    from governance.events_wiring import outbox_of
    from governance.wiring import directory_of

    outbox = outbox_of(settings)
    try:
        counts = outbox.counts()
    finally:
        outbox.close()
    stdout.write(f"{counts['waiting']} deliveries wait, {counts['dead']} were given up\n")
    damaged = directory_of(settings).damaged()
    for name, is_kept in damaged.items():
        events = "events for it wait" if is_kept else "NOBODY CAN PUBLISH, since what it subscribed to is lost"
        stdout.write(f"{name} is damaged: its app may do nothing, {events}; deploy it anew\n")
    return 1 if damaged else 0


def _dead(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    from governance.events_wiring import outbox_of

    outbox = outbox_of(settings)
    try:
        letters = outbox.dead(options.limit, options.app)
    finally:
        outbox.close()
    for one in letters:
        row = {
            "number": one.number, "app": one.app, "subscription": one.subscription, "source": one.source,
            "id": one.id, "attempts": one.attempts, "reason": one.reason,
        }  # fmt: skip
        if options.format == "json":
            stdout.write(json.dumps(row) + "\n")
        else:
            stdout.write(
                f"{one.number:<6} {one.app}/{one.subscription}  {one.source} {one.id}  after {one.attempts}: {one.reason}\n"
            )
    return 0


def _retry(settings: Settings, options: argparse.Namespace, stderr: TextIO) -> int:
    """On record first, as everything that lets data move."""
    from governance.events_wiring import outbox_of
    from governance.wiring import record_change

    outbox = outbox_of(settings)
    try:
        for number in options.number:
            outbox.letter(number)
            about = {"entry_point": "cli.events", "actor": f"os:{os.getuid()}", "delivery": number, "effect": "allow"}
            record_change(settings, "event_retried", about)
            found = outbox.retry(number, time.time())
            stderr.write(f"{number} tries again: {found.app}/{found.subscription}\n")
    finally:
        outbox.close()
    return 0


def _subscriptions(settings: Settings, stdout: TextIO) -> int:
    from governance.enrich.events.declared import Subscription, rows
    from governance.wiring import directory_of

    for app, spec in directory_of(settings).specs():
        for row in rows(spec, "subscribes"):
            is_pushed = Subscription(app, str(row.get("name", "")), row).is_pushed
            way = "sent" if is_pushed else "fetched"
            stdout.write(f"{app}/{row.get('name', '')}  {row.get('type', '')} of {row.get('app', '')}, {way}\n")
    return 0


def _publish(settings: Settings, options: argparse.Namespace, stdin: TextIO, stdout: TextIO) -> int:
    """An event in the name of a deployed app: decided and recorded as everywhere."""
    import asyncio

    from governance.events_wiring import exchange_of
    from governance.model.request import Source
    from governance.platform.broker.events.message import from_structured
    from governance.platform.broker.events.publishing import published_json
    from governance.wiring import directory_of, for_cli

    event = from_structured(_read(options.file, stdin))
    source = Source("cli.events", f"os:{os.getuid()}", (), "", os.urandom(16).hex())

    async def once() -> dict[str, Any]:
        with for_cli(settings) as line:
            exchange = exchange_of(settings, line, directory_of(settings))
            try:
                return published_json(await exchange.publisher.publish(options.app, event, source))
            finally:
                await exchange.close()

    said = asyncio.run(once())
    stdout.write(json.dumps(said, indent=2, ensure_ascii=False) + "\n")
    return 0 if said["effect"] in {"allow", "warn"} else 1


def _try(options: argparse.Namespace, stdin: TextIO, stdout: TextIO) -> int:
    """What a transformation makes of an event's data; nothing is sent."""
    from governance.enrich.events.transform import transformed

    value = transformed(options.expression, _read(options.file, stdin))
    stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    return 0


def _read(path: str, stdin: TextIO) -> Any:
    from governance.normalise.documents import decoded, read_json

    try:
        raw = stdin.buffer.read() if path == "-" else _bytes(path)
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=path) from error
    return read_json(decoded(raw, path), path)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance events", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser(
        "status", help="how many deliveries wait, how many were given up, whose app cannot be read (exit 1)"
    )
    dead = verbs.add_parser("dead", help="deliveries that were given up").add_subparsers(dest="what", required=True)
    listing = dead.add_parser("list", help="with the reason of each, and without what it holds")
    listing.add_argument("--app", default="", help="of one subscriber")
    listing.add_argument("--limit", type=int, default=1000)
    listing.add_argument("--format", choices=("text", "json"), default="text")
    dead.add_parser("retry", help="let them try again, on record").add_argument("number", type=int, nargs="+")
    verbs.add_parser("subscriptions", help="who subscribed to what")
    publish = verbs.add_parser("publish", help="an event (CloudEvents, structured JSON) in the name of a deployed app")
    publish.add_argument("file", help="- reads standard input")
    publish.add_argument("--app", required=True)
    trying = verbs.add_parser("try", help="what a transformation (JMESPath) makes of an event's data")
    trying.add_argument("expression")
    trying.add_argument("file", nargs="?", default="-", help="JSON; - reads standard input")
    return parser
