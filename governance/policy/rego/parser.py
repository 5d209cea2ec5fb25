"""Rego text to a syntax tree, v1 and v0: modules, imports and rules; `terms` reads what stands inside them.

What this parser does not know is a syntax error: a module that is not understood whole must not serve.
"""

from __future__ import annotations

import json

from governance.policy.rego.cursor import LOGIC, NEW
from governance.policy.rego.syntax import (
    Else,
    Head,
    Import,
    Literal,
    Module,
    Rule,
    Scalar,
    Term,
    Var,
)
from governance.policy.rego.terms import Terms
from governance.policy.rego.tokens import RegoSyntaxError

FUTURE = ["future", "keywords"]
_IMPORTABLE = NEW | LOGIC | {"not"}


def parse_module(text: str, file: str, *, is_v0: bool = False) -> Module:
    """One file; raises RegoSyntaxError with file:line:column."""
    try:
        return _Parser(text, file, is_v0=is_v0).module()
    except RecursionError:
        raise RegoSyntaxError("nested too deeply", where=file) from None


def parse_package(text: str, file: str) -> list[str]:
    """The package of a file, read as the rest of it is: however it is spelt, it names the same path."""
    try:
        return _Parser(text, file, is_v0=False).package()
    except RecursionError:
        raise RegoSyntaxError("nested too deeply", where=file) from None


def parse_query(text: str, file: str = "query", *, is_v0: bool = False) -> list[Literal]:
    """A query: statements as in a rule's body."""
    try:
        parser = _Parser(text, file, is_v0=is_v0)
        body = parser.statements("")
        parser.expect_end()
    except RecursionError:
        raise RegoSyntaxError("nested too deeply", where=file) from None
    return body


class _Parser(Terms):
    def package(self) -> list[str]:
        if not self._accept("package"):
            raise self._error("a module starts with `package`")
        return self._path()

    def module(self) -> Module:
        package = self.package()
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

    def _import(self) -> Import:
        token = self._expect("import")
        path = self._path()
        alias = self._name("an alias") if self._accept("as") else None
        if path[:2] == FUTURE:
            # Without a name it is all of them, and since OPA 1.22 that changes what `not` means.
            wanted = {path[2]} if len(path) > 2 else _IMPORTABLE
            unknown = wanted - _IMPORTABLE
            if unknown:
                raise self._error(f"keyword {min(unknown)!r} is not one of {', '.join(sorted(_IMPORTABLE))}", token)
            self._keywords |= wanted - {"not"}
            self._negates_bodies = self._negates_bodies or "not" in wanted
        elif path == ["rego", "v1"]:
            self._keywords |= NEW
            self._is_v0 = False
        elif path == ["rego", "v2"]:
            self._keywords |= NEW | LOGIC
            self._is_v0, self._negates_bodies = False, True
        elif path[0] not in {"data", "input"}:
            raise self._error(f"import path must begin with one of data, future, input, rego, not {path[0]!r}", token)
        return Import(path, alias, token.line)

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
        if not self._joins():
            return body
        self._at = saved
        return [self._literal()]

    def _head(self) -> Head:
        token = self._now
        if token.kind != "name" or (token.text in self._keywords and not self._starts_name()):
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
