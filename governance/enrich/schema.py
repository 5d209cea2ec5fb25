"""Fact `schema_errors`: where a manifest does not follow its published JSON Schema.

The published schemas (`governance/model/schemas`) use a small part of JSON Schema, and this reads exactly that part:
importing a whole validator costs more than everything else `check` does. A test holds both to the same answers, and a
keyword that is not understood here is an error, never skipped. Schemas that a manifest holds itself are a validator's to read.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from itertools import chain, islice
from typing import TYPE_CHECKING

from governance.enrich.api_schemas import broken
from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json, Request

SCHEMAS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "model", "schemas")
KINDS = ("MicroApp", "AppTemplate", "Connector", "Waiver", "Tenant", "PolicyMode")
_KNOWN = frozenset(
    [
        "$schema",
        "$id",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "const",
        "enum",
    ]
)
REGISTRY_KINDS = ("Connector", "Waiver", "Tenant", "PolicyMode")
_EXPECTED = {"deploy": "MicroApp", "template": "AppTemplate"}
_MOST_ERRORS = 20
_Path = tuple[str | int, ...]


class SchemaFacts:
    """Fact `schema_errors`, for manifests; other requests have no schema of ours to break."""

    name = "schema"

    def facts(self, request: Request) -> dict[str, Json]:
        """`[{pointer, message}]`, at most twenty."""
        expected = _EXPECTED.get(request.kind)
        if request.kind == "registry_entry":
            named = request.resource.get("kind")
            expected = named if named in REGISTRY_KINDS else "Connector"
        if expected is None:
            return {"schema_errors": []}
        found = chain(violations(schema(expected), request.resource, ()), _held(expected, request.resource))
        errors = [{"pointer": to_pointer(path), "message": message} for path, message in islice(found, _MOST_ERRORS)]
        return {"schema_errors": errors}


def _held(kind: str, resource: Json) -> Iterator[tuple[_Path, str]]:
    if kind == "MicroApp":
        yield from broken(resource)


@cache
def schema(kind: str) -> Json:
    """The published schema of a manifest kind. Raises FileNotFoundError for a kind that has none."""
    with open(os.path.join(SCHEMAS, f"{kind}.json"), encoding="utf-8") as file:
        return json.load(file)


def violations(rules: Json, value: Json, path: _Path) -> Iterator[tuple[_Path, str]]:
    """(path, what is wrong) for every place where `value` does not follow `rules`."""
    if not _KNOWN.issuperset(rules):
        raise ValueError(f"schema keyword {min(set(rules) - _KNOWN)!r} is not understood")
    if "const" in rules and value != rules["const"]:
        yield path, f"has to be {json.dumps(rules['const'])}"
    if "enum" in rules and value not in rules["enum"]:
        yield path, f"has to be one of {', '.join(map(json.dumps, rules['enum']))}"
    kind = rules.get("type")
    if kind is not None and not _is(kind, value):
        yield path, f"has to be {_ARTICLE[kind]}"
    elif kind == "object":
        yield from _object(rules, value, path)
    elif kind == "array":
        yield from _array(rules, value, path)
    elif kind == "string":
        yield from _string(rules, value, path)
    elif kind == "number" and value < rules.get("minimum", value):
        yield path, f"has to be at least {rules['minimum']}"


_ARTICLE = {"object": "an object", "array": "a list", "string": "text", "number": "a number",
            "boolean": "true or false"}  # fmt: skip


def _is(kind: str, value: Json) -> bool:
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {"object": dict, "array": list, "string": str, "boolean": bool}[kind])


def _object(rules: Json, value: Json, path: _Path) -> Iterator[tuple[_Path, str]]:
    properties = rules.get("properties", {})
    for name in rules.get("required", ()):
        if name not in value:
            yield path, f"needs the member {name}"
    for name, item in value.items():
        if name in properties:
            yield from violations(properties[name], item, (*path, name))
        elif rules.get("additionalProperties") is False:
            yield (*path, name), "is not a member here"


def _array(rules: Json, value: Json, path: _Path) -> Iterator[tuple[_Path, str]]:
    if len(value) > rules.get("maxItems", len(value)):
        yield path, f"has more than {rules['maxItems']} items"
    if "items" in rules:
        for index, item in enumerate(value):
            yield from violations(rules["items"], item, (*path, index))


def _string(rules: Json, value: Json, path: _Path) -> Iterator[tuple[_Path, str]]:
    if not rules.get("minLength", 0) <= len(value) <= rules.get("maxLength", len(value)):
        yield path, "is too short or too long"
    if "pattern" in rules and not _pattern(rules["pattern"]).search(value):
        yield path, f"does not have the form {rules['pattern']}"


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern as JSON Schema reads it: `$` is the very end. There are as many as the schemas hold."""
    return re.compile(text.replace("$", r"\Z"))
