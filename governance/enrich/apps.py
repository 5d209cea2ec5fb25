"""The last allowed deploy of each app and the published templates: documents that only a recorded yes writes (`app_changes`).

One a thing, replaced whole, so that every process sees a whole one. What a caller says about an app is never taken for what
was decided about it. Of an app there is a second copy below apps/kept: where the first is damaged, the app may do nothing, but
what it subscribed to is still known, and it can be deployed anew.
"""

from __future__ import annotations

import contextlib
import json
from functools import partial
from typing import TYPE_CHECKING

from governance.enrich.port import Incomplete
from governance.errors import Damaged, DependencyError
from governance.model.facts import Written

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.request import Json, Request
    from governance.state.port import State

    IsHeld = Callable[[str, str], bool]

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
VERSION_CHARACTERS = NAME_CHARACTERS | {"."}
_LONGEST = 63
# Requests whose yes changes an app or a template.
_CHANGING = frozenset({"deploy", "template", "publish", "lifecycle"})
APPS, KEPT, TEMPLATES = "apps", "apps/kept", "templates"


class AppDirectory:
    """Apps below apps/ and templates below templates/ in the state."""

    def __init__(self, state: State, shipped: Json = None) -> None:
        """`shipped`: templates that come with the package, `{"name@version": spec}`."""
        self._state = state
        self._shipped = shipped or {}
        self._cache: dict[str, tuple[object, Json]] = {}

    def app(self, name: str) -> Json | None:
        """`{spec, digest, decision_id, state, state_since}` of an app; None when no deploy was allowed. Raises Damaged."""
        return self._app(APPS, name) if is_safe(name, NAME_CHARACTERS) else None

    def last_good(self, name: str) -> Json | None:
        """The same, from the second copy where the first is damaged. Raises Damaged where both are, or there is no second."""
        try:
            return self.app(name)
        except Damaged:
            if not self._is_kept(name):
                raise
            return self._app(KEPT, name)

    def spec_of(self, name: str) -> Json:
        """The spec of the last allowed deploy; empty for an unknown app."""
        found = self.app(name)
        return found["spec"] if found else {}

    def specs(self) -> list[tuple[str, Json]]:
        """(name, spec of the last allowed deploy) of every app, by name; without those of `damaged`, which may do nothing."""
        found = []
        for name in self._names():
            with contextlib.suppress(Damaged):  # one file must not stop all apps
                app = self.app(name)
                if app is not None:
                    found.append((name, app["spec"]))
        return found

    def subscribers(self) -> list[tuple[str, Json]]:
        """The same with the last good spec of those that are damaged: what is published meanwhile is kept for them.

        Raises Damaged where one of them has none, since nobody knows then what it subscribed to.
        """
        found = [(name, self.last_good(name)) for name in self._names()]
        return [(name, app["spec"]) for name, app in found if app is not None]

    def apps(self) -> dict[str, Json]:
        """What is known of every app, by name. Raises Damaged."""
        found = {name: self.app(name) for name in self._names()}
        return {name: app for name, app in found.items() if app is not None}

    def damaged(self) -> dict[str, bool]:
        """Documents of apps that cannot be read, such as `apps/lunch.json`, and whether it is known what they subscribed to."""
        found = {}
        for name in self._names():
            try:
                self.app(name)
            except Damaged:
                found[f"{APPS}/{name}.json"] = self._is_kept(name)
        return found

    def keep(self) -> list[str]:
        """Make the second copy of each app that has none, such as one that an older version deployed; gives their names.

        Raises OSError or DependencyError.
        """
        made = []
        for name in self._names():
            if self._is_kept(name):
                continue
            with contextlib.suppress(Damaged):  # nothing to make it from
                app = self.app(name)
                if app is not None:
                    self._state.change(f"{KEPT}/{name}.json", partial(_unless_whole, json.dumps(app).encode()))
                    made.append(name)
        return made

    def catch_up(self, name: str) -> None:
        """Know what every replica has changed by now: what is about to be changed is not decided on as it was a second ago."""
        if is_safe(name, NAME_CHARACTERS):
            self._state.stamp(f"{APPS}/{name}.json", newest=True)

    def stamp(self) -> object:
        """Changes whenever an app does."""
        return self._state.stamp(APPS)

    def template(self, name: str, version: str) -> Json | None:
        """`{spec, state}` of a published template."""
        if not (is_safe(name, NAME_CHARACTERS) and is_safe(version, VERSION_CHARACTERS)):
            return None
        spec = self._shipped.get(f"{name}@{version}")
        return self._read(version_of(name, version)) if spec is None else {"spec": spec, "state": "published"}

    def templates(self) -> list[tuple[str, Json]]:
        """(name@version, spec) of every published template, and of those that come with the package."""
        found = {}
        for document in self._state.names(TEMPLATES):
            published = self._read(document)
            if published is not None:
                found[document.removeprefix(f"{TEMPLATES}/").removesuffix(".json")] = published["spec"]
        return sorted({**found, **self._shipped}.items())

    def publisher(self, name: str) -> Json | None:
        """`{tenant, decision_id?}`: who published the first version of a template; None for one of a free name.

        What came with the package is the platform's, and so is what was published when nobody kept by whom.
        """
        if not is_safe(name, NAME_CHARACTERS):
            return None
        known = self._read(publisher_of(name))
        if known is not None:
            return known
        published = {*self._shipped, *(file.removeprefix(f"{TEMPLATES}/") for file in self._state.names(TEMPLATES))}
        return {"tenant": ""} if any(one.startswith(f"{name}@") for one in published) else None

    def _names(self) -> list[str]:
        return [file.removeprefix(f"{APPS}/").removesuffix(".json") for file in self._state.names(APPS)]

    def _is_kept(self, name: str) -> bool:
        try:
            return self._app(KEPT, name) is not None
        except Damaged:
            return False

    def _app(self, folder: str, name: str) -> Json | None:
        document = f"{folder}/{name}.json"
        try:
            app = self._read(document)
        except (ValueError, RecursionError, OSError) as error:
            raise _damaged(document) from error
        if app is not None and not is_app(app):
            raise _damaged(document)
        return app

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


