"""The last allowed deploy of each app and the published templates: files that only a recorded yes writes.

One JSON file a thing, replaced by rename, so that every worker process sees a whole one. What a caller says about an app
is never taken for what was decided about it.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from governance.model.facts import Written

if TYPE_CHECKING:
    from governance.model.decision import Decision
    from governance.model.request import Json, Request

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_VERSION_CHARACTERS = _NAME_CHARACTERS | {"."}
_LONGEST = 63


class AppDirectory:
    """Apps below `folder`/apps and templates below `folder`/templates."""

    def __init__(self, folder: str, shipped: Json = None) -> None:
        """`shipped`: templates that come with the package, `{"name@version": spec}`."""
        self._folder = folder
        self._shipped = shipped or {}
        self._cache: dict[str, tuple[int, Json]] = {}

    def app(self, name: str) -> Json | None:
        """`{spec, digest, decision_id, state, state_since}` of an app; None when no deploy was allowed."""
        return self._read("apps", name) if _is_safe(name, _NAME_CHARACTERS) else None

    def spec_of(self, name: str) -> Json:
        """The spec of the last allowed deploy; empty for an unknown app."""
        found = self.app(name)
        return found["spec"] if found else {}

    def specs(self) -> list[tuple[str, Json]]:
        """(name, spec of the last allowed deploy) of every app, by name."""
        try:
            files = sorted(os.listdir(os.path.join(self._folder, "apps")))
        except FileNotFoundError:
            return []
        names = [file.removesuffix(".json") for file in files if file.endswith(".json")]
        return [(name, self.spec_of(name)) for name in names if _is_safe(name, _NAME_CHARACTERS)]

    def template(self, name: str, version: str) -> Json | None:
        """`{spec, state}` of a published template."""
        if not (_is_safe(name, _NAME_CHARACTERS) and _is_safe(version, _VERSION_CHARACTERS)):
            return None
        published = self._read("templates", f"{name}@{version}")
        if published is not None:
            return published
        spec = self._shipped.get(f"{name}@{version}")
        return None if spec is None else {"spec": spec, "state": "published"}

    def carry_out(self, request: Request, decision: Decision) -> None:
        """Remember an allowed deploy or template; raises OSError when that is not possible."""
        name = str(request.app.get("name", ""))
        spec = {key: value for key, value in request.app.items() if key != "name"}
        about = {"spec": spec, "digest": request.digest, "decision_id": decision.decision_id}
        if request.kind == "deploy" and _is_safe(name, _NAME_CHARACTERS):
            self._write("apps", name, {**about, "state": "active", "state_since": decision.decided_at})
        elif request.kind == "template" and _is_safe(name, _NAME_CHARACTERS):
            metadata = request.resource.get("metadata")
            version = str(metadata.get("version", "")) if isinstance(metadata, dict) else ""
            if _is_safe(version, _VERSION_CHARACTERS):
                self._write("templates", f"{name}@{version}", {**about, "state": "published"})

    def _read(self, sort: str, name: str) -> Json | None:
        path = os.path.join(self._folder, sort, f"{name}.json")
        try:
            changed = os.stat(path).st_mtime_ns
        except FileNotFoundError:
            return None
        cached = self._cache.get(path)
        if cached is not None and cached[0] == changed:
            return cached[1]
        with open(path, encoding="utf-8") as file:
            value = json.load(file)
        self._cache[path] = (changed, value)
        return value

    def _write(self, sort: str, name: str, value: Json) -> None:
        folder = os.path.join(self._folder, sort)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, os.path.join(folder, f"{name}.json"))
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
