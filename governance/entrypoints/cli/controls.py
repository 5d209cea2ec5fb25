"""`governance controls …`: which rules serve which outside controls, and what the log shows about them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, TextIO

from governance.platform.controls import coverage, evidence, load_catalogue, title_of
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from governance.platform.controls import Coverage, Evidence, Framework
    from governance.policy.active import Active


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, _stderr: TextIO) -> int:
    """Dispatch one verb; `coverage` exits 1 where rules and catalogue do not fit."""
    from governance.policy.locations import data_folder
    from governance.wiring import active_of

    options = _parser().parse_args(argv)
    catalogue = load_catalogue(data_folder("rules"))
    active = active_of(from_environment(os.environ))
    found = coverage(catalogue, active.rules.values())
    if options.verb == "list":
        return _list(catalogue, found, options, stdout)
    if options.verb == "coverage":
        return _coverage(catalogue, found, options, stdout)
    rows = [row for row in _evidence(options, catalogue, active) if row.control.startswith(options.control)]
    if options.verb == "evidence":
        return _tell_evidence(rows, active.revision, options, stdout)
    return _gaps(catalogue, found, rows, options, stdout)


def _list(catalogue: Mapping[str, Framework], found: Coverage, options: argparse.Namespace, stdout: TextIO) -> int:
    rows = [
        {"control": control, "title": title_of(catalogue, control) or "(not in the catalogue)", "rules": list(rules)}
        for control, rules in found.served.items()
        if control.startswith(options.control)
    ]
    if options.format == "json":
        stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        stdout.writelines(f"{r['control']:<24} {r['title']:<58} {' '.join(r['rules'])}\n" for r in rows)
    return 0


def _coverage(catalogue: Mapping[str, Framework], found: Coverage, options: argparse.Namespace, stdout: TextIO) -> int:
    counts = {
        name: (sum(f"{name}:{c}" in found.served for c in framework.controls), len(framework.controls))
        for name, framework in catalogue.items()
    }
    wrong = [*found.unknown, *found.missing]
    if options.format == "json":
        body = {name: {"served": served, "controls": of} for name, (served, of) in counts.items()}
        stdout.write(json.dumps({"frameworks": body, "unserved": found.unserved, "wrong": wrong}, indent=2) + "\n")
    else:
        stdout.writelines(f"{served:>4} of {of:>3}  {catalogue[name].title}\n" for name, (served, of) in counts.items())
        stdout.writelines(f"WRONG: {line}\n" for line in wrong)
    return 1 if wrong else 0


def _evidence(options: argparse.Namespace, catalogue: Mapping[str, Framework], active: Active) -> list[Evidence]:
    from audit.store import Filter
    from governance.log_wiring import open_reader

    wanted = Filter(app=options.app, tenant=options.tenant, since=options.since, until=options.until)
    return evidence(open_reader(from_environment(os.environ)), wanted, catalogue, list(active.rules.values()))


def _tell_evidence(rows: list[Evidence], revision: str, options: argparse.Namespace, stdout: TextIO) -> int:
    if options.format == "json":
        stdout.write(json.dumps({"revision": revision, "controls": [r._asdict() for r in rows]}, indent=2) + "\n")
        return 0
    for row in rows:
        places = f"  records {', '.join(map(str, row.places))}" if row.places else ""
        stdout.write(
            f"{row.control:<24} {row.decided:>8} decided {row.not_met:>6} not met {row.waived:>6} waived{places}\n"
        )
    stdout.write(f"{len(rows)} controls, by the rules of {revision}\n")
    return 0


def _gaps(
    catalogue: Mapping[str, Framework],
    found: Coverage,
    rows: list[Evidence],
    options: argparse.Namespace,
    stdout: TextIO,
) -> int:
    without_rule = [control for control in found.unserved if control.startswith(options.control)]
    without_evidence = [row.control for row in rows if not row.decided]
    if options.format == "json":
        body = {"without_rule": without_rule, "without_evidence": without_evidence}
        stdout.write(json.dumps(body, indent=2) + "\n")
        return 0
    stdout.writelines(f"no rule      {control:<24} {title_of(catalogue, control)}\n" for control in without_rule)
    for control in without_evidence:
        rules = " ".join(found.served.get(control, ()))
        stdout.write(f"no evidence  {control:<24} {title_of(catalogue, control)}: no decision asked {rules}\n")
    stdout.write(f"{len(without_rule)} controls without a rule, {len(without_evidence)} without evidence\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance controls", description="Controls of SOC 2, ISO 27001, GDPR, NIST …")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, told in (
        ("list", "each control that rules serve, with them"),
        (
            "coverage",
            "how many controls of each framework are served; exit 1 where a rule names none or an unknown one",
        ),
        ("evidence", "what the log shows about each control over a period"),
        ("gaps", "controls without a rule, and those without a decision in the period"),
    ):
        verb = verbs.add_parser(name, help=told)
        verb.add_argument("--format", choices=("text", "json"), default="text")
        verb.add_argument("--control", default="", metavar="PREFIX", help="only those that begin so: SOC2, SOC2:CC6 …")
        if name in {"evidence", "gaps"}:
            verb.add_argument("--app", default="")
            verb.add_argument("--tenant", default="")
            verb.add_argument("--since", default="", help="RFC 3339, included")
            verb.add_argument("--until", default="", help="RFC 3339, not included")
    return parser
