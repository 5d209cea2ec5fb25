"""Events held against the JSON Schema that an app declares for them (draft 2020-12, or the one that `$schema` names).

Nothing is fetched for a `$ref`, and patterns are matched in linear time, so a schema of somebody else's can neither reach
out nor stall. Messages never quote the event.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from governance.enrich.schema_work import TooMuchWork, is_affordable, visits
from governance.errors import CallerError
from governance.model.pointer import to_pointer

if TYPE_CHECKING:
    from governance.model.request import Json

LARGEST = 65_536
_MOST_ERRORS = 10


class BadEventSchema(CallerError):
    """A schema that no event could be held against."""

    code = "bad_event_schema"


def check(schema: Json) -> None:
    """Raise BadEventSchema for what is no schema, refers elsewhere, takes too much work, or a pattern that is not linear."""
    _validator(_text(schema))


def errors_of(schema: Json, data: Json) -> list[dict[str, str]]:
    """`[{pointer, message}]`, at most ten. Raises BadEventSchema, also for an event that takes too much work."""
    found: list[dict[str, str]] = []
    validator, of_one_place = _validator(_text(schema))
    if not is_affordable(of_one_place, data):
        raise BadEventSchema("the event is too large for its schema, which looks at each of its places too often")
    for error in validator.iter_errors(data):
        found.append({"pointer": to_pointer(list(error.instance_path)), "message": str(error.message)[:200]})
        if len(found) == _MOST_ERRORS:
            break
    return found


def _text(schema: Json) -> str:
    text = json.dumps(schema, sort_keys=True)
    if not isinstance(schema, dict) or len(text) > LARGEST:
        raise BadEventSchema(f"a schema is an object of at most {LARGEST} characters")
    return text


@lru_cache(maxsize=256)
def _validator(text: str) -> tuple[Any, int]:
    """And how often it looks at one place, at most."""
    import jsonschema_rs

    schema = json.loads(text)
    try:
        of_one_place = visits(schema)
    except TooMuchWork as error:
        raise BadEventSchema(error.message, hint=error.hint) from error

    options = jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20)
    try:
        made = jsonschema_rs.validator_for(
            schema, offline=True, pattern_options=options, mask="the value", validate_formats=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise BadEventSchema(f"is no JSON Schema that can be used here: {reason}") from error
    return made, of_one_place
