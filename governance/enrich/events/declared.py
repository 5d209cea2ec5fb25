"""Reading `spec.events` of a manifest: what is missing or of another type is empty, never an error.

The shape is the published schema's to judge; whoever reads a spec that was never held against it must not fall over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from governance.model.request import Json


class Subscription(NamedTuple):
    """One wish for events, and where it stands."""

    app: str
    name: str
    declared: Json

    @property
    def is_pushed(self) -> bool:
        """Whether events are sent to an address; else the app fetches them."""
        return isinstance(self.declared.get("deliver"), dict)


def rows(spec: Json, member: str) -> list[Json]:
    """The entries of `publishes`, `subscribes`, `webhooks` or `schedules`; one that is no object reads as an empty one."""
    events = spec.get("events") if isinstance(spec, dict) else None
    found = events.get(member) if isinstance(events, dict) else None
    return [row if isinstance(row, dict) else {} for row in found] if isinstance(found, list) else []


def named(spec: Json, member: str, name: str) -> Json | None:
    """The one entry of that name; None where there is none, or more than one."""
    found = [row for row in rows(spec, member) if row.get("name") == name]
    return found[0] if len(found) == 1 else None


def published(spec: Json, event_type: str) -> Json | None:
    """What an app says about a type of event that it publishes; None where it says nothing, or twice."""
    found = [row for row in rows(spec, "publishes") if row.get("type") == event_type]
    return found[0] if len(found) == 1 else None


def subscriptions(specs: Iterable[tuple[str, Json]], publisher: str, event_type: str) -> list[Subscription]:
    """Every subscription to a type of event of an app."""
    return [
        Subscription(app, str(row["name"]), row)
        for app, spec in specs
        for row in rows(spec, "subscribes")
        if row.get("app") == publisher and row.get("type") == event_type and isinstance(row.get("name"), str)
    ]


def texts(row: Json, member: str) -> list[str]:
    """The list of texts under a member."""
    found = row.get(member) if isinstance(row, dict) else None
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
