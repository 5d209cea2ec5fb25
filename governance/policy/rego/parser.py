"""Rego text to a syntax tree, v1 and v0, by recursive descent as OPA's own parser does.

Precedence from loosest: `:=` `=`, `in`, comparison, `|`, `&`, `+ -`, `* / %`. What this parser does not know (template
strings, `and`/`or`) is a syntax error: a module that is not understood whole must not serve.
"""

from __future__ import annotations

import json

from governance.policy.rego.syntax import (
    Array,
    Call,
    Comprehension,
    Else,
    Every,
    Expr,
    Head,
    Import,
    Infix,
    Literal,
    Member,
    Module,
    Object,
    Ref,
    Rule,
    Scalar,
    SetOf,
    Some,
    SomeIn,
    Term,
    Var,
    With,
)
from governance.policy.rego.tokens import RegoSyntaxError, Token, tokens_of

_ALWAYS = frozenset({"as", "default", "else", "false", "import", "null", "not", "package", "some", "true", "with"})
_NEW = frozenset({"contains", "every", "if", "in"})
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
_LEVELS: tuple[frozenset[str], ...] = (
    _COMPARISONS,
    frozenset({"|"}),
    frozenset({"&"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_DEEPEST = 200
FUTURE = ["future", "keywords"]


def parse_module(text: str, file: str, *, is_v0: bool = False) -> Module:
    """One file; raises RegoSyntaxError with file:line:column."""
    return _Parser(text, file, is_v0=is_v0).module()


def parse_query(text: str, file: str = "query", *, is_v0: bool = False) -> list[Literal]:
    """A query: statements as in a rule's body."""
    parser = _Parser(text, file, is_v0=is_v0)
    body = parser.statements("")
    parser.expect_end()
    return body


class _Parser:
    def __init__(self, text: str, file: str, *, is_v0: bool) -> None:
        self._file = file
        self._is_v0 = is_v0
        self._keywords = _ALWAYS if is_v0 else _ALWAYS | _NEW
        self._tokens = tokens_of(text, file)
        self._at = 0
        self._depth = 0
        self._negates_bodies = False

    # -- tokens ------------------------------------------------------------------------------------------------------

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
        return token.text == text and token.kind in {"op", "name"}

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
        return name in self._keywords and self._now.kind == "name" and self._now.text == name

    def _error(self, message: str, token: Token | None = None) -> RegoSyntaxError:
        at = token or self._now
        return RegoSyntaxError(message, where=f"{self._file}:{at.line}:{at.column}")

    def expect_end(self) -> None:
        if self._now.kind != "end":
            raise self._error(f"{self._now.text!r} is not expected here")

    # -- module ------------------------------------------------------------------------------------------------------

    def module(self) -> Module:
        if not self._accept("package"):
            raise self._error("a module starts with `package`")
        package = self._path()
        imports: list[Import] = []
        while self._is("import"):
            imports.append(self._import())
        rules: list[Rule] = []
        while self._now.kind != "end":
            if self._is("import"):
                imports.append(self._import())
            elif not self._accept(";"):
                rules.extend(self._rule())
        return Module(self._file, package, imports, rules, self._is_v0)

    def _path(self) -> list[str]:
        """`a.b["c"]` as names."""
        path = [self._name("a name")]
        while not self._now.after_space and self._now.text in {".", "["}:
            if self._accept("."):
                path.append(self._name("a name after '.'"))
            else:
                self._expect("[")
                token = self._take()
                if token.kind != "string":
                    raise self._error("a string expected between brackets", token)
                path.append(str(json.loads(token.text)))
                self._expect("]")
        return path

    def _name(self, what: str) -> str:
        token = self._take()
        if token.kind != "name":
            raise self._error(f"{what} expected, {token.text or 'end of file'!r} found", token)
        return token.text

    def _import(self) -> Import:
        line = self._expect("import").line
        path = self._path()
        alias = self._name("an alias") if self._accept("as") else None
        if path[:2] == FUTURE:
            wanted = {path[2]} if len(path) > 2 else _NEW
            unknown = wanted - _NEW - {"not"}
            if unknown:
                raise self._error(f"keyword {min(unknown)!r} is not supported")
            self._keywords |= wanted & _NEW
            self._negates_bodies = self._negates_bodies or "not" in wanted
        elif path == ["rego", "v1"]:
            self._keywords |= _NEW
            self._is_v0 = False
        elif path == ["rego", "v2"]:
            self._keywords |= _NEW
            self._is_v0, self._negates_bodies = False, True
        elif path[0] not in {"data", "input"}:
            raise self._error(f"import path must begin with one of data, future, input, rego, not {path[0]!r}")
        return Import(path, alias, line)

    # -- rules -------------------------------------------------------------------------------------------------------

    def _rule(self) -> list[Rule]:
        start = self._now
        if self._accept("default"):
            head = self._head()
            if head.value is None:
                raise self._error("a default needs a value")
            return [Rule(head, None, is_default=True, line=start.line, column=start.column)]
        head = self._head()
        rule = Rule(head, None, line=start.line, column=start.column)
        bodies = [rule]
        if self._keyword("if"):
            self._take()
            rule.body = self._rule_body()
        elif self._is("{"):
            if not self._is_v0:
                raise self._error("`if` expected before a rule's body")
            rule.body = self._braced()
        elif head.key is None and head.args is None and head.value is None and not self._is_v0:
            raise self._error("a rule needs a value, a body, or `contains`")
        self._elses(rule)
        while self._is("{") and self._is_v0 and not rule.elses:
            bodies.append(Rule(head, self._braced(), line=self._now.line, column=self._now.column))
        if not self._now.after_newline and self._now.kind != "end" and not self._is(";"):
            raise self._error(f"{self._now.text!r} is not expected after a rule")
        return bodies

    def _elses(self, rule: Rule) -> None:
        while self._is("else"):
            self._take()
            value: Term | None = None
            if self._is(":=") or self._is("="):
                self._take()
                value = self._term()
            body: list[Literal] | None = None
            if self._keyword("if"):
                self._take()
                body = self._rule_body()
            elif self._is("{"):
                body = self._braced()
            rule.elses.append(Else(value, body))

    def _rule_body(self) -> list[Literal]:
        """After `if`: braces, or one statement. A brace may also open an object or set that is the statement."""
        if not self._is("{"):
            return [self._literal()]
        saved = self._at
        try:
            body = self._braced()
        except RegoSyntaxError as first:
            self._at = saved
            try:
                return [self._literal()]
            except RegoSyntaxError:
                raise first from None
        return body

    def _braced(self) -> list[Literal]:
        self._expect("{")
        body = self.statements("}")
        self._expect("}")
        if not body:
            raise self._error("a body is empty")
        return body

    def _head(self) -> Head:
        token = self._now
        if token.kind != "name" or token.text in self._keywords:
            raise self._error(f"a rule expected, {token.text or 'end of file'!r} found")
        self._take()
        head = Head([Var(token.text, token.line, token.column)], line=token.line, column=token.column)
        while not self._now.after_space and self._now.text in {".", "[", "("} and self._now.kind == "op":
            if self._accept("."):
                head.ref.append(Scalar(json.dumps(self._name("a name after '.'"))))
            elif self._accept("["):
                head.ref.append(self._term())
                self._expect("]")
            else:
                self._take()
                head.args = self._terms(")")
                break
        if self._keyword("contains"):
            self._take()
            head.key = self._term()
        elif self._is(":=") or self._is("="):
            head.op = self._take().text
            head.value = self._term()
        if self._is_v0 and head.args is None and head.value is None and head.key is None:
            self._v0_set(head)
        return head

    def _v0_set(self, head: Head) -> None:
        """v0 writes a partial set `p[x]`; with `contains` and `if` at hand a bracket is part of the name instead."""
        written_as_set = len(head.ref) == 2 and "if" not in self._keywords
        if written_as_set and not self._keyword("if"):
            head.key = head.ref.pop()

    # -- statements --------------------------------------------------------------------------------------------------

    def statements(self, close: str) -> list[Literal]:
        found: list[Literal] = []
        while True:
            while self._accept(";"):
                pass
            if self._now.kind == "end" or (close and self._is(close)):
                return found
            if found and not (self._now.after_newline or self._tokens[self._at - 1].text == ";"):
                raise self._error(f"{self._now.text!r} is not expected here")
            found.append(self._literal())

    def _literal(self) -> Literal:
        start = self._now
        if self._is("not"):
            self._take()
            if self._negates_bodies:
                return self._without_solution(start)
            expr = self._expr()
            if isinstance(expr, Some | SomeIn | Every):
                raise self._error("this cannot be negated", start)
            return Literal(expr, True, self._withs(), start.line, start.column)
        return Literal(self._expr(), False, self._withs(), start.line, start.column)

    def _withs(self) -> list[With]:
        found: list[With] = []
        while self._is("with"):
            self._take()
            target = self._term()
            self._expect("as")
            found.append(With(target, self._term()))
        return found

    def _without_solution(self, start: Token) -> Literal:
        """`not` as `future.keywords.not` has it: true where its body has no solution, undefined operands included."""
        body = self._braced() if self._is("{") else [Literal(self._expr(), False, [], start.line, start.column)]
        withs = self._withs()
        for literal in body:
            literal.withs = [*literal.withs, *withs]
        none = Infix("==", Comprehension("array", None, Scalar("1"), body), Array([]), start.line, start.column)
        return Literal(none, False, [], start.line, start.column)

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
        try:
            self._take()
            self._infix(0)
            return self._keyword("in")
        except RegoSyntaxError:
            return False
        finally:
            self._at = saved

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

    # -- terms -------------------------------------------------------------------------------------------------------

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
            return Scalar(_string(self._take(), self._error))
        if token.kind == "raw":
            return Scalar(json.dumps(self._take().text[1:-1], ensure_ascii=False))
        if token.kind == "name":
            return self._named()
        if token.text == "(" and token.kind == "op":
            return self._parenthesised()
        if token.text == "[" and token.kind == "op":
            return self._array()
        if token.text == "{" and token.kind == "op":
            return self._braces()
        raise self._error(f"a value expected, {token.text or 'end of file'!r} found")

    def _number(self) -> Term:
        sign = "-" if self._accept("-") else ""
        token = self._take()
        if self._now.kind in {"name", "number"} and not self._now.after_space:
            raise self._error(f"{token.text}{self._now.text} is not a number", token)
        return Scalar(sign + token.text)

    def _named(self) -> Term:
        token = self._take()
        if token.text in {"true", "false", "null"}:
            return Scalar(token.text)
        if token.text == "set" and self._is("(") and self._ahead().text == ")":
            self._at += 2
            return SetOf([])
        if token.text in self._keywords and not (token.text in _NEW and self._is("(")):
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
        try:
            head = self._infix(2)
            if self._is("|"):
                self._take()
                return head
        except RegoSyntaxError:
            pass
        self._at = saved
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


def _string(token: Token, error: object) -> str:
    try:
        return json.dumps(json.loads(token.text, strict=True), ensure_ascii=False)
    except ValueError:
        raise error(f"{token.text[:40]} is not a string: bad escape", token) from None  # type: ignore[operator]
