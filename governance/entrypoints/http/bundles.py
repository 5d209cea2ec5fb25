"""`/v1/bundles` and `/v1/status`: which policy is in force, what it was made of, and how each source fares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.platform.bundles.releases import Release, Shelf
from governance.platform.candidate import candidate_status
from governance.platform.upload import upload_status
from governance.policy.active import rules_in

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity


async def listing(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """`{active, bundles: [...], releases: [...]}`; `active` is what this worker answers with now."""
    shelf = Shelf(worker.settings.home)
    standing = shelf.standing()
    active = {
        "revision": worker.active.revision,
        "release": standing.release.id if standing else "",
        "since": standing.since if standing else "",
        "by": standing.by if standing else "",
        "pinned": standing.is_pinned if standing else False,
    }
    rows = list(shelf.status().get("bundles", {}).values())
    return json_answer({"active": active, "bundles": rows, "releases": [_shown(r) for r in shelf.all()]})


async def show(worker: Worker, call: Call, _identity: Identity) -> Answer:
    """One release with the rules in it; `{revision}` is a revision or the beginning of a release's id."""
    shelf = Shelf(worker.settings.home)
    release = shelf.find(call.params[0])
    standing = shelf.standing()
    packed = shelf.packed(release.id)
    is_active = standing is not None and standing.release.id == release.id
    shown = [
        {"id": rule.id, "title": rule.title, "severity": rule.severity, "effect": rule.effect}
        for rule in (rules_in(packed) if packed else ())
    ]
    return json_answer({**_shown(release), "is_active": is_active, "is_intact": packed is not None, "rule_list": shown})


async def status(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """OPA's `GET /v1/status`: bundles by name, each with its revision, its last successes and its last error; damaged apps."""
    found: dict[str, Any] = Shelf(worker.settings.home).status()
    why = await worker.unready()
    plugins: dict[str, Any] = {"bundle": {"state": "NOT_READY" if worker.serving.missing() else "OK"}}
    labels = {"version": _version(), "id": worker.settings.text("log_origin")}
    if worker.settings.text("decision_log_url"):
        plugins["decision_logs"] = upload_status(worker.settings.home)
    if worker.settings.text("candidate_bundle"):
        plugins["candidate"] = candidate_status(worker.settings.home)
    bundles = found.get("bundles", {})
    result = {
        "labels": labels, "bundles": bundles, "plugins": plugins, "ready": not why, "reason": why,
        "damaged": [] if why else list(worker.directory.damaged()),
    }  # fmt: skip
    return json_answer({"result": result})


def _version() -> str:
    from governance import __version__

    return __version__


def _shown(release: Release) -> dict[str, Any]:
    return {
        "revision": release.revision, "release": release.id, "made_at": release.made_at, "rules": release.rules,
        "bundles": [part._asdict() for part in release.parts],
    }  # fmt: skip
