"""Identifiers whose check proves too little alone: what stands beside them decides whether they are believed.

One in a hundred order numbers passes the rule of such an identifier, so bare digits are no finding. They are one where the
record also holds something of a person, and where a whole column of values passes, which no numbers do by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from governance.documents.leaves import Leaf

DOUBTED = 0.45
"""The score of such an identifier on its own; below what any policy that comes with the rules reports."""
BELIEVED = 0.6
_OF_A_PERSON = frozenset({
    "EMAIL_ADDRESS", "PHONE_NUMBER", "BIRTH_DATE", "BIRTH_YEAR", "PERSON_NAME", "ADDRESS", "IBAN_CODE", "US_SSN",
})  # fmt: skip
_LEAST_ROWS, _SHARE = 3, 0.8


class Seen(NamedTuple):
    """As much of a finding as is looked at here."""

    leaf: int
    entity: str
    score: float


def believed(leaves: Sequence[Leaf], found: Sequence[Seen], least: float) -> Iterator[int]:
    """Which of `found` are doubted and have company that makes up for it; `least` is the score of what counts as a person's."""
    doubted = [number for number, seen in enumerate(found) if seen.score == DOUBTED]
    if not doubted:
        return
    people = {_above(leaves[f.leaf]) for f in found if f.score >= least and f.entity in _OF_A_PERSON}
    full = _full_columns(leaves, [found[number] for number in doubted])
    alone = len(leaves) == 1 and not leaves[0].path and not leaves[0].name
    for number in doubted:
        seen = found[number]
        leaf = leaves[seen.leaf]
        if _above(leaf) in people or (_column(leaf), seen.entity) in full or alone:
            yield number


def _full_columns(leaves: Sequence[Leaf], doubted: Iterable[Seen]) -> set[tuple[object, str]]:
    """The (column, entity) of which nearly every value passes; masked ones count too, so that masking brings up nothing new."""
    passing: dict[tuple[object, str], set[int]] = {}
    for seen in doubted:
        passing.setdefault((_column(leaves[seen.leaf]), seen.entity), set()).add(seen.leaf)
    many = {key: len(rows) for key, rows in passing.items() if len(rows) >= _LEAST_ROWS}
    if not many:
        return set()
    columns = {column for column, _ in many}
    sizes: dict[object, int] = {}
    for leaf in leaves:
        if leaf.text and leaf.member < 0 and (column := _column(leaf)) in columns:
            sizes[column] = sizes.get(column, 0) + 1
    return {key for key, count in many.items() if count >= _SHARE * sizes.get(key[0], 0)}


def _above(leaf: Leaf) -> tuple[object, ...]:
    return (leaf.path, leaf.within[:-1]) if leaf.within else (leaf.path[:-1], ())


def _column(leaf: Leaf) -> tuple[object, ...]:
    """The place of a value with the numbers of rows left out."""
    return tuple(None if isinstance(s, int) else s for s in (*leaf.path, "", *leaf.within))
