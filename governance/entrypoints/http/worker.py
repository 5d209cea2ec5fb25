"""One worker process: its engine, its line to the shared audit writer, its clock on every evaluation."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from audit.client import Client
from governance.errors import DependencyError, RuleError
from governance.model.moment import new_decision_id, utc_now
from governance.pipeline import Pipeline
from governance.platform.keys import KeyStore
from governance.platform.telemetry import Telemetry, tracer_of
from governance.wiring import active_of, open_reader, parts_for

if TYPE_CHECKING:
    from audit.reader import LogReader
    from governance.model.request import Request
    from governance.policy.active import Active
    from governance.settings import Settings


class Worker:
    """Everything the routes need. Made inside the event loop's thread, which is the engine's thread as well."""

    def __init__(self, settings: Settings, *, is_dev: bool) -> None:
        self.settings = settings
        self.is_dev = is_dev
        self.max_body = settings.number("max_body_bytes")
        self.max_batch = settings.number("max_batch")
        self.keys = KeyStore(settings.home)
        self.telemetry = Telemetry(tracer_of(settings.text("otlp_endpoint")))
        self._budget_s = settings.number("budget_ms") / 1000
        self._active = active_of(settings)
        self._reader: LogReader | None = None
        self.client = Client(settings.home, f"worker-{os.getpid()}", settings.number("record_timeout_ms") / 1000)
        parts = parts_for(settings, lambda: self._active)
        self.line = Pipeline(parts._replace(recorder=self.client, stage=self.telemetry.stage, watch=self._watch))

    @property
    def active(self) -> Active:
        """The bundle in force."""
        return self._active

    def reload(self) -> str:
        """Load the bundle again and swap it between two requests; what does not load changes nothing."""
        try:
            self._active = active_of(self.settings)
        except (RuleError, OSError) as error:
            return f"kept {self._active.revision}: {error}"
        return f"serving {self._active.revision}"

    def reader(self) -> LogReader:
        """The log for reading; opened on first use, when the writer has made it."""
        if self._reader is None:
            self._reader = open_reader(self.settings)
        return self._reader

    async def is_ready(self) -> bool:
        """Whether a decision could be made and recorded now."""
        return await self.client.is_reachable()

    def _watch(self, request: Request) -> _Watched:
        return _Watched(self, request, self._budget_s)


class _Watched:
    """Around one evaluation: a note of what is in flight, and a timer that ends the process when it takes too long.

    The engine holds the interpreter lock while it evaluates and cannot be interrupted, so no Python code could stop it.
    The timer's default action can: the process dies, the caller's connection drops without an answer, the writer finds
    the note and records a deny, and the server starts a new worker.
    """

    __slots__ = ("_budget_s", "_request", "_worker")

    def __init__(self, worker: Worker, request: Request, budget_s: float) -> None:
        self._worker, self._request, self._budget_s = worker, request, budget_s

    def __enter__(self) -> None:
        request = self._request
        public = {
            "decision_id": new_decision_id(),
            "app": str(request.app.get("name", ""))[:200],
            "tenant": request.tenant[:200],
            "actor": request.source.actor,
            "entry_point": request.source.entry_point,
            "input_digest": request.digest,
            "rules": [],
            "asked": request.kind,
        }
        self._worker.client.flight.take_off(public, utc_now())
        signal.setitimer(signal.ITIMER_REAL, self._budget_s)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._worker.client.flight.land()


def prepare_process() -> None:
    """The timer's signal has to end the process, whatever the server installed for it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def unreachable(error: Exception) -> DependencyError:
    """The audit writer is away."""
    return DependencyError(f"the audit log cannot be reached: {error}", hint="nothing is allowed until it is back")
