"""Rego text to tokens, with line and column of each.

Follows OPA's scanner: a `(`, `[` or `.` continues a reference only when nothing stands between, so every token knows
whether white space or a newline came before it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from governance.errors import RuleError

_PATTERN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>\#[^\n]*)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<raw>`[^`]*`)
  | (?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<op>:=|==|!=|<=|>=|[-+*/%&|<>=(){}\[\],;:.])
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """One token; `kind` is name, number, string, raw, template, op or end."""

    kind: str
    text: str
    line: int
    column: int
    after_space: bool
    after_newline: bool
    offset: int


class RegoSyntaxError(RuleError):
    """The text is not Rego; `where` is file:line:column."""

    code = "rego_parse_error"


def tokens_of(text: str, file: str = "", line: int = 1, column: int = 1) -> list[Token]:
    """Every token and a final `end`; raises RegoSyntaxError at the first character that starts none."""
    found: list[Token] = []
    position, line_start = 0, 1 - column
    space = newline = False
    while position < len(text):
        kind, piece = _piece(text, position)
        if not piece:
            raise RegoSyntaxError(
                f"{text[position]!r} cannot start anything", where=f"{file}:{line}:{position - line_start + 1}"
            )
        if kind in {"space", "comment"}:
            space = True
            newline = newline or "\n" in piece
        else:
            found.append(Token(kind, piece, line, position - line_start + 1, space, newline, position))
            space = newline = False
        breaks = piece.count("\n")
        if breaks:
            line += breaks
            line_start = position + piece.rfind("\n") + 1
        position += len(piece)
    found.append(Token("end", "", line, position - line_start + 1, True, True, position))
    return found


def _piece(text: str, position: int) -> tuple[str, str]:
    """(kind, text) of what starts at `position`; empty text where nothing can."""
    if text[position : position + 2] in {'$"', "$`"}:
        end = template_end(text, position)
        return "template", text[position:end]
    match = _PATTERN.match(text, position)
    return ("", "") if match is None else (str(match.lastgroup), match.group())


def template_end(text: str, start: int) -> int:
    """Where the template string that starts at `start` ends; `start` itself where it does not end."""
    quote, position = text[start + 1], start + 2
    while position < len(text) and text[position] != quote:
        if text[position] == "\\":
            position += 2
        elif text[position] == "{":
            end = expression_end(text, position)
            if end == position:
                return start
            position = end
        elif text[position] == "\n" and quote == '"':
            return start
        else:
            position += 1
    return position + 1 if position < len(text) else start


def expression_end(text: str, start: int) -> int:
    """Where the `{…}` of a template string that opens at `start` is closed; `start` itself where it is not."""
    open_braces, position = 0, start
    while position < len(text):
        _, piece = _piece(text, position)
        if not piece:
            return start
        open_braces += (piece == "{") - (piece == "}")
        position += len(piece)
        if not open_braces:
            return position
    return start
