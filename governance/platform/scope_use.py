"""Which of the scopes that an app was granted its calls have used: read from the log, newest calls first.

A call uses the scope of the operation that it was let through as, not every scope that it held. A call whose record can no
longer be opened counts as use of its connector as a whole: what nobody can see is not called unused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from audit.sealed_texts import parsed
from audit.store import Filter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from audit.reader import LogReader
    from governance.model.request import Json

# So many calls are looked at; with more of them, what is further back is not known.
_MOST_CALLS, _MOST_DEPLOYS = 2000, 200
_BATCH = 500


def scope_use(log: LogReader, connectors: Mapping[str, Json], app: str, since: str) -> Json:
    """`{looked_since, scopes: [{connector, scope, asked_since, last_used}]}` of the scopes of the last allowed deploy.

    `since`: where to begin (RFC 3339). `looked_since`: where the calls that were looked at begin. `asked_since`: the first of
    the deploys that have asked for the scope without a break. `last_used` is empty where no call that was looked at did.
    """
    asked: dict[tuple[str, str], str] = {}
    for leaf, openings in _records(log, Filter(app=app, kind="deploy"), _MOST_DEPLOYS):
        if leaf["public"].get("effect") in {"allow", "warn"} and not leaf["public"].get("dry_run") and openings:
            asked = {pair: asked.get(pair, str(leaf["time"])) for pair in _asked(openings["input"])}
    used: dict[tuple[str, str], str] = {}
    calls = list(_records(log, Filter(app=app, kind="connector_call", since=since), _MOST_CALLS))
    for leaf, openings in calls:
        if leaf["public"].get("effect") in {"allow", "warn"}:
            used |= dict.fromkeys(_used(leaf["public"], openings, connectors), str(leaf["time"]))
    return {
        "looked_since": str(calls[0][0]["time"]) if len(calls) == _MOST_CALLS else since,
        "scopes": [
            {"connector": name, "scope": scope, "asked_since": first, "last_used": used.get((name, scope), "")}
            for (name, scope), first in sorted(asked.items())
        ],
    }


def _records(log: LogReader, wanted: Filter, most: int) -> Iterator[tuple[Json, dict[str, Json]]]:
    """(leaf, what of it can be opened) of the newest, oldest of them first."""
    indexes = sorted(log.search(wanted, limit=most))
    for start in range(0, len(indexes), _BATCH):
        for _, raw, text in log.batch(indexes[start : start + _BATCH]):
            opened = {name: json.loads(one.raw) for name, one in parsed(text).items()} if text else {}
            yield json.loads(raw), opened


def _asked(request: Json) -> Iterator[tuple[str, str]]:
    spec = request["resource"].get("spec", {}) if isinstance(request, dict) else {}
    for one in spec.get("connectors", []) if isinstance(spec, dict) else []:
        for scope in one.get("scopes", []) if isinstance(one, dict) else []:
            yield str(one.get("name", "")), str(scope)


def _used(public: Json, openings: dict[str, Json], connectors: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    obligations = openings.get("answer", {}).get("obligations", ())
    names = {one["value"]["name"] for one in obligations if one["type"] == "operation"}
    for connector in public.get("connectors", ()):
        for operation in connectors.get(connector, {}).get("operations", ()):
            if operation["name"] in names or not names:
                yield connector, operation["scope"]
