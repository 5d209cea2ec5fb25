"""The port every enricher fills, and the walk over all of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from governance.model.facts import Facts, facts_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json, Request


class Incomplete(Exception):
    """Raised by an enricher that can say something, but not all: what it says is kept, and it counts as unavailable."""

    def __init__(self, values: dict[str, Json]) -> None:
        super().__init__("not all facts could be had")
        self.values = values


class Enricher(Protocol):
    """Finds facts of one sort."""

    name: str
    """Stands in `facts.unavailable` when it could not answer."""

    def facts(self, request: Request) -> dict[str, Json]:
        """Members to add to `facts`; raises whatever went wrong."""


def enrich_all(request: Request, enrichers: Sequence[Enricher]) -> Facts:
    """All facts. An enricher that fails adds its name to `unavailable`; the line goes on, and a rule decides."""
    values: dict[str, Json] = {"approvals": [], "connectors": [], "pii": [], "secrets": [], "schema_errors": []}
    unavailable: list[str] = []
    for enricher in enrichers:
        try:
            values.update(enricher.facts(request))
        except Incomplete as partial:
            values.update(partial.values)
            unavailable.append(enricher.name)
        except Exception:  # noqa: BLE001  whatever it was, its absence is the fact; what that means is a rule's to say
            unavailable.append(enricher.name)
    values["unavailable"] = sorted(unavailable)
    text = facts_text(values)
    return Facts(values, "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), text)
