"""Running a deployed app once: decide its deploy again, start what was decided on, record what was started, call it.

A yes of last month is no yes of today: rules change, waivers end, connectors retire. So each call asks again, with the
manifest of the last allowed deploy, and only what today's decision names is started. A call that waited for a worker, or
across a change of the app or the rules, asks once more when a worker takes it up. Calls with the same permission share warm
instances; a record of a start is written where something starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from audit.errors import AuditError
from audit.record import Entry
from governance.enforce import plan_of
from governance.enrich.scan import without_findings
from governance.errors import DependencyError, GovernanceError, InternalError, NotFound
from governance.model.moment import utc_now
from governance.normalise.requests import API_GROUP, normalise_document
from governance.platform.broker.app_storage import Store
from governance.platform.broker.ends import GivenUp
from governance.platform.broker.guests import broker_for, new_trace, source_of_runtime
from governance.platform.broker.tokens import Caller
from runtime_adapters.fair_share import Busy
from runtime_adapters.pool import Ready
from runtime_adapters.port import Artifact, BadArtifact, RuntimeRefusal
from runtime_adapters.statement import check_attested, statement

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Any

    from governance.model.decision import Decision
    from governance.model.request import Json, Request, Source
    from governance.pipeline import Pipeline, Recorder
    from governance.platform.broker.calls import Broker
    from governance.platform.broker.preparing import Preparing
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.pool import Pool
    from runtime_adapters.port import Adapter, Attestation, Instance, Outcome, Prepared
    from runtime_adapters.port import Broker as Door

    Sign = Callable[[Json], list[Json]]

_T = TypeVar("_T")
# Of a call that was stopped, the end of what it logged is on record.
_LONGEST_LOG = 4000
# A worker that has to wait for the event loop longer than this gives its call up.
_LONGEST_LOOK_S = 30.0


class NoRoom(GovernanceError):
    """The sandboxes are all busy."""

    code = "no_room"
    status = 429

    def __init__(self, message: str, retry_after_s: float) -> None:
        """`retry_after_s`: when it is worth asking again."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CallerGone(GovernanceError):
    """Whoever asked hung up before an app was called."""

    code = "caller_gone"
    status = 408


class Host(NamedTuple):
    """What starting an app needs; `root` is where the paths of modules begin.

    `sign`: an attestation's signatures, as a DSSE envelope has them; raises DependencyError.
    """

    line: Pipeline
    broker: Broker
    recorder: Recorder
    adapters: Mapping[str, Adapter]
    pool: Pool
    home: Path
    root: Path
    sign: Sign
    """An attestation's signatures, as a DSSE envelope has them; raises DependencyError."""
    preparing: Preparing
    app_of: Callable[[str], Json | None]
    """An app's last allowed deploy, as `AppDirectory.app` gives it."""
    longest_wait_s: float = 10.0
    """A call that no worker took up by then is refused."""
    longest_ready_s: float = 60.0
    """And one whose app could not be got ready."""
    fresh_s: float = 0.25
    """A call that waited longer than this is decided on again when a worker takes it up."""


class Ran(NamedTuple):
    """What came of it: `outcome` is None where today's decision was a no."""

    decision: Decision
    outcome: Outcome | None


async def run(host: Host, name: str, body: bytes, trace_id: str = "", gone: asyncio.Future[None] | None = None) -> Ran:
    """Call the app `name` with `body`; `gone` is done once whoever asked has hung up.

    Raises NotFound for an app nobody deployed, DependencyError where the boundary or the artifact is not what was decided on,
    NoRoom where no worker is free, CallerGone. Whatever ended it, being cancelled as well, is on record, under `trace_id`;
    empty: one of its own.
    """
    call = _Call(host, name, trace_id or new_trace(), gone)
    try:
        return await call.ran(body)
    except asyncio.CancelledError:
        given_up = GivenUp("the run was given up before its end; what it had begun by then may have been carried out")
        with contextlib.suppress(GovernanceError):
            await asyncio.shield(call.refused(given_up))
        raise
    except Exception as error:
        told = _as_told(error)
        # A record that fails says no as well, and there is no more to be said than what went wrong first.
        with contextlib.suppress(GovernanceError):
            await call.refused(told)
        if told is error:
            raise
        raise told from error


class _Permit(NamedTuple):
    """What a decision permits, and what it rests on."""

    plan: RuntimePlan
    prepared: Prepared
    attestation: Attestation
    generation: str
    basis: tuple[object, ...]
    decided_at: float


