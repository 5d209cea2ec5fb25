"""Facts about events: what a manifest declares about them, and who stands at both ends of an event's way.

Two flows carry events. To the exchange, `destination: {"topic": type}`: fact `event` says what the app declared for that type,
and whether the payload follows its schema. On to a subscriber, `destination: {"app", "subscription"}`: fact `event` says who
that is, and what is still declared on both sides. Nothing here grants. What tries things out is loaded where there is something
to try: `check` starts in milliseconds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from governance.enrich.events.declared import named, published, rows, texts
from governance.enrich.urls import parsed_url
from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from governance.model.request import Json, Request

_Problem = tuple[list[str | int], str]


class EventFacts:
    """Facts `events` of a deploy and `event` of a flow."""

    name = "events"

    def __init__(self, app_of: Callable[[str], Json | None]) -> None:
        """`app_of`: `{spec, state, …}` of the last allowed deploy of an app; None where there was none."""
        self._app_of = app_of

    def facts(self, request: Request) -> dict[str, Json]:
        """Nothing for requests that have nothing to do with events."""
        if request.kind == "deploy":
            has_events = isinstance(request.app, dict) and request.app.get("events") is not None
            return {"events": self._declared(request.app)} if has_events else {}
        destination = request.resource.get("destination") if request.kind == "data_flow" else None
        if not isinstance(destination, dict):
            return {}
        if "subscription" in destination:
            return {"event": self._delivery(request, destination)}
        return {"event": self._topic(request, destination["topic"])} if "topic" in destination else {}

    def _declared(self, spec: Json) -> Json:
        problems = [{"path": path, "message": message} for path, message in _problems(spec)]
        return {
            "problems": problems,
            "schedules": list(_gaps(spec)),
            "subscriptions": [self._source(spec, index, row) for index, row in enumerate(rows(spec, "subscribes"))],
        }

    def _source(self, spec: Json, index: int, row: Json) -> Json:
        """What is known of the app whose events are wanted."""
        publisher = str(row.get("app", ""))
        known = {"spec": spec, "state": "active"} if publisher == spec.get("name") else self._app_of(publisher)
        declared = published(known["spec"], str(row.get("type", ""))) if known else None
        deliver = row.get("deliver")
        place = (
            {"index": index, "url": parsed_url(deliver.get("url"))} if isinstance(deliver, dict) else {"index": index}
        )
        if known is None or declared is None:
            return {**place, "known": False}
        return {**place, "known": True, **_ends(known, declared)}

    def _topic(self, request: Request, topic: Json) -> Json:
        from governance.enrich.events import schemas

        known = self._app_of(str(request.app.get("name", "")))
        declared = published(known["spec"], topic) if known and isinstance(topic, str) else None
        if declared is None:
            return {"declared": False}
        errors = schemas.errors_of(declared.get("schema"), request.resource.get("payload"))
        return {"declared": True, "classes": texts(declared, "classes"), "schema_errors": errors}

    def _delivery(self, request: Request, destination: Json) -> Json:
        app, event = destination.get("app"), request.resource.get("event")
        event_type = event.get("type") if isinstance(event, dict) else None
        subscriber = self._app_of(app) if isinstance(app, str) else None
        publisher = self._app_of(str(request.app.get("name", "")))
        if subscriber is None or publisher is None or not isinstance(event_type, str):
            return {"known": False}
        row = named(subscriber["spec"], "subscribes", str(destination["subscription"])) or {}
        is_wanted = row.get("app") == request.app.get("name") and row.get("type") == event_type
        declared, data = published(publisher["spec"], event_type), subscriber["spec"].get("data")
        return {
            "known": True,
            "subscribed": is_wanted,
            "published": declared is not None,
            **_ends(publisher, declared or {}),
            "subscriber": {
                "name": app, "tenant": str(subscriber["spec"].get("tenant", "")),
                "state": str(subscriber.get("state", "")),
                **{member: texts(data, member) for member in ("classes", "pii", "residency")},
            },
        }  # fmt: skip


def _ends(publisher: Json, declared: Json) -> Json:
    """The publisher's side of one type of event."""
    return {
        "tenant": str(publisher["spec"].get("tenant", "")),
        "state": str(publisher.get("state", "")),
        "classes": texts(declared, "classes"),
        "shared_with": texts(declared, "sharedWith"),
    }


def _gaps(spec: Json) -> Iterator[Json]:
    """How often each schedule comes; one that cannot be read has no number, and stands among the problems."""
    from governance.enrich.events import cron

    for index, row in enumerate(rows(spec, "schedules")):
        try:
            gap = cron.shortest_gap_s(str(row.get("cron", "")), str(row.get("timezone", "UTC")))
        except CallerError:
            yield {"index": index}
        else:
            yield {"index": index, "shortest_s": gap}


def _problems(spec: Json) -> Iterator[_Problem]:
    """What could not be carried out, with its place below `app.events`."""
    from governance.enrich.events import schemas, transform

    for index, row in enumerate(rows(spec, "publishes")):
        yield from _tried(["publishes", index, "schema"], partial(schemas.check, row.get("schema")))
    for index, row in enumerate(rows(spec, "subscribes")):
        if "transform" in row:
            yield from _tried(["subscribes", index, "transform"], partial(transform.check, str(row["transform"])))
        if "schema" in row:
            yield from _tried(["subscribes", index, "schema"], partial(schemas.check, row["schema"]))
    yield from _schedule_problems(spec)
    yield from _twice(spec)
    for member in ("webhooks", "schedules"):
        for index, row in enumerate(rows(spec, member)):
            if published(spec, str(row.get("type", ""))) is None:
                yield [member, index, "type"], "is no type of event that this app publishes"


def _twice(spec: Json) -> Iterator[_Problem]:
    for member, key in (("publishes", "type"), ("subscribes", "name"), ("webhooks", "name"), ("schedules", "name")):
        seen: set[str] = set()
        for index, row in enumerate(rows(spec, member)):
            if str(row.get(key)) in seen:
                yield [member, index, key], "stands here twice"
            seen.add(str(row.get(key)))


def _schedule_problems(spec: Json) -> Iterator[_Problem]:
    from governance.enrich.events import cron, schemas

    for index, row in enumerate(rows(spec, "schedules")):
        gap = partial(cron.shortest_gap_s, str(row.get("cron", "")), str(row.get("timezone", "UTC")))
        yield from _tried(["schedules", index, "cron"], gap)
        declared = published(spec, str(row.get("type", "")))
        if declared is None:
            continue
        try:
            errors = schemas.errors_of(declared.get("schema"), row.get("data", {}))
        except CallerError:
            continue  # the schema has a problem of its own
        for error in errors[:1]:
            yield ["schedules", index, "data"], f"does not follow the event's schema at {error['pointer'] or '/'}"


def _tried(path: list[str | int], attempt: Callable[[], object]) -> Iterator[_Problem]:
    try:
        attempt()
    except CallerError as error:
        yield path, error.message
