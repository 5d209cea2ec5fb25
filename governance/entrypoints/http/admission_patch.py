"""The JSONPatch that carries out a decision's obligations on a Kubernetes object.

An app gets annotations and labels, which its runtime reads. A workload gets them too, on its pods as well, and in its pod
spec what is missing: a runtime class, and limits for each container. What is there stays; whether it may stay is for a rule
to say. Applied once, there is nothing left to patch.

| obligation | app | workload |
|---|---|---|
| `caps` | annotation | `resources.limits` of containers and init containers, each where it is missing |
| `runtime_class` | annotation | `runtimeClassName` where it is missing |
| `egress_allow` | annotation | annotation, on the pods as well |
| `label` {name, value} | label | label, on the pods as well |
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.errors import InternalError
from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.decision import Decision
    from governance.model.request import Json

    Place = tuple[str, ...]
    Patch = list[dict[str, Json]]

_PREFIX = "microapps.internal/"
_APP_ANNOTATIONS = {"caps": "caps", "runtime_class": "runtime-class", "egress_allow": "egress-allow"}
_POD_ANNOTATIONS = {"egress_allow": "egress-allow"}
# Where a kind keeps its pod template; the template holds `metadata` and `spec`. A Pod is its own.
TEMPLATES: Mapping[str, Place] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
_GROUPS = frozenset({"v1", "apps/v1", "batch/v1"})
# Their pods cannot be changed once they exist; a patch would make every update fail.
_IMMUTABLE = frozenset({"Pod", "Job"})


def patch_of(target: Json, decision: Decision, *, is_new: bool) -> Patch:
    """What is missing in `target` for the decision's obligations to hold; `is_new`: it is being created.

    Raises InternalError for obligations that contradict each other.
    """
    if not isinstance(target, dict) or not target:
        return []
    found: dict[str, list[Json]] = {}
    for obligation in decision.obligations:
        found.setdefault(obligation.type, []).append(obligation.value)
    labels = {str(value["name"]): str(value["value"]) for value in found.get("label", [])}
    template = TEMPLATES.get(str(target.get("kind"))) if target.get("apiVersion") in _GROUPS else None
    if template is None:
        return _metadata(target, (), _annotations(found, _APP_ANNOTATIONS), labels)
    annotations = _annotations(found, _POD_ANNOTATIONS)
    patch = _metadata(target, (), annotations, labels)
    if not is_new and target["kind"] in _IMMUTABLE:
        return patch
    if template and isinstance(_at(target, template), dict):
        patch += _metadata(target, template, annotations, labels)
    return patch + _pod_spec(target, (*template, "spec"), found)


def _annotations(found: Mapping[str, list[Json]], names: Mapping[str, str]) -> dict[str, str]:
    return {
        _PREFIX + names[sort]: json.dumps(sorted(values, key=json.dumps), sort_keys=True, separators=(",", ":"))
        for sort, values in found.items()
        if sort in names
    }


def _metadata(target: Json, place: Place, annotations: Mapping[str, str], labels: Mapping[str, str]) -> Patch:
    patch: Patch = []
    if (annotations or labels) and not isinstance(_at(target, (*place, "metadata")), dict):
        patch.append(_add((*place, "metadata"), {}))
    for member, wanted in (("annotations", annotations), ("labels", labels)):
        patch += _members(target, (*place, "metadata", member), wanted)
    return patch


def _members(target: Json, place: Place, wanted: Mapping[str, Json], *, keep: bool = False) -> Patch:
    """Each wanted member that is not there as wanted; `keep`: one that is there stays as it is."""
    present = _at(target, place)
    known: dict[str, Json] = present if isinstance(present, dict) else {}
    missing = {n: v for n, v in wanted.items() if known.get(n) != v and not (keep and known.get(n) is not None)}
    opening = [] if isinstance(present, dict) or not missing else [_add(place, {})]
    return opening + [_add((*place, name), value) for name, value in sorted(missing.items())]


def _pod_spec(target: Json, place: Place, found: Mapping[str, list[Json]]) -> Patch:
    spec = _at(target, place)
    if not isinstance(spec, dict):
        return []
    patch: Patch = []
    classes = {str(value) for value in found.get("runtime_class", [])}
    if len(classes) > 1:
        raise InternalError(f"the policy names {len(classes)} runtime classes for one workload")
    if classes and not spec.get("runtimeClassName"):
        patch.append(_add((*place, "runtimeClassName"), classes.pop()))
    limits = _limits(found.get("caps", []))
    for sort in ("containers", "initContainers") if limits else ():
        containers = spec.get(sort)
        for number, container in enumerate(containers if isinstance(containers, list) else []):
            patch += _container(target, (*place, sort, str(number)), container, limits)
    return patch


def _container(target: Json, place: Place, container: Json, limits: Mapping[str, str]) -> Patch:
    if not isinstance(container, dict):
        return []
    resources = (*place, "resources")
    missing = _members(target, (*resources, "limits"), limits, keep=True)
    opening = [_add(resources, {})] if missing and not isinstance(container.get("resources"), dict) else []
    return opening + missing


def _limits(caps: Sequence[Json]) -> dict[str, str]:
    """Kubernetes quantities of the tightest caps: thousandths of a core, MiB."""
    units = {"cpu": ("cpu", 1000, "m"), "memoryMiB": ("memory", 1, "Mi"), "storageMiB": ("ephemeral-storage", 1, "Mi")}
    asked = {name: [float(cap[name]) for cap in caps if name in cap] for name in units}
    return {units[name][0]: f"{int(min(v) * units[name][1])}{units[name][2]}" for name, v in asked.items() if v}


def _at(value: Json, place: Place) -> Json:
    for segment in place:
        if isinstance(value, list) and segment.isdigit() and int(segment) < len(value):
            value = value[int(segment)]
        elif isinstance(value, dict):
            value = value.get(segment)
        else:
            return None
    return value


def _add(place: Place, value: Json) -> dict[str, Json]:
    return {"op": "add", "path": to_pointer(place), "value": value}
