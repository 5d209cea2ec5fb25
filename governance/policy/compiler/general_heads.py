"""Rules whose name has a variable in it (`p[x].r`) beside rules that have a constant in that place (`p.b.r`).

OPA joins what all of them give. The engine answers a reference to `p.b.r` by the second alone, so what the first found for
`b` is not seen. With a variable in the same place in every rule, bound first thing in the body, it joins them too.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from governance.policy.compiler.checks import CompileError
from governance.policy.rego.syntax import Infix, Literal, Scalar, Var

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from governance.policy.rego.syntax import Module, Rule, Term


class _Named(NamedTuple):
    rule: Rule
    file: str
    package: tuple[str, ...]

    @property
    def path(self) -> list[str | None]:
        """The rule's name from `data`; None for what only a body knows."""
        return [*self.package, *(_constant(part, first=at == 0) for at, part in enumerate(self.rule.head.ref))]


def generalise_heads(trees: Sequence[Module]) -> None:
    """Rewrite rules of `trees` in place; raises CompileError where a constant has to stay one."""
    rows = [_Named(rule, tree.file, tuple(tree.package)) for tree in trees for rule in tree.rules]
    general = [row for row in rows if None in row.path]
    fresh = count(1)
    while general:
        general = list(_spread(general.pop(), rows, fresh)) + general


def _spread(general: _Named, rows: Sequence[_Named], fresh: Iterator[int]) -> Iterator[_Named]:
    """Put variables where `general` has them; yields the rules that were changed."""
    pattern = general.path
    for at in (at for at, part in enumerate(pattern) if part is None):
        for row in rows:
            path = row.path
            if len(path) > at and path[at] is not None and _meet(path[:at], pattern[:at]):
                _open(row, at - len(row.package), fresh)
                yield row


def _meet(one: Sequence[str | None], other: Sequence[str | None]) -> bool:
    return all(left is None or right is None or left == right for left, right in zip(one, other, strict=True))


def _open(row: _Named, at: int, fresh: Iterator[int]) -> None:
    rule = row.rule
    if at < 1 or rule.is_default or rule.elses or rule.head.args is not None:
        raise CompileError(
            "another rule has a variable in its name where this one has a constant",
            where=f"{row.file}:{rule.line}:{rule.column}",
            hint="give one of the two another name",
        )
    name = Var(f"__place{next(fresh)}", rule.line, rule.column)
    bound = Infix(":=", name, rule.head.ref[at], rule.line, rule.column)
    rule.head.ref[at] = name
    rule.body = [Literal(bound, line=rule.line, column=rule.column), *(rule.body or [])]


def _constant(part: Term, *, first: bool) -> str | None:
    if isinstance(part, Var) and first:
        return part.name
    if isinstance(part, Scalar):
        return part.text[1:-1] if part.text[:1] == '"' else part.text
    return None
