"""Fact `api`: which of the calls that an app declares would accept the query and body that somebody sends, or its answer.

Every declared call that could be meant is looked at, and which one counts is a rule's to say. The schemas are the app's own
(`api_schemas`): a pattern that backtracks too long accepts nothing, and neither does a schema that is none, or one that
looks too often at each place of so large a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.enrich.api_schemas import BadSchema, compiled
from governance.enrich.schema_work import is_affordable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.enrich.apps import AppDirectory
    from governance.model.request import Json, Request

    _Place = tuple[int | str, ...]
    # None for a schema that is none; else with how often it looks at one place, at most.
    _Validator = tuple[Any, int] | None

_PARTS = ("query", "body")
_ANSWERS = "answers"
_MOST_APPS = 1000


class ApiFacts:
    """Fact `api` for requests to apps and their answers."""

    name = "api"

    def __init__(self, directory: AppDirectory) -> None:
        self._directory = directory
        self._compiled: dict[str, tuple[Json, dict[_Place, _Validator]]] = {}

    def facts(self, request: Request) -> dict[str, Json]:
        """`{digest, accepted[{index, part, status?}]}`: of the deploy with this digest; nothing for other requests.

        `status` is the name under which an answer's schema is declared. Raises Damaged.
        """
        if request.kind not in {"app_call", "app_answer"}:
            return {}
        name = str(request.app.get("name", ""))
        known = self._directory.app(name)
        if known is None:
            return {"api": {"digest": "", "accepted": []}}
        schemas, asked = self._schemas(name, known["spec"]), request.resource
        fitting = _fitting(known["spec"], asked)
        if request.kind == "app_call":
            accepted = [
                {"index": index, "part": part}
                for index, call in fitting
                for part in _PARTS
                if isinstance(call.get(part), dict) and isinstance(asked.get(part), dict)
                if _accepts(schemas, (index, part), call[part], asked[part])
            ]
        else:
            accepted = [
                {"index": index, "part": _ANSWERS, "status": name}
                for index, call in fitting
                for name, schema in _declared(call, asked)
                if _accepts(schemas, (index, _ANSWERS, name), schema, asked["body"])
            ]
        return {"api": {"digest": known.get("digest", ""), "accepted": accepted}}

    def _schemas(self, name: str, spec: Json) -> dict[_Place, _Validator]:
        """Compiled when they are first asked, for as long as the directory has the same spec."""
        cached = self._compiled.get(name)
        if cached is None or cached[0] is not spec:
            if len(self._compiled) >= _MOST_APPS:
                self._compiled.clear()
            cached = self._compiled[name] = spec, {}
        return cached[1]


def _fitting(spec: Mapping[str, Json], asked: Mapping[str, Json]) -> list[tuple[int, dict[str, Json]]]:
    """Declared calls of this method and as many segments, with their places."""
    declared, path = spec.get("api"), asked.get("path")
    if not isinstance(declared, list) or not isinstance(path, str):
        return []
    return [
        (index, call)
        for index, call in enumerate(declared)
        if isinstance(call, dict)
        and call.get("method") == asked.get("method")
        and isinstance(call.get("path"), str)
        and call["path"].count("/") == path.count("/")
    ]


def _declared(call: dict[str, Json], asked: Mapping[str, Json]) -> list[tuple[str, Json]]:
    """The schemas under which an answer of this status could be meant, by their names; none for what is no document."""
    answers, status = call.get(_ANSWERS), str(asked.get("status"))
    if not isinstance(answers, dict) or not isinstance(asked.get("body"), dict | list):
        return []
    names = (status, f"{status[:1]}XX", "default")
    return [(name, answers[name]) for name in names if isinstance(answers.get(name), dict)]


def _accepts(schemas: dict[_Place, _Validator], place: _Place, schema: Json, value: Json) -> bool:
    if place not in schemas:
        schemas[place] = _validator(schema)
    found = schemas[place]
    if found is None:
        return False
    validator, of_one_place = found
    return is_affordable(of_one_place, value) and bool(validator.is_valid(value))


def _validator(schema: Json) -> _Validator:
    """None for what is no schema, or refers to another document."""
    try:
        return compiled(schema)
    except BadSchema:
        return None
