"""What a store takes and answers, whichever database it stands on: rows, batches, filters, and what may be taken away."""

from __future__ import annotations

import json
from bisect import bisect_right
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import BadFilter, LogTorn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from audit.subjects import Wraps

NAMED = ("decision_id", "app", "tenant", "actor", "effect", "trace_id")
"""Public members by which a record is found."""
# Ranges of indexes in one record: well below what a leaf may hold.
_MOST_RANGES_TEXT = 40_000


class Row(NamedTuple):
    """One leaf with the columns that searches use."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    leaf: bytes
    kind: str
    time: str
    decision_id: str
    app: str
    app_sequence: int
    tenant: str
    actor: str
    effect: str
    trace_id: str = ""
    rules: tuple[str, ...] = ()
    connectors: tuple[str, ...] = ()
    subject: int = 0
    """Number of the subject whose key opens `opening`."""
    opening: bytes = b""
    entry_id: bytes = b""
    """16 bytes that whoever asked gave the entry, where the log has several writers; no two records have the same."""

    def check_storable(self) -> None:
        """Raise ValueError for text that is no UTF-8: found out in the middle of a batch, it would fail the others."""
        "".join((self.kind, self.time, *self[4:6], *self[7:11], *self.rules, *self.connectors)).encode()


class SubjectKey(NamedTuple):
    """The key of one subject, and the number that openings name it by."""

    number: int
    subject: str
    key: bytes


class Change(NamedTuple):
    """What leaves the store in the commit that records it. Leaf hashes and proofs never do."""

    by: int = 0
    """Index of the record that says so."""
    emptied: tuple[int, ...] = ()
    """Records whose openings go."""
    subject: str = ""
    """Whose key is destroyed; empty: nobody's."""
    minimum: int = 0
    """Leaves below this index go; 0: none."""
    wraps: Wraps | None = None
    """Under which the names and keys of all subjects are wrapped anew; None: they stay as they are."""


class Batch(NamedTuple):
    """What one commit writes."""

    rows: Sequence[Row]
    nodes: Sequence[tuple[int, int, bytes]]
    """New complete nodes: (level, index, hash)."""
    keys: Sequence[SubjectKey]
    """New subjects' keys."""
    size: int
    note: str
    """The checkpoint that covers the batch."""
    changes: Sequence[Change] = ()


class Filter(NamedTuple):
    """What to list; empty members do not narrow. `since` and `until` are RFC 3339, `until` not included."""

    app: str = ""
    tenant: str = ""
    actor: str = ""
    kind: str = ""
    effect: str = ""
    rule: str = ""
    since: str = ""
    until: str = ""
    before: int = 0
    """Only records with a smaller index, for paging back; 0 for no limit."""
    trace_id: str = ""
    connector: str = ""
    subject: str = ""
    """Whose data the sealed members are."""
    text: str = ""
    """Stands in what may be read of the record, upper and lower case alike."""
    rules: tuple[str, ...] = ()
    """Any of these: the rules behind a control."""

    def said(self) -> dict[str, Any]:
        """The members that narrow, as JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items() if value
        }


def texts_of(public: dict[str, Any], name: str) -> tuple[str, ...]:
    """A list of the public part without its repetitions."""
    said = public.get(name)
    return tuple(dict.fromkeys(map(str, said))) if said else ()


def columns_of(leaf: bytes) -> dict[str, Any]:
    """The parsed leaf. Raises LogTorn for one that is none: it was changed on the disk."""
    try:
        return dict(json.loads(leaf))
    except (ValueError, TypeError) as error:
        raise LogTorn("a record was changed after it was written: `governance audit check` says which") from error


def comparable(moment: str) -> str:
    """RFC 3339 (or a date) as text that sorts among the stored times.

    Without its Z: "…08.5Z" sorts before "…08Z", so that a whole second would miss its own records.
    """
    try:
        parsed = datetime.fromisoformat(moment)
        utc = parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise BadFilter(f"{moment[:40]!r} is not a time: write 2026-03-01T10:00:00Z, or a date") from error
    return utc.strftime("%Y-%m-%dT%H:%M:%S") + (f".{utc.microsecond:06d}" if utc.microsecond else "")


def ranges_text(indexes: Iterable[int]) -> list[str]:
    """Rising indexes as texts like `0-5,9`, each short enough for a leaf."""
    texts: list[str] = []
    pieces: list[str] = []
    length = 0
    for first, last in _runs(indexes):
        piece = str(first) if first == last else f"{first}-{last}"
        if length + len(piece) > _MOST_RANGES_TEXT:
            texts.append(",".join(pieces))
            pieces, length = [], 0
        pieces.append(piece)
        length += len(piece) + 1
    return [*texts, ",".join(pieces)] if pieces else texts


def in_ranges(text: str, index: int) -> bool:
    """Whether `ranges_text` named an index; False also for a text that is none."""
    firsts, lasts = bounds(text)
    place = bisect_right(firsts, index) - 1
    return place >= 0 and index <= lasts[place]


@lru_cache(maxsize=16)
def bounds(text: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where the ranges of a text begin and end, nothing where it is no such text.

    A self-audit asks the same text for each record that it names.
    """
    pairs = []
    for piece in text.split(","):
        first, _, last = piece.partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            return (), ()
        pairs.append((int(first), int(last or first)))
    return tuple(first for first, _ in pairs), tuple(last for _, last in pairs)


def indexes_of(text: str) -> list[int]:
    """The inverse of `ranges_text` for one text."""
    found: list[int] = []
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def _runs(indexes: Iterable[int]) -> Iterable[tuple[int, int]]:
    first = last = -2
    for index in indexes:
        if index == last + 1:
            last = index
            continue
        if last >= 0:
            yield first, last
        first = last = index
    if last >= 0:
        yield first, last
