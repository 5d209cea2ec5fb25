"""A log that several replicas share in PostgreSQL: this replica's end of it.

An entry goes into the inbox, and is acknowledged when it is a record under a signed checkpoint that this replica has written
into its own head file. Order: inbox (nothing is promised yet), the sequencer's commit, this replica's look at the signed
checkpoint (it verifies, and continues what was seen before), head file (fsync), then the caller is told. A connection that
breaks in between is a no to everybody who waits; a record may then exist of a decision whose caller was told no, never the
other way round.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from uuid import UUID

from audit import inbox
from audit.errors import AuditError, LogRolledBack, LogTorn, NotDurable, refusal
from audit.head import HeadFile
from audit.keys import load_or_make
from audit.notes import BadNote, Checkpoint, opened_by_any, parse_checkpoint
from audit.postgres import failing, migrate
from audit.postgres_store import PLACED, PostgresStore
from audit.reader import LogReader
from audit.record import Entry, Receipt
from audit.sequencer import Bell, Place, Sequencer, check_may_sign
from audit.startup import locked
from audit.tree import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audit.keys import SigningKey
    from audit.log_store import LogStore
    from audit.postgres import Connection, Database

MOST_WAITING = 50_000
_MOST_AT_ONCE = 2048
_TICK_S = 0.5
_LONGEST_ACT_S = 120.0


class _Sent(NamedTuple):
    """Somebody who waits."""

    entry_id: bytes
    what: str
    value: Any
    done: Future[Any]
    give_up_at: float
    """On the monotonic clock."""


class SharedLog:
    """This replica's end of the log. `append`, `submit` and `act` may be called from any thread; `reader` reads it."""

    def __init__(
        self, home: Path, *, origin: str, database: Database, complain: Callable[[str], object], timeout_s: float = 30.0
    ) -> None:
        """Open (or make) the log; raises LogInUse, LogRolledBack, LogTorn or LogUnusable, each with what to do."""
        folder = home / "audit"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database, self._timeout_s = database.checked(), timeout_s
        with contextlib.ExitStack() as opened_so_far:
            opened_so_far.callback(os.close, locked(folder))
            with contextlib.closing(database.connect()) as connection:
                migrate(connection)
            store = opened_so_far.enter_context(contextlib.closing(PostgresStore(database)))
            key = load_or_make(folder / "key", origin, may_make=not store.head_note())
            check_may_sign(store.head_note(), origin, key)
            self._head = HeadFile(folder / "head")
            opened_so_far.callback(self._head.close)
            self._seen = self._head.newest(key.verifiers)
            self.reader = LogReader(home, origin=origin, is_checked=True, database=database)
            opened_so_far.callback(self.reader.close)
            self._check(store)
            self._give_back = opened_so_far.pop_all()
        self._store = store
        self._sent: queue.SimpleQueue[_Sent] = queue.SimpleQueue()
        self._waiting: dict[bytes, _Sent] = {}
        self._is_closing, self._distrust = False, ""
        self._wake_up, self._woken = os.pipe()
        os.set_blocking(self._wake_up, False)
        os.set_blocking(self._woken, False)
        self._sequencer = Sequencer(Place(home, origin, database, self._check), complain)
        self._thread = threading.Thread(target=self._run, name="audit-replica", daemon=True)
        self._thread.start()

    # -- asking ------------------------------------------------------------------------------------------------------

    def append(self, entry: Entry, timeout_s: float = 30.0) -> Receipt:
        """Return once the entry is durable. Raises NotDurable: then nothing may be permitted."""
        try:
            return self.submit(entry).result(timeout_s)
        except TimeoutError as error:
            raise NotDurable(f"the record was not durable within {timeout_s:g} s") from error

    def submit(self, entry: Entry) -> Future[Receipt]:
        """Send an entry on its way; the future is done when it is durable."""
        return self._send(inbox.ENTRY, inbox.entry_value(entry), self._timeout_s)

    def act(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Have whoever writes the log carry out a verb of `audit.custody`; raises AuditError with what it said against it."""
        try:
            return dict(self._send(inbox.ACT, [verb, arguments], _LONGEST_ACT_S).result(_LONGEST_ACT_S + _TICK_S))
        except TimeoutError as error:
            raise NotDurable("the sequencer did not answer; whether it was done, `audit list` says") from error

    def distrust(self, reason: str) -> None:
        """Take nothing any more, and write nothing for others: the log is not what it was."""
        self._distrust = self._distrust or reason
        self._sequencer.resign()
        self._ring()

    @property
    def distrusted(self) -> str:
        """Why nothing is taken any more; empty: it is."""
        return self._distrust

    @property
    def key(self) -> SigningKey:
        """What signs now."""
        return self.reader.signing_key

    @property
    def is_elected(self) -> bool:
        """Whether this replica writes the log now."""
        return self._sequencer.is_elected

    def _send(self, what: str, value: Any, timeout_s: float) -> Future[Any]:
        if self._distrust:
            raise NotDurable(f"the log is not trusted any more: {self._distrust}")
        if self._is_closing or not self._thread.is_alive():
            raise NotDurable("the log is closed")
        if self._sent.qsize() + len(self._waiting) >= MOST_WAITING:
            raise NotDurable(f"{MOST_WAITING} records wait for the database already")
        done: Future[Any] = Future()
        done.set_running_or_notify_cancel()
        self._sent.put(_Sent(inbox.new_entry_id(), what, value, done, time.monotonic() + timeout_s))
        self._ring()
        return done

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of wake-ups already
            os.write(self._woken, b".")

    def close(self) -> None:
        """Wait for what is on its way, then close."""
        if self._is_closing:
            return
        self._is_closing = True
        self._ring()
        self._thread.join()
        self._sequencer.stop()
        os.close(self._wake_up)
        os.close(self._woken)
        self._give_back.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._is_done():
            try:
                with contextlib.closing(self._database.connect()) as connection, failing("went away"):
                    self._serve(connection)
            except (LogRolledBack, LogTorn) as error:
                self.distrust(str(error))
            except Exception as error:  # noqa: BLE001  whatever it was, everybody who waits must hear a no
                self._fail_all(error)
                time.sleep(_TICK_S)
        self._fail_all(NotDurable(self._distrust or "the log is closed"))

    def _serve(self, connection: Connection) -> None:
        bell, looked_at = Bell(connection, PLACED), 0.0
        while not self._is_done():
            self._put(connection)
            if bell.has_rung() or time.monotonic() - looked_at > _TICK_S:
                looked_at = time.monotonic()
                self._collect(connection)
            if self._sent.empty():
                bell.wait(_TICK_S, self._wake_up)
                self._drain_wake_ups()

    def _is_done(self) -> bool:
        if self._distrust:
            return True
        return self._is_closing and not self._waiting and self._sent.empty()

    def _drain_wake_ups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_up, 4096)

    def _fail_all(self, why: BaseException) -> None:
        while not self._sent.empty():
            late = self._sent.get_nowait()
            self._waiting[late.entry_id] = late
        error = NotDurable(f"{why.code}: {why}" if isinstance(why, AuditError) else f"the log cannot be reached: {why}")
        for sent in self._waiting.values():
            sent.done.set_exception(error)
        self._waiting.clear()

    def _put(self, connection: Connection) -> None:
        """What was sent since the last time, in one transaction."""
        rows: list[tuple[bytes, str, bytes]] = []
        seal = inbox.Seal(self.key) if not self._sent.empty() else None
        while seal is not None and len(rows) < _MOST_AT_ONCE and not self._sent.empty():
            sent = self._sent.get_nowait()
            self._waiting[sent.entry_id] = sent
            rows.append((sent.entry_id, sent.what, seal.sealed(sent.value, sent.entry_id + sent.what.encode())))
        if rows:
            inbox.put(connection, rows)

    def _collect(self, connection: Connection) -> None:
        """Tell those whose entries are records, and those who were refused or waited too long."""
        if not self._waiting:
            return
        ids = [UUID(bytes=entry_id) for entry_id in self._waiting]
        sql = "SELECT entry_id, idx, leaf, app_sequence FROM leaves WHERE entry_id = ANY(%s)"
        placed = connection.execute(sql, (ids,)).fetchall()
        if placed:
            seen = self._look(max(row[1] for row in placed))
            for entry_id, index, leaf, app_sequence in placed:
                sent = self._waiting.pop(entry_id.bytes)
                sent.done.set_result(Receipt(index, leaf_hash(bytes(leaf)).hex(), app_sequence, seen.size))
        self._take_answers(connection, ids)
        late = [sent for sent in self._waiting.values() if sent.give_up_at < time.monotonic()]
        if late:
            inbox.withdraw(connection, [sent.entry_id for sent in late])
        for sent in late:
            del self._waiting[sent.entry_id]
            sent.done.set_exception(NotDurable("no sequencer wrote the record in time; is a replica elected?"))

    def _take_answers(self, connection: Connection, ids: list[UUID]) -> None:
        taken = connection.execute("DELETE FROM answers WHERE id = ANY(%s) RETURNING id, body", (ids,)).fetchall()
        seal = inbox.Seal(self.key) if taken else None
        for entry_id, body in taken:
            sent = self._waiting.pop(entry_id.bytes, None)
            if sent is None or seal is None:
                continue
            try:
                said = seal.opened(bytes(body), sent.entry_id + b"answer")
            except NotDurable as error:
                sent.done.set_exception(error)
                continue
            if isinstance(said, dict):
                sent.done.set_result(said)
            else:
                sent.done.set_exception(refusal(*said))

    def _look(self, index: int) -> Checkpoint:
        """The signed checkpoint over a record, after it went into this replica's head file; raises where it does not fit."""
        note = self._store.head_note()
        newest = self._verified(note)
        if newest.size <= index:
            raise LogTorn(f"record {index} is in the database, and its checkpoint covers only {newest.size}")
        check_continues(self._store, self._seen, newest)
        if self._seen is None or newest != self._seen:
            self._head.write(note)
            self._seen = newest
        return newest

    def _verified(self, note: str) -> Checkpoint:
        try:
            return parse_checkpoint(opened_by_any(note, self.key.verifiers))
        except BadNote as error:
            raise LogTorn(
                f"the log's checkpoint is not signed by this replica's key ({error}); all replicas need the same "
                "<home>/audit/key"
            ) from error

    def _check(self, store: LogStore) -> None:
        """Raises unless a store holds everything that this replica saw signed."""
        note = store.head_note()
        newest = self._verified(note) if note else None
        check_continues(store, self._seen, newest)
        if newest is None and store.size():
            raise LogTorn("the database holds records and no checkpoint: restore the database")


def check_continues(store: LogStore, seen: Checkpoint | None, newest: Checkpoint | None) -> None:
    """Raise LogRolledBack or LogTorn unless the log of the `newest` checkpoint is that of `seen`, or its continuation."""
    if seen is None or (newest is not None and newest == seen):
        return
    if newest is None or newest.size < seen.size:
        raise LogRolledBack(
            f"the database's log has {newest.size if newest else 0} records, this replica saw {seen.size} signed: an older "
            "copy of the database, or a standby that was behind. Restore the newest copy; do not delete the head file"
        )
    try:
        root = store.frontier(seen.size).root()
    except KeyError as error:
        raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error
    if root != seen.root:
        raise LogTorn(f"the first {seen.size} records are not those that this replica saw signed: restore the database")
