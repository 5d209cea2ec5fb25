"""A place in a text of tokens: what both halves of the parser stand on."""

from __future__ import annotations

import json

from governance.policy.rego.syntax import Scalar
from governance.policy.rego.tokens import RegoSyntaxError, Token, tokens_of

ALWAYS = frozenset({"as", "default", "else", "false", "import", "null", "not", "package", "some", "true", "with"})
NEW = frozenset({"contains", "every", "if", "in"})
"""Keywords of v1, which v0 imports by name."""
LOGIC = frozenset({"and", "or"})
"""Keywords that have to be imported in v1 as well."""


class Cursor:
    """Tokens of one text with a place in them, and which names are keywords here."""

    def __init__(self, text: str, file: str, *, is_v0: bool) -> None:
        self._file = file
        self._is_v0 = is_v0
        self._keywords = ALWAYS if is_v0 else ALWAYS | NEW
        self._tokens = tokens_of(text, file)
        self._at = 0
        self._depth = 0
        self._negates_bodies = False

    @property
    def _now(self) -> Token:
        return self._tokens[self._at]

    def _ahead(self, count: int = 1) -> Token:
        return self._tokens[min(self._at + count, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def _is(self, text: str) -> bool:
        token = self._now
        return (
            token.text == text and token.kind in {"op", "name"} and not (token.kind == "name" and self._starts_name())
        )

    def _starts_name(self) -> bool:
        """Whether a keyword here is the first part of a name: `if.allowed`, written without a space."""
        if self._now.text not in self._keywords:
            return False
        following, behind = self._ahead(), self._ahead(2)
        return following.text == "." and following.kind == "op" and not following.after_space and behind.kind == "name"

    def _accept(self, text: str) -> bool:
        if self._is(text):
            self._at += 1
            return True
        return False

    def _expect(self, text: str) -> Token:
        if not self._is(text):
            raise self._error(f"{text!r} expected, {self._now.text or 'end of file'!r} found")
        return self._take()

    def _keyword(self, name: str) -> bool:
        return name in self._keywords and self._now.kind == "name" and self._is(name)

    def _error(self, message: str, token: Token | None = None) -> RegoSyntaxError:
        at = token or self._now
        return RegoSyntaxError(message, where=f"{self._file}:{at.line}:{at.column}")

    def expect_end(self) -> None:
        """Refuse what is left."""
        if self._now.kind != "end":
            raise self._error(f"{self._now.text!r} is not expected here")

    def _name(self, what: str) -> str:
        token = self._take()
        if token.kind != "name":
            raise self._error(f"{what} expected, {token.text or 'end of file'!r} found", token)
        return token.text

    def _number(self) -> Scalar:
        sign = "-" if self._accept("-") else ""
        token = self._take()
        if self._now.kind in {"name", "number"} and not self._now.after_space:
            raise self._error(f"{token.text}{self._now.text} is not a number", token)
        return Scalar(sign + token.text)

    def _string(self) -> Scalar:
        token = self._take()
        try:
            return Scalar(json.dumps(json.loads(token.text, strict=True), ensure_ascii=False))
        except ValueError:
            raise self._error(f"{token.text[:40]} is not a string: bad escape", token) from None
