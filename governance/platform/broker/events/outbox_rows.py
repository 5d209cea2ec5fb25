"""What the outbox says about events and deliveries that end before they reach their subscriber: by age, or by an erasure."""

from __future__ import annotations

from typing import NamedTuple

UNBOUND = -1
"""Before the first event."""


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
