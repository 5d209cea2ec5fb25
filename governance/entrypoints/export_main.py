"""The process that carries out one export job: `python -m governance.entrypoints.export_main JOB_ID`.

It ends with the service that started it; the next question about the job starts it again, and it goes on where it was.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from governance.model.moment import utc_now
from governance.platform.export_jobs import DONE, FAILED, RUNNING, Jobs
from governance.settings import from_environment

if TYPE_CHECKING:
    from audit.exports.package import Wanted
    from governance.model.request import Json
    from governance.settings import Settings

_TELL_EVERY_S = 0.5


def main(job_id: str) -> int:
    """Exit 0 when the job is done, or somebody else carries it out."""
    from audit.errors import AuditError
    from governance.errors import GovernanceError

    settings = from_environment(os.environ)
    jobs = Jobs(settings.home)
    with jobs.held(job_id) as is_mine:
        if not is_mine or jobs.state(job_id)["state"] in {DONE, FAILED}:
            return 0
        jobs.tell(job_id, {"state": RUNNING, "stage": "waiting"})
        try:
            with jobs.turn():
                _carry_out(jobs, job_id, settings)
        except (AuditError, GovernanceError, OSError) as error:
            jobs.tell(job_id, {"state": FAILED, "error": f"{getattr(error, 'code', 'disk')}: {error}"})
            return 1
    return 0


def _carry_out(jobs: Jobs, job_id: str, settings: Settings) -> None:
    from audit.exports.package import Doing, export
    from governance.log_wiring import open_reader
    from governance.wiring import controls_of, policies_of

    parent, last = os.getppid(), time.monotonic()

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        if os.getppid() != parent:
            raise SystemExit(3)
        if time.monotonic() - last > _TELL_EVERY_S:
            last = time.monotonic()
            jobs.tell(job_id, {"state": RUNNING, "stage": stage, "done": done, "of": total})

    asked = jobs.find(job_id).asked
    beside = policies_of(settings) if asked["with_bundles"] else lambda _revisions: {}
    doing = Doing(tell, beside, controls_of(settings) if "oscal" in asked["formats"] else {})
    log = open_reader(settings)
    wanted = wanted_of(asked)._replace(cosigned=log.cosigned())
    done = export(log, wanted, jobs.package(job_id), created=utc_now(), doing=doing)
    jobs.tell(job_id, {"state": DONE, "records": done.records, "bytes": done.path.stat().st_size})


def wanted_of(asked: Json) -> Wanted:
    """What a job asks for, in the log's words."""
    from audit.exports.package import Wanted
    from audit.store import Filter

    chosen = {**asked["filter"], "rules": tuple(asked["filter"].get("rules", ()))}
    return Wanted(Filter(**chosen), asked["formats"], asked["openings"], asked["pinned"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
