"""`governance audit export` and `governance audit verify`: packages that leave the house, and what comes back from them."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from audit.reader import LogReader
    from audit.store import Filter
    from governance.settings import Settings

_TELL_EVERY_S = 1.0


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """What `export` takes beside the filters."""
    from audit.exports.package import FORMATS

    parser.add_argument("--format", action="append", choices=FORMATS, default=[], help="a view; may be repeated")
    parser.add_argument("--out", required=True, metavar="DIR|FILE.zip", help="a new folder, or a new zip")
    parser.add_argument(
        "--openings",
        action="append",
        metavar="FIELD",
        help="only these sealed members may be read (input, facts, answer, result); none: nothing; default all",
    )
    parser.add_argument("--with-bundles", action="store_true", help="the policies that decided go into the package")
    parser.add_argument(
        "--pinned", action="append", default=[], metavar="FILE", help="a checkpoint to prove that the log continues"
    )


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """What `verify` takes."""
    parser.add_argument("package", help="an export, or what `governance audit prove` wrote")
    parser.add_argument("--key", default="", help="the verifier key you were given")
    parser.add_argument(
        "--pinned", default="", metavar="FILE", help="a checkpoint you kept: the export must continue it"
    )
    parser.add_argument(
        "--witness", action="append", default=[], metavar="KEY", help="has to have cosigned; repeatable"
    )
    parser.add_argument("--decision", default="", metavar="ID", help="show this decision, its policy and its controls")
    parser.add_argument("--re-evaluate", action="store_true", help="decide again, and name what comes out differently")
    parser.add_argument(
        "--bundle", default="", metavar="FILE", help="a policy out of <home>/policies, for an export made without them"
    )


def export(
    log: LogReader, wanted: Filter, options: argparse.Namespace, settings: Settings, stdout: TextIO, stderr: TextIO
) -> None:
    """Write the package; who took evidence out of the house is evidence too, and recorded before it is there."""
    from audit.exports.package import Doing, Wanted, check_wanted
    from audit.exports.package import export as write_package
    from governance.log_wiring import open_recorder
    from governance.model.moment import utc_now
    from governance.platform.export_records import entry_of_export
    from governance.wiring import controls_of, policies_of

    fields = None if options.openings is None else [f for f in options.openings if f != "none"]
    asked = Wanted(wanted, tuple(options.format), fields, tuple(_text(path) for path in options.pinned), log.cosigned())
    out = Path(options.out)
    check_wanted(log, asked)
    if out.exists():
        raise CallerError("exists already; name a new one", where=options.out)
    entry = entry_of_export(asked, "", actor=f"os:{os.getuid()}", entry_point="cli.audit", size=log.size())
    with open_recorder(settings) as recorder:
        recorder.append(entry)
    beside = policies_of(settings) if options.with_bundles else lambda _: {}
    doing = Doing(_teller(stderr), beside, controls_of(settings) if "oscal" in options.format else {})
    done = write_package(log, asked, out, created=utc_now(), doing=doing)
    stdout.write(f"{done.records} records in {done.path}; verify: python -m audit.verify {done.path}\n")


def verify(options: argparse.Namespace, stdout: TextIO, stderr: TextIO) -> int:
    """Check a package; then, where asked, decide its decisions again."""
    from audit.errors import BadPackage
    from audit.verify import main

    if options.re_evaluate and not options.key:
        raise CallerError(
            "--re-evaluate runs the policies of the package", hint="say with --key whose package you trust"
        )
    arguments = [options.package]
    for name in ("key", "pinned", "decision"):
        arguments += [f"--{name}", getattr(options, name)] if getattr(options, name) else []
    for witness in options.witness:
        arguments += ["--witness", witness]
    code = main(arguments, stdout.write, stderr.write)
    if code or not options.re_evaluate:
        return code
    from governance.platform.re_evaluation import re_evaluate

    try:
        report = re_evaluate(options.package, options.bundle)
    except BadPackage as error:
        raise CallerError(
            f"nothing there can be decided again: {error}", hint="--re-evaluate needs an export"
        ) from error
    stderr.writelines(f"DIFFERS: {line}\n" for line in report.differing)
    stderr.writelines(f"NOT AT HAND: {line}\n" for line in report.missing)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(report.not_comparable.items()))
    stdout.write(
        f"RE-EVALUATED: {report.equal} decisions came out as recorded, {len(report.differing)} differently; "
        f"not comparable: {reasons or 'none'}\n"
    )
    return 1 if report.differing or report.missing else 0


def _teller(stderr: TextIO) -> Callable[[str, int, int], None]:
    last = [time.monotonic()]

    def tell(stage: str, done: int, total: int) -> None:
        if time.monotonic() - last[0] > _TELL_EVERY_S:
            last[0] = time.monotonic()
            stderr.write(f"{stage}: {done} of {total}\n")
            stderr.flush()

    return tell


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CallerError(f"no checkpoint can be read there: {error}", where=path) from error
