"""A ValidatingAdmissionPolicy from the rules that CEL can say: the net under the webhook while that is away.

Kubernetes evaluates it in the API server itself (admissionregistration.k8s.io/v1). Which rules there are, what they are called
and how to comply comes from the pack; how a rule reads in CEL stands in `data/platform/cel.yaml`. The net may refuse only what
the webhook refuses, so a rule is left out where the pack does not enforce it for everybody. It knows no waivers.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import RuleError
from governance.model.decision import DENY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json
    from governance.policy.metadata import RuleMeta

_DATA = re.compile(r"\{\{\s*([a-z_]+(?:\.[a-zA-Z_]+)*)\s*\}\}")
_FILE = "data/platform/cel.yaml"
_API = "admissionregistration.k8s.io/v1"
_PROFILE_LABEL = "pod-security.kubernetes.io/enforce"
_PROFILES = ("privileged", "baseline", "restricted")
# The service, the cluster and who makes the certificate: they have to start while nobody can decide.
_EXEMPT = ("microapp-governance", "kube-system", "cert-manager")
_LEFT_OUT = {
    "key": "kubernetes.io/metadata.name",
    "operator": "NotIn",
    "values": ["microapp-governance", "kube-system"],
}
_APPS = [("microapps.internal", "v1alpha1", ["microapps"])]
_WORKLOADS = [
    ("", "v1", ["pods", "pods/ephemeralcontainers", "podtemplates", "replicationcontrollers"]),
    ("apps", "v1", ["deployments", "statefulsets", "daemonsets", "replicasets"]),
    ("batch", "v1", ["jobs", "cronjobs"]),
]
_LISTS = ("containers", "initContainers", "ephemeralContainers")


class Net(NamedTuple):
    """The documents, and what of the table did not get into them."""

    documents: tuple[dict[str, Json], ...]
    left_out: Mapping[str, str]
    """Why, by rule id."""


def net_of(rules: Sequence[RuleMeta], data: Json, without: Sequence[str] = ()) -> Net:
    """Policies and their bindings. Raises RuleError for a table or an expression that cannot be read."""
    platform = data.get("platform", {})
    table = platform.get("cel", {}).get("rules", {})
    if not isinstance(table, dict) or not table:
        raise RuleError("no rule has an expression", where=_FILE, hint="rules: {ID: {holds: …}}")
    known = {meta.id: meta for meta in rules if not meta.obligation_type}
    left_out = {rule: why for rule in sorted(table) if (why := _why_not(rule, known, platform, without))}
    chosen = [(known[rule], table[rule]) for rule in sorted(table) if rule not in left_out]
    apps = [_validation(m, row, data) for m, row in chosen if "deploy" in m.applies_to]
    documents = _policy("apps", "apps", _APPS, [_LEFT_OUT], apps, [])
    pods = [(m, row) for m, row in chosen if "workload" in m.applies_to]
    default = platform.get("kubernetes", {}).get("default_profile", "restricted")
    for profile in ("", *_PROFILES):
        rows = [_validation(m, row, data) for m, row in pods if _is_for(row, profile, default)]
        operator = {"operator": "In", "values": [profile]} if profile else {"operator": "NotIn", "values": [*_PROFILES]}
        selector = [_LEFT_OUT, {"key": _PROFILE_LABEL, **operator}]
        name = f"workloads-{profile}" if profile else "workloads"
        documents += _policy(name, "workloads", _WORKLOADS, selector, rows, _variables(platform))
    return Net(tuple(documents), left_out)


def _why_not(rule: str, known: Mapping[str, RuleMeta], platform: Json, without: Sequence[str]) -> str:
    meta = known.get(rule)
    if meta is None:
        return "the pack has no such rule"
    if rule in without:
        return "left out on request"
    if meta.effect != DENY:
        return f"its effect is {meta.effect}"
    if rule in platform.get("modes", {}).get("rules", {}):
        return "it has a mode, so it is not enforced for everybody"
    return "" if {"deploy", "workload"} & set(meta.applies_to) else "it is about nothing that Kubernetes stores"


def _is_for(row: Json, profile: str, default: str) -> bool:
    """Where a profile is named, its checks alone decide; elsewhere the default's and the platform's own."""
    profiles = row.get("profiles")
    if profiles is None:
        return profile == ""
    return (profile or default) in profiles


def _validation(meta: RuleMeta, row: Json, data: Json) -> dict[str, Json]:
    holds = row.get("holds") if isinstance(row, dict) else None
    if not isinstance(holds, str) or not holds.strip():
        raise RuleError(f"{meta.id} has no expression", where=_FILE, hint="holds: a CEL expression")
    expression = _DATA.sub(lambda found: _literal(found[1], meta.id, data), " ".join(holds.split()))
    return {"expression": expression, "message": f"{meta.id}: {meta.title}. {meta.remediation}", "reason": "Forbidden"}


def _literal(path: str, rule: str, data: Json) -> str:
    """Data as a CEL literal; JSON is one."""
    for segment in path.split("."):
        if not isinstance(data, dict) or segment not in data:
            raise RuleError(f"{rule} asks for data that the pack does not have: {path}", where=_FILE)
        data = data[segment]
    return json.dumps(data, sort_keys=True)


def _variables(platform: Json) -> list[dict[str, Json]]:
    places: dict[str, list[str]] = platform.get("pods", {}).get("kept_at", {})
    pod = "{}"
    for kind, place in sorted(places.items()):
        path = ".".join(["object", *place, "spec"])
        # A kind whose template may be missing has no pod, and a pod without containers meets no rule of its own.
        found = f"(has({'.'.join(['object', *place])}) && has({path}) ? {path} : {{}})" if place else path
        pod = f"object.kind == '{kind}' ? {found} : {pod}"
    lists = {name: f"(has(variables.pod.{name}) ? variables.pod.{name} : [])" for name in _LISTS}
    return [
        {"name": "pod", "expression": pod},
        {"name": "containers", "expression": " + ".join(lists.values())},
        {"name": "limited", "expression": " + ".join(list(lists.values())[:2])},
    ]


def _policy(
    name: str,
    what: str,
    matched: Sequence[tuple[str, str, list[str]]],
    selector: list[dict[str, Json]],
    validations: list[dict[str, Json]],
    variables: list[dict[str, Json]],
) -> list[dict[str, Json]]:
    """A policy and its binding; none where no rule has a say."""
    if not validations:
        return []
    full = f"microapp-governance-{name}"
    operations = ["CREATE", "UPDATE"]
    rules = [
        {"apiGroups": [group], "apiVersions": [version], "operations": operations, "resources": resources}
        for group, version, resources in matched
    ]
    policy = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": full, "labels": {"app.kubernetes.io/part-of": "microapp-governance", "governs": what}},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"namespaceSelector": {"matchExpressions": selector}, "resourceRules": rules},
            **({"variables": variables} if variables else {}),
            "validations": validations,
        },
    }
    binding = {
        "apiVersion": _API,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": full},
        "spec": {"policyName": full, "validationActions": ["Deny", "Audit"]},
    }
    return [policy, binding]
