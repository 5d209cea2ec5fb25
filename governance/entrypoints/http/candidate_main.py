"""The comparison with a candidate as a process of its own: `python -m governance.entrypoints.http.candidate_main`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from governance.entrypoints.http.companion import run_companion
from governance.errors import CallerError
from governance.log_wiring import open_reader
from governance.platform.bundles.releases import Shelf
from governance.platform.candidate import Candidate
from governance.platform.impact.analysis import job_of, sides_from
from governance.wiring import bundle_key_of, extras_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.entrypoints.http.companion import Work
    from governance.platform.impact.compare import Sides
    from governance.settings import Settings


def begin(settings: Settings, say: Callable[[str], None]) -> Work:
    """The candidate of this home."""
    percent = settings.number("candidate_percent")
    if percent > 100:
        raise CallerError(f"{percent} is more than 100", where="GOVERNANCE_CANDIDATE_PERCENT")
    shelf = Shelf(settings.home)

    def sides_for() -> Sides:
        standing = shelf.standing()
        base = shelf.packed(standing.release.id) if standing is not None else None
        if base is None:
            raise CallerError("nothing is in force yet that a candidate could be compared with")
        job = job_of(
            base, settings.text("candidate_bundle"), extras_of(settings), bundle_key_of(settings),
            home=settings.home, origin=settings.text("log_origin"), full=False,
        )  # fmt: skip
        return sides_from(job)

    candidate = Candidate(open_reader(settings), settings.home, percent, sides_for, shelf.stamp)
    say("compared with what is decided; it answers nobody")
    return candidate.run


if __name__ == "__main__":
    sys.exit(run_companion("candidate", begin))
