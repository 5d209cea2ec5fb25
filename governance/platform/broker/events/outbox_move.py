"""An outbox moves from a home into the database that replicas share, which may hold events already.

In one transaction there, under its keys; then it is taken out of the home. Killed in between, it is run again, and what is
there is not taken twice. A delivery keeps its state and gets another number: one that was leased comes again.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.platform.broker.events.message import PARTITION_KEY
from governance.platform.broker.events.outbox_rows import WAITING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.platform.broker.events.outbox_seal import Keys, Seal
    from governance.platform.broker.events.outbox_store import Execute, Store

_PAGE = 500
_EVENTS = "SELECT seq, tag, generation, about, body, accepted FROM events WHERE seq > ? ORDER BY seq LIMIT ?"
_DELIVERIES = (
    "SELECT number, generation, reason, ordering, app, subscription, state, pushed, attempts, due, lease, leased_until "
    "FROM deliveries WHERE seq = ? ORDER BY number"
)
_PUT = (
    "INSERT INTO deliveries (seq, ordering, generation, reason, head, app, subscription, state, pushed, attempts, due, lease, "
    "leased_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number"
)


class Place(NamedTuple):
    """One end of the move."""

    store: Store
    keys: Keys


def move(source: Place, target: Place) -> int:
    """Give how many deliveries moved. Raises DependencyError, and then nothing was taken out of the source."""
    with source.store.transaction() as take, target.store.transaction() as put:
        target.store.share(put)
        ours, theirs = source.keys.seal(take, is_reading=True), target.keys.seal(put)
        count = sum(_moved((take, ours), (put, theirs), row) for row in _rows(take))
        for row in take("SELECT app, name, at, leased_until, done FROM firings", ()):
            put(
                "INSERT INTO firings (app, name, at, leased_until, done) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                row,
            )
        for table in ("deliveries", "events", "firings"):
            take(f"DELETE FROM {table}", ())  # noqa: S608  our own names
    return count


def _rows(take: Execute) -> Iterator[tuple[Any, ...]]:
    after = -1
    while found := take(_EVENTS, (after, _PAGE)):
        yield from found
        after = found[-1][0]


def _moved(source: tuple[Execute, Seal], target: tuple[Execute, Seal], row: tuple[Any, ...]) -> int:
    """An event with its deliveries; how many."""
    (take, ours), (put, theirs) = source, target
    seq, tag, generation, raw_about, raw_body, accepted = row
    about, body = ours.known(raw_about, generation, tag), ours.said(raw_body, generation, tag)
    there = theirs.tag(about.source, about.id)
    made = put(
        "INSERT INTO events (tag, generation, about, body, accepted) VALUES (?, ?, ?, ?, ?) ON CONFLICT (tag) DO NOTHING "
        "RETURNING seq",
        (there, theirs.generation, theirs.about(about, there), theirs.body(body, there), accepted),
    )
    found = take(_DELIVERIES, (seq,)) if made else []
    said = json.loads(body) if found and body else {}
    for number, of, raw_reason, key, *rest in found:
        # Where the key itself is not told, its tag stands for it: an order is never lost.
        ordering = theirs.tag(str(said.get(PARTITION_KEY) or key)) if key else ""
        # Whose turn it is among those of one key is found anew, once all of them are there.
        is_head = rest[2] == WAITING and not ordering
        place = (made[0][0], ordering, theirs.generation, b"", int(is_head), *rest)
        [(new,)] = put(_PUT, place)
        reason = theirs.reason(ours.why(raw_reason, of, number), new)
        put("UPDATE deliveries SET reason = ? WHERE number = ?", (reason, new))
    return len(found)
