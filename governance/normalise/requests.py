"""Building a `Request`: the one place that does, so that every request has the same canonical text and digest."""

from __future__ import annotations

import hashlib
import json
import re

from governance.errors import CallerError
from governance.model.pointer import to_pointer
from governance.model.request import KINDS, Json, Request, Source
from governance.normalise.documents import MAX_BYTES, MAX_DEPTH, Document, decoded, read_documents, read_json

API_GROUP = "microapps.internal/"
TENANT_LABEL, APP_LABEL = f"{API_GROUP}tenant", f"{API_GROUP}app"
_MANIFEST_KINDS = {
    "MicroApp": "deploy",
    "AppTemplate": "template",
    **dict.fromkeys(("Connector", "Waiver", "Tenant", "PolicyMode"), "registry_entry"),
}
# Names that nobody else gives to a kind, in small letters.
_APP_KINDS = frozenset({"microapp", "apptemplate"})
_MEMBERS = frozenset({"kind", "action", "subject", "tenant", "resource", "context", "dry_run"})
# What the canonical text of a request holds.
_RECORDED = frozenset({"action", "context", "dry_run", "kind", "resource", "subject", "tenant"})
_DEFAULT_ACTION = {
    "template": "publish",
    "deploy": "create",
    "connector_call": "call",
    "data_flow": "send",
    "app_call": "call",
    "app_answer": "answer",
    "publish": "publish",
    "lifecycle": "change",
    "consent": "give",
    "revocation": "revoke",
    "workload": "create",
    "infrastructure": "apply",
    "image_build": "build",
    "pipeline": "run",
    "registry_entry": "register",
}
_OF_A_REPOSITORY = frozenset({"infrastructure", "image_build", "pipeline", "registry_entry"})
# What only who stands at a cluster's door knows of an object: where one of these says so, rules ask less of it.
_SAID_BY_CLUSTER = frozenset({
    "group_kind", "name", "namespace", "old_object", "operation", "profile", "pss_version", "sub_resource",
})  # fmt: skip
_WRITES = frozenset({"create", "update"})
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LONGEST_NAME = 63


