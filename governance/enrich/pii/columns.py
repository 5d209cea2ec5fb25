"""People's names in tables: a column whose values look like names, in rows that other findings show to be about people.

No list of names is used: none with a licence that fits covers more than a few languages, and a list finds the common
names and misses the others, which is no way to treat people equally. So a lone name in free text is not found here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.enrich.pii.names import says_other

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from governance.documents.leaves import Leaf
    from governance.enrich.pii.analyze import Finding

_LEAST_ROWS = 4
_SHARE = 0.8
_DISTINCT = 0.6
_SCORE = 0.55
_ABOUT_A_PERSON = frozenset({"EMAIL_ADDRESS", "PHONE_NUMBER", "BIRTH_DATE", "US_SSN", "EMPLOYEE_ID"})
_NAME = re.compile(
    r"[^\W\d_a-z][^\W\d_]*(?:['\u2019-][^\W\d_]+)*(?:,? (?:[^\W\d_]\.|[^\W\d_]+(?:['\u2019-][^\W\d_]+)*)){1,3}"
)


def name_columns(leaves: Sequence[Leaf], by_leaf: Mapping[int, Sequence[Finding]]) -> Iterator[Finding]:
    """Findings for the values of each column that holds people's names."""
    from governance.enrich.pii.analyze import Finding

    if not any(f.entity in _ABOUT_A_PERSON for findings in by_leaf.values() for f in findings):
        return
    tables: dict[tuple[object, ...], dict[str | int, list[int]]] = {}
    for number, leaf in enumerate(leaves):
        place = leaf.within or leaf.path
        if leaf.member < 0 and len(place) >= 2 and isinstance(place[-2], int):
            tables.setdefault((leaf.path, *place[:-2]) if leaf.within else place[:-2], {}).setdefault(
                place[-1], []
            ).append(number)
    for columns in tables.values():
        if not any(_is_about(by_leaf.get(number, ())) for column in columns.values() for number in column):
            continue
        for column in columns.values():
            if (
                not any(number in by_leaf for number in column)
                and not says_other(leaves[column[0]].name)
                and _are_names([leaves[n].text for n in column])
            ):
                for number in column:
                    yield Finding(number, "PERSON_NAME", _SCORE, "column", (), 0, len(leaves[number].text))


def _is_about(findings: Sequence[Finding]) -> bool:
    return any(finding.entity in _ABOUT_A_PERSON for finding in findings)


def _are_names(values: list[str]) -> bool:
    if len(values) < _LEAST_ROWS:
        return False
    matching = sum(_NAME.fullmatch(value) is not None for value in values)
    return matching >= _SHARE * len(values) and len(set(values)) >= _DISTINCT * len(values)
