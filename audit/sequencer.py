"""One of several replicas writes the log: it is elected, takes what waits in the inbox, and writes it in batches.

The lock is an advisory one of the session that writes, so it ends with that session. A sequencer that was killed loses it at
once; one that hangs stops saying that it lives, and after STALE_S another replica has the server end its session. Either
way the next one raises the epoch, without which no transaction of the old one commits any more.
"""

from __future__ import annotations

import contextlib
import select
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from audit import inbox
from audit.custody import Custody
from audit.errors import AuditError, BatchRefused, LogTorn, NotDurable
from audit.log import MOST_IN_A_BATCH, AuditLog
from audit.notes import signature_of
from audit.postgres import failing
from audit.postgres_store import PLACED, PostgresStore
from audit.reader import LogReader
from audit.startup import Opened, checked_store
from audit.tree import EMPTY_ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from audit.inbox import Waiting
    from audit.keys import SigningKey
    from audit.postgres import Connection, Database
    from audit.record import Receipt

LOCK = 0x61756471
_TICK_S = 0.5
# After it failed as the elected one, others come first.
_AGAIN_S = 1.5
STALE_S = 5


class Place(NamedTuple):
    """What a replica brings along."""

    home: Path
    origin: str
    database: Database
    check: Callable[[PostgresStore], None]
    """Raises unless the database holds what this replica saw signed."""


class Sequencer:
    """A thread that stands for election, and writes while it is elected."""

    def __init__(self, place: Place, complain: Callable[[str], object]) -> None:
        self._place, self._complain = place, complain
        self._stopped = threading.Event()
        self._said = ""
        self.is_elected = False
        """Whether this replica writes the log now."""
        self._thread = threading.Thread(target=self._run, name="audit-sequencer", daemon=True)
        self._thread.start()

    def resign(self) -> None:
        """Give the lock up, after the batch that is being written; what waits is for the next one."""
        self._stopped.set()

    def stop(self) -> None:
        """The same, and wait until it is so."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with contextlib.closing(PostgresStore(self._place.database, read_only=False)) as store:
                    self._stand(store)
            except Exception as error:  # noqa: BLE001  whatever it was, this replica stands for election again
                self.is_elected = False
                if str(error) != self._said:
                    self._said = str(error)
                    self._complain(f"audit sequencer: {error or type(error).__name__}\n")
                self._stopped.wait(_AGAIN_S)
            self.is_elected = False
            self._stopped.wait(_TICK_S)

    def _stand(self, store: PostgresStore) -> None:
        """Ask for the lock until it is ours, then write until that ends."""
        while not self._stopped.is_set():
            with failing("does not hold the election"):
                if elect(store):
                    break
                depose_stale(store.connection)
            self._stopped.wait(_TICK_S)
        else:
            return
        with _Pulse(self._place.database, store):
            self._lead(store)

    def _lead(self, store: PostgresStore) -> None:
        place = self._place
        place.check(store)
        reader = LogReader(place.home, origin=place.origin, is_checked=True, database=place.database)
        with contextlib.closing(reader):
            key = reader.signing_key
            check_may_sign(store.head_note(), place.origin, key)
            frontier = checked_store(store, key.verifiers)
            if not store.head_note():
                with failing("did not take the first checkpoint"):
                    begin(store, key.checkpoint(0, EMPTY_ROOT))
            # The head files are the replicas' own: each writes what it saw before it tells anybody.
            opened = Opened(place.home / "audit", key, store, frontier, reader, _kept_by_others, contextlib.ExitStack())
            self.is_elected, self._said = True, ""
            with AuditLog(place.home, origin=place.origin, opened=opened) as log:
                self._serve(_Work(log, store), store)
        if store.lost:
            raise NotDurable(store.lost)

    def _serve(self, work: _Work, store: PostgresStore) -> None:
        with contextlib.closing(self._place.database.connect()) as connection, failing("does not hand out what waits"):
            bell = Bell(connection, inbox.WAITING)
            while not self._stopped.is_set() and not store.lost:
                bell.has_rung()
                if not work.step(connection):
                    bell.wait(_TICK_S)


def _kept_by_others(_note: str) -> None:
    pass


class _Work:
    """What the elected one does with what waits."""

    def __init__(self, log: AuditLog, store: PostgresStore) -> None:
        self._log, self._store = log, store
        self._custody, self._seal = Custody(log), inbox.Seal(log.key)

    def step(self, connection: Connection) -> bool:
        """Write what waits; whether there was anything. Leaves in the inbox what could not be written now."""
        rows = inbox.waiting(connection, MOST_IN_A_BATCH)
        self._seal = inbox.Seal(self._log.key)
        entries: list[Waiting] = []
        for row in rows:
            if row.is_known:
                inbox.withdraw(connection, [row.entry_id])
            elif row.what == inbox.ACT:
                # In order: what came before an erasure is written before it.
                self._write(connection, entries)
                entries = []
                self._act(connection, row)
            else:
                entries.append(row)
        self._write(connection, entries)
        return bool(rows)

    def _write(self, connection: Connection, rows: list[Waiting]) -> None:
        """One batch; where it holds something that the database refuses, one after the other, so that only that is refused."""
        for row, failure in self._written(rows):
            if isinstance(failure, BatchRefused) and len(rows) > 1:
                for alone, why in self._written([row]):
                    self._refuse(connection, alone, why)
            else:
                self._refuse(connection, row, failure)

    def _written(self, rows: list[Waiting]) -> list[tuple[Waiting, BaseException]]:
        """The rows that did not become records, each with why."""
        if self._store.lost:
            return []
        submitted: list[tuple[Waiting, Future[Receipt]]] = []
        failed: list[tuple[Waiting, BaseException]] = []
        for row in rows:
            try:
                entry = inbox.value_entry(self._seal.opened(row.body, row.bound))
                submitted.append((row, self._log.submit(entry, row.entry_id)))
            except AuditError as error:
                failed.append((row, error))
        for row, done in submitted:
            failure = done.exception()
            if failure is not None:
                failed.append((row, failure))
        return failed

    def _refuse(self, connection: Connection, row: Waiting, why: BaseException) -> None:
        if self._store.lost:
            return  # it stays in the inbox: whoever is elected next writes it
        code = why.code if isinstance(why, AuditError) else AuditError.code
        inbox.answer(connection, self._seal, row, [code, str(why)], PLACED)

    def _act(self, connection: Connection, row: Waiting) -> None:
        """A verb is taken out of the inbox before it is carried out: at most once, whoever dies meanwhile."""
        if self._store.lost or not inbox.withdraw(connection, [row.entry_id]):
            return
        said: Any
        try:
            verb, arguments = self._seal.opened(row.body, row.bound)
            said = self._custody.act(verb, arguments)
        except AuditError as error:
            said = [error.code, str(error)]
        except (OSError, TimeoutError) as error:
            said = [NotDurable.code, str(error) or type(error).__name__]
        self._seal = inbox.Seal(self._log.key)  # the verb may have been a new key
        inbox.answer(connection, self._seal, row, said, PLACED)


class _Pulse:
    """Says every second that the elected one lives, and hears when it is not any more; a connection and a thread of its own."""

    def __init__(self, database: Database, store: PostgresStore) -> None:
        self._database, self._store = database, store
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-pulse", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        beat = "UPDATE sequencer SET beat = clock_timestamp() WHERE EXISTS (SELECT 1 FROM head WHERE epoch = %s)"
        while not self._stopped.is_set():
            with contextlib.suppress(AuditError), contextlib.closing(self._database.connect()) as connection:
                while not self._stopped.is_set():
                    with failing("does not take the pulse"):
                        is_ours = connection.execute(beat, (self._store.epoch,)).rowcount
                    if not is_ours:
                        self._store.lost = self._store.lost or "another process was elected to write the log meanwhile"
                        return
                    self._stopped.wait(1.0)
            self._stopped.wait(_TICK_S)


def elect(store: PostgresStore) -> bool:
    """Take the lock if nobody has it, and raise the epoch; whether this session may write now."""
    run = store.connection.execute
    if run("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() != (True,):
        return False
    if run("SELECT setting FROM pg_settings WHERE name = 'fsync'").fetchone() != ("on",):
        raise LogTorn("the PostgreSQL server runs with fsync off: it would acknowledge what a power cut takes away")
    with store.connection.transaction():
        run("UPDATE sequencer SET beat = clock_timestamp()")
        row = run("UPDATE head SET epoch = epoch + 1 WHERE one = 1 RETURNING epoch").fetchone()
    if row is None:
        raise LogTorn("the database's head is missing: restore the database")
    store.epoch = int(row[0])
    return True


def depose_stale(connection: Connection) -> None:
    """End the session of a sequencer that has not said for STALE_S that it lives; by the server's clock alone."""
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks, sequencer WHERE locktype = 'advisory' AND granted "
        "AND classid = 0 AND objid = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND beat < clock_timestamp() - make_interval(secs => %s)",
        (LOCK, STALE_S),
    )


