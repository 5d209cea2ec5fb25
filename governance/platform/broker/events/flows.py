"""Events as requests for the line: on their way to the exchange, to a subscriber, and out to an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.normalise.requests import normalise_document

if TYPE_CHECKING:
    from governance.model.request import Json, Request, Source
    from governance.platform.broker.events.message import Event

_OF_THE_EXCHANGE = frozenset({"tenantid", "decisionid", "traceparent"})


def to_exchange(app: str, tenant: str, event: Event, purpose: str, source: Source) -> Request:
    """An app hands in an event of its own."""
    return _flow(app, tenant, event, {"topic": event.type}, purpose, source)


def to_subscriber(app: str, tenant: str, event: Event, destination: Json, purpose: str, source: Source) -> Request:
    """The exchange hands it to a subscription: `destination` is `{app, subscription}`. `app` published it."""
    return _flow(app, tenant, event, destination, purpose, source)


def to_address(app: str, tenant: str, event: Event, url: str, purpose: str, source: Source) -> Request:
    """A subscriber's copy goes out to an address of one of its connectors; here `app` is the subscriber."""
    return _flow(app, tenant, event, {"url": url}, purpose, source)


def _flow(app: str, tenant: str, event: Event, destination: Json, purpose: str, source: Source) -> Request:
    attributes = {name: value for name, value in event.attributes().items() if name not in _OF_THE_EXCHANGE}
    resource = {
        "app": app, "source": event.source, "destination": destination, "purpose": purpose,
        "content_type": "application/json", "payload": event.data, "event": attributes,
    }  # fmt: skip
    context = {"enforcement_point": "exchange"}
    document = {"kind": "data_flow", "tenant": tenant, "resource": resource, "context": context}
    return normalise_document(document, source)
