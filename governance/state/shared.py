"""The state of several replicas in PostgreSQL, held in each process as it was at most a second ago.

A thread asks four times a second for what changed since; a change is one transaction under the clock's row lock, so that
versions appear in their order and none is passed over. Where the newest answer is more than a second old, reading waits a
moment for another and then raises: a process that was cut off from the database lets nobody in, and knows no app, rather than
going by what may have been revoked.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from audit.errors import AuditError
from audit.keys import load_or_make
from audit.postgres import failing
from governance.errors import DependencyError
from governance.state.schema import migrate, seal_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from audit.postgres import Connection, Database
    from governance.state.port import Held
    from governance.state.schema import Seal

OLDEST_S = 1.0
_POLL_S = 0.25
_PATIENCE_S = 2.0
_CHANGED = """
SELECT c.version, d.name, d.version, d.body FROM state_clock c LEFT JOIN state_documents d ON d.version > %s ORDER BY d.version
"""


class SharedState:
    """One connection and one thread a process, begun with the first use. May be used from any thread."""

    def __init__(self, database: Database, key_file: Path, origin: str) -> None:
        """`key_file`: the log's signing key, which has to be there and is the same for all replicas."""
        self._database, self._key_file, self._origin = database, key_file, origin
        self._documents: dict[str, bytes | DependencyError] = {}
        self._stamps: dict[str, int] = {}
        self._seen, self._as_of, self._failure = 0, float("-inf"), ""
        self._known = threading.Condition()
        self._asked = threading.Event()
        self._thread: threading.Thread | None = None
        self._seal: Seal | None = None
        """The same for as long as there is a state; it only has to be wrapped for a new key of the log."""

    def pulse(self) -> object:
        """The version of the newest change."""
        self._settle(time.monotonic() - OLDEST_S)
        return self._seen

    def stamp(self, name: str, *, newest: bool = False) -> object:
        """The version of the newest change of a document, or in a folder."""
        self._settle(time.monotonic() - (0 if newest else OLDEST_S))
        return self._stamps.get(name)

    def read(self, name: str) -> bytes | None:
        """From memory. Raises DependencyError also for one that no replica wrote."""
        self._settle(time.monotonic() - OLDEST_S)
        found = self._documents.get(name)
        if isinstance(found, DependencyError):
            raise found
        return found

    def names(self, folder: str) -> list[str]:
        """From memory."""
        self._settle(time.monotonic() - OLDEST_S)
        with self._known:
            return sorted(name for name in self._documents if name.rpartition("/")[0] == folder)

    def change(self, name: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        """As `change_together`."""
        self.change_together((name,), lambda held: (edit(held[0]),))

    def change_together(self, names: Sequence[str], edit: Callable[[Held], Held]) -> None:
        """One transaction, on a connection of its own; seen here when it returns, elsewhere within a second."""
        with (
            self._told(),
            contextlib.closing(self._database.connect()) as connection,
            failing("did not take the change"),
        ):
            seal = self._seal or self._prepared(connection)
            with connection.transaction():
                connection.execute("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'")
                self._replace(connection, seal, names, edit)
        if self._thread is not None:
            with contextlib.suppress(DependencyError):  # it is done, whether or not it can be seen here
                self._settle(time.monotonic())

    def _replace(self, connection: Connection, seal: Seal, names: Sequence[str], edit: Callable[[Held], Held]) -> None:
        clock = connection.execute("SELECT version FROM state_clock FOR UPDATE").fetchone()
        version = int(clock[0]) if clock else 0
        before = tuple(_held(connection, seal, name) for name in names)
        for name, old, new in zip(names, before, edit(before), strict=True):
            if new == old:
                continue
            version += 1
            connection.execute("UPDATE state_clock SET version = %s", (version,))
            connection.execute(
                "INSERT INTO state_documents VALUES (%s, %s, %s) "
                "ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body",
                (name, version, None if new is None else seal.sealed(new, name, version)),
            )

    def _settle(self, since: float) -> None:
        """Return once what is held is as of `since` (monotonic) or later. Raises DependencyError where it cannot be had."""
        if self._as_of >= since:
            return
        with self._known:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="shared-state", daemon=True)
                self._thread.start()
            self._asked.set()
            self._known.wait_for(lambda: self._as_of >= since or self._failure, _PATIENCE_S)
            if self._as_of < since:
                # From now on at once, until the database answers: nobody else has to wait to be refused.
                self._failure = self._failure or "the database does not answer"
                raise DependencyError(
                    f"the replicas' state cannot be had: {self._failure}", hint="nothing is allowed meanwhile"
                )

    def _follow(self) -> None:
        while True:
            try:
                with self._told(), contextlib.closing(self._database.connect()) as connection:
                    self._ask(connection)
            except DependencyError as error:
                self._fail(str(error))
            except Exception as error:  # noqa: BLE001  the outermost edge of this thread: whatever it was, it goes on
                self._fail(type(error).__name__)
            time.sleep(_POLL_S)

    def _fail(self, why: str) -> None:
        with self._known:
            self._failure = why
            self._known.notify_all()

    def _ask(self, connection: Connection) -> None:
        """Until something fails: what changed since the last time."""
        key_stamp, seal = self._key_stamp(), self._prepared(connection)
        while True:
            if key_stamp != self._key_stamp():  # a new key beside the old one: the state has to open with either
                key_stamp, seal = self._key_stamp(), self._prepared(connection)
            self._asked.clear()
            began = time.monotonic()
            with failing("does not answer"):
                rows = connection.execute(_CHANGED.encode(), (self._seen,)).fetchall()
            self._take(rows, seal, began)
            self._asked.wait(_POLL_S)

    def _take(self, rows: list[tuple[int, str | None, int, bytes | None]], seal: Seal, began: float) -> None:
        newest = rows[0][0] if rows else -1
        if newest < self._seen:
            raise DependencyError(f"the database's state is older than what was seen ({newest}, not {self._seen})")
        opened = [(name, version, _opened(seal, name, version, body)) for _, name, version, body in rows if name]
        with self._known:
            for name, version, content in opened:
                folder = name.rpartition("/")[0]
                self._stamps[name] = self._stamps[folder] = version
                if content is None:
                    self._documents.pop(name, None)
                    del self._stamps[name]
                else:
                    self._documents[name] = content
            self._seen, self._as_of, self._failure = max(newest, self._seen), began, ""
            self._known.notify_all()

    def _prepared(self, connection: Connection) -> Seal:
        with failing("cannot be used"):
            migrate(connection)
            self._seal = seal_of(connection, load_or_make(self._key_file, self._origin, may_make=False))
            return self._seal

    def _key_stamp(self) -> tuple[int, int]:
        try:
            status = self._key_file.stat()
        except OSError:
            return (0, 0)
        return status.st_mtime_ns, status.st_ino

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """The audit log's errors, which say what PostgreSQL said, as this service's."""
        try:
            yield
        except AuditError as error:
            raise DependencyError(str(error)) from error


def _held(connection: Connection, seal: Seal, name: str) -> bytes | None:
    row = connection.execute("SELECT version, body FROM state_documents WHERE name = %s", (name,)).fetchone()
    return None if row is None or row[1] is None else seal.opened(bytes(row[1]), name, int(row[0]))


def _opened(seal: Seal, name: str, version: int, body: bytes | None) -> bytes | DependencyError | None:
    """One that no replica wrote holds up no other: only whoever asks for it is told."""
    try:
        return None if body is None else seal.opened(bytes(body), name, version)
    except DependencyError as error:
        return error
