"""The JSON Schemas that a manifest holds (`spec.api`: query, body, answers): compiled, or why one is none, and where.

A schema that is none would refuse every call, or every answer, of an app that serves already; so it is said at the deploy.
JSON Schema draft 2020-12, or what `$schema` names; nothing is fetched for a `$ref`, and a pattern has a bound on its work.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from governance.enrich.schema_work import TooMuchWork, visits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

    Path = tuple[str | int, ...]

_MOST_BACKTRACKING = 100_000
_MOST_BYTES = 1 << 20
_LONGEST = 200
# As `rules/gateway/declared_answers.rego` looks them up: the status, its hundred, or whatever else there is.
_STATUS = re.compile(r"[1-5](\d\d|XX)|default")


class BadSchema(Exception):
    """What cannot be used as a schema; `path` leads to the place in it."""

    def __init__(self, message: str, path: Path = ()) -> None:
        super().__init__(message)
        self.path = path


def compiled(schema: Json) -> tuple[Any, int]:
    """A validator, and how often it looks at one place, at most.

    Raises BadSchema for what is no schema, refers to another document, or could keep its reader for good.
    """
    import jsonschema_rs  # slow to load, and needed by manifests that declare their calls alone

    options = jsonschema_rs.FancyRegexOptions(
        backtrack_limit=_MOST_BACKTRACKING, size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES
    )
    try:
        of_one_place = visits(schema)
        return jsonschema_rs.validator_for(schema, offline=True, pattern_options=options), of_one_place
    except jsonschema_rs.ValidationError as error:
        raise BadSchema(str(error.message)[:_LONGEST], tuple(error.instance_path)) from error
    except (TooMuchWork, jsonschema_rs.ReferencingError, ValueError) as error:
        raise BadSchema(str(error).partition("\n")[0][:_LONGEST]) from error


def broken(resource: Json) -> Iterator[tuple[Path, str]]:
    """(path, what is wrong) for every schema in a manifest's `spec.api` that is none; of another shape it says nothing."""
    spec = resource.get("spec")
    calls = spec.get("api") if isinstance(spec, dict) else None
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            yield from _of_call(call, ("spec", "api", index))


def _of_call(call: dict[str, Json], path: Path) -> Iterator[tuple[Path, str]]:
    for part in ("query", "body"):
        if isinstance(call.get(part), dict):
            yield from _of_schema(call[part], (*path, part))
    answers = call.get("answers")
    for status, schema in answers.items() if isinstance(answers, dict) else ():
        place = (*path, "answers", status)
        if not _STATUS.fullmatch(status):
            yield place, "is no status: 200, 4XX or default"
        elif isinstance(schema, dict):
            yield from _of_schema(schema, place)
        elif schema is not None:
            yield place, "has to be a JSON Schema, or null for an answer without a body"


def _of_schema(schema: Json, path: Path) -> Iterator[tuple[Path, str]]:
    try:
        compiled(schema)
    except BadSchema as error:
        yield (*path, *error.path), f"is no JSON Schema that calls could be held against: {error}"
