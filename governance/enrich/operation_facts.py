"""Fact `shapes`: where a call, or a connector's answer, does not have the shape that the registry gives its operations.

Every operation that could be meant is looked at, and which one counts is a rule's to say: what an address matches is
decided in one place only. The schemas use the part of JSON Schema that `schema.py` reads; a keyword beyond it is an error,
so that a shape nobody can check is a fact that is missing.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from governance.enrich.schema import violations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json, Request

_MOST_ERRORS = 10


class OperationFacts:
    """Fact `shapes` for calls, and for answers on their way to the app that asked."""

    name = "operations"

    def __init__(self, connectors: Mapping[str, Json]) -> None:
        self._connectors = connectors

    def facts(self, request: Request) -> dict[str, Json]:
        """`{operation: [{path, message}]}`, an operation without a schema left out; nothing for other requests."""
        resource = request.resource
        if request.kind == "connector_call":
            known = self._operations(resource.get("connector"))
            asked = [one for one in known if one.get("method") == resource.get("method") and "request" in one]
            return {"shapes": {one["name"]: _errors(one["request"], resource.get("body"), "body") for one in asked}}
        named = request.context.get("operations")
        if request.kind != "data_flow" or not isinstance(named, list):
            return {}
        known = self._operations(resource.get("source"))
        answered = [one for one in known if one["name"] in named and "response" in one]
        return {"shapes": {one["name"]: _answer_errors(one, resource.get("payload")) for one in answered}}

    def _operations(self, connector: Json) -> list[Json]:
        entry = self._connectors.get(connector) if isinstance(connector, str) else None
        return [] if entry is None else entry["operations"]


def _answer_errors(operation: Json, payload: Json) -> list[Json]:
    """A stream's schema is that of one record, and what is decided on is a list of them."""
    schema = operation["response"]
    if "stream" in operation:
        schema = {"type": "array", "items": schema}
    return _errors(schema, payload, "payload")


def _errors(schema: Json, value: Json, place: str) -> list[Json]:
    found = islice(violations(schema, value, ()), _MOST_ERRORS)
    return [{"path": [place, *path], "message": message} for path, message in found]
