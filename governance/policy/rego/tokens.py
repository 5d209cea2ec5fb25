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
    """One token; `kind` is name, number, string, raw, op or end."""

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
        match = _PATTERN.match(text, position)
        if match is None:
            raise RegoSyntaxError(
                f"{text[position]!r} cannot start anything", where=f"{file}:{line}:{position - line_start + 1}"
            )
        kind, piece = str(match.lastgroup), match.group()
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
