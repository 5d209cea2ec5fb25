"""`governance runtime …`: which boundaries this host really has, by starting something; and what starts in them."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.broker_wiring import runtime_folder, runtimes_of
from governance.errors import DependencyError
from governance.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Print one row a runtime, 0 when at least one is available; or make the image that microVMs boot."""
    options = _options(argv)
    if options.command == "build-image":
        return _build_image(stdout)
    if options.command == "run":
        from governance.entrypoints.cli import runtime_run

        return runtime_run.run(options, stdin, stdout, stderr)
    if options.command == "serve":
        from governance.entrypoints.cli import runtime_serve

        return runtime_serve.run(options, stderr)
    if options.command == "usage":
        from governance.entrypoints.cli import runtime_usage

        return runtime_usage.run(options, stdout)
    if options.command == "attestations":
        from governance.entrypoints.cli import runtime_attestations

        return runtime_attestations.run(options, stdout)
    probes = {name: adapter.probe() for name, adapter in runtimes_of(from_environment(os.environ)).items()}
    if options.format == "json":
        stdout.write(json.dumps({name: probe._asdict() for name, probe in probes.items()}, indent=2) + "\n")
    else:
        for name, probe in probes.items():
            said = "yes" if probe.is_available else "NO"
            stdout.write(f"{name:<10} {said:<4} {probe.boundary:<8} {probe.engine or '-':<32} {probe.reason}\n")
    return 0 if any(probe.is_available for probe in probes.values()) else 1


def _build_image(stdout: TextIO) -> int:
    from runtime_adapters.microvm_image import build
    from runtime_adapters.port import RuntimeRefusal

    folder = runtime_folder(from_environment(os.environ)) / "microvm"
    try:
        image = build(folder)
    except RuntimeRefusal as error:
        raise DependencyError(str(error)) from error
    stdout.writelines(f"{name:<7} {digest}\n" for name, digest in image.digests().items())
    return 0


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="governance runtime", description=__doc__)
    commands = parser.add_subparsers(required=True, dest="command", metavar="doctor|build-image|run|serve|usage")
    doctor = commands.add_parser("doctor", help="start something small in every runtime and say what happened")
    doctor.add_argument("--format", choices=("text", "json"), default="text")
    commands.add_parser(
        "build-image", help="fetch Debian's cloud kernel and busybox with apt, check their pins, unpack"
    )
    run_ = commands.add_parser("run", help="decide a deployed app's start again, start it as decided, call it once")
    run_.add_argument("name")
    run_.add_argument("--root", default=".", metavar="DIR", help="where the path of the app's module begins")
    run_.add_argument("--input", default="", metavar="FILE", help="the call's request; - reads standard input")
    serving = commands.add_parser(
        "serve", help="answer what the gateway hands over, beside a running service of this home"
    )
    serving.add_argument("--root", default=".", metavar="DIR", help="where the paths of the apps' modules begin")
    serving.add_argument(
        "--socket", default="", metavar="PATH", help="Unix socket for the gateway; left out: apps.sock in the home"
    )
    serving.add_argument(
        "--threads", type=int, default=min(8, max(2, os.cpu_count() or 2)), metavar="N",
        help="calls that run at the same time (as many as there are cores, 2 to 8); the last free one is kept for a tenant of "
        "whom nothing runs",
    )  # fmt: skip
    usage = commands.add_parser(
        "usage", help="what running apps used: calls, processor time, fuel, memory over time, calls and bytes out"
    )
    usage.add_argument("--tenant", default="")
    usage.add_argument("--app", default="")
    usage.add_argument("--since", default="", metavar="DATE", help="the first day (UTC); left out: from the beginning")
    usage.add_argument("--until", default="", metavar="DATE", help="the last day; left out: until now")
    usage.add_argument("--by", choices=("app", "tenant", "day"), default="app", help="a row each")
    usage.add_argument("--format", choices=("text", "json"), default="text")
    _attestations(commands)
    return parser.parse_args(argv)


def _attestations(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The verb that reads what was started."""
    starts = commands.add_parser("attestations", help="what was started, and whether its signatures hold")
    starts.add_argument("--app", default="")
    starts.add_argument("--tenant", default="")
    starts.add_argument("--since", default="", metavar="TIME", help="RFC 3339, UTC")
    starts.add_argument("--limit", type=int, default=50, help="the newest so many; -1 is all")
    starts.add_argument("--file", default="", metavar="FILE", help="verify what `--format dsse` wrote, without a home")
    starts.add_argument(
        "--key",
        action="append",
        default=[],
        help="with --file: a verifier key that is trusted (`audit key`); repeatable",
    )
    starts.add_argument("--format", choices=("text", "json", "dsse"), default="text")
