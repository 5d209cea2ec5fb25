"""A syntax tree back to Rego text that the engine reads: v1, one statement a line, every infix in parentheses.

Line numbers of the output are the printer's own; `printed` returns for each output line the source line it came from.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from governance.policy.rego.syntax import (
    Array,
    Call,
    Comprehension,
    Every,
    Expr,
    Head,
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
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = frozenset(
    [
        "as",
        "contains",
        "data",
        "default",
        "else",
        "every",
        "false",
        "if",
        "import",
        "in",
        "input",
        "not",
        "null",
        "package",
        "some",
        "true",
        "with",
    ]
)


class Printer:
    """Collects output lines; `origin[i]` is the source line of output line i + 1."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.origin: list[int] = []

    def module(self, module: Module) -> str:
        """The whole file as v1 text."""
        self._line(f"package {path_text(module.package)}", 1)
        self._line("import rego.v1", 1)
        for entry in module.imports:
            if entry.path[0] in {"data", "input"}:
                alias = f" as {entry.alias}" if entry.alias else ""
                self._line(f"import {path_text(entry.path)}{alias}", entry.line)
        for rule in module.rules:
            self._rule(rule)
        return "\n".join(self.lines) + "\n"

    def _line(self, text: str, source: int) -> None:
        self.lines.append(text)
        self.origin.append(source)

    def _rule(self, rule: Rule) -> None:
        head = head_text(rule.head)
        if rule.is_default:
            self._line(f"default {head}", rule.line)
            return
        if rule.body is None and not rule.elses:
            bare = rule.head.value is None and rule.head.key is None
            self._line(f"{head} := true" if bare else head, rule.line)
            return
        self._line(f"{head} if {{", rule.line)
        self._body(rule.body or [], rule.line)
        for branch in rule.elses:
            value = f" := {term_text(branch.value)}" if branch.value is not None else ""
            if branch.body is None:
                self._line(f"}} else{value} if {{", rule.line)
                self._line("\ttrue", rule.line)
            else:
                self._line(f"}} else{value} if {{", rule.line)
                self._body(branch.body, rule.line)
        self._line("}", rule.line)

    def _body(self, body: Sequence[Literal], line: int) -> None:
        if not body:
            self._line("\ttrue", line)
        # The engine reads over a line's end: what begins with a bracket would be taken for arguments of what stands before.
        for literal in body[:-1]:
            self._line(f"\t{literal_text(literal)};", literal.line or line)
        for literal in body[-1:]:
            self._line("\t" + literal_text(literal), literal.line or line)


def path_text(path: Sequence[str]) -> str:
    """A package or import path.

    >>> path_text(["a", "b-c"])
    'a["b-c"]'
    """
    return path[0] + "".join(_member(json.dumps(name)) for name in path[1:])


def head_text(head: Head) -> str:
    """A rule's head without `if`."""
    text = term_text(head.ref[0]) + "".join(_argument(part) for part in head.ref[1:])
    if head.args is not None:
        text += "(" + ", ".join(term_text(arg) for arg in head.args) + ")"
    if head.key is not None:
        return f"{text} contains {term_text(head.key)}"
    if head.value is not None:
        return f"{text} := {term_text(head.value)}"
    return text


def body_text(body: Sequence[Literal]) -> str:
    """A body on one line."""
    return "; ".join(literal_text(literal) for literal in body)


def literal_text(literal: Literal) -> str:
    """One statement."""
    text = ("not " if literal.negated else "") + expr_text(literal.expr)
    return text + "".join(f" with {term_text(w.target)} as {term_text(w.value)}" for w in literal.withs)


def expr_text(expr: Expr) -> str:
    """An expression as a statement: infix without the outer parentheses."""
    if isinstance(expr, Some):
        return "some " + ", ".join(name.name for name in expr.names)
    if isinstance(expr, SomeIn):
        key = f"{term_text(expr.key)}, " if expr.key is not None else ""
        return f"some {key}{term_text(expr.value)} in {term_text(expr.collection)}"
    if isinstance(expr, Every):
        key = f"{expr.key.name}, " if expr.key is not None else ""
        return f"every {key}{expr.value.name} in {term_text(expr.domain)} {{ {body_text(expr.body)} }}"
    if isinstance(expr, Infix):
        return f"{term_text(expr.left)} {expr.op} {term_text(expr.right)}"
    if isinstance(expr, Member):
        return _member_text(expr)
    return term_text(expr)


def term_text(term: Term) -> str:  # noqa: PLR0911  one branch a node type reads best in one place
    """A term; infix and membership in parentheses."""
    match term:
        case Scalar(text):
            return text
        case Var(name):
            return name
        case Ref(head, args):
            base = term_text(head)
            return base + "".join(_argument(argument) for argument in args)
        case Call(name, args):
            return f"{name}({', '.join(term_text(arg) for arg in args)})"
        case Infix(op, left, right):
            return f"({term_text(left)} {op} {term_text(right)})"
        case Member():
            return f"({_member_text(term)})"
        case Array(items):
            return f"[{', '.join(term_text(item) for item in items)}]"
        case SetOf(items):
            return f"{{{', '.join(term_text(item) for item in items)}}}" if items else "set()"
        case Object(pairs):
            return "{" + ", ".join(f"{term_text(k)}: {term_text(v)}" for k, v in pairs) + "}"
        case Comprehension(kind, key, value, body):
            start, end = "[]" if kind == "array" else "{}"
            named = f"{term_text(key)}: " if key is not None else ""
            return f"{start}{named}{term_text(value)} | {body_text(body)}{end}"


def _member_text(term: Member) -> str:
    key = f"{term_text(term.key)}, " if term.key is not None else ""
    return f"{key}{term_text(term.value)} in {term_text(term.collection)}"


def _argument(argument: Term) -> str:
    return _member(argument.text) if isinstance(argument, Scalar) else f"[{term_text(argument)}]"


def _member(text: str) -> str:
    if text[:1] == '"':
        name = json.loads(text)
        if _PLAIN.fullmatch(name) and name not in _RESERVED:
            return f".{name}"
    return f"[{text}]"
