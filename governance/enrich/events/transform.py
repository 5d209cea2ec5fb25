"""Transformations of events: JMESPath (the 2021 grammar of jmespath.org), evaluated within bounds.

An expression is pure: it sees the event's data and nothing else. It is bounded by work, not by a clock, so that the same
event always gives the same outcome: each visited node, each item and each 64 characters that a step handles costs one unit.
What a step is about to look at as a whole (arguments of functions, both sides of a comparison, the result) is measured
first, as a tree: `[@,@] | [@,@] | …` doubles with each step while it stays small in memory.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError

if TYPE_CHECKING:
    from governance.model.request import Json

LONGEST = 2000
_MOST_WORK = 200_000
_DEEPEST = 100


class BadTransform(CallerError):
    """An expression that is none, or one that cannot be carried out on an event within its bounds."""

    code = "bad_transform"


def check(expression: str) -> None:
    """Raise BadTransform for what could never be evaluated: bad grammar, a function that does not exist, too long."""
    _compiled(expression)


def transformed(expression: str, data: Json) -> Json:
    """What the expression makes of `data`, as a value of its own. Raises BadTransform without quoting the data."""
    from jmespath.exceptions import JMESPathError

    from governance.enrich.events.interpreter import Bounded, TooMuchWork

    tree, interpreter = _compiled(expression), Bounded(_MOST_WORK)
    try:
        value = interpreter.visit(tree, data)
        interpreter.weigh(value)
    except TooMuchWork:
        raise BadTransform("the transformation takes more work than one event may cost") from None
    except (JMESPathError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        # The library's own text quotes the value.
        raise BadTransform(f"the transformation fails on this event: {type(error).__name__}") from None
    try:
        return _copied(value)
    except RecursionError:
        raise BadTransform("the transformation gives something that is nested too deeply") from None


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    from jmespath import functions
    from jmespath.exceptions import JMESPathError
    from jmespath.parser import Parser

    if not expression.strip() or len(expression) > LONGEST:
        raise BadTransform(f"an expression has 1 to {LONGEST} characters")
    try:
        tree = Parser().parse(expression).parsed
        called = set(_functions_in(tree, 0))
    except JMESPathError as error:
        raise BadTransform(f"is no JMESPath: {_first_line(error)}") from error
    except (RecursionError, ValueError) as error:
        raise BadTransform("is no JMESPath: nested too deeply, or a literal that is no JSON") from error
    unknown = sorted(called - set(functions.Functions.FUNCTION_TABLE))
    if unknown:
        raise BadTransform(f"there is no function {unknown[0][:40]!r}")
    return tree


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _functions_in(node: Any, depth: int) -> list[str]:
    if depth > _DEEPEST:
        raise RecursionError
    if not isinstance(node, dict):
        return []
    own = [str(node["value"])] if node.get("type") == "function_expression" else []
    return own + [name for child in node.get("children", []) for name in _functions_in(child, depth + 1)]


def _copied(value: Any) -> Json:
    """The value on its own: nothing in it is shared, nor is anything but JSON."""
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_copied(one) for one in value]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise BadTransform("the transformation gives something that is no JSON")
