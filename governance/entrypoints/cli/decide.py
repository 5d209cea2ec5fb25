"""`governance decide`: one request through the whole line, recorded; the decision as JSON on standard output."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError
from governance.model.request import KINDS, Source
from governance.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Request
    from governance.settings import Settings


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Exit 0 when the answer is allow or warn, 1 for every other answer."""
    import argparse
    import json

    from governance.model.answer import decision_json
    from governance.wiring import for_cli

    parser = argparse.ArgumentParser(
        "governance decide",
        description="Decide on one request and record the decision in the audit log under GOVERNANCE_HOME.",
        epilog="FILE holds a native request, or with --kind the resource alone: a manifest (YAML or JSON) or a call.",
    )
    parser.add_argument("file", nargs="?", default="-", metavar="FILE", help="'-' reads standard input")
    parser.add_argument("--kind", choices=sorted(KINDS), help="FILE is the resource of a request of this kind")
    parser.add_argument("--tenant", default="", help="tenant of a resource given with --kind")
    parser.add_argument("--dry-run", action="store_true", help="recorded as such; nothing is carried out")
    options = parser.parse_args(argv)
    settings = from_environment(os.environ)
    document = "<stdin>" if options.file == "-" else options.file
    source = Source(entry_point="cli.decide", actor=f"os:{os.getuid()}", document=document)
    with for_cli(settings) as line:
        raw = _read(options.file, stdin, settings)
        try:
            request = _request(raw, options, source)
        except CallerError as error:
            line.refuse(source, error, _digest(raw))
            raise
        decision = line.decide(request)
    stdout.write(json.dumps(decision_json(decision), indent=2, ensure_ascii=False) + "\n")
    return 0 if decision.is_allowed else 1


def _request(raw: bytes, options: object, source: Source) -> Request:
    from governance.normalise.requests import normalise_native, normalise_resource

    kind, tenant, dry_run = (getattr(options, name) for name in ("kind", "tenant", "dry_run"))
    if kind is None:
        request = normalise_native(raw, source)
        return request if not dry_run else request._replace(dry_run=True)
    return normalise_resource(kind, raw, source, tenant=tenant, dry_run=dry_run)


def _read(name: str, stdin: TextIO, settings: Settings) -> bytes:
    """At most one byte over the limit is read, so that an endless input cannot fill the memory."""
    limit = settings.number("max_body_bytes") + 1
    if name == "-":
        return stdin.buffer.read(limit)
    try:
        with open(name, "rb") as file:
            return file.read(limit)
    except OSError as error:
        raise CallerError(f"cannot be read: {error.strerror}", where=name) from error


def _digest(raw: bytes) -> str:
    import hashlib

    return "sha256:" + hashlib.sha256(raw).hexdigest()
