"""Statements of Rego: what stands in a body. `terms` reads what stands in a statement.

`and`, `or` and the `not` of `future.keywords.not` speak of bodies with a scope of their own; each is written as a
comparison of comprehensions, `[1 | body]`, with the empty one. OPA evaluates no alternative after the first that has a
solution; here all are, which differs only where one raises in strict mode, and then there is no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.policy.rego.cursor import LOGIC, Cursor
from governance.policy.rego.syntax import (
    Array,
    Comprehension,
    Every,
    Expr,
    Infix,
    Literal,
    Member,
    Object,
    Scalar,
    SetOf,
    Some,
    SomeIn,
    Term,
    Var,
    With,
)
from governance.policy.rego.tokens import RegoSyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable


class Statements(Cursor):
    """The upper half of what a body is made of."""

    def __init__(self, text: str, file: str, *, is_v0: bool) -> None:
        super().__init__(text, file, is_v0=is_v0)
        self._are_members: dict[int, bool] = {}

    def _term(self) -> Term:
        """Everything but `:=` and `=`."""
        raise NotImplementedError

    def _infix(self, level: int) -> Term:
        """Operators that bind at least as tightly as `level`."""
        raise NotImplementedError

    def statements(self, close: str) -> list[Literal]:
        """Statements up to `close` or the end, which stay where they are."""
        found: list[Literal] = []
        while True:
            while self._accept(";"):
                pass
            if self._now.kind == "end" or (close and self._is(close)):
                return found
            if found and not (self._now.after_newline or self._tokens[self._at - 1].text == ";"):
                raise self._error(f"{self._now.text!r} is not expected here")
            found.append(self._literal())

    def _braced(self) -> list[Literal]:
        self._expect("{")
        body = self.statements("}")
        self._expect("}")
        if not body:
            raise self._error("a body is empty")
        return body

    def _literal(self) -> Literal:
        return self._statement()[0]

    def _statement(self) -> tuple[Literal, bool]:
        """One statement, and whether `and` or `or` holds it together."""
        start = self._now
        first = self._leading_operand()
        if first is None:
            plain = self._plain()
            if not self._joins():
                plain.withs = self._withs()
                return plain, False
            if start.text == "{" and isinstance(plain.expr, Object | SetOf | Comprehension):
                raise self._error("before `and` or `or` braces are a body; put parentheses around a value", start)
            first = [plain]
        return Literal(self._alternatives(first), False, self._withs(), start.line, start.column), True

    def _plain(self) -> Literal:
        """A statement up to `with`, `and` or `or`."""
        start = self._now
        if self._is("not"):
            self._take()
            if self._negates_bodies:
                return Literal(self._without_solution(), False, [], start.line, start.column)
            expr = self._expr()
            if isinstance(expr, Some | SomeIn | Every):
                raise self._error("this cannot be negated", start)
            return Literal(expr, True, [], start.line, start.column)
        return Literal(self._expr(), False, [], start.line, start.column)

    def _withs(self) -> list[With]:
        found: list[With] = []
        while self._is("with"):
            self._take()
            target = self._term()
            self._expect("as")
            found.append(With(target, self._term()))
        return found

    def _without_solution(self) -> Term:
        """`not` as `future.keywords.not` has it: true where its body has no solution, undefined operands included."""
        start = self._now
        body = self._braced() if self._is("{") else self._attempted(self._group)
        return Infix("==", _ones(body or [self._positive()]), Array([]), start.line, start.column)

    def _positive(self) -> Literal:
        start = self._now
        return Literal(self._expr(), False, [], start.line, start.column)

    # -- `and`, `or` -------------------------------------------------------------------------------------------------

    def _joins(self) -> bool:
        return self._keyword("and") or self._keyword("or")

    def _alternatives(self, first: list[Literal]) -> Term:
        """`a and b or c`: true where one of the alternatives has a solution; `and` binds tighter."""
        start = self._now
        found = [self._conjunction(first)]
        while self._keyword("or"):
            self._take()
            found.append(self._conjunction(self._operand()))
        none: list[Term] = [Array([]) for _ in found]
        return Infix("!=", Array([_ones(body) for body in found]), Array(none), start.line, start.column)

    def _conjunction(self, first: list[Literal]) -> list[Literal]:
        bodies = [first]
        while self._keyword("and"):
            self._take()
            bodies.append(self._operand())
        if len(bodies) == 1:
            return first
        return [
            Literal(Infix("!=", _ones(body), Array([])), line=body[0].line, column=body[0].column) for body in bodies
        ]

    def _operand(self) -> list[Literal]:
        """What may stand behind `and` and `or`: a body in braces, a group in parentheses, or a statement."""
        if self._is("{"):
            return self._own_scope()
        return self._attempted(self._group) or [self._plain()]

    def _leading_operand(self) -> list[Literal] | None:
        """Braces or parentheses that are an operand; None where a value starts here instead."""
        if self._keywords.isdisjoint(LOGIC):
            return None
        return self._attempted(self._scope_before_keyword if self._is("{") else self._group)

    def _scope_before_keyword(self) -> list[Literal] | None:
        body = self._own_scope()
        return body if self._joins() else None

    def _group(self) -> list[Literal] | None:
        """`(a or b)`, or anything in parentheses before `and` or `or`."""
        if self._keywords.isdisjoint(LOGIC) or not self._accept("("):
            return None
        literal, is_logical = self._statement()
        self._expect(")")
        return [literal] if is_logical or self._joins() else None

    def _own_scope(self) -> list[Literal]:
        token = self._now
        body = self._braced()
        first = body[0].expr
        if isinstance(first, Infix) and first.op == "|":
            raise self._error("this reads as a set comprehension as well; put parentheses around the union", token)
        return body

    def _attempted(self, parse: Callable[[], list[Literal] | None]) -> list[Literal] | None:
        """What `parse` finds; None, and back at the same place, where it finds nothing."""
        saved = self._at
        try:
            found = parse()
        except RegoSyntaxError:
            found = None
        if found is None:
            self._at = saved
        return found

    def _expr(self) -> Expr:
        if self._is("some"):
            return self._some()
        if self._keyword("every"):
            return self._every()
        token = self._now
        left = self._term()
        if self._is(",") and "in" in self._keywords and self._members_follow():
            self._take()
            value = self._infix(0)
            self._expect("in")
            return Member(left, value, self._infix(0), token.line, token.column)
        if self._is(":=") or self._is("="):
            op = self._take()
            return Infix(op.text, left, self._term(), token.line, token.column)
        return left

    def _members_follow(self) -> bool:
        """Whether `a, b in c` starts here; looks ahead and comes back."""
        saved = self._at
        if saved not in self._are_members:
            try:
                self._take()
                self._infix(0)
                self._are_members[saved] = self._keyword("in")
            except RegoSyntaxError:
                self._are_members[saved] = False
            finally:
                self._at = saved
        return self._are_members[saved]

    def _some(self) -> Expr:
        self._expect("some")
        first = self._infix(0)
        if self._keyword("in"):
            self._take()
            return SomeIn(None, first, self._infix(0))
        names = [first]
        while self._accept(","):
            names.append(self._infix(0))
        if self._keyword("in"):
            if len(names) != 2:
                raise self._error("`some … in` takes one or two names")
            self._take()
            return SomeIn(names[0], names[1], self._infix(0))
        variables = [name for name in names if isinstance(name, Var)]
        if len(variables) != len(names):
            raise self._error("`some` declares variables")
        return Some(variables)

    def _every(self) -> Expr:
        self._take()
        first = self._variable()
        key = None
        if self._accept(","):
            key, first = first, self._variable()
        if not self._keyword("in"):
            raise self._error("`in` expected")
        self._take()
        domain = self._infix(0)
        return Every(key, first, domain, self._braced())

    def _variable(self) -> Var:
        token = self._now
        return Var(self._name("a variable"), token.line, token.column)


def _ones(body: list[Literal]) -> Comprehension:
    """A one for every solution of `body`."""
    return Comprehension("array", None, Scalar("1"), body)
