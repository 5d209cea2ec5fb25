"""`governance <noun> …`: finds the noun's module, imports only that, and turns what happened into an exit code.

Exit codes: 0 clean, 1 violations (or a verification that failed), 2 wrong use, 3 unexpected, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TextIO

from governance.errors import CallerError, GovernanceError, RuleError

if TYPE_CHECKING:
    from collections.abc import Sequence


class Command(NamedTuple):
    """One noun of the command line."""

    module: str
    """Below `governance.entrypoints.cli`."""
    help: str


COMMANDS: dict[str, Command] = {
    "check": Command("check", "decide on every file that is recognised, as pre-commit and CI do"),
    "scan": Command("scan", "personal data and secrets in files, folders or a stream"),
    "decide": Command("decide", "one request through the whole line, recorded"),
    "rules": Command("rules", "test, lint, list, explain, coverage, mutate, eval, impact, vap, import-gatekeeper"),
    "review": Command("review", "run, eval: design review by a model, and what it is worth"),
    "bundle": Command("bundle", "build, inspect, sign, verify; list, activate"),
    "waiver": Command("waiver", "add, list and revoke waivers"),
    "audit": Command(
        "audit", "list, show, ask, export, verify, checkpoint, key, hold, erase, prune, rotate-key, witness"
    ),
    "witness": Command("witness", "serve, key: a witness that cosigns an audit log's checkpoints"),
    "controls": Command("controls", "list, coverage, evidence, gaps: SOC 2, ISO 27001, GDPR, NIST 800-53"),
    "score": Command("score", "report: which share of the apps is compliant, and why it changed"),
    "key": Command("key", "create, list and revoke API keys"),
    "connector": Command("connector", "list, show, approve, call, import and retire what apps may be connected to"),
    "secret": Command("secret", "put, rotate and list credentials of connectors; values are never printed"),
    "consent": Command("consent", "list, ask, withdraw: what people let apps do for them"),
    "token": Command("token", "reveal what a token stands for, by role and on record"),
    "events": Command("events", "status, dead, subscriptions, publish, try: events between apps, and webhooks"),
    "schema": Command("schema", "print the JSON Schema of a manifest kind"),
    "runtime": Command(
        "runtime", "doctor: which sandboxes this host really has; run: a deployed app, once; serve: for the gateway"
    ),
    "gateway": Command("gateway", "render, run, status: the gateway in front of the apps"),
    "serve": Command("serve", "the HTTP service"),
    "settings": Command("settings", "every setting, its value and where it comes from"),
    "demo": Command("demo", "the main job on real input, in words"),
    "version": Command("version", "this program's version and the policy engine's"),
}

CLEAN, VIOLATIONS, WRONG_USE, UNEXPECTED, INTERRUPTED = 0, 1, 2, 3, 130


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Run one command line; never raises for what a user, a file or a disk did."""
    if not argv or argv[0] in {"-h", "--help", "help"}:
        stdout.write(_usage())
        return CLEAN
    command = COMMANDS.get(argv[0])
    if command is None:
        stderr.write(f"governance: {argv[0]!r} is not a command\n\n{_usage()}")
        return WRONG_USE
    return _guarded(command, list(argv[1:]), stdin, stdout, stderr)


def _guarded(command: Command, argv: list[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    try:
        module = import_module(f"governance.entrypoints.cli.{command.module}")
        return int(module.run(argv, stdin, stdout, stderr))
    except GovernanceError as error:
        stderr.write(f"governance: {error.code}: {error}\n")
        return WRONG_USE if isinstance(error, CallerError | RuleError) else UNEXPECTED
    except SystemExit as stop:  # argparse: 0 after --help, 2 for wrong use
        return stop.code if isinstance(stop.code, int) else WRONG_USE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`… | head`). What is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNEXPECTED
    except Exception as error:  # noqa: BLE001  the outermost edge: keep the trace for the report, not for the reader
        stderr.write(f"governance: unexpected {type(error).__name__}; {_report(error)}\n")
        return UNEXPECTED


def _report(error: Exception) -> str:
    """Write the trace where the user can find it; says where, or why not."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile("w", prefix="governance-", suffix=".log", delete=False) as file:
            # Frames without their values: a trace must not carry what was being decided on.
            file.write("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + "\n")
    except OSError as problem:
        return f"the report could not be written ({problem.strerror})"
    return f"report in {file.name}"


def _usage() -> str:
    rows = "\n".join(f"  {name:<10} {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: governance <command> …   (each takes --help)\n\n"
        f"{rows}\n\n"
        "Exit codes: 0 clean, 1 violations, 2 wrong use, 3 unexpected, 130 interrupted.\n"
    )


def main() -> None:
    """Entry point of the `governance` command."""
    if sys.argv[1:2] == ["check"]:
        import gc

        # Nothing that is made while modules load is garbage; looking for it costs 4 % of checking a file.
        gc.set_threshold(100_000)
    code = run(sys.argv[1:], sys.stdin, sys.stdout, sys.stderr)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = UNEXPECTED
    # Skips tearing down modules and the engine: 2-4 ms of a 30 ms command. Everything durable was fsynced before.
    sys.stderr.flush()
    os._exit(code)
