"""A Kubernetes AdmissionReview (admission.k8s.io/v1) to a request of ours. Source: k8s.io/api/admission/v1.

A MicroApp or AppTemplate is what it is everywhere: a deploy or a template. Every other object is a `workload`, with the
operation as its action; what an operation that brings no object means (DELETE, CONNECT) is for rules to say, not for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError
from governance.normalise.requests import API_GROUP, TENANT_LABEL, label_of, normalise_document

if TYPE_CHECKING:
    from governance.model.request import Json, Request, Source

API_VERSION = "admission.k8s.io/v1"
_OPERATIONS = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete", "CONNECT": "connect"}
_OURS = {"MicroApp": "deploy", "AppTemplate": "template"}
_LONGEST_UID = 253
# Refused, but in words of its own: a yes in a version that is not read here would be a guess.
_ANSWERED = frozenset({API_VERSION, "admission.k8s.io/v1beta1"})
_HINT = f"admissionReviewVersions: [{API_VERSION[-2:]}]"
_WRITTEN = ("name", "version", "labels", "annotations")


class Asked(NamedTuple):
    """Whom the answer is for."""

    api_version: str
    uid: str


class Review(NamedTuple):
    """What the API server asks."""

    request: dict[str, Json]
    """As it was sent."""
    standard: dict[str, Json]
    """Context that the door adds."""
    document: dict[str, Json]
    """A native request."""
    target: dict[str, Json]
    """The object that a patch would be applied to; empty where the operation brings none."""

    @property
    def is_new(self) -> bool:
        """Whether the object is being created."""
        return self.request.get("operation") == "CREATE"

    @property
    def is_patchable(self) -> bool:
        """Whether a patch of the object would be stored: not in a CONNECT's options, nor in a part that is a subresource."""
        return self.request.get("operation") in {"CREATE", "UPDATE"} and not self.request.get("subResource")


def asked_of(body: Json) -> Asked:
    """Whom to answer, also where the rest of the review is wrong; raises CallerError for what is no review."""
    if not isinstance(body, dict) or body.get("kind") != "AdmissionReview":
        raise CallerError("not an AdmissionReview", where="/kind")
    version = body.get("apiVersion")
    if version not in _ANSWERED:
        raise CallerError(f"{str(version)[:60]!r} is not known here", where="/apiVersion", hint=_HINT)
    request = body.get("request")
    if not isinstance(request, dict):
        raise CallerError("has to be an object", where="/request")
    uid = request.get("uid")
    if not isinstance(uid, str) or not 0 < len(uid) <= _LONGEST_UID:
        raise CallerError("has to be a text that is not empty", where="/request/uid")
    return Asked(str(version), uid)


def review_of(body: Json, standard: dict[str, Json] | None = None) -> Review:
    """Read a review; raises CallerError naming the member that is wrong.

    `standard`: `profile` and `pss_version` where the door that was knocked at names them; they become context.
    """
    if asked_of(body).api_version != API_VERSION:
        raise CallerError(f"{body['apiVersion']!r} is refused, not read", where="/apiVersion", hint=_HINT)
    request = body["request"]
    operation = request.get("operation")
    if not isinstance(operation, str) or operation not in _OPERATIONS:
        raise CallerError(f"operation {str(operation)[:20]!r} is none", where="/request/operation")
    named = _object(request, "kind").get("kind")
    if not isinstance(named, str) or not named:
        raise CallerError("has to be a text that is not empty", where="/request/kind/kind")
    return _review(request, _object(request, "object"), standard or {})


def with_target(review: Review, target: dict[str, Json]) -> Review:
    """The same question about a changed object."""
    return _review(review.request, target, review.standard)


def _review(request: dict[str, Json], target: dict[str, Json], standard: dict[str, Json]) -> Review:
    # What is written is judged, and never what it replaces; only a DELETE is about what is there.
    old = _object(request, "oldObject")
    subject = old if request["operation"] == "DELETE" else target
    document = _native(request, subject, _OPERATIONS[request["operation"]])
    document["context"] = {**document["context"], **standard}
    return Review(request, standard, document, target)


def request_of(review: Review, source: Source) -> Request:
    """The request that the line decides on."""
    return normalise_document(review.document, source, is_review=True)


def _native(request: dict[str, Json], subject: dict[str, Json], action: str) -> dict[str, Json]:
    kind = _OURS.get(str(subject.get("kind"))) if _is_ours(subject) else None
    sub_resource = request.get("subResource") or ""
    document: dict[str, Json] = {
        "kind": "workload",
        "action": action,
        "tenant": label_of(subject, TENANT_LABEL),
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
        return {**document, "kind": "lifecycle", "action": "change", "resource": change}
    # An app says itself whose it is, a template by its label; whether that is so from this namespace is for a rule to say.
    tenant = "" if kind == "deploy" else document["tenant"]
    return {**document, "kind": kind, "tenant": tenant, "resource": _manifest(subject)}


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