def begin(store: PostgresStore, note: str) -> None:
    """Pin the key of an empty log: a replica with another one is found out before its first record."""
    store.connection.execute(
        "UPDATE head SET note = %s WHERE one = 1 AND epoch = %s AND note = '' AND size = 0", (note, store.epoch)
    )


def check_may_sign(note: str, origin: str, key: SigningKey) -> None:
    """Raises LogTorn where a key that this replica has not signs the log: it would go on with one that was replaced."""
    ours = {verifier.key_id for verifier in key.verifiers}
    for line in note.partition("\n\n")[2].splitlines():
        name, raw = signature_of(line)
        if name == origin and raw[:4] not in ours:
            raise LogTorn(
                "the log in the database is signed with another key: give this replica the <home>/audit/key of the others"
            )


class Bell:
    """Hears what is said on a channel; what is said while a statement runs is not lost."""

    def __init__(self, connection: Connection, channel: str) -> None:
        self._connection, self._has_rung = connection, False
        connection.execute(f"LISTEN {channel}".encode())

    def has_rung(self) -> bool:
        """Whether it rang since this was asked the last time."""
        self._hear()
        rang, self._has_rung = self._has_rung, False
        return rang

    def wait(self, timeout_s: float, *also: int) -> None:
        """Return when it rings, when a descriptor of `also` can be read, or after the time."""
        self._hear()
        if not self._has_rung:
            select.select([self._connection.fileno(), *also], [], [], timeout_s)

    def _hear(self) -> None:
        for _ in self._connection.notifies(timeout=0):
            self._has_rung = True
