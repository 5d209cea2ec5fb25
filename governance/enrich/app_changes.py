"""What a recorded yes changes: the apps and templates that later decisions read as facts.

Deciding and recording take time, and somebody else may decide meanwhile, in this process or on another replica. So nothing is
written over anything but what the decision was made on, whole: whoever comes second is told, and has to ask again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.enrich.apps import (
    APPS,
    KEPT,
    NAME_CHARACTERS,
    VERSION_CHARACTERS,
    is_app,
    is_safe,
    publisher_of,
    template_version,
    version_of,
)
from governance.errors import Overtaken

if TYPE_CHECKING:
    from governance.model.decision import Decision
    from governance.model.facts import Facts
    from governance.model.request import Json, Request
    from governance.state.port import Held, State

# What a fact says of an app or a template beside its document.
_BESIDE = frozenset({"known", "legal_hold", "name", "version", "publisher"})
_DELETED = "deleted"
# Members of an app's document that say what is in force.
_WHAT_COUNTS = ("spec", "digest", "state")


class AppChanges:
    """Writes apps below apps/ and templates below templates/ in the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def carry_out(self, request: Request, facts: Facts, decision: Decision) -> None:
        """Remember an allowed deploy, template, change of state or of audience; of what is unknown there is nothing to change.

        Raises Overtaken where it is no longer what was decided on, and OSError or DependencyError where nothing can be written.
        """
        name = str(request.app.get("name", ""))
        if not is_safe(name, NAME_CHARACTERS):
            return
        spec = {key: value for key, value in request.app.items() if key != "name"}
        about = {"spec": spec, "digest": request.digest, "decision_id": decision.decision_id}
        if request.kind == "deploy":
            self._put(name, facts, {**about, "state": "active", "state_since": decision.decided_at})
        elif request.kind == "template" and is_safe(template_version(request), VERSION_CHARACTERS):
            publisher = {"tenant": request.tenant, "decision_id": decision.decision_id}
            self._publish(facts, {**about, "state": "published"}, publisher)
        elif request.kind in {"lifecycle", "publish"}:
            app, change = _decided_on(facts), request.resource.get("change")
            is_said = app is not None and isinstance(change, dict)
            changed = _changed(app, request.kind, change, decision) if is_said else None
            if changed is not None:
                self._put(name, facts, changed)

    def _put(self, name: str, facts: Facts, app: Json) -> None:
        """Replace an app; the second copy first, so that it is never older than what is in force."""
        raw = json.dumps(app).encode()

        def replaced(held: Held) -> Held:
            if _decided_on(facts) == _standing(held):
                return raw, raw
            whole = _whole(held[1]) or {}
            if all(member in whole and whole[member] == app.get(member) for member in _WHAT_COUNTS):
                return held  # asked twice at once, as a cluster may: to mutate and to validate
            raise Overtaken("another decision changed the app meanwhile", where="/resource", hint="ask again")

        self._state.change_together((f"{KEPT}/{name}.json", f"{APPS}/{name}.json"), replaced)

    def _publish(self, facts: Facts, template: Json, publisher: Json) -> None:
        """Add a version of a template and, with its first one, whose it is; what is published word for word stays as it is."""
        known = facts.values.get("template")
        if not isinstance(known, dict) or not isinstance(known.get("publisher"), dict):
            raise Overtaken("nobody looked what is published of the template", where="/resource", hint="ask again")
        if known["known"] and known["spec"] == template["spec"]:
            return
        owner = known["publisher"]
        seen = (_stored(owner) if "decision_id" in owner else None, _stored(known))
        raw = json.dumps(template).encode()
        whose = None if owner["known"] else json.dumps(publisher).encode()

        def published(held: Held) -> Held:
            if tuple(None if one is None else json.loads(one) for one in held) != seen:
                raise Overtaken(
                    "another decision published the template meanwhile", where="/resource", hint="ask again"
                )
            return whose or held[0], raw

        # The publisher first: a version of which nobody knows whose it is could never have a second one.
        names = publisher_of(known["name"]), version_of(known["name"], known["version"])
        self._state.change_together(names, published)


def _changed(app: Json, kind: str, change: Json, decision: Decision) -> Json:
    """The app's document after a change; None where the change says nothing that is carried out."""
    if kind == "publish":
        audience = change.get("audience")
        spec = {**app.get("spec", {}), "audience": audience}
        return {**app, "spec": spec, "changed_by": decision.decision_id} if isinstance(audience, str) else None
    to = change.get("to")
    if not isinstance(to, str):
        return None
    # Whose it was is what keeps its name from being taken; everything else it was is gone.
    rest = {"spec": {"tenant": app.get("spec", {}).get("tenant", "")}} if to == _DELETED else {}
    return {**app, **rest, "state": to, "state_since": decision.decided_at, "changed_by": decision.decision_id}


def _stored(fact: Json) -> Json:
    """The document that a fact was made of; None where there was none."""
    return {key: value for key, value in fact.items() if key not in _BESIDE} if fact["known"] else None


def _decided_on(facts: Facts) -> Json:
    """The app's document as the decision saw it; None where there was none. What nobody looked at equals nothing."""
    app = facts.values.get("app")
    if not isinstance(app, dict) or not isinstance(app.get("known"), bool):
        return {}
    return _stored(app)


def _standing(held: Held) -> Json:
    """The app's document as it is now: the second copy where the first is damaged, as the facts have it."""
    copy, first = held
    return None if first is None else _whole(first) or _whole(copy)


def _whole(raw: bytes | None) -> Json:
    try:
        app = None if raw is None else json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return app if is_app(app) else None
