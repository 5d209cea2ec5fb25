"""Fact `review`: what the checklist finds now, and what a model found before where one is configured.

The line never waits for a model: `governance review run`, or the service beside its decisions, asks it and keeps what it
said. A model that has not reviewed this very design leaves the fact unavailable, and a rule sends the design to a person.
Findings are only ever added: nothing here can make a decision milder than the checklist alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.enrich.checklist import REVIEWED_KINDS, checklist_findings
from governance.enrich.port import Incomplete
from governance.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.enrich.review_store import ReviewStore
    from governance.model.request import Json, Request


class DesignReviewFacts:
    """Fact `review`."""

    name = "review"

    def __init__(self, registry: Mapping[str, Json], store: ReviewStore | None) -> None:
        """`registry`: connectors by name; `store`: the model's reviews, None where no model is configured."""
        self._registry = registry
        self._store = store

    def facts(self, request: Request) -> dict[str, Json]:
        """Raises Incomplete, with the checklist's findings, where a model should have reviewed the design and has not."""
        if request.kind not in REVIEWED_KINDS:
            return {}
        findings = checklist_findings(request, self._registry)
        if self._store is None:
            return {"review": {"status": "done", "findings": findings}}
        try:
            stored = self._store.get(request)
        except DependencyError:
            raise _unavailable(findings, "its stored review cannot be read") from None
        if stored is None:
            raise _unavailable(findings, "no model has reviewed this design")
        return {
            "review": {
                "status": "done",
                "findings": findings + stored["findings"],
                "model": stored["model"],
                "review_id": stored["review_id"],
            }
        }


def _unavailable(findings: list[Json], reason: str) -> Incomplete:
    return Incomplete({"review": {"status": "unavailable", "reason": reason, "findings": findings}})
