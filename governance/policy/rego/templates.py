"""Template strings, `$"at {place}"`, as the terms they mean.

OPA gives `<undefined>` for an expression without a value, text as it is and everything else as Rego writes it, and an
error for an expression with several values. An object comprehension with one key has just these three outcomes. Source:
OPA's `internal.template_string` and the policy language's "String interpolation".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from governance.policy.rego.syntax import Array, Call, Comprehension, Infix, Literal, Object, Ref, Scalar, SetOf, Var
from governance.policy.rego.tokens import RegoSyntaxError, expression_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.policy.rego.syntax import Term
    from governance.policy.rego.tokens import Token


class Hole(NamedTuple):
    """The text between two braces, and where it starts."""

    text: str
    line: int
    column: int


def parts_of(token: Token, file: str) -> list[str | Hole]:
    """What stands in a template token, in order: plain text and holes. Raises RegoSyntaxError for a bad escape."""
    text, is_raw = token.text, token.text[1] == "`"
    found: list[str | Hole] = []
    start = position = 2
    while position < len(text) - 1:
        if text[position] == "\\":
            position += 2
        elif text[position] == "{":
            found.append(_plain(text[start:position], token, file, is_raw=is_raw))
            end = expression_end(text, position)
            found.append(Hole(text[position + 1 : end - 1], *_place(token, position + 1)))
            start = position = end
        else:
            position += 1
    found.append(_plain(text[start:-1], token, file, is_raw=is_raw))
    return [part for part in found if part != ""]


def template_term(parts: Sequence[str | Literal]) -> Term:
    """The term for a template: its plain texts, and each hole's expression as a statement."""
    items = [_text_of(part) if isinstance(part, Literal) else _scalar(part) for part in parts]
    if not items:
        return _scalar("")
    return Call("concat", [_scalar(""), Array(items)])


def _text_of(hole: Literal) -> Term:
    """`object.get({0: text | value = <expression>; text = <value as text>}, 0, "<undefined>")`."""
    place = f"{hole.line}_{hole.column}"  # one template may stand in another
    value = Var(f"__value_{place}", hole.line, hole.column)
    bound = Literal(Infix("=", value, _term(hole)), withs=hole.withs, line=hole.line, column=hole.column)
    is_empty_set = Infix("==", value, SetOf([]), hole.line, hole.column)
    written = Object(
        [(Scalar("true"), _scalar("set()")), (Scalar("false"), Call("sprintf", [_scalar("%v"), Array([value])]))]
    )
    text = Var(f"__text_{place}", hole.line, hole.column)
    shown = Literal(Infix("=", text, Ref(written, [is_empty_set])), line=hole.line, column=hole.column)
    outcome = Comprehension("object", Scalar("0"), text, [bound, shown])
    return Call("object.get", [outcome, Scalar("0"), _scalar("<undefined>")], hole.line, hole.column)


def _term(hole: Literal) -> Term:
    return hole.expr  # type: ignore[return-value]  # the parser reads a term there, never a `some` or `every`


def _scalar(text: str) -> Scalar:
    return Scalar(json.dumps(text, ensure_ascii=False))


def _plain(text: str, token: Token, file: str, *, is_raw: bool) -> str:
    if is_raw:
        return text.replace("\\{", "{")
    try:
        return str(json.loads(f'"{_without_brace_escapes(text)}"', strict=True))
    except ValueError:
        raise RegoSyntaxError(f"{text[:40]!r} has a bad escape", where=f"{file}:{token.line}:{token.column}") from None


def _without_brace_escapes(text: str) -> str:
    """An escaped brace is a brace; a backslash that is itself escaped escapes nothing."""
    pieces = text.split("\\\\")
    return "\\\\".join(piece.replace("\\{", "{") for piece in pieces)


def _place(token: Token, offset: int) -> tuple[int, int]:
    before = token.text[:offset]
    breaks = before.count("\n")
    column = offset - before.rfind("\n") if breaks else token.column + offset
    return token.line + breaks, column
