"""`governance runtime usage`: what running apps used, for charging it to whoever is to pay."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.broker_wiring import usage_counters_of
from governance.platform.runtime_usage import FLUSH_S, added, period, usage_json, used
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse

    from governance.platform.runtime_usage import Row, Sums

_HEAD = f"{'':<44} {'calls':>9} {'cpu s':>10} {'fuel':>16} {'MiB s':>12} {'out':>7} {'out bytes':>12}\n"


def run(options: argparse.Namespace, stdout: TextIO) -> int:
    """A row each app, tenant or day, and their sum."""
    days = period(options.since, options.until)
    counters = usage_counters_of(from_environment(os.environ))
    try:
        rows = used(counters, by=options.by, tenant=options.tenant, app=options.app, days=days)
    finally:
        counters.close()
    if options.format == "json":
        stdout.write(json.dumps(usage_json(rows, options.since, options.until), indent=2) + "\n")
        return 0
    if rows:
        stdout.write(_HEAD)
    stdout.writelines(_line(_label(row), row.sums) for row in rows)
    stdout.write(_line("all", added(row.sums for row in rows)) if rows else "no app ran\n")
    if rows:
        stdout.write(f"without what ended within the last {FLUSH_S:g} s where an app host runs, and calls that run\n")
    return 0


def _label(row: Row) -> str:
    return " ".join(part for part in (row.day, f"{row.tenant}/{row.app}" if row.app else row.tenant) if part)


def _line(label: str, sums: Sums) -> str:
    return (
        f"{label:<44} {sums.calls:>9} {sums.cpu_ms / 1000:>10.3f} {sums.fuel:>16} {sums.memory_mib_s:>12.3f} "
        f"{sums.egress_calls:>7} {sums.egress_bytes:>12}\n"
    )
