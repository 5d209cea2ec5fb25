"""Fixes that hold: a rule may propose one; it is shown only after it was applied, decided again and found to pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.model.patch import BadPatch, patched

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.decision import Decision, Violation
    from governance.model.request import Json
    from governance.policy.decide import Verdict

# Each fix costs one more evaluation, which takes the longer the more there is to find: up to `MANY` findings all of these are
# tried, beyond it fewer, so that no document costs more than its share. The rest get theirs in the next round.
MOST_FIXES = 16
MANY = 32


def with_proved_fixes(verdict: Verdict, resource: Json, again: Callable[[Json], Decision]) -> Decision:
    """The decision with `fix` filled in where applying it removes that violation and brings no new one.

    `again` decides on a changed resource with facts of its own. A fix that cannot be applied, or that leaves its
    violation standing, or trades it for another, is dropped without a word: the remediation text remains.
    """
    decision = verdict.decision
    most = max(1, MOST_FIXES * MANY // max(MANY, len(decision.violations)))
    proved: dict[int, Json] = {
        index: patch
        for index, patch in verdict.candidates[:most]
        if _holds(decision, decision.violations[index], patch, resource, again)
    }
    if not proved:
        return decision
    return decision._replace(
        violations=tuple(v._replace(fix=proved.get(i)) if i in proved else v for i, v in enumerate(decision.violations))
    )


def _holds(
    before: Decision, violation: Violation, patch: Json, resource: Json, again: Callable[[Json], Decision]
) -> bool:
    try:
        after = again(patched(resource, patch))
    except BadPatch:
        return False
    if after.error is not None:
        return False
    # Pointers shift when an item is removed, so violations are counted by rule instead of matched by place.
    were, are = _counts(before), _counts(after)
    return are.get(violation.rule, 0) < were[violation.rule] and all(n <= were.get(r, 0) for r, n in are.items())


def _counts(decision: Decision) -> dict[str, int]:
    counts: dict[str, int] = {}
    for violation in decision.violations:
        counts[violation.rule] = counts.get(violation.rule, 0) + 1
    return counts