class _Call:
    """One call; belongs to the event loop, except for what says otherwise."""

    def __init__(self, host: Host, name: str, trace_id: str, gone: asyncio.Future[None] | None) -> None:
        self._host, self._name, self._trace_id, self._gone = host, name, trace_id, gone
        self._loop = asyncio.get_running_loop()
        self._caller = Caller(name, "", f"{name[:50]}-{os.getpid()}")
        self._request: Request | None = None
        self._decision: Decision | None = None
        self._permit: _Permit | None = None
        self._tenant = ""
        """Whose turn in the pool this call waits for."""
        self._error: Exception | None = None

    async def ran(self, body: bytes) -> Ran:
        """Decide, wait for a worker, be run by it."""
        outcome = None
        self._permit = await self._permitted()
        if self._permit is not None:
            self._tenant = self._permit.plan.tenant
            waiting = self._host.pool.queue(self._tenant, self._name, self._ready, body)
            try:
                outcome = await self._outcome(waiting)
            finally:
                waiting.cancel()
        if self._decision is None:  # cannot be: nothing is permitted without one
            raise InternalError("no decision was made")
        if outcome is not None and outcome.status != "done":
            stopped = _stopped(self._decision.decision_id, outcome, self._caller, self._trace_id)
            await self._host.recorder.aappend(stopped)
        return Ran(self._decision, outcome)

    async def refused(self, error: GovernanceError) -> None:
        """Record what ended the call; of an app that nobody deployed there is nothing to say."""
        if self._request is None and isinstance(error, NotFound):
            return
        digest = self._request.digest if self._request is not None else ""
        await self._host.line.arefuse(source_of_runtime(self._caller, self._trace_id), error, digest)

    async def _permitted(self) -> _Permit | None:
        """What today's decision permits; None for a no, which ends what runs of the app as well."""
        host, app = self._host, self._host.app_of(self._name)
        if app is None:
            host.pool.forget(self._name)
            raise NotFound(f"no app {self._name[:63]!r} was deployed")
        basis = self._basis(app)
        self._caller = self._caller._replace(tenant=str(app["spec"].get("tenant", "")))
        request = self._request = _deploy(self._name, app["spec"], source_of_runtime(self._caller, self._trace_id))
        decision = self._decision = await host.line.adecide(request)
        if not decision.is_allowed:
            host.pool.forget(self._name)
            return None
        decided_at, plan = time.monotonic(), plan_of(request, decision)
        adapter = host.adapters[plan.runtime_class]
        artifact = Artifact(_file_of(host.root, request.app), plan.artifact.removeprefix("sha256:"))
        prepared = await self._prepared(adapter, plan, artifact)
        attestation = prepared.attest()
        check_attested(plan, artifact, attestation)
        return _Permit(plan, prepared, attestation, _generation(basis, decision, plan), basis, decided_at)

    async def _prepared(self, adapter: Adapter, plan: RuntimePlan, artifact: Artifact) -> Prepared:
        """What is being got ready goes on being so, for the next call, when this one does not wait any longer."""
        getting = asyncio.ensure_future(self._host.preparing.prepared(adapter, plan, artifact))
        await self._wait(getting, self._host.longest_ready_s)
        if not getting.done():
            getting.cancel()
            self._check_caller()
            raise NoRoom(f"the app was not ready within {self._host.longest_ready_s:g} s", 10.0)
        return getting.result()

    async def _wait(self, work: asyncio.Future[Any], seconds: float) -> None:
        """Until it is done, the time is over, or the caller is gone."""
        watched: set[asyncio.Future[Any]] = {work} if self._gone is None else {work, self._gone}
        await asyncio.wait(watched, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _basis(self, app: Json) -> tuple[object, ...]:
        """What a decision rests on that others change while a call waits."""
        return *(app.get(name) for name in ("decision_id", "digest", "state")), self._host.line.revision

    async def _outcome(self, waiting: Future[Outcome]) -> Outcome | None:
        """What the app answered; None where it was refused when a worker took the call up."""
        running = asyncio.wrap_future(waiting)
        await self._wait(running, self._host.longest_wait_s)
        if not running.done() and waiting.cancel():
            self._check_caller()
            raise NoRoom(f"no worker was free for {self._host.longest_wait_s:g} s", 1.0)
        try:
            return await running
        except Exception:
            if self._error is not None:
                raise self._error from None
            if self._permit is None:
                return None
            raise

    def _check_caller(self) -> None:
        if self._gone is not None and self._gone.done():
            raise CallerGone("the caller hung up before the app was called")

    def _ready(self) -> Ready:
        """Asked by the worker, in its thread."""
        ready = self._in_loop(self._taken_up())
        if ready is None:
            raise RuntimeRefusal("not any longer")
        return ready

    async def _taken_up(self) -> Ready | None:
        """What this call may have now. An error stays in this thread, with the frames that it holds: they hold the engine."""
        try:
            self._check_caller()
            permit = self._permit
            if permit is None or time.monotonic() - permit.decided_at > self._host.fresh_s or self._is_outdated(permit):
                permit = self._permit = await self._permitted()
                self._check_fresh(permit)
        except Exception as error:  # noqa: BLE001  whatever it was, `_outcome` raises it
            self._error = error
            return None
        if permit is None:
            return None
        store = Store(self._host.home, self._caller, permit.plan.caps.storage_mib << 20)
        ask = broker_for(self._caller, self._host.broker, self._loop, store, self._trace_id)
        return Ready(permit.generation, lambda door: self._start(permit, door), ask)

    def _check_fresh(self, permit: _Permit | None) -> None:
        """Raise NoRoom where what a second decision rests on changed while its app was got ready: there is no third."""
        is_other = permit is not None and (permit.plan.tenant != self._tenant or self._is_outdated(permit))
        if is_other:
            raise NoRoom("the app or the rules changed while it was got ready", 1.0)

    def _is_outdated(self, permit: _Permit) -> bool:
        app = self._host.app_of(self._name)
        return app is None or self._basis(app) != permit.basis

    def _start(self, permit: _Permit, door: Door) -> Instance:
        """In the worker's thread: the record first."""
        started = _started(permit.attestation, self._host.sign, self._caller, self._trace_id)
        self._in_loop(self._host.recorder.aappend(started))
        return permit.prepared.start(door)

    def _in_loop(self, doing: Coroutine[Any, Any, _T]) -> _T:
        waiting = asyncio.run_coroutine_threadsafe(doing, self._loop)
        try:
            return waiting.result(_LONGEST_LOOK_S)
        finally:
            waiting.cancel()


def _generation(basis: tuple[object, ...], decision: Decision, plan: RuntimePlan) -> str:
    """What a permission rests on, by digest: two calls with the same one may share an instance."""
    obliged = sorted(json.dumps([one.type, one.rule, one.value], sort_keys=True) for one in decision.obligations)
    rests_on = [*basis, decision.revision, obliged, plan._replace(decision_id="")]
    return hashlib.sha256(json.dumps(rests_on).encode()).hexdigest()


def _as_told(error: Exception) -> GovernanceError:
    """What ended a call, in the words of this service."""
    if isinstance(error, GovernanceError):
        return error
    if isinstance(error, Busy):
        return NoRoom(str(error), error.retry_after_s)
    if isinstance(error, RuntimeRefusal):
        return DependencyError(f"{error.code}: {error}", hint="nothing was started; governance runtime doctor")
    if isinstance(error, AuditError):
        return DependencyError(f"what would have started could not be recorded: {error.code}")
    if isinstance(error, OSError):
        return DependencyError(f"this host could not start it: {error.strerror or type(error).__name__}")
    return InternalError(f"the call failed: {type(error).__name__}")


def _deploy(name: str, spec: Json, source: Source) -> Request:
    manifest = {"apiVersion": f"{API_GROUP}v1alpha1", "kind": "MicroApp", "metadata": {"name": name}, "spec": spec}
    return normalise_document({"kind": "deploy", "action": "update", "resource": manifest}, source)


def _file_of(root: Path, app: Json) -> str:
    """Where on this host lies what the manifest names. Raises BadArtifact unless, links followed, that is inside `root`."""
    module = app.get("runtime", {}).get("module")
    named = module.get("path") if isinstance(module, dict) else None
    if not isinstance(named, str) or not named:
        raise BadArtifact(
            "the manifest names no file to start from: runtime.module.path, an archive or an image layout"
        )
    try:
        base = root.resolve()
        path = (base / named).resolve()
    except (OSError, ValueError, RuntimeError) as error:  # a NUL, a loop of links
        raise BadArtifact(f"{named[:200]!r} is no path on this host: {type(error).__name__}") from error
    if base not in path.parents:
        raise BadArtifact(f"{named[:200]!r} leads outside the folder that apps are started from")
    return str(path)


def _started(attestation: Attestation, sign: Sign, caller: Caller, trace_id: str) -> Entry:
    """The record of a start, written before it: what this host measured, and under which decision, signed.

    Raises RuntimeRefusal where nobody can sign it.
    """
    told = statement(attestation)
    try:
        signatures = sign(told)
    except DependencyError as error:
        raise RuntimeRefusal(f"the start cannot be signed: {error}") from error
    public = {
        "decision_id": attestation.decision_id, "actor": caller.actor, "entry_point": "runtime", "effect": "allow",
        "app": caller.app, "tenant": caller.tenant, "rules": [], "trace_id": trace_id,
        "digests": attestation.digests, "statement": told, "signatures": signatures,
    }  # fmt: skip
    if attestation.why:
        public["engine_chosen"] = attestation.why
    return Entry("runtime_started", utc_now(), public, {})


def _stopped(decision_id: str, outcome: Outcome, caller: Caller, trace_id: str) -> Entry:
    """The record of a call that did not come to its end, and of the limit that stopped it."""
    public = {
        "decision_id": decision_id, "actor": caller.actor, "entry_point": "runtime", "effect": "deny",
        "app": caller.app, "tenant": caller.tenant, "rules": [], "trace_id": trace_id, "status": outcome.status,
    }  # fmt: skip
    said = {"reason": without_findings(outcome.detail), "log": outcome.log[-_LONGEST_LOG:]}
    return Entry("runtime_stopped", utc_now(), public, {"answer": said})
