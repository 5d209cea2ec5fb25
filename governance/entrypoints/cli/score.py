"""`governance score …`: how compliant the apps are, how that went day by day, and what moved it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.model.moment import utc_now
from governance.platform.scores import days_between, score, score_json, trend, trend_json
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.platform.scores import Day, Score


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """`report`: the score now; with --since its trend."""
    from governance.log_wiring import open_reader
    from governance.wiring import active_of

    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    active, log, now = active_of(settings), open_reader(settings), utc_now()
    found = score(log, now=now, revision=active.revision, app=options.app, tenant=options.tenant)
    days: list[Day] = []
    if options.since:
        wanted = days_between(options.since, options.until or now)
        days = trend(log, days=wanted, now=now, revision=active.revision, app=options.app, tenant=options.tenant)
    if options.format == "json":
        body = {**score_json(found, active.rules), **({"trend": trend_json(days)} if days else {})}
        stdout.write(json.dumps(body, indent=2) + "\n")
    else:
        _tell(found, len(active.rules), days, stdout)
    return 0


def _tell(found: Score, rules: int, days: Sequence[Day], stdout: TextIO) -> None:
    for one in found.standings:
        why = " ".join(one.open) or f"evaluated {one.evaluated_at[:19]}Z"
        waived = f"  waived: {' '.join(one.waived)}" if one.waived else ""
        stdout.write(f"{one.tenant or '-'}/{one.app:<28} {one.status:<14} {why}{waived}\n")
    for day in days:
        stdout.write(f"{day.day}  {_percent(day.score)}\n")
        stdout.writelines(f"    {line}\n" for line in day.changes)
    told = (
        f"{_percent(found)} of {len(found.standings)} apps compliant" if found.standings else "no app was evaluated yet"
    )
    stdout.write(f"{told}, by the {rules} rules of {found.revision}\n")


def _percent(found: Score) -> str:
    share = found.share()
    return "-" if share is None else f"{100 * share:.1f} %"


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance score", description="Compliance of the apps, read from the audit log.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    report = verbs.add_parser("report", help="the share of apps that are compliant now, and why the others are not")
    report.add_argument("--app", default="")
    report.add_argument("--tenant", default="")
    report.add_argument(
        "--since", default="", metavar="DATE", help="also each day from here on, and what moved the score"
    )
    report.add_argument("--until", default="", metavar="DATE", help="the last of these days; default today")
    report.add_argument("--format", choices=("text", "json"), default="text")
    return parser
