"""Approvals of a connector's documents as they are kept, and which of them count for one document.

A row is `{as, by, role, team, person, at}`, an approval, or `{as, withdrawn_by, at}`: it was taken back. Documents go by their
digests; what stands under `EVERY` is taken back of each document that was not approved again since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Rows = Sequence[Mapping[str, Any]]

EVERY = "*"


def rows_of(documents: Mapping[str, Rows], digest: str) -> list[Mapping[str, Any]]:
    """The rows that count for one document, one a part at most; `documents`: rows by digest.

    >>> rows_of({"*": [{"as": "owner", "withdrawn_by": "key:1"}]}, "sha256:0")
    [{'as': 'owner', 'withdrawn_by': 'key:1'}]
    """
    own = documents.get(digest, ())
    named = {row["as"] for row in own}
    return [*own, *(row for row in documents.get(EVERY, ()) if row["as"] not in named)]


def given(rows: Rows) -> list[Mapping[str, Any]]:
    """The approvals among rows."""
    return [row for row in rows if "withdrawn_by" not in row]


def withdrawn(rows: Rows) -> list[str]:
    """As what an approval was taken back."""
    return [row["as"] for row in rows if "withdrawn_by" in row]
