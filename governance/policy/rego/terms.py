"""Terms of Rego, by recursive descent.

Precedence from loosest: `:=` `=`, `in`, comparison, `|`, `&`, `+ -`, `* / %`. A bracket or brace may open several things;
each is tried in turn. What failed at a place once fails there always, and is remembered: nested attempts would otherwise
double with every level.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from governance.policy.rego.cursor import LOGIC, NEW
from governance.policy.rego.statements import Statements
from governance.policy.rego.syntax import (
    Array,
    Call,
    Comprehension,
    Infix,
    Literal,
    Member,
    Object,
    Ref,
    Scalar,
    SetOf,
    Term,
    Var,
)
from governance.policy.rego.templates import Hole, parts_of, template_term
from governance.policy.rego.tokens import RegoSyntaxError, Token, tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_LEVELS: tuple[frozenset[str], ...] = (
    _COMPARISONS,
    frozenset({"|"}),
    frozenset({"&"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_DEEPEST = 60


class Terms(Statements):
    """The half of the parser below a rule's head: statements, and what they are made of."""

    def __init__(self, text: str, file: str, *, is_v0: bool) -> None:
        super().__init__(text, file, is_v0=is_v0)
        self._failed: dict[int, RegoSyntaxError] = {}
        self._no_heads: set[int] = set()

    def _term(self) -> Term:
        """Everything but `:=` and `=`."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._error(f"nested deeper than {_DEEPEST}")
        try:
            token = self._now
            left = self._infix(0)
            while self._keyword("in"):
                self._take()
                left = Member(None, left, self._infix(0), token.line, token.column)
            return left
        finally:
            self._depth -= 1

    def _infix(self, level: int) -> Term:
        if level == len(_LEVELS):
            return self._finished()
        token = self._now
        left = self._infix(level + 1)
        while self._now.kind == "op" and self._now.text in _LEVELS[level]:
            op = self._take().text
            left = Infix(op, left, self._infix(level + 1), token.line, token.column)
        return left

    def _finished(self) -> Term:
        """A primary with the references and calls that follow without a space."""
        token = self._now
        term = self._primary()
        while self._now.kind == "op" and not self._now.after_space:
            if self._now.text == "." and isinstance(term, (Var, Ref, Call, Array, Object, SetOf, Comprehension)):
                self._take()
                term = _extended(term, Scalar(json.dumps(self._name("a name after '.'"))), token)
            elif self._now.text == "[" and isinstance(term, (Var, Ref, Call, Array, Object, SetOf, Comprehension)):
                self._take()
                argument = self._term()
                self._expect("]")
                term = _extended(term, argument, token)
            elif self._now.text == "(" and isinstance(term, (Var, Ref)):
                self._take()
                term = Call(self._dotted(term, token), self._terms(")"), token.line, token.column)
            else:
                break
        return term

    def _dotted(self, term: Var | Ref, token: Token) -> str:
        if isinstance(term, Var):
            return term.name
        names = [term.head.name if isinstance(term.head, Var) else ""]
        names += [str(json.loads(a.text)) for a in term.args if isinstance(a, Scalar) and a.text[:1] == '"']
        if len(names) != len(term.args) + 1 or not names[0]:
            raise self._error("only a name can be called", token)
        return ".".join(names)

    def _terms(self, close: str) -> list[Term]:
        found: list[Term] = []
        while not self._accept(close):
            if found:
                self._expect(",")
                if self._accept(close):
                    break
            found.append(self._term())
        return found

    def _primary(self) -> Term:
        token = self._now
        if token.kind == "number" or (
            self._is("-") and self._ahead().kind == "number" and not self._ahead().after_space
        ):
            return self._number()
        if token.kind == "string":
            return self._string()
        if token.kind == "raw":
            return Scalar(json.dumps(self._take().text[1:-1], ensure_ascii=False))
        if token.kind == "template":
            return self._template()
        if token.kind == "name":
            return self._named()
        opened = {"(": self._parenthesised, "[": self._array, "{": self._braces}.get(token.text)
        if opened is not None and token.kind == "op":
            return self._remembering(opened)
        raise self._error(f"a value expected, {token.text or 'end of file'!r} found")

    def _template(self) -> Term:
        token = self._take()
        parts = parts_of(token, self._file)
        return template_term([self._hole(part) if isinstance(part, Hole) else part for part in parts])

    def _hole(self, hole: Hole) -> Literal:
        """The expression between two braces, read as it would be outside."""
        saved = self._tokens, self._at, self._failed, self._no_heads, self._are_members
        self._tokens, self._at = tokens_of(hole.text, self._file, hole.line, hole.column), 0
        self._failed, self._no_heads, self._are_members = {}, set(), {}
        literal = Literal(self._term(), False, self._withs(), hole.line, hole.column)
        self.expect_end()
        self._tokens, self._at, self._failed, self._no_heads, self._are_members = saved
        return literal

    def _remembering(self, parse: Callable[[], Term]) -> Term:
        at = self._at
        if at in self._failed:
            raise self._failed[at]
        try:
            return parse()
        except RegoSyntaxError as error:
            self._failed[at] = error
            raise

    def _named(self) -> Term:
        is_name = self._starts_name()
        token = self._take()
        if is_name:
            return Var(token.text, token.line, token.column)
        if token.text in {"true", "false", "null"}:
            return Scalar(token.text)
        if token.text == "set" and self._is("(") and self._ahead().text == ")":
            self._at += 2
            return SetOf([])
        if token.text in self._keywords and not (token.text in NEW | LOGIC and self._is("(")):
            raise self._error(f"keyword {token.text!r} is not expected here", token)
        return Var(token.text, token.line, token.column)

    def _parenthesised(self) -> Term:
        self._expect("(")
        token = self._now
        left = self._term()
        if self._is(",") and self._members_follow():
            self._take()
            value = self._infix(0)
            self._expect("in")
            left = Member(left, value, self._infix(0), token.line, token.column)
        elif self._is(":=") or self._is("="):
            op = self._take().text
            left = Infix(op, left, self._term(), token.line, token.column)
        self._expect(")")
        return left

    def _head_of_comprehension(self) -> Term | None:
        """The head when a comprehension starts here; `|` may also be a union, so both are tried."""
        saved = self._at
        if saved in self._no_heads:
            return None
        try:
            head = self._infix(2)
            if self._is("|"):
                self._take()
                return head
        except RegoSyntaxError:
            pass
        self._at = saved
        self._no_heads.add(saved)
        return None

    def _body_until(self, close: str) -> list[Literal]:
        body = self.statements(close)
        self._expect(close)
        if not body:
            raise self._error("a comprehension's body is empty")
        return body

    def _array(self) -> Term:
        self._expect("[")
        saved = self._at
        head = self._head_of_comprehension()
        if head is not None:
            try:
                return Comprehension("array", None, head, self._body_until("]"))
            except RegoSyntaxError:
                self._at = saved
                return self._array_or(saved)
        return Array(self._terms("]"))

    def _array_or(self, saved: int) -> Term:
        """Not a comprehension after all: an array whose first item is a union."""
        failed = self._at
        try:
            return Array(self._terms("]"))
        except RegoSyntaxError:
            self._at = saved
            self._head_of_comprehension()
            self._body_until("]")
            self._at = failed
            raise

    def _braces(self) -> Term:
        """Object, set, or a comprehension of either."""
        self._expect("{")
        if self._accept("}"):
            return Object([])
        saved = self._at
        head = self._head_of_comprehension()
        if head is not None:
            try:
                return Comprehension("set", None, head, self._body_until("}"))
            except RegoSyntaxError:
                self._at = saved
        key = self._term()
        if not self._is(":"):
            return self._set_from(key)
        self._take()
        at_value = self._at
        value = self._head_of_comprehension()
        if value is not None:
            try:
                return Comprehension("object", key, value, self._body_until("}"))
            except RegoSyntaxError:
                self._at = at_value
        return self._object_from(key)

    def _set_from(self, first: Term) -> Term:
        items = [first]
        while not self._accept("}"):
            self._expect(",")
            if self._accept("}"):
                break
            items.append(self._term())
        return SetOf(items)

    def _object_from(self, key: Term) -> Term:
        pairs = [(key, self._term())]
        while not self._accept("}"):
            self._expect(",")
            if self._accept("}"):
                break
            key = self._term()
            self._expect(":")
            pairs.append((key, self._term()))
        return Object(pairs)


def _extended(term: Term, argument: Term, token: Token) -> Ref:
    if isinstance(term, Ref):
        term.args.append(argument)
        return term
    return Ref(term, [argument], token.line, token.column)
