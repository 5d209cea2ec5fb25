"""Exports of the audit log as jobs: asked for, looked at, fetched; each of the three is itself a record."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from audit.store import Filter
from governance.enrich.scan import without_findings
from governance.entrypoints.export_main import wanted_of
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import recorded_reading
from governance.errors import CallerError, Forbidden, NotFound
from governance.model.moment import utc_now
from governance.normalise.documents import decoded, read_json
from governance.platform.export_jobs import DONE, QUEUED, Job, Jobs, job_id
from governance.platform.export_records import entry_of_export
from governance.policy.metadata import rules_of_control

if TYPE_CHECKING:
    from audit.reader import LogReader
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.request import Json
    from governance.platform.keys import Identity

_FILTERS = tuple(name for name, default in Filter._field_defaults.items() if default == "")
_LISTS = ("formats", "openings", "pinned")
_LONGEST_KEY = 200
_MOST_PINNED = 20
_running: set[asyncio.Task[None]] = set()


async def create(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`{app?, tenant?, …, control?, formats?[], openings?[], pinned?[], with_bundles?}`: 202, `Idempotency-Key`."""
    raw = await call.read(worker.max_body, worker.body_timeout_s)
    body = read_json(decoded(raw or b"{}", "body", worker.max_body), "body", max_depth=worker.max_depth)
    asked = _asked(body)
    if body.get("control"):
        asked["filter"]["rules"] = list(rules_of_control(worker.active.rules.values(), body["control"]))
    if identity.tenant:
        if asked["filter"].get("tenant", "") not in {"", identity.tenant}:
            raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="/tenant")
        asked["filter"]["tenant"] = identity.tenant
    size = await asyncio.to_thread(_checked, worker.reader(), asked)  # signatures take their time
    key = call.header(b"idempotency-key")
    if len(key) > _LONGEST_KEY:
        raise CallerError(f"longer than {_LONGEST_KEY} letters", where="header Idempotency-Key")
    jobs = Jobs(worker.settings.home)
    job = Job(job_id(identity.actor, key), identity.actor, identity.tenant, asked, utc_now())
    entry = entry_of_export(wanted_of(asked), job.id, actor=identity.actor, entry_point="http.audit", size=size)
    # On record before there is a job: a record too many says what somebody asked for, one too few nothing at all.
    await worker.client.aappend(entry)
    jobs.make(job)
    _start(worker, job.id)
    return json_answer(
        {"id": job.id, **jobs.state(job.id)}, 202, ((b"location", f"/v1/audit/exports/{job.id}".encode()),)
    )


async def show(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Where a job stands; one that was interrupted goes on."""
    jobs, job = _found(worker, call, identity)
    state = jobs.state(job.id)
    if state["state"] == QUEUED:
        _start(worker, job.id)
    place = {"package": f"/v1/audit/exports/{job.id}/package"} if state["state"] == DONE else {}
    return json_answer({"id": job.id, "created": job.created, "asked": job.asked, **state, **place})


async def package(worker: Worker, call: Call, identity: Identity) -> Answer:
    """The zip, once it is done."""
    jobs, job = _found(worker, call, identity)
    if jobs.state(job.id)["state"] != DONE:
        raise NotFound(
            "this export is not done", where=call.path, hint=f"GET /v1/audit/exports/{job.id} says where it is"
        )
    narrowed = {name: job.asked["filter"].get(name, "") for name in ("app", "tenant")}
    await recorded_reading(worker, identity, {**narrowed, "export": job.id})
    name = f'attachment; filename="audit-export-{job.id[:8]}.zip"'.encode()
    return Answer(200, b"", b"application/zip", ((b"content-disposition", name),), str(jobs.package(job.id)))


def _found(worker: Worker, call: Call, identity: Identity) -> tuple[Jobs, Job]:
    """A job of this caller, or of this caller's tenant; of others nothing is said, not even that they are there."""
    jobs = Jobs(worker.settings.home)
    job = jobs.find(call.params[0])
    if identity.tenant and job.asked["filter"].get("tenant") != identity.tenant:
        raise NotFound(f"there is no export {job.id!r}", hint="they are kept for a week")
    return jobs, job


def _asked(body: Json) -> Json:
    """The question in one form: `{filter, formats, openings, pinned, with_bundles}`."""
    if not isinstance(body, dict):
        raise CallerError("an export is asked for with an object", where="/")
    for name, value in body.items():
        if name in _LISTS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise CallerError("has to be a list of texts", where=f"/{name}")
        elif name == "with_bundles":
            if not isinstance(value, bool):
                raise CallerError("has to be true or false", where=f"/{name}")
        elif name not in {*_FILTERS, "control"}:
            raise CallerError(
                "not a member of an export", where=f"/{name[:40]}", hint=f"use {', '.join(_FILTERS)}, control, formats"
            )
        elif not isinstance(value, str):
            raise CallerError("has to be text", where=f"/{name}")
    return {
        # A job lies on the disk: as masked as the records that it looks for, but for whose data it is about.
        "filter": {
            name: body[name] if name == "subject" else without_findings(body[name])
            for name in _FILTERS
            if body.get(name)
        },
        "formats": body.get("formats", []),
        "openings": body.get("openings"),
        "pinned": body.get("pinned", []),
        "with_bundles": body.get("with_bundles", False),
    }


def _checked(reader: LogReader, asked: Json) -> int:
    """The log's size; raises CallerError for what the job would only find out later."""
    from audit.exports.package import check_wanted

    if len(asked["pinned"]) > _MOST_PINNED:
        raise CallerError(f"more than {_MOST_PINNED} checkpoints", where="/pinned")
    check_wanted(reader, wanted_of(asked))
    return reader.size()


def _start(worker: Worker, job: str) -> None:
    """In a process of its own, so that no decision waits for it; it finds out itself whether another is at work already."""
    task = asyncio.get_running_loop().create_task(_run(worker, job))
    _running.add(task)
    task.add_done_callback(_running.discard)


async def _run(worker: Worker, job: str) -> None:
    environ = {**os.environ, "GOVERNANCE_HOME": str(worker.settings.home)}
    environ.pop("GOVERNANCE_SERVE_DEV", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "governance.entrypoints.export_main",
        job,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
    )
    await process.wait()
