"""The outbox's tables, and what an earlier version left in clear in them.

Rows of an earlier version are sealed and moved in the transaction that makes the tables, with their numbers; who runs that
version finds its columns gone and takes nothing any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from governance.platform.broker.events.outbox_seal import About

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.platform.broker.events.outbox_seal import Keys, Seal
    from governance.platform.broker.events.outbox_store import Execute, Store

LAST = "sealing"
"""The table that only this version has: where it is, all are."""
# `tag`, `ordering`, `about`, `body` and `reason` are as `outbox_seal` makes them, under the key of the row's generation.
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    seq {identity}, tag TEXT NOT NULL UNIQUE, generation BIGINT NOT NULL, about {bytes} NOT NULL, body {bytes} NOT NULL,
    accepted {real} NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_age ON events (accepted);
CREATE TABLE IF NOT EXISTS deliveries (
    number {identity}, seq BIGINT NOT NULL, app TEXT NOT NULL, subscription TEXT NOT NULL, ordering TEXT NOT NULL,
    state TEXT NOT NULL, head INTEGER NOT NULL, pushed INTEGER NOT NULL, attempts INTEGER NOT NULL, due {real} NOT NULL,
    lease TEXT NOT NULL, leased_until {real} NOT NULL, generation BIGINT NOT NULL, reason {bytes} NOT NULL,
    UNIQUE (seq, app, subscription));
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (pushed, app, subscription, due) WHERE state = 'waiting' AND head = 1;
CREATE INDEX IF NOT EXISTS deliveries_ordered ON deliveries (app, subscription, ordering, seq) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS deliveries_dead ON deliveries (number) WHERE state = 'dead';
CREATE TABLE IF NOT EXISTS firings (
    app TEXT NOT NULL, name TEXT NOT NULL, at {real} NOT NULL, leased_until {real} NOT NULL, done INTEGER NOT NULL,
    PRIMARY KEY (app, name, at));
CREATE TABLE IF NOT EXISTS sealing (
    generation BIGINT NOT NULL, id {bytes} NOT NULL, wrapped {bytes} NOT NULL, PRIMARY KEY (generation, id));
"""
_INDEXES = ("events_by_age", "deliveries_due", "deliveries_ordered", "deliveries_dead")
_PAGE = 500
_EVENTS = (
    "SELECT seq, source, id, digest, decision_id, body, accepted FROM older_events WHERE seq > ? ORDER BY seq LIMIT ?"
)
_COPIED = "seq, app, subscription, state, head, pushed, attempts, due, lease, leased_until"
_DELIVERIES = (
    f"SELECT number, ordering, reason, {_COPIED} FROM older_deliveries WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608  our own names
)


def prepare(store: Store, keys: Keys, execute: Execute) -> bool:
    """Make what is missing; whether rows of an earlier version were moved. Raises DependencyError without the log's key."""
    if store.columns(execute, LAST):
        return False  # somebody else was first
    is_older = "source" in store.columns(execute, "events")
    if is_older:
        for name in _INDEXES:
            execute(f"DROP INDEX IF EXISTS {name}", ())
        for name in ("events", "deliveries"):
            execute(f"ALTER TABLE {name} RENAME TO older_{name}", ())
    for statement in _TABLES.format(**store.types).split(";"):
        if statement.strip():
            execute(statement, ())
    if is_older:
        _move(execute, keys.seal(execute))
        store.number_on(execute)
    return is_older


def _move(execute: Execute, seal: Seal) -> None:
    for seq, source, event_id, digest, decision_id, body, accepted in _rows(execute, _EVENTS):
        tag = seal.tag(source, event_id)
        about = seal.about(About(source, event_id, digest, decision_id), tag)
        execute(
            "INSERT INTO events (seq, tag, generation, about, body, accepted) VALUES (?, ?, ?, ?, ?, ?)",
            (seq, tag, seal.generation, about, seal.body(body, tag), accepted),
        )
    for number, ordering, reason, *copied in _rows(execute, _DELIVERIES):
        sealed = (number, seal.tag(ordering), seal.generation, seal.reason(reason, number))
        execute(
            f"INSERT INTO deliveries (number, ordering, generation, reason, {_COPIED}) "  # noqa: S608  our own names
            f"VALUES (?, ?, ?, ?, {', '.join('?' for _ in copied)})",
            (*sealed, *copied),
        )
    for name in ("events", "deliveries"):
        execute(f"DROP TABLE older_{name}", ())


def _rows(execute: Execute, statement: str) -> Iterator[tuple[Any, ...]]:
    """Page by page; the first column is what the statement goes on by."""
    after = -1
    while found := execute(statement, (after, _PAGE)):
        yield from found
        after = found[-1][0]
