"""A decision as JSON: one shape for HTTP, CLI and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.model.decision import Decision, Violation
    from governance.model.request import Json


def decision_json(decision: Decision) -> dict[str, Json]:
    """Members as in the published OpenAPI document; `fix`, `location` and `waived_by` only where they are known."""
    return {
        "decision_id": decision.decision_id,
        "kind": decision.kind,
        "effect": decision.effect,
        "reason": decision.reason,
        "error": decision.error,
        "violations": [_violation(violation) for violation in decision.violations],
        "obligations": [{"type": o.type, "rule": o.rule, "value": o.value} for o in decision.obligations],
        "revision": decision.revision,
        "input_digest": decision.input_digest,
        "facts_digest": decision.facts_digest,
        "executor": decision.executor,
        "decided_at": decision.decided_at,
        "expires_at": decision.expires_at,
        "trace_id": decision.trace_id,
        "rules_evaluated": list(decision.rules_evaluated),
    }


def _violation(violation: Violation) -> dict[str, Json]:
    body: dict[str, Json] = {
        "rule": violation.rule,
        "title": violation.title,
        "severity": violation.severity,
        "mode": violation.mode,
        "effect": violation.effect,
        "path": violation.path,
        "message": violation.message,
        "remediation": violation.remediation,
        "controls": list(violation.controls),
    }
    if violation.waived_by is not None:
        body["waived_by"] = violation.waived_by
    if violation.fix is not None:
        body["fix"] = violation.fix
    if violation.location is not None:
        file, line, column = violation.location
        body["location"] = {"file": file, "line": line, "column": column}
    return body
