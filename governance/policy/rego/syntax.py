"""The syntax tree of Rego: small mutable nodes that passes rewrite in place or replace.

A reference is a head and arguments: `input.a[i]` is `Ref(Var("input"), [Scalar('"a"'), Var("i")])`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(slots=True)
class Scalar:
    """A literal as JSON text (`1`, `"x"`, `true`, `null`)."""

    text: str


@dataclass(slots=True)
class Var:
    """A variable or rule name; `_` stands for a fresh one each time."""

    name: str
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Ref:
    """`head[args…]`; `line` and `column` of the head."""

    head: Term
    args: list[Term]
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Call:
    """A call of a builtin or function; `name` is the dotted name as written, `path` where it was a reference."""

    name: str
    args: list[Term]
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Infix:
    """`left op right` with an arithmetic, set, comparison, assignment or unification operator."""

    op: str
    left: Term
    right: Term
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Member:
    """`key, value in collection`; `key` may be absent."""

    key: Term | None
    value: Term
    collection: Term
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Array:
    """An array literal."""

    items: list[Term]


@dataclass(slots=True)
class SetOf:
    """A set literal; empty is `set()`."""

    items: list[Term]


@dataclass(slots=True)
class Object:
    """An object literal."""

    pairs: list[tuple[Term, Term]]


@dataclass(slots=True)
class Comprehension:
    """`[value | body]`, `{value | body}` or `{key: value | body}`; `kind` is array, set or object."""

    kind: str
    key: Term | None
    value: Term
    body: list[Literal]


@dataclass(slots=True)
class Some:
    """`some x, y`."""

    names: list[Var]


@dataclass(slots=True)
class SomeIn:
    """`some key, value in collection`."""

    key: Term | None
    value: Term
    collection: Term


@dataclass(slots=True)
class Every:
    """`every key, value in domain { body }`."""

    key: Var | None
    value: Var
    domain: Term
    body: list[Literal]


Term: TypeAlias = "Scalar | Var | Ref | Call | Infix | Member | Array | SetOf | Object | Comprehension"
Expr: TypeAlias = "Term | Some | SomeIn | Every"


@dataclass(slots=True)
class With:
    """`with target as value`."""

    target: Term
    value: Term


@dataclass(slots=True)
class Literal:
    """One statement of a body."""

    expr: Expr
    negated: bool = False
    withs: list[With] = field(default_factory=list)
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Head:
    """A rule's head.

    `ref` is the name as a reference (`p`, `p.q`, `p[x].r`); `args` is None for everything but functions; `key` is the
    term of `contains`; `value` what the rule gives, None where it is `true` by default; `op` is `:=` or `=`.
    """

    ref: list[Term]
    args: list[Term] | None = None
    key: Term | None = None
    value: Term | None = None
    op: str = ":="
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Else:
    """`else := value if { body }`."""

    value: Term | None
    body: list[Literal] | None


@dataclass(slots=True)
class Rule:
    """One rule: head, body (None for a fact), further else branches."""

    head: Head
    body: list[Literal] | None
    elses: list[Else] = field(default_factory=list)
    is_default: bool = False
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Import:
    """`import data.a.b as c`."""

    path: list[str]
    alias: str | None
    line: int = 0


@dataclass(slots=True)
class Module:
    """One file."""

    file: str
    package: list[str]
    imports: list[Import]
    rules: list[Rule]
    is_v0: bool = False
