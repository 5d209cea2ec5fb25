"""Whether a legal hold is on an app: what is kept of it beside the log stays, for as long as one is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audit.reader import LogReader
    from governance.model.request import Json


def is_on(log: LogReader, app: str, tenant: str) -> bool:
    """Whether a hold in force names the app or its tenant, or can no longer be read: then nobody knows what it covers."""
    scopes: dict[str, Json] = {}
    for record in log.custody("hold"):
        public = record["public"]
        if public["change"] == "add":
            scopes[public["hold"]] = record["opened"].get("scope")
        else:
            scopes.pop(public["hold"], None)
    return any(not scope or scope.get("app") == app or scope.get("tenant") == tenant for scope in scopes.values())
