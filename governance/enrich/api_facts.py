"""Fact `api`: which of the calls that an app declares would accept the query and the body that somebody sends.

Every declared call that could be meant is looked at, and which one counts is a rule's to say. The schemas are the app's own
(JSON Schema, draft 2020-12 or what `$schema` names): nothing is fetched for a `$ref`, and a pattern that backtracks too long
accepts nothing. A schema that is none accepts nothing either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.enrich.schema_work import TooMuchWork, visits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.enrich.apps import AppDirectory
    from governance.model.request import Json, Request

_PARTS = ("query", "body")
_MOST_BACKTRACKING = 100_000
_MOST_APPS = 1000
_MOST_BYTES = 1 << 20


class ApiFacts:
    """Fact `api` for requests to apps."""

    name = "api"

    def __init__(self, directory: AppDirectory) -> None:
        self._directory = directory
        self._compiled: dict[str, tuple[Json, dict[tuple[int, str], Any]]] = {}

    def facts(self, request: Request) -> dict[str, Json]:
        """`{digest, accepted[{index, part}]}`: of the deploy with this digest; nothing for other requests. Raises Damaged."""
        if request.kind != "app_call":
            return {}
        name = str(request.app.get("name", ""))
        known = self._directory.app(name)
        if known is None:
            return {"api": {"digest": "", "accepted": []}}
        schemas, asked = self._schemas(name, known["spec"]), request.resource
        accepted = [
            {"index": index, "part": part}
            for index, part in _looked_at(known["spec"], asked)
            if _accepts(schemas, index, part, known["spec"]["api"][index][part], asked[part])
        ]
        return {"api": {"digest": known.get("digest", ""), "accepted": accepted}}

    def _schemas(self, name: str, spec: Json) -> dict[tuple[int, str], Any]:
        """Compiled when they are first asked, for as long as the directory has the same spec."""
        cached = self._compiled.get(name)
        if cached is None or cached[0] is not spec:
            if len(self._compiled) >= _MOST_APPS:
                self._compiled.clear()
            cached = self._compiled[name] = spec, {}
        return cached[1]


def _looked_at(spec: Mapping[str, Json], asked: Mapping[str, Json]) -> list[tuple[int, str]]:
    """Declared calls of this method and as many segments, and the parts of them that have a schema and are sent."""
    declared, path = spec.get("api"), asked.get("path")
    if not isinstance(declared, list) or not isinstance(path, str):
        return []
    fitting = [
        (index, call)
        for index, call in enumerate(declared)
        if isinstance(call, dict)
        and call.get("method") == asked.get("method")
        and isinstance(call.get("path"), str)
        and call["path"].count("/") == path.count("/")
    ]
    return [
        (index, part)
        for index, call in fitting
        for part in _PARTS
        if isinstance(call.get(part), dict) and isinstance(asked.get(part), dict)
    ]


def _accepts(schemas: dict[tuple[int, str], Any], index: int, part: str, schema: Json, value: Json) -> bool:
    place = index, part
    if place not in schemas:
        schemas[place] = _validator(schema)
    validator = schemas[place]
    return validator is not None and bool(validator.is_valid(value))


def _validator(schema: Json) -> Any:
    """None for what is no schema, refers to another document, or could keep whoever holds a request against it for good."""
    import jsonschema_rs  # slow to load, and needed by who holds a gateway's requests alone

    options = jsonschema_rs.FancyRegexOptions(
        backtrack_limit=_MOST_BACKTRACKING, size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES
    )
    try:
        visits(schema)
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=options)
    except (TooMuchWork, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return None
