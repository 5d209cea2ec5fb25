"""A Constraint: its parameters, whom it looks at, and how much it weighs.

`match` is filled in to its full form, so that the Rego that reads it needs no defaults; a member that is not known here is
refused, since leaving it out could only make the constraint look at less or more than its author meant.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from governance.policy.gatekeeper.schema import problems, with_defaults
from governance.policy.gatekeeper.template import CannotImport, member

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json
    from governance.policy.gatekeeper.template import Template

API_GROUP = "constraints.gatekeeper.sh/"
_MATCH = frozenset(
    {"kinds", "scope", "namespaces", "excludedNamespaces", "labelSelector", "namespaceSelector", "name", "source"}
)
_SPEC = frozenset({"match", "parameters", "enforcementAction", "scopedEnforcementActions"})
_MODES = {"deny": "enforce", "warn": "warn", "dryrun": "shadow"}
# From strictest to weakest.
_ACTIONS = tuple(_MODES)
# Where an action stops something; the audit only looks.
_WEBHOOK, _GATOR, _EVERYWHERE = "validation.gatekeeper.sh", "gator.gatekeeper.sh", "*"
_POINTS = frozenset({_WEBHOOK, _GATOR, _EVERYWHERE, "audit.gatekeeper.sh"})
# The API server's own admission policy is a door to the cluster as the webhook is.
_SAME_DOOR = {"vap.k8s.io": _WEBHOOK}
_OPERATORS = {"In": True, "NotIn": True, "Exists": False, "DoesNotExist": False}
_GLOB = re.compile(r"(\*|\*-)?[a-z0-9]([-:.a-z0-9]*[a-z0-9])?(\*|-\*)?")
_NAME = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
# Objects that the platform has requests of its own for; everything else is a workload.
_OWN = {"deploy": "MicroApp", "template": "AppTemplate"}
_OWN_GROUP = "microapps.internal"


class Constraint(NamedTuple):
    """One constraint, checked against its template's schema."""

    kind: str
    name: str
    mode: str
    """enforce | warn | shadow"""
    match: Json
    """Every member of the format, with its default where the author gave none."""
    parameters: Json
    where: str
    notes: tuple[str, ...] = ()
    """What is not quite as it would be in the cluster."""

    @property
    def id(self) -> str:
        """The rule's id."""
        return f"{self.kind}/{self.name}"

    @property
    def slug(self) -> str:
        """The name as a word that no other constraint's name gives."""
        plain = re.sub(r"[^a-z0-9_]", "_", self.name)
        return f"{plain}_{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    def applies_to(self) -> tuple[str, ...]:
        """The kinds of request that bring objects it may look at."""
        own = [kind for kind, object_kind in _OWN.items() if _may_be(self.match["kinds"], object_kind)]
        return (*own, "workload")


def read_constraint(document: Json, template: Template, where: str) -> Constraint:
    """Raises CannotImport naming the member that is unknown or wrong."""
    metadata = member(document, "metadata", where)
    name = metadata.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CannotImport("metadata.name is not a name", where=where)
    spec = {} if document.get("spec") is None else document["spec"]
    _refuse_unknown(spec, _SPEC, "spec", where)
    mode, notes = _mode(spec, where)
    return Constraint(
        kind=template.kind,
        name=name,
        mode=mode,
        match=read_match({} if spec.get("match") is None else spec["match"], where),
        parameters=_parameters(template, spec.get("parameters"), where),
        where=where,
        notes=notes,
    )


def _parameters(template: Template, given: Json, where: str) -> Json:
    if given is None:
        # The API server fills in nothing below a member that is not there.
        return {}
    if not isinstance(given, dict):
        raise CannotImport("parameters has to be an object", where=where)
    filled = with_defaults(template.schema, given)
    found = list(problems(template.schema, filled, keeps_unknown=template.keeps_unknown))
    if found:
        raise CannotImport(f"parameters{found[0]}", where=where, hint=f"the schema stands in {template.where}")
    return filled


def _mode(spec: Json, where: str) -> tuple[str, tuple[str, ...]]:
    action = spec.get("enforcementAction") or "deny"
    if action != "scoped":
        if action not in _MODES:
            raise CannotImport(f"enforcementAction {str(action)[:30]!r} is not one of {', '.join(_MODES)}", where=where)
        return _MODES[action], ()
    rows = spec.get("scopedEnforcementActions")
    if not isinstance(rows, list) or not rows:
        raise CannotImport("scopedEnforcementActions has to be a list that is not empty", where=where)
    by_point: dict[str, set[str]] = {}
    for row in rows:
        for point in _points(row, where):
            by_point.setdefault(point, set()).add(row["action"])
    everywhere = by_point.get(_EVERYWHERE, set())
    wanted = {point: _strictest(by_point.get(point, set()) | everywhere) for point in (_WEBHOOK, _GATOR)}
    notes: tuple[str, ...] = ()
    if wanted[_WEBHOOK] != wanted[_GATOR]:
        notes = (f"one mode for every door: {wanted[_WEBHOOK]}, as at {_WEBHOOK}; at {_GATOR} it was {wanted[_GATOR]}",)
    return _MODES[wanted[_WEBHOOK]], notes


