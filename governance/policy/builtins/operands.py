"""What a builtin gets and how it fails: operand types by signature, and the error that OPA would give.

The engine hands over plain Python values: dict, list, set, str, int, float, bool, None. It never hands over a set that
holds arrays, objects or sets, since those cannot be hashed; such a call fails before it gets here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Value = Any


class BuiltinError(ValueError):
    """A builtin has no value for these operands; in OPA's default mode that is undefined, in strict mode an error."""


def type_name(value: Value) -> str:
    """Rego's name for the type of a value."""
    match value:
        case bool():
            return "boolean"
        case None:
            return "null"
        case str():
            return "string"
        case int() | float():
            return "number"
        case dict():
            return "object"
        case set() | frozenset():
            return "set"
        case _:
            return "array"


def accepts(expected: str, value: Value) -> bool:
    """Whether `value` is of the type that a signature writes as `expected` (`array[string]|null`)."""
    return any(_is_one(part, value) for part in _split(expected))


def check_operands(name: str, expected: Sequence[str], given: Sequence[Value]) -> None:
    """Raise BuiltinError for the first operand whose type the signature does not allow."""
    for position, (kind, value) in enumerate(zip(expected, given, strict=True), 1):
        if kind != "any" and not accepts(kind, value):
            raise BuiltinError(
                f"{name}: operand {position} must be {kind.replace('|', ' or ')} but got {type_name(value)}"
            )


def _is_one(expected: str, value: Value) -> bool:
    kind, _, members = expected.partition("[")
    if kind == "any":
        return True
    if type_name(value) != kind:
        return False
    return not members or all(accepts(members[:-1], member) for member in value)


def _split(expected: str) -> list[str]:
    """Alternatives at the outermost level: `array[array|string]|null` has two."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(expected):
        depth += (letter == "[") - (letter == "]")
        if letter == "|" and depth == 0:
            parts.append(expected[start:at])
            start = at + 1
    return [*parts, expected[start:]]


def attempt(function: Callable[..., Value]) -> Callable[..., list[Value]]:
    """`function` as one that answers `[value]`, or `[]` where it fails: indexed with 0, that is undefined."""

    def attempted(*operands: Value) -> list[Value]:
        try:
            return [function(*operands)]
        except BuiltinError:
            return []

    return attempted
