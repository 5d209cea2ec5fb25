"""`governance witness serve|key`: a witness for audit logs, with a folder and a key of its own, best on another machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError, DependencyError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Print the witness's key, or serve until a signal."""
    from audit.errors import AuditError
    from governance.entrypoints.http.witness import witness_of

    options = _options(argv)
    for name in ("home", "name", "log"):
        if value := getattr(options, name, None):
            variable = {"home": "HOME", "name": "NAME", "log": "LOGS"}[name]
            os.environ[f"GOVERNANCE_WITNESS_{variable}"] = ",".join(value) if isinstance(value, list) else value
    settings = from_environment(os.environ)
    if options.verb == "serve" and not settings.text("witness_logs").strip():
        raise CallerError("no log is named", where="--log", hint="`governance audit key` prints a log's key")
    try:
        witness = witness_of(settings)
    except AuditError as error:
        raise DependencyError(f"{error.code}: {error}") from error
    key = str(witness.verifier)
    witness.close()
    if options.verb == "key":
        stdout.write(f"{key}\n")
        return 0
    stderr.write(f"witness on {options.host}:{options.port}, key {key}\n")
    stderr.flush()
    _server(options).serve()
    return 0


def _server(options: argparse.Namespace) -> Any:
    from pathlib import Path

    from granian import Granian
    from granian.constants import Interfaces

    return Granian(
        "governance.entrypoints.http.witness:application",
        factory=True,
        interface=Interfaces.ASGI,
        address=options.host,
        port=options.port,
        workers=1,  # one process owns the folder
        ssl_cert=Path(options.tls_cert) if options.tls_cert else None,
        ssl_key=Path(options.tls_key) if options.tls_key else None,
        respawn_failed_workers=True,
        websockets=False,
        log_access=False,
    )


def _options(argv: Sequence[str]) -> argparse.Namespace:
    import argparse

    parser = argparse.ArgumentParser("governance witness", description="A C2SP witness for audit logs.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    serving = verbs.add_parser("serve", help="cosign checkpoints of the logs that are named, as long as they only grow")
    key = verbs.add_parser("key", help="this witness's verifier key: for GOVERNANCE_WITNESSES of the log")
    for verb in (serving, key):
        verb.add_argument("--home", default="", metavar="DIR", help="GOVERNANCE_WITNESS_HOME")
        verb.add_argument("--name", default="", help="GOVERNANCE_WITNESS_NAME")
    serving.add_argument(
        "--log", action="append", default=[], metavar="KEY", help="GOVERNANCE_WITNESS_LOGS; repeatable"
    )
    serving.add_argument("--host", default="127.0.0.1")
    serving.add_argument("--port", type=int, default=8282)
    serving.add_argument("--tls-cert", default="", metavar="FILE")
    serving.add_argument("--tls-key", default="", metavar="FILE")
    return parser.parse_args(argv)
