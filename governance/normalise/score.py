"""A Score workload (`score.dev/v1b1`) as the MicroApp it describes, and where each member of that stands in the Score file.

Score says what runs; who owns it, what it may reach and which data it touches stand in annotations `microapps.internal/<name>`
and in resources of type `connector` and `secret`. What has no place in a MicroApp is refused rather than left out, since a
rule cannot judge what it does not see. Source: score-spec/schema, score-v1b1.json.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError
from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from governance.model.request import Json

API_VERSION = "score.dev/v1b1"
ANNOTATION = "microapps.internal/"
_TOP = frozenset({"apiVersion", "metadata", "containers", "service", "resources"})
_CPU = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m?)")
_MEMORY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|k|M|G|)")
_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class Mapped(NamedTuple):
    """A Score file, read."""

    manifest: dict[str, Json]
    """The MicroApp."""
    origins: dict[str, str]
    """Pointer into the manifest to pointer into the Score file."""


def mapped(score: dict[str, Json], where: str) -> Mapped:
    """Raises CallerError for another version, and for what a MicroApp has no place for."""
    if score.get("apiVersion") != API_VERSION:
        raise CallerError(f"this Score version is not read here; {API_VERSION} is", where=f"{where}/apiVersion")
    unknown = sorted(set(score) - _TOP)
    if unknown:
        raise CallerError("not a member of a Score file", where=f"{where}{to_pointer([unknown[0]])}")
    reader = _Reader(score, where)
    reader.annotations()
    reader.container()
    reader.resources()
    metadata = score.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    manifest = {
        "apiVersion": "microapps.internal/v1alpha1",
        "kind": "MicroApp",
        "metadata": {"name": name},
        "spec": reader.spec,
    }
    return Mapped(manifest, {"/metadata": "/metadata", **reader.origins})


def place_of(pointer: str, origins: dict[str, str]) -> str:
    """Where a place in the manifest stands in the Score file; the annotations where nothing says it."""
    best = max((p for p in origins if pointer == p or pointer.startswith(p + "/")), key=len, default=None)
    if best is None:
        return "/metadata/annotations" if pointer.startswith("/spec") else ""
    return origins[best] + pointer[len(best) :]


class _Reader:
    def __init__(self, score: dict[str, Json], where: str) -> None:
        self.spec: dict[str, Json] = {}
        self.origins: dict[str, str] = {}
        self._score = score
        self._where = where

    def annotations(self) -> None:
        """Every annotation of our prefix; one that is not known is a typo."""
        metadata = self._object(self._score, "metadata", "")
        annotations = self._object(metadata, "annotations", "/metadata")
        for key, text in annotations.items():
            if not key.startswith(ANNOTATION):
                continue
            place = to_pointer(["metadata", "annotations", key])
            known = _ANNOTATIONS.get(key.removeprefix(ANNOTATION))
            if known is None:
                raise CallerError("not an annotation of a MicroApp", where=self._where + place)
            if not isinstance(text, str):
                raise CallerError("has to be text", where=self._where + place, hint="put it in quotes")
            path, read = known
            self._put(path, read(text), place)

    def container(self) -> None:
        """The one container: its image and limits, and the rest as the app's settings, so that it is looked into."""
        containers = self._object(self._score, "containers", "")
        if len(containers) != 1:
            raise CallerError("a MicroApp runs exactly one container", where=f"{self._where}/containers")
        (name,) = containers
        place = to_pointer(["containers", name])
        container = self._object(containers, name, "/containers")
        limits = self._object(self._object(container, "resources", place), "limits", f"{place}/resources")
        if "image" in container:
            self._put(("runtime", "image"), container["image"], f"{place}/image")
        if "cpu" in limits:
            self._put(("runtime", "caps", "cpu"), _cores(limits["cpu"]), f"{place}/resources/limits/cpu")
        if "memory" in limits:
            self._put(
                ("runtime", "caps", "memoryMiB"), _mebibytes(limits["memory"]), f"{place}/resources/limits/memory"
            )
        rest = {key: value for key, value in container.items() if key not in {"image", "resources"}}
        if rest:
            self._put(("config",), rest, place)

    def resources(self) -> None:
        """Connectors and secrets; every other sort has no rule that would look at it."""
        for name, about in self._object(self._score, "resources", "").items():
            place = to_pointer(["resources", name])
            if not isinstance(about, dict) or about.get("type") not in {"connector", "secret"}:
                raise CallerError(
                    "only resources of type connector and secret are known",
                    where=f"{self._where}{place}/type",
                    hint="other stores are reached through a connector",
                )
            params = self._object(about, "params", place)
            if about["type"] == "connector":
                self._append("connectors", {"name": about.get("class", name), **params}, place)
            else:
                self._append("secrets", {"name": name, **params}, place)

    def _append(self, member: str, item: dict[str, Json], place: str) -> None:
        items = self.spec.setdefault(member, [])
        here = to_pointer(["spec", member, len(items)])
        self.origins[here] = place
        self.origins |= {
            here + to_pointer([key]): f"{place}/params{to_pointer([key])}" for key in item if key != "name"
        }
        self.origins[f"{here}/name"] = place
        items.append(item)

    def _put(self, path: Sequence[str], value: Json, place: str) -> None:
        owner = self.spec
        for segment in path[:-1]:
            owner = owner.setdefault(segment, {})
        owner[path[-1]] = value
        self.origins[to_pointer(["spec", *path])] = place

    def _object(self, owner: dict[str, Json], member: str, place: str) -> dict[str, Json]:
        value = owner.get(member, {})
        if not isinstance(value, dict):
            raise CallerError("has to be an object", where=f"{self._where}{place}{to_pointer([member])}")
        return value


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _template(text: str) -> Json:
    name, _, version = text.partition("@")
    return {"name": name, "version": version}


def _number(text: str) -> Json:
    """A number, or the text as it is: the schema then says what is wrong with it."""
    found = re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text.strip())
    return text if found is None else float(text) if found[1] else int(text)


def _cores(value: Json) -> Json:
    found = _CPU.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None:
        return value
    return float(found[1]) / (1000 if found[2] else 1)


def _mebibytes(value: Json) -> Json:
    found = _MEMORY.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None:
        return value
    return float(found[1]) * _BYTES[found[2]] / _BYTES["Mi"]


_ANNOTATIONS: dict[str, tuple[tuple[str, ...], Callable[[str], Json]]] = {
    "tenant": (("tenant",), str),
    "owner": (("owner",), str),
    "secondary-owner": (("secondaryOwner",), str),
    "cost-center": (("costCenter",), str),
    "template": (("template",), _template),
    "audience": (("audience",), str),
    "data-classes": (("data", "classes"), _words),
    "pii": (("data", "pii"), _words),
    "retention": (("data", "retention"), str),
    "residency": (("data", "residency"), _words),
    "runtime-class": (("runtime", "class"), str),
    "timeout-ms": (("runtime", "caps", "timeoutMs"), _number),
    "storage-mib": (("runtime", "caps", "storageMiB"), _number),
    "egress": (("egress",), _words),
    "requests-per-day": (("quotas", "requestsPerDay"), _number),
    "cost-eur-per-month": (("quotas", "costEurPerMonth"), _number),
}
