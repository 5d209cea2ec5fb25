"""What `check` has decided, and its last line. Apart from `findings`, which only a run that has something to say loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.decision import Decision
    from governance.normalise.subjects import Subject


class Checked(NamedTuple):
    """One thing with what was decided on it."""

    subject: Subject
    decision: Decision


def rules_of(checked: Sequence[Checked]) -> list[str]:
    """Ids of the rules that were evaluated, sorted."""
    return sorted({rule for _, decision in checked for rule in decision.rules_evaluated})


def tally(checked: Sequence[Checked], skipped: int, told: str = "no violations") -> str:
    """The last line of every run for people."""
    return f"{len(checked)} checked against {len(rules_of(checked))} rules, {skipped} skipped: {told}\n"
