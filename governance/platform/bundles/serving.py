"""The release in force as one worker serves it: loaded from what the keeper compiled, swapped between two requests."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from governance.errors import NoAnswer, RuleError
from governance.platform.bundles.releases import Shelf
from governance.policy.active import Active, activated
from governance.policy.compiler.compiled import CompiledPolicy
from governance.policy.engine import Engine

if TYPE_CHECKING:
    from pathlib import Path

    from governance.model.decision import Answer
    from governance.model.request import Json
    from governance.platform.bundles.sources import Source

NOTHING = "(none)"


class _Silent(Engine):
    """An engine that has no policy, or must not use it: whatever is asked, there is no answer, and that is a deny."""

    def __init__(self, reason: str) -> None:
        super().__init__(CompiledPolicy((), (), "{}", {}, (), b"", strict=True))
        self._reason = reason

    def rule(self, path: str, input_json: str | None) -> Answer:  # noqa: ARG002  there is nothing to ask about it
        """Raises NoAnswer."""
        raise NoAnswer(f"{self._reason}; {path} has no answer", hint="GET /v1/status says how each bundle fares")

    def query(self, query: str, input_json: str | None, *, strict: bool | None = None) -> list[Json]:  # noqa: ARG002
        """Raises NoAnswer."""
        raise NoAnswer(f"{self._reason}; {query} has no answer", hint="GET /v1/status says how each bundle fares")


def silent(reason: str, revision: str = NOTHING) -> Active:
    """A policy that allows nothing, for the time without one; every decision it makes is a recorded deny with the reason."""
    engine = _Silent(reason)
    return Active(engine, revision, {}, {}, {}, CompiledPolicy((), (), "{}", {}, (), b"", strict=True))


class Serving:
    """What a worker decides with. Belongs to the thread that made it, as its engine does."""

    def __init__(self, home: Path, sources: tuple[Source, ...], config: str, max_age_s: int) -> None:
        self._shelf = Shelf(home)
        self._sources = sources
        self._config = config
        self._max_age_s = max_age_s
        self._stamp: object = None
        self._loaded = silent("no bundle is in force yet")
        self._stale: Active | None = None
        self.refresh()

    @property
    def active(self) -> Active:
        """The policy to decide with now."""
        return self._stale or self._loaded

    def refresh(self) -> str:
        """Take up what has changed on disk; says what was taken up, or why not, and is empty where nothing is new."""
        said = self._reload()
        stale = self.stale_sources() if self._loaded.revision != NOTHING else []
        if not stale:
            self._stale = None
        elif self._stale is None:
            reason = f"{', '.join(stale)} was not fetched for more than {self._max_age_s} s"
            self._stale = silent(reason, self._loaded.revision)
        return said

    def missing(self) -> list[str]:
        """The required bundles without which this worker is not ready."""
        if self._loaded.revision == NOTHING:
            rows = self._shelf.status().get("bundles", {})
            never = [s.name for s in self._sources if not rows.get(s.name, {}).get("active_revision")]
            return never or [source.name for source in self._sources]
        return self.stale_sources()

    def stale_sources(self) -> list[str]:
        """Remote sources whose last successful fetch is longer ago than the settings allow."""
        if not self._max_age_s:
            return []
        rows = self._shelf.status().get("bundles", {})
        return [
            source.name
            for source in self._sources
            if source.is_remote and _age_s(rows.get(source.name, {}).get("last_successful_request")) > self._max_age_s
        ]

    def _reload(self) -> str:
        stamp = self._shelf.stamp()
        if stamp == self._stamp:
            return ""
        standing = self._shelf.standing()
        if standing is None or standing.release.config != self._config:
            return ""
        packed = self._shelf.packed(standing.release.id)
        if packed is None:
            self._stamp = stamp
            return f"keeps {self._loaded.revision}: release {standing.release.id[:12]} is missing or was changed"
        try:
            loaded = activated(packed)
            loaded.engine.warm()
        except (RuleError, ValueError, KeyError, TypeError) as error:
            self._stamp = stamp
            return f"keeps {self._loaded.revision}: {error}"
        self._stamp, self._loaded = stamp, loaded
        return f"serves {self._loaded.revision}"


def _age_s(moment: object) -> float:
    if not isinstance(moment, str) or not moment:
        return float("inf")
    try:
        return time.time() - datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return float("inf")
