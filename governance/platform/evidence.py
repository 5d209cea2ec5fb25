"""Decisions as the log has them, for whoever counts them: oldest first, a few at a time, whatever the log's size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from audit.sealed_texts import parsed
from governance.model.request import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.reader import LogReader
    from audit.store import Filter
    from governance.model.request import Json

_BATCH = 500


class Recorded(NamedTuple):
    """One decision on record."""

    index: int  # type: ignore[assignment]  # a tuple has a method of this name, which nobody calls here
    decision_id: str
    time: str
    kind: str
    app: str
    tenant: str
    effect: str
    revision: str
    is_made: bool
    """The policy answered; not a time-out, and no question that could not be understood."""
    open: tuple[str, ...]
    """Rules that were not met and that neither a waiver nor their mode excuses."""
    waived: tuple[str, ...]
    input: Json
    """What was decided on, where it is asked for and may be read."""


def decisions(log: LogReader, wanted: Filter, *, inputs_of: str = "") -> Iterator[Recorded]:
    """The decisions among the records that `wanted` names; `inputs_of`: the kind whose input is read as well."""
    indexes = log.indexes(wanted)
    for start in range(0, len(indexes), _BATCH):
        for index, raw, text in log.batch(indexes[start : start + _BATCH]):
            leaf = json.loads(raw)
            if leaf["kind"] in KINDS:
                yield _recorded(index, leaf, text, reads_input=leaf["kind"] == inputs_of)


def _recorded(index: int, leaf: Json, text: bytes, *, reads_input: bool) -> Recorded:
    public = leaf["public"]
    named = tuple(map(str, public.get("rules") or ()))
    openings = parsed(text) if text and (named or reads_input) else {}
    violations = json.loads(openings["answer"].raw).get("violations", []) if named and "answer" in openings else None
    # Where nobody can read any more which of them counted, all do, unless the decision shows that none did.
    still: tuple[str, ...] = () if public.get("effect") == "allow" else named
    excused: tuple[str, ...] = ()
    if violations is not None:
        still = _rules(v for v in violations if not v.get("waived_by") and v.get("mode") != "shadow")
        excused = _rules(v for v in violations if v.get("waived_by"))
    return Recorded(
        index=index,
        decision_id=str(public.get("decision_id", "")),
        time=str(leaf["time"]),
        kind=str(leaf["kind"]),
        app=str(public.get("app", "")),
        tenant=str(public.get("tenant", "")),
        effect=str(public.get("effect", "")),
        revision=str(public.get("revision", "")),
        is_made=not public.get("error") and bool(public.get("revision")),
        open=still,
        waived=excused,
        input=json.loads(openings["input"].raw) if reads_input and "input" in openings else None,
    )


def _rules(violations: Iterator[Json]) -> tuple[str, ...]:
    return tuple(sorted({str(violation.get("rule")) for violation in violations}))
