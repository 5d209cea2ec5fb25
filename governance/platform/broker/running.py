"""Running a deployed app once: decide its deploy again, start what was decided on, record what was started, call it.

A yes of last month is no yes of today: rules change, waivers end, connectors retire. So each start asks again, with the
manifest of the last allowed deploy, and only what today's decision names is started.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, NamedTuple

from audit.record import Entry
from governance.enforce import plan_of
from governance.enrich.scan import without_findings
from governance.errors import DependencyError, NotFound
from governance.model.moment import utc_now
from governance.normalise.requests import API_GROUP, normalise_document
from governance.platform.broker.guests import Store, broker_for, new_trace, source_of_runtime
from governance.platform.broker.tokens import Caller
from runtime_adapters.port import Artifact, BadArtifact, RuntimeRefusal
from runtime_adapters.statement import check_attested, statement

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from governance.model.decision import Decision
    from governance.model.request import Json, Request, Source
    from governance.pipeline import Pipeline, Recorder
    from governance.platform.broker.calls import Broker
    from runtime_adapters.pool import Pool
    from runtime_adapters.port import Adapter, Attestation, Outcome


# Of a call that was stopped, the end of what it logged is on record.
_LONGEST_LOG = 4000


class Host(NamedTuple):
    """What starting an app needs; `root` is where the paths of modules begin."""

    line: Pipeline
    broker: Broker
    recorder: Recorder
    adapters: Mapping[str, Adapter]
    pool: Pool
    home: Path
    root: Path


class Ran(NamedTuple):
    """What came of it: `outcome` is None where today's decision was a no."""

    decision: Decision
    outcome: Outcome | None


async def run(host: Host, name: str, app: Json | None, body: bytes, trace_id: str = "") -> Ran:
    """Call the app `name` with `body`. `app`: its last allowed deploy, as `AppDirectory.app` gives it.

    Raises NotFound for an app nobody deployed, DependencyError where the boundary or the artifact is not what was decided on,
    Busy where the pool has no room. Whatever ended it is on record, under `trace_id`; empty: one of its own.
    """
    if app is None:
        raise NotFound(f"no app {name[:63]!r} was deployed")
    trace_id = trace_id or new_trace()
    caller = Caller(name, str(app["spec"].get("tenant", "")), f"{name[:50]}-{os.getpid()}")
    request = _deploy(name, app["spec"], source_of_runtime(caller, trace_id))
    decision = await host.line.adecide(request)
    if not decision.is_allowed:
        return Ran(decision, None)
    plan = plan_of(request, decision)
    adapter = host.adapters[plan.runtime_class]
    store = Store(host.home, caller, plan.caps.storage_mib << 20)
    ask = broker_for(caller, host.broker, asyncio.get_running_loop(), store, trace_id)
    try:
        artifact = Artifact(_file_of(host.root, request.app), plan.artifact.removeprefix("sha256:"))
        prepared = adapter.prepare(plan, artifact)
        attestation = prepared.attest()
        check_attested(plan, artifact, attestation)
        await host.recorder.aappend(_started(attestation, caller, trace_id))
        waiting = host.pool.call(plan.tenant, name, decision.decision_id, lambda: prepared.start(ask), body)
        outcome = await asyncio.wrap_future(waiting)
    except RuntimeRefusal as error:
        refused = DependencyError(f"{error.code}: {error}", hint="nothing was started; governance runtime doctor")
        await host.line.arefuse(request.source, refused, request.digest)
        raise refused from error
    if outcome.status != "done":
        await host.recorder.aappend(_stopped(plan.decision_id, outcome, caller, trace_id))
    return Ran(decision, outcome)


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


def _started(attestation: Attestation, caller: Caller, trace_id: str) -> Entry:
    """The record of a start, written before it: what this host measured, and under which decision."""
    public = {
        "decision_id": attestation.decision_id, "actor": caller.actor, "entry_point": "runtime", "effect": "allow",
        "app": caller.app, "tenant": caller.tenant, "rules": [], "trace_id": trace_id,
        "digests": attestation.digests, "statement": statement(attestation),
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
