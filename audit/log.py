"""The log: one writer thread that makes whatever queued during the last fsync durable in one commit.

Order of a batch: database commit (fsync), head file (fsync), then the callers are told. So everything anybody was told
of is covered by the signed head, and at start the database may be ahead of the head file but never behind it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import sqlite3
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, Self

from audit.errors import AuditError, LogInUse, LogRolledBack, LogTorn, NotDurable, RecordTooLarge
from audit.head import HeadFile, check_against_head
from audit.keys import SigningKey, load_or_make
from audit.notes import BadNote, opened, parse_checkpoint
from audit.openings import Vault
from audit.reader import LogReader, check_leaves
from audit.record import Entry, Receipt, Sealed, leaf_of, seal
from audit.store import Batch, Row, Store, opening_failure
from audit.tree import EMPTY_ROOT, Frontier, leaf_hash

if TYPE_CHECKING:
    from pathlib import Path

# A batch no larger than this bounds the time a caller can wait behind others.
MOST_IN_A_BATCH = 4096
MOST_QUEUED = 50_000
# Up to this size the whole log is hashed again at start; beyond it only its tail, and `verify_self` does the rest.
CHECKED_AT_START = 50_000
_NOT_JSON = (ValueError, TypeError, RecursionError)
_CLOCK_SLACK = 19  # characters of RFC 3339 up to the second: jumps below that are not worth a note


class _Job(NamedTuple):
    entry: Entry
    sealed: dict[str, Sealed]
    done: Future[Receipt]


class AuditLog:
    """A log that is being written. `append` and `submit` may be called from any thread; `reader` reads it."""

    def __init__(self, home: Path, *, origin: str) -> None:
        """Open (or make) the log in `home`/audit.

        Raises LogInUse, LogRolledBack or LogTorn, each with what to do; a log that does not check out is not served.
        """
        folder = home / "audit"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        with contextlib.ExitStack() as opened_so_far:
            self._lock = _locked(folder)
            opened_so_far.callback(os.close, self._lock)
            try:
                self._key: SigningKey = load_or_make(folder / "key", origin, may_make=not _has_records(folder))
                self._head = HeadFile(folder / "head")
                opened_so_far.callback(self._head.close)
                self._frontier = self._checked()
                self._store = Store(folder / "log.db")
                opened_so_far.callback(self._store.close)
                if self._frontier.size == 0:
                    # Before the first record: killed between that one's commit and its head, the log still opens.
                    self._head.write(self._key.checkpoint(0, EMPTY_ROOT))
                self.reader = LogReader(home, origin=origin, is_checked=True)
            except sqlite3.DatabaseError as error:
                raise opening_failure(error, folder / "log.db") from error
            self._give_back = opened_so_far.pop_all()
        self._vault = Vault(self._store)
        self._sequences: dict[str, int] = {}
        self._last_time = self._store.last_time()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MOST_QUEUED)
        self._is_closing = False
        self._thread = threading.Thread(target=self._write_all, name="audit-writer", daemon=True)
        self._thread.start()

    # -- writing -----------------------------------------------------------------------------------------------------

    def append(self, entry: Entry, timeout_s: float = 30.0) -> Receipt:
        """Return once the entry is durable. Raises NotDurable (or RecordTooLarge): then nothing may be permitted."""
        try:
            return self.submit(entry).result(timeout_s)
        except TimeoutError as error:
            raise NotDurable(f"the record was not durable within {timeout_s:g} s") from error

    def submit(self, entry: Entry) -> Future[Receipt]:
        """Queue an entry; the future is done when it is durable. Raises NotDurable when the queue is full."""
        job = _Job(entry, _sealed(entry), Future())
        # A caller that gave up must not be able to take its answer away from the thread that is about to give it.
        job.done.set_running_or_notify_cancel()
        if self._is_closing or not self._thread.is_alive():
            raise NotDurable("the log is closed")
        try:
            self._jobs.put_nowait(job)
        except queue.Full as error:
            raise NotDurable(f"{MOST_QUEUED} records wait for the disk already") from error
        return job.done

    def close(self) -> None:
        """Write what is queued, then close."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        while not self._jobs.empty():  # queued behind the end by a thread that had just seen the log open
            late = self._jobs.get_nowait()
            if late is not None:
                late.done.set_exception(NotDurable("the log is closed"))
        self.reader.close()
        self._give_back.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_all(self) -> None:
        while True:
            batch, last = self._next_batch()
            if batch:
                self._write(batch)
            if last:
                return

    def _next_batch(self) -> tuple[list[_Job], bool]:
        first = self._jobs.get()
        if first is None:
            return [], True
        batch = [first]
        while len(batch) < MOST_IN_A_BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False

    def _write(self, batch: list[_Job]) -> None:
        """Write one batch; on any failure nobody in it is told yes, and the state is what it was."""
        last_time = self._last_time
        try:
            receipts = self._commit(batch)
        except Exception as error:  # noqa: BLE001  whatever the disk did, the callers must hear a no
            # Whether the batch reached the database is the database's to say: what memory guessed is dropped.
            self._sequences.clear()
            self._vault.forget_unwritten()
            self._last_time = last_time
            failure = NotDurable(f"the log could not be written: {error}")
            for job in batch:
                job.done.set_exception(failure)
            return
        for job, receipt in receipts:
            if isinstance(receipt, AuditError):
                job.done.set_exception(receipt)
            else:
                job.done.set_result(receipt)

    def _commit(self, batch: list[_Job]) -> list[tuple[_Job, Receipt | AuditError]]:
        frontier = self._frontier.copy()
        rows: list[Row] = []
        nodes: list[tuple[int, int, bytes]] = []
        placed: list[tuple[_Job, Row, bytes]] = []
        refused: list[tuple[_Job, Receipt | AuditError]] = []
        for job in batch:
            try:
                row = self._row(job, frontier.size)
            except (RecordTooLarge, *_NOT_JSON) as error:
                refused.append((job, error if isinstance(error, AuditError) else NotDurable(f"not JSON: {error}")))
                continue
            digest = leaf_hash(row.leaf)
            nodes += frontier.append(digest)
            rows.append(row)
            placed.append((job, row, digest))
        if rows:
            note = self._key.checkpoint(frontier.size, frontier.root())
            self._store.append(Batch(rows, nodes, self._vault.take_new_keys(), frontier.size, note))
            # From here on the batch is in the database: it stays, whether or not the head file takes it.
            self._frontier = frontier
            self._head.write(note)
        return [
            *refused,
            *((job, Receipt(row.index, digest.hex(), row.app_sequence, frontier.size)) for job, row, digest in placed),
        ]

    def _row(self, job: _Job, index: int) -> Row:
        entry = job.entry
        public = entry.public
        app = str(public.get("app", ""))
        sequence = self._sequences.get(app)
        sequence = (self._store.app_sequence(app) if sequence is None else sequence) + 1
        back = self._last_time if entry.time[:_CLOCK_SLACK] < self._last_time[:_CLOCK_SLACK] else ""
        commitments = {name: sealed.commitment for name, sealed in job.sealed.items()}
        leaf = leaf_of(entry, commitments, index=index, app_sequence=sequence, clock_back=back)
        opening = self._vault.sealed(entry.subject, index, job.sealed) if job.sealed else b""
        row = Row(
            index=index,
            leaf=leaf,
            kind=entry.kind,
            time=entry.time,
            decision_id=str(public.get("decision_id", "")),
            app=app,
            app_sequence=sequence,
            tenant=str(public.get("tenant", "")),
            actor=str(public.get("actor", "")),
            effect=str(public.get("effect", "")),
            rules=tuple(dict.fromkeys(str(rule) for rule in public.get("rules", ()))),
            subject=entry.subject,
            opening=opening,
        )
        row.check_storable()
        self._sequences[app] = sequence
        self._last_time = max(self._last_time, entry.time)
        return row

    # -- opening -----------------------------------------------------------------------------------------------------

    def _checked(self) -> Frontier:
        """The right edge after the start-up check.

        Looks through a connection that cannot write: closing one that can would fold a damaged write-ahead log into the
        database and remove it, and with it whatever could still be saved.
        """
        head = self._head.newest(self._key.verifier)
        if not (self._folder / "log.db").exists():
            if head is not None and head.size:
                raise LogRolledBack(f"{self._folder}/log.db is missing, its signed head says {head.size} records")
            return Frontier()
        with contextlib.closing(Store(self._folder / "log.db", read_only=True)) as store:
            check_against_head(store, head, self._folder)
            size = store.size()
            try:
                if size:
                    self._check_hashes(store, size)
                return store.frontier(size)
            except KeyError as error:
                raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error

    def _check_hashes(self, store: Store, size: int) -> None:
        try:
            own = parse_checkpoint(opened(store.head_note(), self._key.verifier))
        except BadNote as error:
            raise LogTorn(f"the checkpoint in the database is not this log's: {error}") from error
        if own.size != size or store.frontier(size).root() != own.root:
            raise LogTorn(f"the database's {size} records do not fit its own checkpoint of {own.size}: restore it")
        start = 0 if size <= CHECKED_AT_START else size - CHECKED_AT_START
        check_leaves(store, start, size)


def _sealed(entry: Entry) -> dict[str, Sealed]:
    try:
        return {name: seal(value) for name, value in entry.sealed.items()}
    except _NOT_JSON as error:
        raise NotDurable(f"not JSON: {error}") from error


def _has_records(folder: Path) -> bool:
    """Whether something is there that a key was used for; a second key would only hide that the first is lost."""
    head = folder / "head"
    return (folder / "log.db").exists() or (head.exists() and head.stat().st_size > 0)


def _locked(folder: Path) -> int:
    """Take the writer's lock; it goes with the process, so a killed writer leaves none behind."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LogInUse(f"{folder}: another process writes this log; stop it, or use its service") from error
    return descriptor