def normalise_native(body: bytes, source: Source, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Request:
    """A request in the service's own JSON: `{kind, action?, subject?, tenant?, resource, context?, dry_run?}`.

    Raises CallerError with a JSON pointer, or TooLarge.
    """
    name = source.document or "body"
    document = read_json(decoded(body, name, max_bytes), name, max_depth=max_depth)
    return normalise_document(document, source)


def normalise_document(document: Json, source: Source, *, is_review: bool = False) -> Request:
    """As `normalise_native`, for a body that was parsed by `read_json`.

    `is_review`: an admission review says it, and so may say of an object what a caller may not.
    """
    if not isinstance(document, dict):
        raise CallerError("a request is a JSON object", where="/")
    unknown = sorted(set(document) - _MEMBERS)
    if unknown:
        raise CallerError("not a member of a request", where=to_pointer([unknown[0]]))
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise CallerError(f"kind {str(kind)[:40]!r} is not one of {', '.join(sorted(KINDS))}", where="/kind")
    if not isinstance(document.get("resource"), dict):
        raise CallerError("the resource has to be an object", where="/resource")
    dry_run = document.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise CallerError("has to be true or false", where="/dry_run")
    request = _request(
        kind,
        document["resource"],
        source,
        tenant=_text(document, "tenant"),
        action=_text(document, "action"),
        subject=_object(document, "subject"),
        context=_object(document, "context"),
        dry_run=dry_run,
    )
    if not is_review:
        _check_said_by_cluster(request)
    return request


def normalise_resource(kind: str, body: bytes, source: Source, *, tenant: str = "", dry_run: bool = False) -> Request:
    """A request from its resource alone: a manifest, a call or a flow, as JSON or YAML with one document."""
    documents = read_documents(body, source.document or "body")
    if len(documents) != 1 or not isinstance(documents[0].value, dict):
        raise CallerError("exactly one document with an object is needed", where=source.document or "body")
    return _request(kind, documents[0].value, source, tenant=tenant, dry_run=dry_run)


def query_request(path: str, document: Json, source: Source) -> Request:
    """A question about any rule, as a request that can be recorded; `document` is its whole input."""
    resource = {"path": path, "input": document}
    text = canonical(resource)
    digest = "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    app = document.get("app") if isinstance(document, dict) else None
    name = app.get("name", "") if isinstance(app, dict) else ""
    tenant = document.get("tenant", "") if isinstance(document, dict) else ""
    about = {"name": name if isinstance(name, str) else ""}
    owner = tenant if isinstance(tenant, str) else ""
    return Request("query", "query", owner, {"id": source.actor}, about, resource, {}, False, source, digest, text)


def recorded_request(text: str, source: Source) -> Request:
    """The request whose canonical text a record holds. Raises CallerError for a text that is none, or not canonical."""
    try:
        parts = json.loads(text)
        if canonical(parts) != text or set(parts) != _RECORDED:
            raise CallerError("not the text of a request")
        kind, resource = str(parts["kind"]), parts["resource"]
        app = _app_of(kind, resource, parts["context"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CallerError(f"not the text of a request: {type(error).__name__}") from error
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    return Request(
        kind,
        parts["action"],
        parts["tenant"],
        parts["subject"],
        app,
        resource,
        parts["context"],
        parts["dry_run"],
        source,
        digest,
        text,
    )


def manifest_kind(document: Document) -> str | None:
    """The request kind of a manifest of ours (`deploy`, `template`, `registry_entry`); None for every other document."""
    value = document.value
    if not isinstance(value, dict) or not str(value.get("apiVersion", "")).startswith(API_GROUP):
        return None
    return _MANIFEST_KINDS.get(str(value.get("kind")))


def is_malformed_manifest(document: Document) -> bool:
    """Whether a document reads like one of ours without being one: a typo must not pass as somebody else's."""
    value = document.value
    if not isinstance(value, dict) or manifest_kind(document) is not None:
        return False
    version, kind = (str(value.get(name, "")).strip().lower() for name in ("apiVersion", "kind"))
    return version.startswith(API_GROUP) or kind in _APP_KINDS


def normalise_manifest(document: Document, source: Source) -> Request:
    """A MicroApp is a deploy, an AppTemplate is a template. Raises CallerError for any other document."""
    kind = manifest_kind(document)
    if kind not in {"deploy", "template"}:
        raise CallerError("neither a MicroApp nor an AppTemplate", where=f"{document.file}")
    return _request(str(kind), document.value, source)


def changed(request: Request, resource: Json) -> Request:
    """The same request about a changed resource: for proving a fix."""
    return _request(
        request.kind,
        resource,
        request.source,
        tenant="" if request.kind in {"deploy", "template"} else request.tenant,
        action=request.action,
        subject=request.subject,
        context=request.context,
        dry_run=request.dry_run,
    )


def _request(
    kind: str,
    resource: Json,
    source: Source,
    *,
    tenant: str = "",
    action: str = "",
    subject: Json = None,
    context: Json = None,
    dry_run: bool = False,
) -> Request:
    if kind == "deploy" and _is_foreign_object(resource):
        kind = "workload"
    action = action or _DEFAULT_ACTION[kind]
    resource = _as_rules_read_it(kind, resource, source)
    app = _app_of(kind, resource, context or {})
    tenant = tenant or (label_of(resource, TENANT_LABEL) if kind == "workload" else str(app.get("tenant", "")))
    subject = _subject(subject or {}, source)
    parts = {
        "action": action,
        "context": context or {},
        "dry_run": dry_run,
        "kind": kind,
        "resource": resource,
        "subject": subject,
        "tenant": tenant,
    }
    try:
        text = canonical(parts)
        digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    except ValueError as error:
        raise CallerError(f"cannot be written as JSON: {error}", where=source.document or "body") from error
    return Request(kind, action, tenant, subject, app, resource, context or {}, dry_run, source, digest, text)


def _subject(claimed: dict[str, Json], source: Source) -> dict[str, Json]:
    """On whose behalf. Only a service may speak for others: rules tell author from approver by this id.

    What anybody else says about themselves, groups for one, is nobody's to believe and goes no further.
    """
    if "service" in source.roles and isinstance(claimed.get("id"), str):
        return {**claimed, "actor": source.actor}
    return {"id": source.actor, "actor": source.actor}


def _check_said_by_cluster(request: Request) -> None:
    """Raise CallerError where a caller says of a Kubernetes object what a webhook or a service knows and nobody else does.

    A Pod Security profile, a part of an object, an operation that writes none: each makes rules ask less, so a caller who
    could choose it would choose by which rules they are judged.
    """
    if request.kind != "workload" or "service" in request.source.roles:
        return
    hint = "leave it out, or ask with a key of the role service; a cluster's webhook says it by itself"
    named = sorted(_SAID_BY_CLUSTER & set(request.context))
    if named:
        raise CallerError(
            "is for a cluster's door or a service to say", where=to_pointer(["context", named[0]]), hint=hint
        )
    if request.action not in _WRITES:
        raise CallerError(
            f"only a cluster's door or a service asks about {request.action[:40]!r}", where="/action", hint=hint
        )


def canonical(value: Json) -> str:
    """Members sorted, no white space: the same value always gives the same text."""
    return _CANONICAL.encode(value)


def _app_of(kind: str, resource: Json, context: Json) -> Json:
    """The MicroApp or template spec with its name; for everything else only the name of the app it is about."""
    if kind in {"deploy", "template"}:
        metadata, spec = resource.get("metadata"), resource.get("spec")
        name = metadata.get("name", "") if isinstance(metadata, dict) else ""
        return {**(spec if isinstance(spec, dict) else {}), "name": name}
    if kind == "workload":
        return {"name": _labelled_app(resource)}
    if kind in _OF_A_REPOSITORY:
        # These files do not say which app they belong to; who hands them in does.
        return {"name": context.get("app", "")}
    return {"name": resource.get("app", "")}


def _labelled_app(resource: Json) -> str:
    """The app that an object says it is of; empty where the pods it makes say that they are of another."""
    name, spec = label_of(resource, APP_LABEL), _inner(resource, "spec")
    makers = (resource, spec, _inner(_inner(spec, "jobTemplate"), "spec"))
    inside = {label_of(_inner(maker, "template"), APP_LABEL) for maker in makers}
    return name if inside <= {"", name} else ""


def _inner(value: Json, member: str) -> dict[str, Json]:
    found = value.get(member)
    return found if isinstance(found, dict) else {}


def label_of(resource: Json, name: str) -> str:
    """What a label of a Kubernetes object says; empty where it says nothing."""
    metadata = resource.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    value = labels.get(name) if isinstance(labels, dict) else None
    return value if isinstance(value, str) else ""


def _is_foreign_object(resource: Json) -> bool:
    """Whether a resource is a Kubernetes object of another API group than ours; what is neither stays a bad manifest."""
    version, kind = resource.get("apiVersion"), resource.get("kind")
    is_object = isinstance(version, str) and isinstance(kind, str) and version != "" and kind != ""
    return is_object and not str(version).startswith(API_GROUP)


def _as_rules_read_it(kind: str, resource: Json, source: Source) -> Json:
    """A Dockerfile as its instructions, a plan without what no rule needs; everything else as it is."""
    if kind == "image_build" and "instructions" not in resource:
        from governance.normalise.dockerfile import parsed

        text = resource.get("dockerfile")
        if not isinstance(text, str):
            raise CallerError("has to hold the text of a Dockerfile", where="/resource/dockerfile")
        return parsed(text, source.document or "Dockerfile").resource
    if kind == "infrastructure":
        from governance.normalise.plan import trimmed

        return trimmed(resource)
    return resource


def is_app_name(name: object) -> bool:
    """Whether a name may become a file name or host label (RFC 1123): nothing else is ever looked up."""
    return isinstance(name, str) and len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def _text(document: dict[str, Json], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str):
        raise CallerError("has to be text", where=to_pointer([key]))
    return value


def _object(document: dict[str, Json], key: str) -> dict[str, Json]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise CallerError("has to be an object", where=to_pointer([key]))
    return value
