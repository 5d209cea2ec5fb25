"""Designs that wait for a review by a model: written by whoever decided, read by the process that asks.

The decision is not kept waiting: it says that a person has to look, is recorded, and leaves the design here. What the model
said is stored, and the next decision on the same design reads it. One file a design, readable by this user alone.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError
from governance.model.request import Source
from governance.normalise.requests import recorded_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from governance.model.decision import Decision
    from governance.model.facts import Facts
    from governance.model.request import Request

# More than that waiting means that nobody asks, or that somebody hands in designs without end: a person looks at those.
_MOST = 100
# After a review that failed, how long the same design is not asked about again.
_PAUSE_S = 600.0


class Waiting(NamedTuple):
    """One design in the queue."""

    path: Path
    request: Request


class ReviewQueue:
    """The folder below `home`/reviews/wanted."""

    def __init__(self, home: Path, key_of: Callable[[Request], str]) -> None:
        """`key_of` names a design, as the store of reviews does."""
        self._folder = home / "reviews" / "wanted"
        self._key_of = key_of

    def want(self, request: Request, facts: Facts, decision: Decision) -> None:
        """Have a design reviewed whose review is missing; not one that is denied anyway, nor a dry run.

        Never raises: without a place in the queue the design stays with the person that the decision asks for.
        """
        review = facts.values.get("review")
        if review is None or review["status"] == "done" or decision.effect == "deny" or request.dry_run:
            return
        with suppress(OSError):
            self._write(request)

    def _write(self, request: Request) -> None:
        key = self._key_of(request)
        path, tried = self._folder / f"{key}.json", self._folder / f"{key}.tried"
        if path.exists() or _age_s(tried) < _PAUSE_S:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sum(1 for _ in self._folder.glob("*.json")) >= _MOST:
            return
        text = json.dumps({"request": request.text, "source": request.source._asdict()})
        temporary = self._folder / f"{key}.{os.getpid()}.tmp"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        temporary.replace(path)

    def waiting(self) -> Iterator[Waiting]:
        """Every design, the longest waiting first; a file that is none is taken away."""
        for path in sorted(self._folder.glob("*.json"), key=_written):
            try:
                said = json.loads(path.read_text("utf-8"))
                source = Source(**{**said["source"], "roles": tuple(said["source"]["roles"])})
                yield Waiting(path, recorded_request(said["request"], source))
            except (CallerError, OSError, ValueError, KeyError, TypeError):
                path.unlink(missing_ok=True)

    def finish(self, done: Waiting, *, is_reviewed: bool) -> None:
        """Take a design out; one that could not be reviewed comes back after a pause at the earliest."""
        if not is_reviewed:
            done.path.with_suffix(".tried").touch(mode=0o600)
        done.path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
