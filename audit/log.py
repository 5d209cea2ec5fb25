"""The log: one writer thread that makes whatever queued during the last fsync durable in one commit.

Order of a batch: database commit (fsync), head file (fsync), then the callers are told. So everything anybody was told
of is covered by the signed head, and at start the database may be ahead of the head file but never behind it.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, Self

from audit.errors import AuditError, BatchRefused, NotDurable, RecordTooLarge
from audit.openings import Vault
from audit.record import Entry, Receipt, Sealed, leaf_of, seal
from audit.rows import Batch, Change, Row, texts_of
from audit.startup import Opened, open_embedded
from audit.subjects import Wraps
from audit.tree import leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from audit.keys import SigningKey
    from audit.log_store import LogStore

# A batch no larger than this bounds the time a caller can wait behind others.
MOST_IN_A_BATCH = 4096
MOST_QUEUED = 50_000
_NOT_JSON = (ValueError, TypeError, RecursionError)
_CLOCK_SLACK = 19  # characters of RFC 3339 up to the second: jumps below that are not worth a note


class _Job(NamedTuple):
    entry: Entry
    sealed: dict[str, Sealed]
    done: Future[Receipt]
    entry_id: bytes = b""


class Amendment(NamedTuple):
    """Records, and what leaves the store in the commit that writes them."""

    entries: Sequence[Entry]
    changes: Sequence[Change] = ()


class Amended(NamedTuple):
    """What became of an amendment."""

    receipts: tuple[Receipt, ...]
    note: str
    """The checkpoint that covers it."""


class _Task(NamedTuple):
    work: Callable[[], Amended]
    done: Future[Amended]


class AuditLog:
    """A log that is being written. `append` and `submit` may be called from any thread; `reader` reads it."""

    def __init__(self, home: Path, *, origin: str, opened: Opened | None = None) -> None:
        """Open (or make) the log in `home`/audit; `opened`: one that stands elsewhere, and belongs to this one from now on.

        Raises LogInUse, LogRolledBack or LogTorn, each with what to do; a log that does not check out is not served.
        """
        parts = opened or open_embedded(home, origin)
        self._folder, self._key, self._store, self._frontier, self.reader, self._keep_head, self._give_back = parts
        self._store.wraps = lambda: self._wraps
        self._wraps = Wraps(self._key.seeds)
        if self._store.has_subjects_in_clear():  # written by an earlier version
            wrapping = [Change(wraps=self._wraps)]
            self._store.append(Batch([], [], [], self._frontier.size, self._store.head_note(), wrapping))
            self._store.scrub()
        self._vault = Vault(self._store)
        self._sequences: dict[str, int] = {}
        self._last_time = self._store.last_time()
        self._jobs: queue.SimpleQueue[_Job | _Task | None] = queue.SimpleQueue()
        self._is_closing = False
        self._distrust = ""
        self._thread = threading.Thread(target=self._write_all, name="audit-writer", daemon=True)
        self._thread.start()

    # -- writing -----------------------------------------------------------------------------------------------------

    def append(self, entry: Entry, timeout_s: float = 30.0) -> Receipt:
        """Return once the entry is durable. Raises NotDurable (or RecordTooLarge): then nothing may be permitted."""
        try:
            return self.submit(entry).result(timeout_s)
        except TimeoutError as error:
            raise NotDurable(f"the record was not durable within {timeout_s:g} s") from error

    def submit(self, entry: Entry, entry_id: bytes = b"") -> Future[Receipt]:
        """Queue an entry; the future is done when it is durable. Raises NotDurable when the queue is full."""
        job = _Job(entry, _sealed(entry), Future(), entry_id)
        # A caller that gave up must not be able to take its answer away from the thread that is about to give it.
        job.done.set_running_or_notify_cancel()
        self._queue(job)
        return job.done

    def amend(self, plan: Callable[[LogStore, Vault, int], Amendment]) -> Future[Amended]:
        """Carry out a plan between two batches: it sees the store and the next index, and says what to write and take away.

        All of it is one commit. What the plan raises, the future raises, and nothing was changed. When something was taken
        away, the future is done only after no copy of it stands in the write-ahead log any more.
        """
        return self._between(lambda: self._amended(plan))

    def rotate_key(self, entry: Callable[[SigningKey], Entry], key: SigningKey | None) -> Future[Amended]:
        """Sign with `key` from now on (None: with the newest alone again) and record that; both sign while there are two."""
        return self._between(lambda: self._rotated(entry, key))

    def distrust(self, reason: str) -> None:
        """Take nothing any more: the log is not what it was. Everybody who asks hears the reason."""
        self._distrust = self._distrust or reason

    @property
    def key(self) -> SigningKey:
        """What signs now."""
        return self._key

    @property
    def distrusted(self) -> str:
        """Why nothing is taken any more; empty: it is."""
        return self._distrust

    def _between(self, work: Callable[[], Amended]) -> Future[Amended]:
        done: Future[Amended] = Future()
        done.set_running_or_notify_cancel()
        self._queue(_Task(work, done))
        return done

    def _queue(self, item: _Job | _Task) -> None:
        if self._distrust:
            raise NotDurable(f"the log is not trusted any more: {self._distrust}")
        if self._is_closing or not self._thread.is_alive():
            raise NotDurable("the log is closed")
        if self._jobs.qsize() >= MOST_QUEUED:
            raise NotDurable(f"{MOST_QUEUED} records wait for the disk already")
        self._jobs.put(item)

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
            batch, then = self._next_batch()
            if batch:
                self._write(batch)
            if then is None:
                return
            if isinstance(then, _Task):
                try:
                    then.done.set_result(then.work())
                except Exception as error:  # noqa: BLE001  whatever it was, the one who asked must hear it
                    then.done.set_exception(error)

    def _next_batch(self) -> tuple[list[_Job], _Task | bool | None]:
        """Jobs for one commit, and what comes behind them: a task, None for the end, True for more of the same."""
        batch: list[_Job] = []
        item = self._jobs.get()
        while isinstance(item, _Job):
            batch.append(item)
            if len(batch) == MOST_IN_A_BATCH:
                return batch, True
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return batch, True
        return batch, item

    def _write(self, batch: list[_Job]) -> None:
        """Write one batch; on any failure nobody in it is told yes, and the state is what it was."""
        last_time = self._last_time
        try:
            if self._distrust:
                raise NotDurable(f"the log is not trusted any more: {self._distrust}")  # noqa: TRY301  one way out
            receipts = self._commit(batch)
        except Exception as error:  # noqa: BLE001  whatever the disk did, the callers must hear a no
            # Whether the batch reached the database is the database's to say: what memory guessed is dropped.
            self._sequences.clear()
            self._vault.forget()
            self._last_time = last_time
            failure = error if isinstance(error, BatchRefused) else NotDurable(f"the log could not be written: {error}")
            for job in batch:
                job.done.set_exception(failure)
            return
        for job, receipt in receipts:
            if isinstance(receipt, AuditError):
                job.done.set_exception(receipt)
            else:
                job.done.set_result(receipt)

    def _amended(self, plan: Callable[[LogStore, Vault, int], Amendment]) -> Amended:
        amendment = plan(self._store, self._vault, self._frontier.size)
        amended = self._appended(amendment.entries, amendment.changes)
        if amendment.changes:
            self._store.scrub()
        return amended

    def _rotated(self, entry: Callable[[SigningKey], Entry], key: SigningKey | None) -> Amended:
        before = self._key
        if key is not None:
            key.save(self._folder / "key")
            self._sign_with(key)
        # Whose keys are wrapped is for the new key alone to open, before the old one goes.
        changes = [Change(wraps=Wraps(before.alone().seeds))] if key is None else []
        try:
            amended = self._appended([entry(self._key)], changes)
        except BaseException:
            before.save(self._folder / "key")
            self._sign_with(before)
            raise
        if key is None:
            before.alone().save(self._folder / "key")
            self._sign_with(before.alone())
        return amended

    def _sign_with(self, key: SigningKey) -> None:
        self._key, self._wraps = key, Wraps(key.seeds)

    def _appended(self, entries: Sequence[Entry], changes: Sequence[Change] = ()) -> Amended:
        """The entries in one commit, all of them or none."""
        last_time = self._last_time
        try:
            jobs = [_Job(entry, _sealed(entry), Future()) for entry in entries]
            receipts = [receipt for _, receipt in self._commit(jobs, changes, whole=True)]
        except BaseException:
            self._sequences.clear()
            self._last_time = last_time
            raise
        finally:
            self._vault.forget()
        return Amended(tuple(r for r in receipts if isinstance(r, Receipt)), self._store.head_note())

    def _commit(
        self, batch: list[_Job], changes: Sequence[Change] = (), *, whole: bool = False
    ) -> list[tuple[_Job, Receipt | AuditError]]:
        """`whole`: one that cannot be a record keeps the others from being written."""
        frontier = self._frontier.copy()
        rows: list[Row] = []
        nodes: list[tuple[int, int, bytes]] = []
        placed: list[tuple[_Job, Row, bytes]] = []
        refused: list[tuple[_Job, Receipt | AuditError]] = []
        for job in batch:
            try:
                row = self._row(job, frontier.size)
            except (RecordTooLarge, *_NOT_JSON) as error:
                if whole:
                    raise error if isinstance(error, AuditError) else NotDurable(f"not JSON: {error}") from error
                refused.append((job, error if isinstance(error, AuditError) else NotDurable(f"not JSON: {error}")))
                continue
            digest = leaf_hash(row.leaf)
            nodes += frontier.append(digest)
            rows.append(row)
            placed.append((job, row, digest))
        if rows:
            note = self._key.checkpoint(frontier.size, frontier.root())
            self._store.append(Batch(rows, nodes, self._vault.take_new_keys(), frontier.size, note, changes))
            # From here on the batch is in the database: it stays, whether or not the head file takes it.
            self._frontier = frontier
            self._keep_head(note)
        return [
            *refused,
            *((job, Receipt(row.index, digest.hex(), row.app_sequence, frontier.size)) for job, row, digest in placed),
        ]

    def _row(self, job: _Job, index: int) -> Row:
        entry = job.entry
        entry.subject.encode()  # before a key is made for it: one that cannot be stored would fail the whole batch
        public = entry.public
        app = str(public.get("app", ""))
        sequence = self._sequences.get(app)
        sequence = (self._store.app_sequence(app) if sequence is None else sequence) + 1
        back = self._last_time if entry.time[:_CLOCK_SLACK] < self._last_time[:_CLOCK_SLACK] else ""
        commitments = {name: sealed.commitment for name, sealed in job.sealed.items()}
        leaf = leaf_of(entry, commitments, index=index, app_sequence=sequence, clock_back=back)
        subject, opening = self._vault.sealed(entry.subject, index, job.sealed) if job.sealed else (0, b"")
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
            trace_id=str(public.get("trace_id", "")),
            rules=texts_of(public, "rules"),
            connectors=texts_of(public, "connectors"),
            subject=subject,
            opening=opening,
            entry_id=job.entry_id,
        )
        row.check_storable()
        self._sequences[app] = sequence
        self._last_time = max(self._last_time, entry.time)
        return row


def _sealed(entry: Entry) -> dict[str, Sealed]:
    try:
        return {name: seal(value) for name, value in entry.sealed.items()}
    except _NOT_JSON as error:
        raise NotDurable(f"not JSON: {error}") from error
