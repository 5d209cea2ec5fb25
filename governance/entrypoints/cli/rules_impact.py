"""`governance rules impact`: what a candidate bundle would have decided on what was decided already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError, DependencyError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from governance.platform.impact.analysis import Job
    from governance.settings import Settings


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Exit 1 where anybody would be newly denied or newly allowed."""
    from audit.errors import AuditError, BadFilter
    from audit.store import Filter
    from governance.platform.impact.analysis import analyse
    from governance.platform.impact.report import as_html, as_json, as_text

    options = _options(argv)
    settings = from_environment(os.environ)
    wanted = Filter(app=options.app, tenant=options.tenant, since=options.since, until=options.until)
    try:
        report = analyse(_job(options, settings), wanted, options.cores, _progress(stderr))
    except FileNotFoundError as error:
        raise CallerError(str(error)) from error
    except BadFilter as error:
        raise CallerError(str(error), where="--since, --until") from error
    except AuditError as error:
        raise DependencyError(f"{error.code}: {error}") from error
    stdout.write({"text": as_text, "json": as_json, "html": as_html}[options.format](report))
    return 1 if report.has_changes else 0


def _job(options: argparse.Namespace, settings: Settings) -> Job:
    from governance.platform.bundles.sources import kind_of
    from governance.platform.impact.analysis import job_of
    from governance.wiring import bundle_key_of, extras_of, packed_of

    if not os.path.exists(options.candidate):
        raise CallerError("there is no such bundle", where="--candidate", hint="a folder or a .tar.gz")
    extras = extras_of(settings)
    if any(kind_of(extra.path) != "local" for extra in extras):
        raise CallerError("a bundle beside ours that is fetched cannot be compared", where="GOVERNANCE_EXTRA_BUNDLES")
    key = bundle_key_of(settings)
    return job_of(
        packed_of(settings), options.candidate, extras, key,
        home=settings.home, origin=settings.text("log_origin"), full=options.full,
    )  # fmt: skip


def _progress(stderr: TextIO) -> Callable[[int, int], None]:
    """One line that is written over, on a terminal; a line every tenth elsewhere."""
    told = 0

    def tell(done: int, everything: int) -> None:
        nonlocal told
        if stderr.isatty():
            stderr.write(f"\r{done} of {everything} records{'' if done < everything else chr(10)}")
        elif done * 10 // max(1, everything) > told:
            told = done * 10 // everything
            stderr.write(f"{done} of {everything} records\n")
        stderr.flush()

    return tell


def _options(argv: Sequence[str]) -> argparse.Namespace:
    import argparse

    parser = argparse.ArgumentParser(
        "governance rules impact",
        description="Decides anew, with a candidate bundle, what is on record, and says who would be newly denied or newly "
        "allowed. Same evaluator as the service; waivers count as they did; rules that did not change are not asked again. "
        "Exit 1 where anybody would be newly denied or newly allowed.",
    )
    parser.add_argument(
        "--candidate", required=True, metavar="B", help="folder or .tar.gz; an archive is verified as always"
    )
    parser.add_argument("--since", default="", help="RFC 3339 or a date, included")
    parser.add_argument("--until", default="", help="not included")
    parser.add_argument("--app", default="")
    parser.add_argument("--tenant", default="")
    parser.add_argument("--format", choices=("text", "json", "html"), default="text")
    parser.add_argument("--cores", type=int, default=0, help="left out: all there are")
    parser.add_argument("--full", action="store_true", help="ask every rule again, the unchanged ones too")
    return parser.parse_args(argv)
