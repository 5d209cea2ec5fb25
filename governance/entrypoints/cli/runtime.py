"""`governance runtime doctor`: which boundaries this host really has, found out by starting something in each."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, TextIO

from governance.settings import from_environment
from governance.wiring import runtimes_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Print one row a runtime; 0 when at least one is available."""
    import os

    options = _options(argv)
    probes = {name: adapter.probe() for name, adapter in runtimes_of(from_environment(os.environ)).items()}
    if options.format == "json":
        stdout.write(json.dumps({name: probe._asdict() for name, probe in probes.items()}, indent=2) + "\n")
    else:
        for name, probe in probes.items():
            said = "yes" if probe.is_available else "NO"
            stdout.write(f"{name:<10} {said:<4} {probe.boundary:<8} {probe.engine or '-':<32} {probe.reason}\n")
    return 0 if any(probe.is_available for probe in probes.values()) else 1


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="governance runtime", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="doctor")
    doctor = commands.add_parser("doctor", help="start something small in every runtime and say what happened")
    doctor.add_argument("--format", choices=("text", "json"), default="text")
    return parser.parse_args(argv)
