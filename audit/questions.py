"""Questions that are asked again and again, answered from the log: who allowed this, and what did a person's data touch?"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from audit.rows import Filter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audit.reader import LogReader

# Kinds whose yes makes an app what it is.
_MAKE_AN_APP = ("template", "deploy", "publish", "lifecycle")
_MOST_ANSWERS = 50
# Records are opened one after the other; of more than that, the newest.
_MOST_LOOKED_AT = 20_000
_BATCH = 500
_YES = frozenset({"allow", "warn"})
_SAID = ("kind", "action", "effect", "actor", "entry_point", "app", "tenant", "rules", "waivers", "revision", "error")


def who_allowed(log: LogReader, *, decision_id: str = "", app: str = "", tenant: str = "") -> list[dict[str, Any]]:
    """Who asked, by which policy it was allowed (or not), and which waivers counted; newest first.

    One decision by its id, else every yes that made the app what it is. `tenant` keeps to one tenant's records.
    """
    if decision_id:
        index = log.find(decision_id)
        found: Iterable[int] = () if index is None else (index,)
    else:
        wanted = Filter(app=app, tenant=tenant)
        each = [wanted._replace(kind=kind, effect=effect) for kind in _MAKE_AN_APP for effect in _YES]
        yeses = (index for one in each for index in log.search(one, limit=_MOST_ANSWERS))
        found = sorted(yeses, reverse=True)[:_MOST_ANSWERS]
    records = [log.record(index) for index in found]
    apps = {str(record["public"].get("app", "")) for record in records}
    corrected = frozenset[str]().union(*(not_carried_out(log, Filter(app=app)) for app in apps))
    return [_allowed(record, corrected) for record in records if tenant in {"", record["public"].get("tenant")}]


def not_carried_out(log: LogReader, wanted: Filter) -> frozenset[str]:
    """Ids of the decisions that `wanted` names which are a yes on record, and took no effect."""
    indexes = log.indexes(wanted._replace(kind="not_carried_out"))
    starts = range(0, len(indexes), _BATCH)
    rows = (json.loads(raw) for start in starts for _, raw, _ in log.batch(indexes[start : start + _BATCH]))
    return frozenset(str(leaf["public"].get("corrects")) for leaf in rows)


def _allowed(record: dict[str, Any], corrected: frozenset[str]) -> dict[str, Any]:
    public = {**record["public"], "kind": record["kind"]}
    answer = record["opened"].get("answer", {})
    asked = record["opened"].get("input", {})
    return {
        "decision_id": public.get("decision_id"),
        "record": record["index"],
        "time": record["time"],
        "was_allowed": public.get("effect") in _YES and public.get("decision_id") not in corrected,
        **({"was_carried_out": False} if public.get("decision_id") in corrected else {}),
        **{name: public[name] for name in _SAID if public.get(name) not in (None, "", [])},
        "asked_for": asked.get("subject") if isinstance(asked, dict) else None,
        "reason": answer.get("reason", ""),
        "violations": answer.get("violations", []),
    }


def data_of(log: LogReader, subject: str, *, tenant: str = "") -> dict[str, Any]:
    """What is recorded with a person's data in it: how much, since when, which apps, connectors and kinds.

    Counts what can still be opened: after an erasure there is nothing to find. `tenant` keeps to one tenant's records.
    """
    indexes = log.search(Filter(subject=subject, tenant=tenant), newest_first=False)
    counts: dict[str, Counter[str]] = {
        name: Counter() for name in ("apps", "connectors", "kinds", "effects", "destinations")
    }
    times: list[str] = []
    for index in indexes[-_MOST_LOOKED_AT:]:
        record = log.record(index)
        public = record["public"]
        times.append(record["time"])
        counts["apps"][public.get("app") or "-"] += 1
        counts["kinds"][record["kind"]] += 1
        counts["effects"][public.get("effect") or "-"] += 1
        counts["connectors"].update(public.get("connectors", ()))
        counts["destinations"].update(_destinations(record["opened"].get("input")))
    return {
        "records": len(indexes),
        "looked_at": len(times),
        "first": min(times, default=None),
        "last": max(times, default=None),
        **{name: dict(sorted(found.items())) for name, found in counts.items()},
        "decisions": [log.record(index)["public"].get("decision_id") for index in indexes[-_MOST_ANSWERS:]],
    }


def _destinations(asked: Any) -> list[str]:
    """Where a data flow or a call was to go, as far as the record can be opened."""
    resource = asked.get("resource") if isinstance(asked, dict) else None
    if not isinstance(resource, dict):
        return []
    destination = resource.get("destination")
    places = [resource.get("url"), *(destination.values() if isinstance(destination, dict) else ())]
    return [place for place in places if isinstance(place, str) and place]
