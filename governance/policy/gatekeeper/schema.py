"""The OpenAPI schema of a template's parameters: what the API server would refuse is refused, and defaults are filled in.

Source: Kubernetes' structural schemas. Of their words those are read that bound values or give them; `format`, `title` and
the like say nothing that could be checked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "integer": (int,), "number": (int, float),
}  # fmt: skip
_OPEN = "x-kubernetes-preserve-unknown-fields"


def with_defaults(schema: Json, value: Json) -> Json:
    """`value` with what the schema gives by default, at every depth where the value reaches."""
    if not isinstance(schema, dict):
        return value
    if isinstance(value, dict):
        filled = dict(value)
        for name, part in _properties(schema).items():
            if name not in filled and isinstance(part, dict) and "default" in part:
                filled[name] = part["default"]
            if name in filled:
                filled[name] = with_defaults(part, filled[name])
        others = schema.get("additionalProperties")
        return {k: v if k in _properties(schema) else with_defaults(others, v) for k, v in filled.items()}
    if isinstance(value, list):
        return [with_defaults(schema.get("items"), item) for item in value]
    return value


def problems(schema: Json, value: Json, *, keeps_unknown: bool, path: tuple[str | int, ...] = ()) -> Iterator[str]:
    """Why the API server would refuse `value`, or drop a part of it: `/pointer: reason`, none for a good one."""
    if not isinstance(schema, dict) or (value is None and schema.get("nullable") is True):
        return
    wrong = _wrong(schema, value)
    if wrong:
        yield f"{to_pointer(path) or '/'}: {wrong}"
        return
    if isinstance(value, dict):
        yield from _members(schema, value, path, keeps_unknown=keeps_unknown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from problems(schema.get("items"), item, keeps_unknown=keeps_unknown, path=(*path, index))


def _members(
    schema: dict[str, Json], value: dict[str, Json], path: tuple[str | int, ...], *, keeps_unknown: bool
) -> Iterator[str]:
    for name in schema.get("required") or []:
        if name not in value:
            yield f"{to_pointer(path) or '/'}: {name} is missing"
    known, others = _properties(schema), schema.get("additionalProperties")
    is_open = keeps_unknown or schema.get(_OPEN) is True or others is True or not (known or others is False)
    for name, item in value.items():
        part = known.get(name, others)
        if name in known or isinstance(others, dict):
            yield from problems(part, item, keeps_unknown=keeps_unknown, path=(*path, name))
        elif not is_open:
            yield f"{to_pointer((*path, name))}: is not in the template's schema"


def _properties(schema: dict[str, Json]) -> dict[str, Json]:
    known = schema.get("properties")
    return known if isinstance(known, dict) else {}


def _wrong(schema: dict[str, Json], value: Json) -> str:
    if schema.get("x-kubernetes-int-or-string") is True:
        return "" if _is(value, (int, str)) else "is neither a whole number nor a text"
    wanted = schema.get("type")
    if wanted in _TYPES and not _is(value, _TYPES[wanted]):
        return f"is not of type {wanted}"
    choices = schema.get("enum")
    if isinstance(choices, list) and value not in choices:
        return f"is not one of {', '.join(map(str, choices))}"
    for alternative in ("anyOf", "oneOf"):
        parts = schema.get(alternative)
        if isinstance(parts, list) and not any(isinstance(p, dict) and not _wrong(p, value) for p in parts):
            return f"meets no part of {alternative}"
    return _out_of_bounds(schema, value)


def _out_of_bounds(schema: dict[str, Json], value: Json) -> str:
    size = len(value) if isinstance(value, str | list | dict) else value if _is(value, (int, float)) else None
    words: dict[type, tuple[str, str]] = {
        str: ("minLength", "maxLength"),
        list: ("minItems", "maxItems"),
        dict: ("minProperties", "maxProperties"),
    }
    low, high = words.get(type(value), ("minimum", "maximum"))
    if size is not None and low in schema and size < schema[low]:
        return f"is below {low} {schema[low]}"
    if size is not None and high in schema and size > schema[high]:
        return f"is above {high} {schema[high]}"
    pattern = schema.get("pattern")
    if isinstance(value, str) and isinstance(pattern, str) and not _found(pattern, value):
        return f"does not match {pattern}"
    return ""


def _found(pattern: str, text: str) -> bool:
    """As the API server looks for it (RE2), anywhere in the text; a pattern that is none matches nothing."""
    import re2

    try:
        return re2.search(pattern, text) is not None
    except re2.error:
        return False


def _is(value: Json, types: tuple[type, ...]) -> bool:
    """Whether a value is of a type; true and false are no numbers, and 1.0 is a whole one."""
    if isinstance(value, bool):
        return bool in types
    if isinstance(value, float) and int in types:
        return value.is_integer() or float in types
    return isinstance(value, types)
