"""One worker process: its engine, its line to the shared audit writer, its clock on every evaluation."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from audit.client import Client
from audit.errors import AuditError
from governance.broker_wiring import app_calls_of, app_tokens_of, broker_of, grants_of, secrets_of, sender_of
from governance.enrich.presidio_worker import DeepScanner
from governance.enrich.scan import without_findings
from governance.errors import DependencyError
from governance.events_wiring import exchange_of
from governance.log_wiring import open_reader, state_of
from governance.model.moment import new_decision_id, utc_now
from governance.pipeline import Pipeline
from governance.platform.bundles.releases import Shelf
from governance.platform.excuses import Excuses, recorded_waivers
from governance.platform.keys import KeyStore
from governance.platform.oauth.sessions import Sessions
from governance.platform.telemetry import Telemetry, tracer_of
from governance.wiring import (
    approvals_of,
    connectors_by_host,
    directory_of,
    parts_for,
    registry_of,
    review_queue_of,
    scan_policy_of,
    serving_of,
)

if TYPE_CHECKING:
    from audit.reader import LogReader
    from audit.record import Entry, Receipt
    from governance.events_wiring import Exchange
    from governance.model.request import Request
    from governance.pipeline import Recorder
    from governance.platform.app_calls import AppCalls
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.sending import Sender
    from governance.platform.excuses import Change
    from governance.platform.oauth.grants import Grants
    from governance.policy.active import Active
    from governance.settings import Settings

# How often a worker looks after itself: connection to the writer, its parent, its counts on disk.
_TICK_S = 0.5
# How many times its processor time an evaluation may take by the clock.
_CLOCK = 10
# After a record that failed, this long without a new success the worker is not ready.
_DISTRUST_S = 3.0
_LONGEST_NAME = 200


class Worker:
    """Everything the routes need. Made inside the event loop's thread, which is the engine's thread as well."""

    def __init__(self, settings: Settings, *, is_dev: bool, beside: int = 0) -> None:
        """`beside`: how many threads of this process burn processor time while something is decided on."""
        self.settings = settings
        self.is_dev = is_dev
        self.max_body = settings.number("max_body_bytes")
        self.max_review = settings.number("max_review_bytes")
        self.max_depth = settings.number("max_depth")
        self.max_batch = settings.number("max_batch")
        self.admits_without_key = settings.choice("admission", ("key", "open")) == "open"
        self.tiles_without_key = settings.choice("tiles", ("key", "open")) == "open"
        self.needs_witnesses = settings.text("witnesses_needed") != "0"
        self.bundle_readers: dict[str, float] = {}
        self.answers_queries = settings.choice("queries", ("off", "on")) == "on"
        self.ext_authz = settings.text("ext_authz").strip("/")
        self.upstream_scheme = settings.choice("ext_authz_scheme", ("https", "http"))
        self.gateway_obligations = frozenset(settings.text("ext_authz_obligations").replace(" ", "").split(","))
        self.body_timeout_s = settings.number("body_timeout_ms") / 1000
        self.state = state_of(settings)
        self.keys = KeyStore(self.state)
        self.telemetry = Telemetry(
            tracer_of(settings.text("otlp_endpoint")), folder=settings.home / "metrics", name=str(os.getpid())
        )
        self._budget_s = settings.number("budget_ms") / 1000
        self._threads = 1 + beside
        self.serving = serving_of(settings)
        self.excuses = Excuses(self.state, settings.home, settings.text("waivers"))
        self.refresh()
        self._reader: LogReader | None = None
        self._broker: Broker | None = None
        self._sender: Sender | None = None
        self._grants: Grants | None = None
        self.sessions = Sessions(self.state, self.keys)
        self._app_calls: AppCalls | None = None
        self._exchange: Exchange | None = None
        self.directory = directory_of(settings)
        self.app_tokens = app_tokens_of(settings)
        self.approvals = approvals_of(settings)
        self.registry = registry_of(settings)
        """What this process goes by until it ends: facts, calls and consents, each by the same documents."""
        self.connector_of = connectors_by_host(self.registry)
        self.scan_policy = scan_policy_of(lambda: self.serving.active)
        self.scanning = asyncio.Lock()
        """One document at a time: scans run in a thread, and decisions share the interpreter with them."""
        self._deep: DeepScanner | None = None
        self._parent = os.getppid()
        self.client = Client(settings.home, f"worker-{os.getpid()}", settings.number("record_timeout_ms") / 1000)
        self._recorder = _Recorder(self.client)
        parts = parts_for(settings, lambda: self.serving.active, self.registry)
        queue = review_queue_of(settings)
        if queue is not None:
            parts = parts._replace(follow=queue.want)
        self._parts = parts._replace(
            recorder=self._recorder,
            waivers=self.excuses.in_force,
            stage=self.telemetry.stage,
            watch=self._watch,
        )
        self.line = Pipeline(self._parts)

    @property
    def broker(self) -> Broker:
        """The way out for apps; made on first use, since it loads an HTTP client."""
        if self._broker is None:
            self._broker = broker_of(self.settings, self.line, self.registry)
        return self._broker

    def line_of_starts(self) -> tuple[Pipeline, Recorder]:
        """A line that carries nothing out, and its recorder: starting again what was deployed changes nothing about it."""
        return Pipeline(self._parts._replace(enforcement=None)), self._recorder

    @property
    def app_calls(self) -> AppCalls:
        """Decisions about requests to apps that a gateway holds."""
        if self._app_calls is None:
            self._app_calls = app_calls_of(self.settings, self.line, lambda: self.serving.active)
        return self._app_calls

    @property
    def deep_scanner(self) -> DeepScanner:
        """The deep scan for documents that are handed in; its process starts with the first of them."""
        if self._deep is None:
            self._deep = DeepScanner()
        return self._deep

    @property
    def grants(self) -> Grants:
        """Consents of people, and what vendors gave for them."""
        if self._grants is None:
            self._sender = sender_of(self.settings)
            self._grants = grants_of(self.settings, self._sender, secrets_of(self.settings))
        return self._grants

    @property
    def exchange(self) -> Exchange:
        """Events of apps; made on first use, as the broker is."""
        if self._exchange is None:
            self._exchange = exchange_of(self.settings, self.line, self.directory)
        return self._exchange

    @property
    def active(self) -> Active:
        """The bundle in force."""
        return self.serving.active

    def ask_to_rebuild(self) -> None:
        """Have the keeper look at the bundles again; compiling is nothing that a worker does."""
        Shelf(self.settings.home).ask_to_rebuild()

    def refresh(self) -> None:
        """Take up another release and changed waivers, between two requests."""
        said = self.serving.refresh()
        if said:
            sys.stderr.write(f"worker {os.getpid()} {said}\n")
            sys.stderr.flush()
        rules = self.serving.active.rules
        with contextlib.suppress(DependencyError):  # then `in_force` raises as well, and nothing is excused
            # Without rules everything is denied, and no waiver could name one.
            for problem in self.excuses.refresh(rules) if rules else ():
                sys.stderr.write(f"a waiver that does not count: {problem}\n")
                sys.stderr.flush()

    async def take_up(self) -> None:
        """Record waivers that came, changed or went, so that they count; what cannot be recorded is tried again."""
        if not self.excuses.is_behind:
            return
        with self.excuses.alone(waits=False) as is_alone:
            if not is_alone:
                return
            recorded = await asyncio.to_thread(recorded_waivers, self.reader())
            for change in self.excuses.changes(recorded):
                try:
                    if not await self._may_count(change):
                        continue
                    if change.entry is not None:
                        await self.client.aappend(change.entry)
                except AuditError as error:
                    self._say(f"a waiver that does not count, for it cannot be recorded: {change.label}: {error.code}")
                    continue
                self.excuses.settled(change)

    async def _may_count(self, change: Change) -> bool:
        """Whether the policy lets a waiver be that came, or changed, in a file."""
        question = change.question()
        if question is None:
            return True
        decision = await self.line.adecide(question)
        if decision.is_allowed:
            return True
        if decision.error is None:
            self.excuses.refused(change)
        self._say(f"a waiver that does not count: {change.label}: {decision.reason} (decision {decision.decision_id})")
        return False

    def _say(self, text: str) -> None:
        sys.stderr.write(f"worker {os.getpid()}: {text}\n")
        sys.stderr.flush()

    def reader(self) -> LogReader:
        """The log for reading; opened on first use, when the writer has made it."""
        if self._reader is None:
            self._reader = open_reader(self.settings)
        return self._reader

    async def _log_trouble(self) -> str:
        """Why a decision could not be recorded now; empty where it could."""
        if self._recorder.is_distrusted():
            return "the audit log did not take the last record"
        return await self.client.trouble()

    def metrics(self) -> str:
        """Prometheus text of all workers, and how many apps' documents are damaged."""
        from governance.platform.candidate import candidate_metrics

        damaged = f"# TYPE governance_damaged_apps gauge\ngovernance_damaged_apps {len(self.directory.damaged())}\n"
        return self.telemetry.text() + candidate_metrics(self.settings.home) + damaged

    async def unready(self) -> str:
        """Why this worker should not be asked; empty where it may be."""
        missing = self.serving.missing()
        if missing:
            return f"no usable bundle: {', '.join(missing)}"
        try:
            self.state.pulse()
        except DependencyError as error:
            return error.message
        return await self._log_trouble()

    async def look_after(self) -> None:
        """Until cancelled: keep the writer's connection, so that it knows what is in flight here; end with the parent."""
        while True:
            await self.client.is_reachable()
            self.telemetry.save()
            try:
                self.refresh()
                await self.take_up()
            except Exception as error:  # noqa: BLE001  whatever stands on the disk, the worker goes on with what it has
                sys.stderr.write(f"worker {os.getpid()} could not look for changes: {type(error).__name__}\n")
            if os.getppid() != self._parent:
                sys.stderr.write("the service that started this worker is gone; it ends\n")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            await asyncio.sleep(_TICK_S)

    async def close(self) -> None:
        """Drop connections and the flight slot in good order."""
        self.telemetry.save()
        if self._broker is not None:
            await self._broker.close()
        if self._deep is not None:
            self._deep.close()
        if self._sender is not None:
            await self._sender.close()
        if self._app_calls is not None:
            self._app_calls.close()
        if self._exchange is not None:
            await self._exchange.close()
        await self.client.close()

    def _watch(self, request: Request) -> _Watched:
        return _Watched(self.client, request, self._budget_s, self._threads)


