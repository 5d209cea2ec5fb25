"""The outbox: events that were accepted, and for each subscription what still has to reach it.

An event and all its deliveries are written in one transaction, before whoever published it hears yes; a delivery goes only
when its subscriber has it, or somebody gave it up. Work is leased: a worker that dies lets go when its lease ends, and so a
delivery may come twice, never not at all. Of the deliveries of one key to one subscription only the oldest can be leased (its
`head`), so their order holds whatever fails. SQLite or PostgreSQL underneath: `outbox_store`; sealed there: `outbox_seal`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from governance.errors import NotFound
from governance.platform.broker.events.outbox_move import Place, move
from governance.platform.broker.events.outbox_rows import COLUMNS, DEAD, WAITING, Ended, Kept, Known, Left, delivery_of
from governance.platform.broker.events.outbox_seal import About, sealed_anew
from governance.platform.broker.events.outbox_tables import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from governance.platform.broker.events.outbox_rows import Accepted, Delivery, Target
    from governance.platform.broker.events.outbox_seal import Keys, Seal
    from governance.platform.broker.events.outbox_store import Execute, Store

_LONGEST_REASON = 500
_UNFETCHED = "nobody fetched it"
_MOST_ENDED = 500
_FROM = "FROM deliveries d JOIN events e ON e.seq = d.seq"
_JOINED = f"SELECT {COLUMNS} {_FROM}"
_OF_AGE = """(d.state = 'dead' AND d.due < ?)
OR (d.state = 'waiting' AND d.pushed = 0 AND d.leased_until <= ? AND e.accepted < ?)"""


class Outbox:
    """All calls may block on the disk or the database; they raise DependencyError where it fails."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys
        store.prepare = partial(prepare, store, keys)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    @contextmanager
    def _sealing(self, *, is_reading: bool = False) -> Iterator[tuple[Execute, Seal]]:
        """A transaction during which the keys stay as they are."""
        with self._store.transaction(is_reading=is_reading) as execute:
            self._store.share(execute)
            yield execute, self._keys.seal(execute, is_reading=is_reading)

    def known(self, source: str, event_id: str) -> Known | None:
        """Whether an event was accepted, and as what."""
        with self._sealing(is_reading=True) as (execute, seal):
            tag = seal.tag(source, event_id)
            rows = execute("SELECT about, generation FROM events WHERE tag = ?", (tag,))
            found = [seal.known(about, generation, tag) for about, generation in rows]
        return Known(found[0].digest, found[0].decision_id) if found else None

    def add(self, event: Accepted, targets: Sequence[Target], now: float) -> bool:
        """Accept an event with everything that follows from it; False where it was accepted before."""
        with self._sealing() as (execute, seal):
            tag, ordering = seal.tag(event.source, event.id), seal.tag(event.ordering)
            about = seal.about(About(event.source, event.id, event.digest, event.decision_id), tag)
            rows = execute(
                "INSERT INTO events (tag, generation, about, body, accepted) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (tag) DO NOTHING RETURNING seq",
                (tag, seal.generation, about, seal.body(event.body if targets else "", tag), now),
            )
            if not rows:
                return False
            seq = rows[0][0]
            for target in sorted(targets):
                place = (target.app, target.subscription, ordering)
                self._store.hold(execute, place)
                is_head = not ordering or not _waiting(execute, place)
                execute(
                    "INSERT INTO deliveries (seq, app, subscription, ordering, state, head, pushed, attempts, due, "
                    "lease, leased_until, generation, reason) VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, '', 0, ?, ?)",
                    (seq, *place, WAITING, int(is_head), int(target.is_pushed), now, seal.generation, b""),
                )
        return True

    def claim(self, now: float, lease_s: float, most: int, of: tuple[str, str], *, is_pushed: bool) -> list[Delivery]:
        """Lease deliveries of one subscription (app, name) that are due, oldest first: those to be sent, or to be fetched."""
        lease = os.urandom(12).hex()
        with self._sealing() as (execute, seal):
            rows = execute(
                f"{_JOINED} WHERE d.state = 'waiting' AND d.head = 1 AND d.pushed = ? AND d.app = ? AND d.subscription = ? "
                f"AND d.due <= ? AND d.leased_until <= ? ORDER BY d.seq LIMIT ? {self._store.skip_locked}",
                (int(is_pushed), *of, now, now, most),
            )
            found = [delivery_of(seal, row) for row in rows]
            found = [one._replace(lease=lease, attempts=one.attempts + 1) for one in found]
            for one in found:
                # Counted before it is tried: an event that kills whoever tries it is given up in the end.
                execute(
                    "UPDATE deliveries SET lease = ?, leased_until = ?, attempts = attempts + 1 WHERE number = ?",
                    (lease, now + lease_s, one.number),
                )
        return found

    def due(self, now: float, most: int = 1000) -> list[tuple[str, str]]:
        """Subscriptions (app, name) for which a worker would find something to send: one read, for who looks often."""
        with self._store.transaction(is_reading=True) as execute:
            rows = execute(
                "SELECT DISTINCT app, subscription FROM deliveries WHERE state = 'waiting' AND head = 1 AND pushed = 1 "
                "AND due <= ? AND leased_until <= ? LIMIT ?",
                (now, now, most),
            )
        return [(str(app), str(subscription)) for app, subscription in rows]

    def done(self, number: int, lease: str, of: tuple[str, str] | None = None) -> bool:
        """A delivery reached its subscriber. False where the lease is no longer this one's: it will come again.

        `of`: app and name of the subscription it has to belong to, where somebody else says that it arrived.
        """
        with self._store.transaction() as execute:
            rows = execute(
                "DELETE FROM deliveries WHERE number = ? AND lease = ? AND state = 'waiting' "
                "AND (? = '' OR (app = ? AND subscription = ?)) RETURNING seq, app, subscription, ordering",
                (number, lease, *_place(of)),
            )
            for seq, *place in rows:
                self._promote(execute, (place[0], place[1], place[2]))
                # Nobody needs what it held any more; that it was there is remembered.
                execute(
                    "UPDATE events SET body = ? WHERE seq = ? AND NOT EXISTS "
                    "(SELECT 1 FROM deliveries d WHERE d.seq = events.seq)",
                    (b"", seq),
                )
        return bool(rows)

    def failed(
        self,
        number: int,
        lease: str,
        reason: str,
        due_after: Callable[[int], float | None],
        of: tuple[str, str] | None = None,
    ) -> bool:
        """A delivery did not reach its subscriber. `due_after` gives the next moment after so many attempts, or None: no more.

        False where the lease is no longer this one's.
        """  # fmt: skip
        with self._sealing() as (execute, seal):
            rows = execute(
                "SELECT attempts FROM deliveries WHERE number = ? AND lease = ? AND state = 'waiting' "
                "AND (? = '' OR (app = ? AND subscription = ?))",
                (number, lease, *_place(of)),
            )
            if not rows:
                return False
            due = due_after(int(rows[0][0]))
            if due is None:
                return self._buried(execute, seal, (number, lease), reason)
            said = seal.reason(reason[:_LONGEST_REASON], number)
            execute(
                "UPDATE deliveries SET due = ?, generation = ?, reason = ?, lease = '', leased_until = 0 "
                "WHERE number = ? AND lease = ?",
                (due, seal.generation, said, number, lease),
            )
        return True

    def bury(self, number: int, lease: str, reason: str) -> bool:
        """Give a delivery up: it stands among the dead letters, and those behind it go on."""
        with self._sealing() as (execute, seal):
            return self._buried(execute, seal, (number, lease), reason)

    def _buried(self, execute: Execute, seal: Seal, leased: tuple[int, str], reason: str) -> bool:
        said = seal.reason(reason[:_LONGEST_REASON], leased[0])
        rows = execute(
            "UPDATE deliveries SET state = 'dead', head = 0, generation = ?, reason = ?, lease = '', leased_until = 0 "
            "WHERE number = ? AND lease = ? AND state = 'waiting' RETURNING app, subscription, ordering",
            (seal.generation, said, *leased),
        )
        for app, subscription, ordering in rows:
            self._promote(execute, (app, subscription, ordering))
        return bool(rows)

    def turned(self, number: int, lease: str, *, is_pushed: bool) -> None:
        """The subscription changed its way while the delivery waited: sent instead of fetched, or the other way round."""
        with self._store.transaction() as execute:
            execute(
                "UPDATE deliveries SET pushed = ?, lease = '', leased_until = 0, attempts = attempts - 1 "
                "WHERE number = ? AND lease = ?",
                (int(is_pushed), number, lease),
            )

    def dead(self, most: int, app: str = "") -> list[Delivery]:
        """Dead letters, oldest first; of one app, or of all."""
        with self._sealing(is_reading=True) as (execute, seal):
            rows = execute(
                f"{_JOINED} WHERE d.state = 'dead' AND (? = '' OR d.app = ?) ORDER BY d.number LIMIT ?",
                (app, app, most),
            )
            return [delivery_of(seal, row) for row in rows]

    def letter(self, number: int) -> Delivery:
        """One dead letter; raises NotFound."""
        with self._sealing(is_reading=True) as (execute, seal):
            return _letter(execute, seal, number)

    def retry(self, number: int, now: float) -> Delivery:
        """Let a dead letter try again, with all its attempts; raises NotFound. It comes after those that passed it."""
        with self._sealing() as (execute, seal):
            found = _letter(execute, seal, number)
            place = (found.app, found.subscription, found.ordering)
            self._store.hold(execute, place)
            is_head = not found.ordering or not _waiting(execute, place)
            execute(
                "UPDATE deliveries SET state = 'waiting', head = ?, attempts = 0, due = ? WHERE number = ?",
                (int(is_head), now, number),
            )
        return found

    def counts(self) -> dict[str, int]:
        """How many deliveries wait, and how many were given up."""
        with self._store.transaction(is_reading=True) as execute:
            rows = execute("SELECT state, count(*) FROM deliveries GROUP BY state", ())
        return {WAITING: 0, DEAD: 0, **{str(state): int(n) for state, n in rows}}

    def tidy(self, now: float, keep_s: float, record: Callable[[Ended], object]) -> None:
        """Forget what is older than `keep_s`: events that are through, and dead letters; what nobody fetched is given up.

        `record` is called for each delivery that ends, before it does; where it raises, nothing has ended. What is more than
        can be recorded at once stays until the next time. Killed in between, a delivery may be recorded twice.
        """
        before = now - keep_s
        self._end_deliveries(now, before, record)
        with self._store.transaction() as execute:
            execute(
                "DELETE FROM events WHERE accepted < ? AND NOT EXISTS "
                "(SELECT 1 FROM deliveries d WHERE d.seq = events.seq)",
                (before,),
            )
            execute(
                "DELETE FROM firings WHERE at < ?",
                (before,),
            )
            self._find_heads(execute)

    def _find_heads(self, execute: Execute) -> None:
        for place in execute(
            "SELECT DISTINCT app, subscription, ordering FROM deliveries d WHERE state = 'waiting' AND head = 0 AND "
            "NOT EXISTS (SELECT 1 FROM deliveries h WHERE h.app = d.app AND h.subscription = d.subscription "
            "AND h.ordering = d.ordering AND h.state = 'waiting' AND h.head = 1)",
            (),
        ):
            self._promote(execute, (place[0], place[1], place[2]))

    def _end_deliveries(self, now: float, before: float, record: Callable[[Ended], object]) -> None:
        with self._sealing(is_reading=True) as (execute, seal):
            rows = execute(
                f"SELECT d.state, {COLUMNS} {_FROM} WHERE {_OF_AGE} ORDER BY d.number LIMIT ?",
                (before, now, before, _MOST_ENDED),
            )
            found = [(state == DEAD, delivery_of(seal, row)) for state, *row in rows]
        for is_dead, one in found:
            change, said = ("deleted", one.reason) if is_dead else ("given_up", _UNFETCHED)
            # No transaction is open: a record takes as long as the log's disk, and others publish meanwhile.
            record(Ended(change, one.number, one.app, one.subscription, one.source, one.id, said))
            self._end(one.number, now, before, is_dead=is_dead)

    def _end(self, number: int, now: float, before: float, *, is_dead: bool) -> None:
        with self._sealing() as (execute, seal):
            if is_dead:
                execute("DELETE FROM deliveries WHERE number = ? AND state = 'dead' AND due < ?", (number, before))
            else:
                execute(
                    "UPDATE deliveries SET state = 'dead', head = 0, generation = ?, reason = ?, due = ? "
                    "WHERE number = ? AND state = 'waiting' AND leased_until <= ?",
                    (seal.generation, seal.reason(_UNFETCHED, number), now, number, now),
                )

    def kept(self, after: int, most: int) -> list[Kept]:
        """Events behind `after` (their `seq`) with what is left of their deliveries, oldest first."""
        with self._sealing(is_reading=True) as (execute, seal):
            rows = execute(
                "SELECT seq, tag, generation, about, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (after, most)
            )
            found = {}
            for seq, tag, generation, about, body in rows:
                known = seal.known(about, generation, tag)
                found[seq] = Kept(seq, known.source, known.id, seal.said(body, generation, tag), [])
            if found:
                for seq, number, app, subscription, generation, reason in execute(
                    "SELECT seq, number, app, subscription, generation, reason FROM deliveries WHERE seq BETWEEN ? AND ?",
                    (min(found), max(found)),
                ):
                    found[seq].deliveries.append(Left(number, app, subscription, seal.why(reason, generation, number)))
        return list(found.values())

    def forget(self, seq: int, *, is_named: bool) -> None:
        """End every delivery of an event and keep nothing of what it said; `is_named`: nor its id, so that it may come anew."""
        with self._store.transaction() as execute:
            for place in execute("DELETE FROM deliveries WHERE seq = ? RETURNING app, subscription, ordering", (seq,)):
                self._promote(execute, (place[0], place[1], place[2]))
            if is_named:
                execute("DELETE FROM events WHERE seq = ?", (seq,))
            else:
                execute("UPDATE events SET body = ? WHERE seq = ?", (b"", seq))

    def scrub(self) -> None:
        """Leave no copy of what was taken away, as far as the database lets us; of the rest, the key that sealed it goes."""
        sealed_anew(self._store, self._keys)
        self._store.scrub()

    def wrap(self, *, is_alone: bool = False) -> None:
        """While the log's key is changed: let the new one open the outbox too; with `is_alone` only that one."""
        with self._store.transaction() as execute:
            self._store.share(execute, alone=True)
            self._keys.wrap(execute, is_alone=is_alone)

    def take_over(self, other: Outbox) -> int:
        """Everything that another one holds comes here, and is there no more; gives how many deliveries there were."""
        count = move(Place(other._store, other._keys), Place(self._store, self._keys))
        with self._store.transaction() as execute:
            self._find_heads(execute)
        other.scrub()
        return count

    def fires(self, app: str, name: str, at: float, now: float, lease_s: float) -> str:
        """Whether this caller fires a schedule's time: `mine`, `taken` by somebody whose lease has not ended, or `done`."""
        with self._store.transaction() as execute:
            rows = execute(
                "INSERT INTO firings (app, name, at, leased_until, done) VALUES (?, ?, ?, ?, 0) "
                "ON CONFLICT (app, name, at) DO UPDATE SET leased_until = excluded.leased_until "
                "WHERE firings.done = 0 AND firings.leased_until <= ? RETURNING at",
                (app, name, at, now + lease_s, now),
            )
            if rows:
                return "mine"
            done = execute("SELECT done FROM firings WHERE app = ? AND name = ? AND at = ?", (app, name, at))
        return "done" if done and done[0][0] else "taken"

    def fired(self, app: str, name: str, at: float) -> None:
        """A schedule's time is dealt with, for good."""
        with self._store.transaction() as execute:
            execute("UPDATE firings SET done = 1 WHERE app = ? AND name = ? AND at = ?", (app, name, at))

    def _promote(self, execute: Execute, place: tuple[str, str, str]) -> None:
        """The oldest of a key that still waits is the next to be leased."""
        if not place[2]:
            return
        self._store.hold(execute, place)
        execute(
            "UPDATE deliveries SET head = 1 WHERE number = (SELECT d.number FROM deliveries d WHERE d.app = ? AND "
            "d.subscription = ? AND d.ordering = ? AND d.state = 'waiting' ORDER BY d.seq LIMIT 1)",
            place,
        )


def _waiting(execute: Execute, place: tuple[str, str, str]) -> bool:
    return bool(
        execute(
            "SELECT 1 FROM deliveries WHERE app = ? AND subscription = ? AND ordering = ? AND state = 'waiting' LIMIT 1",
            place,
        )
    )


def _letter(execute: Execute, seal: Seal, number: int) -> Delivery:
    rows = execute(f"{_JOINED} WHERE d.number = ? AND d.state = 'dead'", (number,))
    if not rows:
        raise NotFound(f"there is no dead letter {number}", hint="governance events dead list")
    return delivery_of(seal, rows[0])


def _place(of: tuple[str, str] | None) -> tuple[str, str, str]:
    """Values for `? = '' OR (app = ? AND subscription = ?)`."""
    return ("", "", "") if of is None else (of[0], *of)
