"""What in a file is decided on: every manifest, plan, image build, workflow and Kubernetes object, as a request of its kind.

A file is known by its words, and only where a format has none (Dockerfile, workflow) by its name. One file may hold many
documents, and a `List` many objects; each is a subject of its own that knows where it stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError
from governance.model.pointer import to_pointer, to_segments
from governance.normalise.documents import MAX_BYTES, MAX_DEPTH, Document, decoded, read_documents
from governance.normalise.requests import API_GROUP, is_malformed_manifest, manifest_kind, normalise_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from governance.model.request import Json, Request, Source

_BUILD_NAMES = ("dockerfile", "containerfile")
_POD_KINDS = frozenset({
    "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "PodTemplate", "ReplicaSet", "ReplicationController", "StatefulSet",
})  # fmt: skip
_BUILT_IN_GROUPS = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})
# Groups below k8s.io whose files configure a program; no API server ever sees them.
_CONFIGURATION = ("config.k8s.io", "kubeadm.k8s.io", "audit.k8s.io", ".x-k8s.io")
# The words that make a file one that has to be read: where it cannot be, that is a failure and no skip. What could not be read
# is not taken apart, so whatever may be one of these words for another reader is taken for one.
_WORDS = re.compile(rb"microapps\.internal/|score\.dev/|\"terraform_version\"|apiVersion|\bbinary\b")
_LONGEST_WORD = 32
_ESCAPED = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|u00([0-9A-Fa-f]{2})|U000000([0-9A-Fa-f]{2})|\r?\n[ \t]*)")


class Subject(NamedTuple):
    """One thing in a file that is decided on."""

    document: Document
    base: str
    """Pointer to it in its document; empty for all of it."""
    kind: str
    resource: dict[str, Json]
    origins: dict[str, str] | None = None
    """Where the members of a resource that was mapped stand in the document."""

    @property
    def is_fixable(self) -> bool:
        """Whether a patch on the resource is one on the document."""
        return self.base == "" and self.origins is None and self.document.form != "dockerfile"

    @property
    def name(self) -> str:
        """Kind and name, as people call it: `Deployment/shop/web`; empty for what has none."""
        metadata = self.resource.get("metadata")
        if not isinstance(metadata, dict):
            return ""
        parts = (self.resource.get("kind"), metadata.get("namespace"), metadata.get("name"))
        return "/".join(str(part) for part in parts if part)

    def place(self, pointer: str) -> str:
        """A pointer into the resource as one into the document."""
        if self.origins is None:
            return self.base + pointer
        from governance.normalise.score import place_of

        return self.base + place_of(pointer, self.origins)


def is_build_name(file: str) -> bool:
    """`Dockerfile`, `Containerfile`, `Dockerfile.dev`, `app.dockerfile`."""
    name = file.replace("\\", "/").rpartition("/")[2].lower()
    if name.endswith(".dockerignore"):
        return False
    return any(name in {n, f"{n}s"} or name.startswith(f"{n}.") or name.endswith(f".{n}") for n in _BUILD_NAMES)


def is_workflow_name(file: str) -> bool:
    """A YAML file that GitHub Actions reads: a workflow, or the description of an action."""
    parts = file.replace("\\", "/").split("/")
    if not parts[-1].endswith((".yml", ".yaml")):
        return False
    return parts[-3:-1] == [".github", "workflows"] or parts[-1] in {"action.yml", "action.yaml"}


def has_to_be_read(raw: bytes, file: str) -> bool:
    """Whether a file that could not be read is by its name or words one of those that are decided on."""
    return is_build_name(file) or ".github/workflows/" in file.replace("\\", "/") or _has_words(raw)


def rest_has_to_be_read(pieces: Iterable[bytes]) -> bool:
    """The same of what stands behind the part of a long file that was looked at."""
    end = b""
    for piece in pieces:
        if _has_words(end + piece):
            return True
        end = piece[-6 * _LONGEST_WORD :]
    return False


def _has_words(raw: bytes) -> bool:
    """Also in UTF-16, with letters escaped as YAML and JSON have it, and broken over lines."""
    plain = raw.replace(b"\0", b"")
    return _WORDS.search(_ESCAPED.sub(_letter, plain) if b"\\" in plain else plain) is not None


def _letter(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex((found[1] or found[2] or found[3] or b"").decode())


def subjects_of(
    raw: bytes, file: str, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> tuple[list[Subject], list[CallerError]]:
    """What the file holds, and what of it has our words without our form. Raises CallerError where it cannot be read."""
    if is_build_name(file):
        text = decoded(raw, file, max_bytes)
        return [Subject(Document({}, file, 0, text, "dockerfile"), "", "image_build", {"dockerfile": text})], []
    found: list[Subject] = []
    wrong: list[CallerError] = []
    for document in read_documents(raw, file, max_bytes=max_bytes, max_depth=max_depth):
        for part in _parts(document):
            if isinstance(part, CallerError):
                wrong.append(part)
            else:
                found.append(part)
    if is_workflow_name(file) and ".github" in file and not found and not wrong:
        wrong.append(CallerError("holds no workflow", where=file, hint="a workflow has `on` and `jobs`"))
    return found, wrong


def request_of(subject: Subject, source: Source, *, tenant: str = "", app: str = "") -> Request:
    """The request that the line decides on; `tenant` and `app` are whose file it is, where it does not say so itself."""
    if subject.kind == "workload":
        return _admitted(subject, source)
    native: dict[str, Json] = {"kind": subject.kind, "resource": subject.resource}
    if subject.kind not in {"deploy", "template"}:
        native |= {"tenant": tenant, "context": {"app": app} if app else {}}
    return normalise_document(native, source)


def _admitted(subject: Subject, source: Source) -> Request:
    """A Kubernetes object as the admission webhook would be asked about it, so that both give one answer."""
    from governance.normalise.admission import API_VERSION, request_of, review_of

    resource = subject.resource
    metadata = resource.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    group, _, version = str(resource.get("apiVersion", "")).rpartition("/")
    request: dict[str, Json] = {
        "uid": "check",
        "operation": "CREATE",
        "kind": {"group": group, "version": version, "kind": resource.get("kind")},
        "object": resource,
        **{name: value for name in ("name", "namespace") if isinstance(value := metadata.get(name), str)},
    }
    return request_of(review_of({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": request}), source)


def _parts(document: Document) -> Iterator[Subject | CallerError]:
    """Every subject of one document; a List is opened, however often."""
    todo: list[tuple[str, Json]] = [("", document.value)]
    while todo:
        base, value = todo.pop(0)
        if not isinstance(value, dict):
            continue
        items = _items(value)
        if items is None:
            part = _part(document, base, value)
            if part is not None:
                yield part
        elif isinstance(items, list):
            todo = [(f"{base}/items/{i}", item) for i, item in enumerate(items)] + todo
        else:
            yield CallerError("has to be a list", where=f"{document.file}: document {document.index + 1}{base}/items")


def _items(value: dict[str, Json]) -> Json | None:
    """The items of a Kubernetes list; None for everything else."""
    kind, version = value.get("kind"), value.get("apiVersion")
    if not (isinstance(kind, str) and isinstance(version, str) and kind.endswith("List") and "items" in value):
        return None
    items = value["items"]
    if not isinstance(items, list):
        return [] if items is None else items
    # An item that lacks its kind or version gets both from the list, whatever it says of the other; so does kubectl.
    # Source: decodeToList in k8s.io/apimachinery, pkg/apis/meta/v1/unstructured.
    given = {"apiVersion": version, "kind": kind.removesuffix("List")}
    return [{**item, **given} if isinstance(item, dict) and not _has_kind(item) else item for item in items]


def _has_kind(item: dict[str, Json]) -> bool:
    return all(isinstance(item.get(name), str) and item[name] != "" for name in ("apiVersion", "kind"))


def _part(document: Document, base: str, value: dict[str, Json]) -> Subject | CallerError | None:
    where = f"{document.file}: document {document.index + 1}{base}"
    own = document._replace(value=value)
    if is_malformed_manifest(own):
        told = f"kind {str(value.get('kind'))[:60]!r} of {str(value.get('apiVersion'))[:60]!r}"
        return CallerError(f"{told} is none of ours", where=where, hint=f"the group of ours is {API_GROUP[:-1]}")
    kind = manifest_kind(own)
    if kind is not None:
        return Subject(document, base, kind, value)
    if str(value.get("apiVersion", "")).startswith("score.dev/"):
        return _score(document, base, value, where)
    if "format_version" in value and "terraform_version" in value and "serial" not in value:
        return Subject(document, base, "infrastructure", value)
    if _is_workflow(document.file, value):
        return Subject(document, base, "pipeline", value)
    if _is_kubernetes(value):
        return Subject(document, base, "workload", value)
    return None


def _score(document: Document, base: str, value: dict[str, Json], where: str) -> Subject | CallerError:
    from governance.normalise.score import mapped

    try:
        manifest, origins = mapped(value, where)
    except CallerError as error:
        return error
    return Subject(document, base, "deploy", manifest, origins)


def _is_workflow(file: str, value: dict[str, Json]) -> bool:
    if is_workflow_name(file):
        return "jobs" in value or "runs" in value
    return "on" in value and isinstance(value.get("jobs"), dict)


def _is_kubernetes(value: dict[str, Json]) -> bool:
    """An object of a group that comes with Kubernetes; what other groups hold is their controllers' to judge."""
    version, kind = value.get("apiVersion"), value.get("kind")
    if not (isinstance(version, str) and isinstance(kind, str)):
        return False
    items = value.get("items")
    if isinstance(items, list) and any(isinstance(item, dict) for item in items):
        # Whatever its kind and group, kubectl takes it for a list and creates the items; a rule refuses it as a whole.
        return True
    group = version.rpartition("/")[0]
    if group not in _BUILT_IN_GROUPS and (not group.endswith(".k8s.io") or group.endswith(_CONFIGURATION)):
        return False
    return isinstance(value.get("metadata"), dict) or kind in _POD_KINDS


def named_pointer(value: Json, pointer: str) -> str:
    """A pointer with names in place of list indexes where items have one, so that it stays when items are added above.

    >>> named_pointer({"a": [{"name": "x", "b": 1}]}, "/a/0/b")
    '/a/x/b'
    """
    found: list[str] = []
    node = value
    for segment in to_segments(pointer):
        if isinstance(node, list) and segment.isdigit() and int(segment) < len(node):
            node = node[int(segment)]
            found.append(_identity(node) or segment)
            continue
        node = node.get(segment) if isinstance(node, dict) else None
        found.append(segment)
    return to_pointer(found)


def _identity(item: Json) -> str:
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return ""
    for member in ("address", "id", "uses", "variables", "text", "image"):
        value = item.get(member)
        if isinstance(value, str) and value:
            return f"{item.get('name', '')} {value}"
        if isinstance(value, dict) and value:
            return f"{item.get('name', '')} {' '.join(value)}"
    name = item.get("name")
    return name if isinstance(name, str) else ""
