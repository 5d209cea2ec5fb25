"""A published JSON Schema as a CustomResourceDefinition with a structural schema (apiextensions.k8s.io/v1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.model.request import Json

GROUP, VERSION = "microapps.internal", "v1alpha1"
# Kinds of one word whose plural is not simply an s.
_PLURALS = {"PolicyMode": "policymodes"}
# A structural schema prunes what it does not name, so a closed object needs no word for it; the rest reads the same.
_KEPT = frozenset(
    {"type", "description", "pattern", "minLength", "maxLength", "maxItems", "minimum", "enum", "required"}
)


def crd(kind: str, schema: Json) -> dict[str, Json]:
    """The definition for `kind`. Raises ValueError for a keyword that has no structural form."""
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    body = structural(schema)
    body["properties"] = {
        "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
        **{name: part for name, part in body["properties"].items() if name not in {"apiVersion", "kind", "metadata"}},
    }  # fmt: skip
    version = {"name": VERSION, "served": True, "storage": True, "schema": {"openAPIV3Schema": body}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def structural(schema: Json) -> dict[str, Json]:
    """One level of a schema and all below it."""
    found: dict[str, Json] = {name: value for name, value in schema.items() if name in _KEPT}
    unknown = set(schema) - _KEPT - {"$schema", "$id", "title", "const", "properties", "items", "additionalProperties"}
    if unknown:
        raise ValueError(f"{min(unknown)!r} has no structural form")
    if "const" in schema:
        found |= {"type": "string", "enum": [schema["const"]]}
    if "enum" in schema and "type" not in found:
        found["type"] = "string"
    if "items" in schema:
        found["items"] = structural(schema["items"])
    if "properties" in schema:
        found["properties"] = {name: structural(part) for name, part in schema["properties"].items()}
    elif found.get("type") == "object" or "type" not in found:
        found["x-kubernetes-preserve-unknown-fields"] = True
    return found