class AppFacts:
    """Facts `app` and, for deploys and templates, `template`."""

    name = "apps"

    def __init__(self, directory: AppDirectory, is_held: IsHeld | None = None) -> None:
        """`is_held`: whether a legal hold is on an app of a tenant; may raise whatever went wrong."""
        self._directory, self._is_held = directory, is_held or _nobody_can_say
        self._written: dict[str, tuple[Json, Written]] = {}

    def facts(self, request: Request) -> dict[str, Json]:
        """An app nobody deployed is `known: false`. One that is damaged may do nothing but be deployed anew."""
        name = str(request.app.get("name", ""))
        if request.kind in _CHANGING:
            self._directory.catch_up(name)
        known = self._directory.last_good(name) if request.kind == "deploy" else self._directory.app(name)
        facts: dict[str, Json] = {"app": {"known": False} if known is None else self._as_fact(name, known)}
        if request.kind == "deploy":
            facts["template"] = self._template(request.app.get("template"))
        elif request.kind == "template":
            publisher = self._directory.publisher(name)
            known = self._template({"name": name, "version": template_version(request)})
            told = {"known": False} if publisher is None else {"known": True, **publisher}
            facts["template"] = {"name": name, "version": template_version(request), **known, "publisher": told}
        elif known is not None and _deletes(request):
            facts["app"] = self._with_holds(name, facts["app"], facts)
        return facts

    def _with_holds(self, name: str, app: Json, facts: dict[str, Json]) -> Json:
        """Raises Incomplete where nobody can say whether a hold is on the app."""
        try:
            return {**app, "legal_hold": self._is_held(name, str(app["spec"].get("tenant", "")))}
        except Exception as error:
            raise Incomplete(facts) from error

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


def _nobody_can_say(_app: str, _tenant: str) -> bool:
    raise DependencyError("there is no log to ask for legal holds")


def _deletes(request: Request) -> bool:
    """Only then it matters whether a hold is on the app, and the log has to be read for it."""
    change = request.resource.get("change") if request.kind == "lifecycle" else None
    return isinstance(change, dict) and change.get("to") == "deleted"


def template_version(request: Request) -> str:
    """The version that a template's manifest names; empty where it names none."""
    metadata = request.resource.get("metadata")
    version = metadata.get("version", "") if isinstance(metadata, dict) else ""
    return version if isinstance(version, str) else ""


def version_of(name: str, version: str) -> str:
    """The document of a template's version."""
    return f"{TEMPLATES}/{name}@{version}.json"


def publisher_of(name: str) -> str:
    """The document that says whose a template is."""
    return f"{TEMPLATES}/publishers/{name}.json"


def is_app(value: Json) -> bool:
    """Whether a document is of the shape of an app's."""
    return isinstance(value, dict) and isinstance(value.get("spec"), dict)


def _unless_whole(copy: bytes, held: bytes | None) -> bytes:
    """A deploy may have come in between, and its copy is newer."""
    try:
        return held if held is not None and is_app(json.loads(held)) else copy
    except (ValueError, RecursionError):
        return copy


def _damaged(document: str) -> Damaged:
    return Damaged(
        "cannot be read: its app may do nothing", where=document, hint="deploy the app anew, or restore the file"
    )


def is_safe(name: str, allowed: frozenset[str]) -> bool:
    """Whether a name may become a file name: nothing else is looked up, so no path can be climbed."""
    return 0 < len(name) <= _LONGEST and not name.startswith(".") and set(name) <= allowed
