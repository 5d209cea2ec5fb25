"""What the outbox says about events and deliveries: those on their way, and those that age or an erasure ends before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import Damaged
from governance.platform.broker.events.outbox_seal import About

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.platform.broker.events.outbox_seal import Seal

WAITING, DEAD = "waiting", "dead"
UNBOUND = -1
"""Before the first event."""


COLUMNS = (
    "d.number, d.app, d.subscription, d.ordering, d.attempts, d.lease, d.generation, d.reason, d.due, "
    "e.tag, e.generation, e.about, e.body, e.accepted"
)
"""Of a delivery `d` and its event `e`, as `delivery_of` takes them."""
_UNREADABLE = About("", "", "", "")


class Target(NamedTuple):
    """A subscription that an event has to reach."""

    app: str
    subscription: str
    is_pushed: bool
    """Sent to an address by a worker; else fetched by the app."""


class Accepted(NamedTuple):
    """An event on its way into the outbox."""

    source: str
    id: str
    digest: str
    """Of the event as it was handed in: who sends the same again says nothing new."""
    decision_id: str
    ordering: str
    body: str
    """What subscribers may get, as structured JSON."""


class Known(NamedTuple):
    """What is remembered of an event for as long as somebody might send it again."""

    digest: str
    decision_id: str


class Delivery(NamedTuple):
    """One event for one subscription."""

    number: int
    app: str
    subscription: str
    ordering: str
    """A tag of the key that it is ordered by; empty where there is none."""
    attempts: int
    """Those that were begun; of a delivery that was just leased, this one included."""
    lease: str
    reason: str
    due: float
    source: str
    id: str
    body: str
    """Structured JSON; empty where somebody changed the database, and so nobody can send it."""
    accepted: float


def delivery_of(seal: Seal, row: Sequence[Any]) -> Delivery:
    """A row of COLUMNS, opened. One that nobody here wrote must not hold up the others: it has no body, and a reason."""
    number, app, subscription, ordering, attempts, lease, generation, reason, due, tag, of, about, body, accepted = row
    try:
        why, known, said = seal.why(reason, generation, number), seal.known(about, of, tag), seal.said(body, of, tag)
    except Damaged as error:
        why, known, said = str(error), _UNREADABLE, ""
    return Delivery(
        number, app, subscription, ordering, attempts, lease, why, due, known.source, known.id, said, accepted
    )


class Ended(NamedTuple):
    """A delivery that age ends, whoever it was for."""

    change: str
    """`given_up`: it becomes a dead letter; `deleted`: a dead letter is forgotten."""
    delivery: int
    app: str
    subscription: str
    source: str
    id: str
    reason: str


class Left(NamedTuple):
    """A delivery that waits, or a dead letter, in short."""

    number: int
    app: str
    subscription: str
    reason: str


class Kept(NamedTuple):
    """An event as it is remembered; `body` is empty once it is through."""

    seq: int
    source: str
    id: str
    body: str
    deliveries: list[Left]

    @property
    def publisher(self) -> str:
        """The app whose event it is."""
        return self.source.split("/")[2]
