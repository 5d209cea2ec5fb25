"""The last allowed deploy of each app and the published templates: documents that only a recorded yes writes.

One a thing, replaced whole, so that every process sees a whole one. What a caller says about an app is never taken for what
was decided about it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.model.facts import Written

if TYPE_CHECKING:
    from governance.model.decision import Decision
    from governance.model.request import Json, Request
    from governance.state.port import State

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_VERSION_CHARACTERS = _NAME_CHARACTERS | {"."}
_LONGEST = 63
_APPS, _TEMPLATES = "apps", "templates"


class AppDirectory:
    """Apps below apps/ and templates below templates/ in the state."""

    def __init__(self, state: State, shipped: Json = None) -> None:
        """`shipped`: templates that come with the package, `{"name@version": spec}`."""
        self._state = state
        self._shipped = shipped or {}
        self._cache: dict[str, tuple[object, Json]] = {}

    def app(self, name: str) -> Json | None:
        """`{spec, digest, decision_id, state, state_since}` of an app; None when no deploy was allowed."""
        return self._read(f"{_APPS}/{name}.json") if _is_safe(name, _NAME_CHARACTERS) else None

    def spec_of(self, name: str) -> Json:
        """The spec of the last allowed deploy; empty for an unknown app."""
        found = self.app(name)
        return found["spec"] if found else {}

    def specs(self) -> list[tuple[str, Json]]:
        """(name, spec of the last allowed deploy) of every app, by name; without those of `damaged`, which get nothing."""
        return [(name, app["spec"]) for name in self._names() if (app := self._whole(name)) is not None]

    def apps(self) -> dict[str, Json]:
        """What is known of every app, by name. Raises ValueError for one that is damaged."""
        found = {name: self.app(name) for name in self._names()}
        return {name: app for name, app in found.items() if app is not None}

    def damaged(self) -> list[str]:
        """Documents of apps that cannot be read, such as `apps/lunch.json`: denied until deployed anew."""
        return [
            f"{_APPS}/{name}.json"
            for name in self._names()
            if _is_safe(name, _NAME_CHARACTERS) and self._is_damaged(name)
        ]

    def stamp(self) -> object:
        """Changes whenever an app does."""
        return self._state.stamp(_APPS)

    def template(self, name: str, version: str) -> Json | None:
        """`{spec, state}` of a published template."""
        if not (_is_safe(name, _NAME_CHARACTERS) and _is_safe(version, _VERSION_CHARACTERS)):
            return None
        published = self._read(f"{_TEMPLATES}/{name}@{version}.json")
        if published is not None:
            return published
        spec = self._shipped.get(f"{name}@{version}")
        return None if spec is None else {"spec": spec, "state": "published"}

    def carry_out(self, request: Request, decision: Decision) -> None:
        """Remember an allowed deploy or template; raises OSError or DependencyError when that is not possible."""
        name = str(request.app.get("name", ""))
        spec = {key: value for key, value in request.app.items() if key != "name"}
        about = {"spec": spec, "digest": request.digest, "decision_id": decision.decision_id}
        if request.kind == "deploy" and _is_safe(name, _NAME_CHARACTERS):
            self._write(f"{_APPS}/{name}.json", {**about, "state": "active", "state_since": decision.decided_at})
        elif request.kind == "template" and _is_safe(name, _NAME_CHARACTERS):
            metadata = request.resource.get("metadata")
            version = str(metadata.get("version", "")) if isinstance(metadata, dict) else ""
            if _is_safe(version, _VERSION_CHARACTERS):
                self._write(f"{_TEMPLATES}/{name}@{version}.json", {**about, "state": "published"})

    def _names(self) -> list[str]:
        return [file.removeprefix(f"{_APPS}/").removesuffix(".json") for file in self._state.names(_APPS)]

    def _whole(self, name: str) -> Json | None:
        """None also for a damaged one: one file must not stop all apps."""
        return None if self._is_damaged(name) else self.app(name)

    def _is_damaged(self, name: str) -> bool:
        try:
            app = self.app(name)
        except ValueError:
            return True
        return app is not None and not (isinstance(app, dict) and isinstance(app.get("spec"), dict))

    def _read(self, name: str) -> Json | None:
        stamp = self._state.stamp(name)
        if stamp is None:
            return None
        cached = self._cache.get(name)
        if cached is not None and cached[0] == stamp:
            return cached[1]
        raw = self._state.read(name)
        if raw is None:
            return None
        value = json.loads(raw)
        self._cache[name] = (stamp, value)
        return value

    def _write(self, name: str, value: Json) -> None:
        raw = json.dumps(value).encode()
        self._state.change(name, lambda _: raw)


class AppFacts:
    """Facts `app` and, for deploys, `template`."""

    name = "apps"

    def __init__(self, directory: AppDirectory) -> None:
        self._directory = directory
        self._written: dict[str, tuple[Json, Written]] = {}

    def facts(self, request: Request) -> dict[str, Json]:
        """An app nobody deployed is `known: false`."""
        name = str(request.app.get("name", ""))
        known = self._directory.app(name)
        facts: dict[str, Json] = {"app": {"known": False} if known is None else self._as_fact(name, known)}
        if request.kind == "deploy":
            facts["template"] = self._template(request.app.get("template"))
        return facts

    def _as_fact(self, name: str, values: dict[str, Json]) -> Written:
        """The same object for as long as the directory has the same spec: a changed file is read into another one."""
        cached = self._written.get(name)
        if cached is None or cached[0] is not values["spec"]:
            cached = self._written[name] = values["spec"], Written({"known": True, **values})
        return cached[1]

    def _template(self, named: Json) -> Json:
        if not isinstance(named, dict):
            return {"known": False}
        name, version = str(named.get("name", "")), str(named.get("version", ""))
        found = self._directory.template(name, version)
        if found is None:
            return {"known": False}
        return self._as_fact(f"{name}@{version}", {"name": name, "version": version, **found})


def _is_safe(name: str, allowed: frozenset[str]) -> bool:
    """Whether a name may become a file name: nothing else is looked up, so no path can be climbed."""
    return 0 < len(name) <= _LONGEST and not name.startswith(".") and set(name) <= allowed
