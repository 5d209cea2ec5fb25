"""Reviews by a model as a process of its own: `python -m governance.entrypoints.http.review_main`.

It takes designs out of the queue that decisions fill, one after the other, and asks the configured model within the same
budget, masks and records as `governance review run`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from audit.errors import AuditError
from governance.broker_wiring import open_reviews
from governance.entrypoints.http.companion import run_companion
from governance.errors import GovernanceError
from governance.wiring import review_queue_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from governance.entrypoints.http.companion import Work
    from governance.platform.review_queue import ReviewQueue, Waiting
    from governance.platform.reviews import Reviews
    from governance.settings import Settings

_LOOK_S = 0.5


def begin(settings: Settings, say: Callable[[str], None]) -> Work:
    """The queue of this home, worked off until told to stop."""
    queue = review_queue_of(settings)

    def work(stopped: threading.Event) -> None:
        while queue is not None and not stopped.wait(_LOOK_S):
            waiting = list(queue.waiting())
            if waiting:
                with open_reviews(settings, say) as reviews:
                    _work_off(queue, waiting, reviews, stopped, say)

    say("asks a model about designs that wait for a review")
    return work


def _work_off(
    queue: ReviewQueue, waiting: list[Waiting], reviews: Reviews, stopped: threading.Event, say: Callable[[str], None]
) -> None:
    for design in waiting:
        if stopped.is_set():
            return
        queue.finish(design, is_reviewed=_is_reviewed(reviews, design, say))


def _is_reviewed(reviews: Reviews, design: Waiting, say: Callable[[str], None]) -> bool:
    try:
        return reviews.run(design.request).status == "done"
    except (GovernanceError, AuditError, OSError) as error:
        say(str(error))
        return False


if __name__ == "__main__":
    sys.exit(run_companion("review", begin))
