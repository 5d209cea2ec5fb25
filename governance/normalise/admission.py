"""A Kubernetes AdmissionReview (admission.k8s.io/v1) to a request of ours. Source: k8s.io/api/admission/v1.

A MicroApp or AppTemplate is what it is everywhere: a deploy or a template. Every other object is a `workload`, with the
operation as its action; what an operation that brings no object means (DELETE, CONNECT) is for rules to say, not for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError
from governance.normalise.requests import API_GROUP, normalise_document

if TYPE_CHECKING:
    from governance.model.request import Json, Request, Source

API_VERSION = "admission.k8s.io/v1"
TENANT_LABEL = "microapps.internal/tenant"
_OPERATIONS = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete", "CONNECT": "connect"}
_OURS = {"MicroApp": "deploy", "AppTemplate": "template"}
_LONGEST_UID = 253
_WRITTEN = ("name", "version", "labels", "annotations")


class Review(NamedTuple):
    """What the API server asks, as far as the answer needs it."""

    uid: str
    document: dict[str, Json]
    """A native request."""
    target: dict[str, Json]
    """The object that a patch would be applied to; empty where the operation brings none."""


def review_of(body: Json) -> Review:
    """Read a review; raises CallerError naming the member that is wrong."""
    if not isinstance(body, dict) or body.get("kind") != "AdmissionReview":
        raise CallerError("not an AdmissionReview", where="/kind")
    if body.get("apiVersion") != API_VERSION:
        version = str(body.get("apiVersion"))[:60]
        raise CallerError(
            f"{version!r} is not read here", where="/apiVersion", hint=f"admissionReviewVersions: [{API_VERSION[-2:]}]"
        )
    request = body.get("request")
    if not isinstance(request, dict):
        raise CallerError("has to be an object", where="/request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _LONGEST_UID:
        raise CallerError("has to be a text that is not empty", where="/request/uid")
    operation = request.get("operation")
    if operation not in _OPERATIONS:
        raise CallerError(f"operation {str(operation)[:20]!r} is none", where="/request/operation")
    target = _object(request, "object")
    subject = target or _object(request, "oldObject")
    return Review(uid, _native(request, subject, _OPERATIONS[str(operation)]), target)


def request_of(review: Review, source: Source) -> Request:
    """The request that the line decides on."""
    return normalise_document(review.document, source)


def _native(request: dict[str, Json], subject: dict[str, Json], action: str) -> dict[str, Json]:
    kind = _OURS.get(str(subject.get("kind"))) if _is_ours(subject) else None
    sub_resource = request.get("subResource") or ""
    document: dict[str, Json] = {
        "kind": "workload",
        "action": action,
        "tenant": _tenant(subject),
        "subject": _user(request),
        "resource": subject,
        "context": {
            "namespace": request.get("namespace") or "",
            "name": request.get("name") or "",
            "operation": request.get("operation"),
            "sub_resource": sub_resource,
            "group_kind": request.get("kind") or {},
        },
        "dry_run": request.get("dryRun") is True,
    }
    if kind is None or sub_resource or action == "connect":
        if action == "update":
            document["context"]["old_object"] = _object(request, "oldObject") or None
        return document
    if action == "delete":
        change = {"app": _name(subject), "change": {"to": "deleted"}}
        return {**document, "kind": "lifecycle", "action": "transition", "resource": change}
    # A manifest says itself whose it is.
    return {**document, "kind": kind, "tenant": "", "resource": _manifest(subject)}


def _manifest(subject: dict[str, Json]) -> dict[str, Json]:
    """The object as its author wrote it: without what the API server adds (uid, generation, managedFields, status …)."""
    metadata = _object(subject, "metadata")
    kept = {name: metadata[name] for name in _WRITTEN if name in metadata}
    return {**{name: value for name, value in subject.items() if name != "status"}, "metadata": kept}


def _is_ours(subject: dict[str, Json]) -> bool:
    return str(subject.get("apiVersion", "")).startswith(API_GROUP)


def _user(request: dict[str, Json]) -> dict[str, Json]:
    user = _object(request, "userInfo")
    name, groups = user.get("username"), user.get("groups")
    return {"id": name if isinstance(name, str) else "", "groups": groups if isinstance(groups, list) else []}


def _tenant(subject: dict[str, Json]) -> str:
    labels = _object(_object(subject, "metadata"), "labels")
    tenant = labels.get(TENANT_LABEL)
    return tenant if isinstance(tenant, str) else ""


def _name(subject: dict[str, Json]) -> str:
    name = _object(subject, "metadata").get("name")
    return name if isinstance(name, str) else ""


def _object(owner: dict[str, Json], name: str) -> dict[str, Json]:
    """A member that is an object, or null, or missing. Raises CallerError for anything else."""
    value = owner.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CallerError("has to be an object", where=f"/request/{name}")
    return value
