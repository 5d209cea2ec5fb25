"""The log: one writer thread that makes whatever queued during the last fsync durable in one commit.

Order of a batch: database commit (fsync), head file (fsync), then the callers are told. So everything anybody was told
of is covered by the signed head, and at start the database may be ahead of the head file but never behind it.
"""

from __future__ import annotations

import fcntl
import os
import queue
import sqlite3
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, Self

from audit.errors import AuditError, LogInUse, LogRolledBack, LogTorn, NotDurable, RecordTooLarge
from audit.head import HeadFile
from audit.keys import SigningKey, load_or_make
from audit.notes import BadNote, Checkpoint, checkpoint_text, opened, parse_checkpoint, signed
from audit.openings import Vault
from audit.reader import LogReader, check_leaves
from audit.record import Entry, Receipt, Sealed, leaf_of, seal
from audit.store import Batch, Row, Store
from audit.tree import Frontier, leaf_hash

if TYPE_CHECKING:
    from pathlib import Path

# A batch no larger than this bounds the time a caller can wait behind others.
MOST_IN_A_BATCH = 4096
MOST_QUEUED = 50_000
# Up to this size the whole log is hashed again at start; beyond it only its tail, and `verify_self` does the rest.
CHECKED_AT_START = 50_000
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
        self._lock = _locked(folder)
        try:
            self._key: SigningKey = load_or_make(folder / "key", origin)
            self._store = Store(folder / "log.db")
            self._head = HeadFile(folder / "head")
            self._frontier = self._checked()
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, sqlite3.DatabaseError):
                raise LogTorn(f"{folder}/log.db cannot be read ({error}): restore the database") from error
            raise
        self._vault = Vault(self._store)
        self.reader = LogReader(home, origin=origin)
        self._sequences: dict[str, int] = {}
        self._last_time = self._store.last_time()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(MOST_QUEUED)
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
        job = _Job(entry, {name: seal(value) for name, value in entry.sealed.items()}, Future())
        if not self._thread.is_alive():
            raise NotDurable("the log is closed")
        try:
            self._jobs.put_nowait(job)
        except queue.Full as error:
            raise NotDurable(f"{MOST_QUEUED} records wait for the disk already") from error
        return job.done

    def close(self) -> None:
        """Write what is queued, then close."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self.reader.close()
        self._store.close()
        self._head.close()
        os.close(self._lock)

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
        try:
            receipts = self._commit(batch)
        except Exception as error:  # noqa: BLE001  whatever the disk did, the callers must hear a no
            # Whether the batch reached the database is the database's to say: what memory guessed is dropped.
            self._sequences.clear()
            self._vault.forget_unwritten()
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
            except (RecordTooLarge, ValueError, TypeError) as error:
                refused.append((job, error if isinstance(error, AuditError) else NotDurable(f"not JSON: {error}")))
                continue
            digest = leaf_hash(row.leaf)
            nodes += frontier.append(digest)
            rows.append(row)
            placed.append((job, row, digest))
        if rows:
            note = self._note(frontier)
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
        self._sequences[app] = sequence
        self._last_time = max(self._last_time, entry.time)
        return Row(
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

    def _note(self, frontier: Frontier) -> str:
        text = checkpoint_text(Checkpoint(self._key.verifier.name, frontier.size, frontier.root()))
        return signed(text, self._key.verifier, self._key.sign(text.encode()))

    # -- opening -----------------------------------------------------------------------------------------------------

    def _checked(self) -> Frontier:
        """The right edge after the start-up check."""
        size, head = self._store.size(), self._head.newest(self._key.verifier)
        if head is None and size == 0:
            return Frontier()
        if head is None:
            raise LogTorn(
                f"{self._folder}/head is missing beside a log of {size} records: "
                "restore it from the machine or backup the database came from"
            )
        if size < head.size:
            raise LogRolledBack(
                f"the log holds {size} records, its signed head says {head.size}: an older copy of the database, or its "
                "write-ahead log lost its end. Restore the newest copy; do not delete the head file"
            )
        try:
            self._check_hashes(size, head)
        except KeyError as error:
            raise LogTorn(f"the log's hashes are incomplete ({error.args[0]}): restore the database") from error
        return self._store.frontier(size)

    def _check_hashes(self, size: int, head: Checkpoint) -> None:
        if self._store.frontier(head.size).root() != head.root:
            raise LogTorn(
                f"the first {head.size} records are not those the signed head speaks of: restore the database"
            )
        try:
            own = parse_checkpoint(opened(self._store.head_note(), self._key.verifier))
        except BadNote as error:
            raise LogTorn(f"the checkpoint in the database is not this log's: {error}") from error
        if own.size != size or self._store.frontier(size).root() != own.root:
            raise LogTorn(f"the database's {size} records do not fit its own checkpoint of {own.size}: restore it")
        start = 0 if size <= CHECKED_AT_START else size - CHECKED_AT_START
        check_leaves(self._store, start, size)


def _locked(folder: Path) -> int:
    """Take the writer's lock; it goes with the process, so a killed writer leaves none behind."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LogInUse(f"{folder}: another process writes this log; stop it, or use its service") from error
    return descriptor