class _Recorder:
    """The shared writer as the line's recorder, remembering whether it can be relied on."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._failed_at: float | None = None

    def append(self, entry: Entry) -> Receipt:
        """A worker never waits for the disk in its event loop."""
        raise DependencyError(f"a worker records asynchronously only, and {entry.kind} was not")

    async def aappend(self, entry: Entry) -> Receipt:
        """Return once the entry is durable."""
        try:
            receipt = await self._client.aappend(entry)
        except AuditError as error:
            if error.code != "record_too_large":
                self._failed_at = time.monotonic()
            raise
        self._failed_at = None
        return receipt

    def is_distrusted(self) -> bool:
        """The last record failed a moment ago and none succeeded since."""
        return self._failed_at is not None and time.monotonic() - self._failed_at < _DISTRUST_S


class _Watched:
    """Around one evaluation: a note of what is in flight, and timers that end the process when it takes too long.

    The engine holds the interpreter lock while it evaluates and cannot be interrupted, so no Python code could stop it.
    A timer's default action can: the process dies, the caller's connection drops without an answer, the writer finds
    the note and records a deny, and the server starts a new worker.
    An evaluation only computes, so its budget is processor time. By the clock alone a busy machine would kill workers that
    did nothing wrong, and be busier for starting others; the clock bounds what no processor time bounds.
    """

    __slots__ = ("_budget_s", "_client", "_request", "_threads")

    def __init__(self, client: Client, request: Request, budget_s: float, threads: int) -> None:
        """`threads`: how many the timer of processor time may count at once, this one and those beside it."""
        self._client, self._request, self._budget_s, self._threads = client, request, budget_s, threads

    def __enter__(self) -> None:
        request = self._request
        public = {
            "decision_id": new_decision_id(),
            "app": _masked(str(request.app.get("name", ""))),
            "tenant": _masked(request.tenant),
            "actor": request.source.actor,
            "entry_point": request.source.entry_point,
            "trace_id": request.source.trace_id,
            "input_digest": request.digest,
            "rules": [],
            "asked": request.kind,
        }
        self._client.flight.take_off(public, utc_now())
        signal.setitimer(signal.ITIMER_REAL, self._budget_s * _CLOCK)
        signal.setitimer(signal.ITIMER_PROF, min(self._budget_s * self._threads, self._budget_s * _CLOCK))

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._client.flight.land()


def _masked(name: str) -> str:
    """A name as a note may hold it: it is on the disk before anything was looked into."""
    return _masked_short(name) if len(name) <= _LONGEST_NAME else "[too long]"


_masked_short = lru_cache(4096)(without_findings)


def prepare_process() -> None:
    """The timer's signal has to end the process, whatever the server installed for it."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
