"""What the line answers: one shape for every entry point, and what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from governance.model.request import Json

ALLOW, WARN, REQUIRE_APPROVAL, DENY = "allow", "warn", "require_approval", "deny"

# Effects from weakest to strictest; a decision takes the strictest that applies.
EFFECTS: tuple[str, ...] = (ALLOW, WARN, REQUIRE_APPROVAL, DENY)
SEVERITIES: tuple[str, ...] = ("info", "low", "medium", "high", "critical")
MODES: tuple[str, ...] = ("shadow", "warn", "enforce")


class Answer(NamedTuple):
    """What one rule gave, before anything was made of it."""

    text: str | None
    """JSON text; None when the rule is undefined, which is never a yes."""
    executor: str


class Violation(NamedTuple):
    """One rule that is not met, at one place."""

    rule: str
    title: str
    severity: str
    mode: str
    effect: str
    """What this violation asks for once its mode and waiver are taken into account."""
    path: str
    """JSON pointer (RFC 6901) into the resource as it was handed in."""
    message: str
    remediation: str
    controls: tuple[str, ...] = ()
    waived_by: str | None = None
    fix: Json = None
    """JSON patch (RFC 6902) on the resource, present only after it was re-evaluated and passes."""
    location: tuple[str, int, int] | None = None
    """(file, line, column), both from 1, when the resource came from text."""


class Obligation(NamedTuple):
    """Something the enforcement point must do for the answer to hold."""

    type: str
    """mask | drop | tokenize | egress_allow | runtime_class | caps | approval | residency | header | label |
    operation | clock | randomness | artifact"""
    rule: str
    """Name of the obligation rule that asked for it."""
    value: Json


class Decision(NamedTuple):
    """The verdict on one request."""

    decision_id: str
    """UUIDv7."""
    kind: str
    effect: str
    violations: tuple[Violation, ...]
    obligations: tuple[Obligation, ...]
    reason: str
    """One sentence; for a decision that could not be made, why (`no_answer: …`)."""
    error: str | None
    """Stable code of what went wrong (`no_answer`, `timeout`, …); None when the policy answered."""
    revision: str
    input_digest: str
    facts_digest: str
    executor: str
    """`rvm`, `interpreter` or `none` (nothing could be evaluated)."""
    decided_at: str
    """RFC 3339, UTC, from the line's injected clock."""
    expires_at: str | None
    """Until when a caller may cache the answer; None means not at all."""
    trace_id: str
    rules_evaluated: tuple[str, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """True only for `allow` and `warn`: an approval that is still missing is not a yes."""
        return self.effect in {ALLOW, WARN} and self.error is None