def _strictest(actions: set[str]) -> str:
    return next((action for action in _ACTIONS if action in actions), "dryrun")


def _points(row: Json, where: str) -> list[str]:
    action = row.get("action") if isinstance(row, dict) else None
    if action not in _MODES:
        raise CannotImport(f"a scoped action {str(action)[:30]!r} is not one of {', '.join(_MODES)}", where=where)
    points = row.get("enforcementPoints")
    given = [str(point.get("name")) for point in points if isinstance(point, dict)] if isinstance(points, list) else []
    names = [_SAME_DOOR.get(name, name) for name in given]
    unknown = [name for name in names if name not in _POINTS]
    if not names or unknown:
        raise CannotImport(f"enforcement point {str(unknown[:1])[:60]} is not known", where=where)
    return names


def read_match(match: Json, where: str) -> Json:
    """The whole form of a constraint's `match`. Raises CannotImport."""
    _refuse_unknown(match, _MATCH, "match", where)
    if match.get("source", "All") not in {"All", "Original"}:
        raise CannotImport(
            "match.source Generated looks at what ExpansionTemplates make, and there are none here", where=where
        )
    scope = match.get("scope") or "*"
    if scope not in {"*", "Cluster", "Namespaced"}:
        raise CannotImport(f"match.scope {str(scope)[:20]!r} is not *, Cluster or Namespaced", where=where)
    name = match.get("name") or ""
    if name:
        _globs([name], "name", where)
    return {
        "kinds": [_kind(entry, where) for entry in _list(match, "kinds", where)],
        "scope": scope,
        "namespaces": _globs(_list(match, "namespaces", where), "namespaces", where),
        "excludedNamespaces": _globs(_list(match, "excludedNamespaces", where), "excludedNamespaces", where),
        "labelSelector": _selector(match.get("labelSelector"), "labelSelector", where),
        "namespaceSelector": _selector(match.get("namespaceSelector"), "namespaceSelector", where),
        "name": name,
    }


def _kind(entry: Json, where: str) -> dict[str, list[str]]:
    _refuse_unknown(entry, frozenset({"apiGroups", "kinds"}), "match.kinds", where)
    return {name: _texts(_list(entry, name, where), f"match.kinds.{name}", where) for name in ("apiGroups", "kinds")}


def _selector(selector: Json, name: str, where: str) -> Json:
    if selector is None:
        return None
    _refuse_unknown(selector, frozenset({"matchLabels", "matchExpressions"}), f"match.{name}", where)
    labels = selector.get("matchLabels") or {}
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise CannotImport(f"match.{name}.matchLabels has to be texts by name", where=where)
    expressions = [_expression(row, name, where) for row in _list(selector, "matchExpressions", where)]
    return {"matchLabels": labels, "matchExpressions": expressions}


def _expression(row: Json, name: str, where: str) -> dict[str, Json]:
    _refuse_unknown(row, frozenset({"key", "operator", "values"}), f"match.{name}.matchExpressions", where)
    operator, values = row.get("operator"), _texts(_list(row, "values", where), f"match.{name} values", where)
    if operator not in _OPERATORS or _OPERATORS[operator] is not bool(values) or not isinstance(row.get("key"), str):
        raise CannotImport(
            f"match.{name}: an expression is key, operator, and values where the operator has some", where=where
        )
    return {"key": row["key"], "operator": operator, "values": values}


def _globs(patterns: Sequence[Json], name: str, where: str) -> list[str]:
    for pattern in _texts(patterns, f"match.{name}", where):
        if not _GLOB.fullmatch(pattern):
            raise CannotImport(f"match.{name}: {pattern[:60]!r} is no name with a * before or behind it", where=where)
    return list(patterns)


def _texts(values: Sequence[Json], name: str, where: str) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise CannotImport(f"{name} has to be a list of texts", where=where)
    return list(values)


def _list(owner: Json, name: str, where: str) -> list[Json]:
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise CannotImport(f"{name} has to be a list", where=where)
    return value


def _refuse_unknown(owner: Json, known: frozenset[str], name: str, where: str) -> None:
    if not isinstance(owner, dict):
        raise CannotImport(f"{name} has to be an object", where=where)
    unknown = sorted(set(owner) - known)
    if unknown:
        raise CannotImport(
            f"{name}.{unknown[0][:60]} is not known here", where=where, hint="it might narrow what is refused"
        )


def _may_be(kinds: Sequence[dict[str, list[str]]], kind: str) -> bool:
    return not kinds or any(
        (not row["kinds"] or {"*", kind} & set(row["kinds"]))
        and (not row["apiGroups"] or {"*", _OWN_GROUP} & set(row["apiGroups"]))
        for row in kinds
    )
