"""Fact `scope_use`: what an app that is deployed again has used of what it was granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.request import Json, Request


class ScopeFacts:
    """Asks only about apps that were deployed before."""

    name = "scope_use"

    def __init__(self, is_known: Callable[[str], bool], use_of: Callable[[str], Json]) -> None:
        self._is_known, self._use_of = is_known, use_of

    def facts(self, request: Request) -> dict[str, Json]:
        """Nothing for other requests than deploys, and for an app's first one."""
        app = request.app.get("name", "")
        if request.kind != "deploy" or not isinstance(app, str) or not self._is_known(app):
            return {}
        return {"scope_use": self._use_of(app)}
