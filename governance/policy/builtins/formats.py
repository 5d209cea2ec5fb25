"""`sprintf` as OPA has it where the engine has none: an argument too few or too many, or of another type than the verb.

Go's `fmt` never fails, it writes `%!d(string=x)` into the text. The engine fails, and a rule whose message is formatted so
would lose its violation. This form is asked only where the engine's own failed. Source: pkg.go.dev/fmt, "Format errors".
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.policy.builtins.operands import Value

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]*)(?:\.(?P<precision>[0-9]*))?(?:\[(?P<index>[0-9]+)\])?(?P<verb>.)?",
    re.DOTALL,
)
_INT_VERBS = {"d": "d", "x": "x", "X": "X", "o": "o", "b": "b", "c": "c"}
_FLOAT_VERBS = frozenset("eEfFgG")
_WIDEST = 1000


def sprintf(template: Value, arguments: Value) -> list[Value]:
    """`[text]`, or `[]` for operands that are no text and no array, where OPA fails as well."""
    if not isinstance(template, str) or not isinstance(arguments, list | tuple):
        return []
    return [_Formatter(arguments).text(template)]


class _Formatter:
    def __init__(self, arguments: Sequence[Value]) -> None:
        self._arguments = arguments
        self._next = 0
        self._reordered = False

    def text(self, template: str) -> str:
        written = _VERB.sub(self._verb, template)
        left = self._arguments[self._next :]
        if not left or self._reordered:
            return written
        return written + "%!(EXTRA " + ", ".join(f"{_type(value)}={_plain(value)}" for value in left) + ")"

    def _verb(self, found: re.Match[str]) -> str:
        verb = found["verb"]
        if verb is None:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        width = self._width(found["width"])
        if found["index"] is not None:
            self._next, self._reordered = int(found["index"]) - 1, True
        if not 0 <= self._next < len(self._arguments):
            return f"%!{verb}(BADINDEX)" if found["index"] is not None else f"%!{verb}(MISSING)"
        value = self._arguments[self._next]
        self._next += 1
        written = _written(verb, value, found["flags"], found["precision"])
        if written is None:
            return f"%!{verb}({_type(value)}={_plain(value)})"
        if "-" in found["flags"]:
            return written.ljust(width)
        return written.rjust(width, "0" if "0" in found["flags"] and _is_number(value) else " ")

    def _width(self, written: str) -> int:
        if written != "*":
            return min(int(written or "0"), _WIDEST)
        value = self._arguments[self._next] if self._next < len(self._arguments) else 0
        self._next += 1
        return min(max(value, 0), _WIDEST) if isinstance(value, int) else 0


def _written(verb: str, value: Value, flags: str, precision: str | None) -> str | None:
    """The argument as the verb has it; None where it is of another type."""
    if verb == "v":
        return _quoted(value) if "#" in flags and isinstance(value, str) else _plain(value)
    if isinstance(value, float):
        places = min(int(precision or "0"), 100) if precision is not None else 6
        return format(value, f".{places}{verb}") if verb in _FLOAT_VERBS else None
    if _is_number(value):
        form = _INT_VERBS.get(verb)
        return None if form is None else ("+" if "+" in flags and value >= 0 else "") + format(value, form)
    text = _plain(value)
    if verb in {"x", "X"}:
        return format(int.from_bytes(text.encode() or b"\0"), f"0{2 * len(text.encode())}{verb}") if text else ""
    if verb not in {"s", "q"}:
        return None
    cut = text if precision is None else text[: int(precision or "0")]
    return _quoted(cut) if verb == "q" else cut


def _plain(value: Value) -> str:
    """A text as it is, everything else as Rego writes it."""
    return value if isinstance(value, str) else _term(value)


def _term(value: Value) -> str:
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(
                f"{_quoted(key) if isinstance(key, str) else _term(key)}: {_term(item)}"
                for key, item in sorted(value.items(), key=str)
            )
            + "}"
        )
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_term, value)) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(_term, value))) + "}" if value else "set()"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(value: Value) -> str:
    """Go's name of what OPA hands to `fmt`: numbers as such, all else as text."""
    return "string" if not _is_number(value) else "float64" if isinstance(value, float) else "int64"
