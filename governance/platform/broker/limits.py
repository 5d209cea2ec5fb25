"""The meter: how many calls were made today and within the last minute, and how many requests the gateway let through.

It counts; what is too many is a rule's to say. A call is counted *before* it is decided on and given back when it was
refused. So at every moment the count is at least the number of calls that were let through, and of any number of callers, in
any number of processes, only as many pass as the limit says. One SQLite file, one transaction a call (BEGIN IMMEDIATE): what
cannot be counted is not called.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import DependencyError

if TYPE_CHECKING:
    from pathlib import Path

    from governance.model.request import Json

_MINUTE_S = 60.0
_BUSY_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, at REAL, app TEXT, connector TEXT);
CREATE INDEX IF NOT EXISTS calls_of ON calls (app, connector, at);
CREATE TABLE IF NOT EXISTS days (day TEXT, sort TEXT, name TEXT, n INTEGER, PRIMARY KEY (day, sort, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    period TEXT, sort TEXT, name TEXT, n INTEGER, PRIMARY KEY (period, sort, name)
) WITHOUT ROWID;
"""


class Call(NamedTuple):
    """What a call counts against."""

    app: str
    tenant: str
    area: str
    """Business area: a connector's daily limit is one for the whole area."""
    connector: str


class Taken(NamedTuple):
    """One counted call, and what had been counted before it."""

    id: int
    day: str
    call: Call
    usage: Json
    """Fact `usage`."""


class Answered(NamedTuple):
    """One counted request to an app, and what had been counted before it."""

    day: str
    app: str
    tenant: str
    usage: Json
    """`{app{day, month}, tenant{day, month}}`: `requests` of the fact `usage`."""


class Meter:
    """Counts calls in `folder`; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "usage.db"
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    def take(self, call: Call, now_s: float, day: str) -> Taken:
        """Count one call at `now_s` (seconds since 1970) on `day` (YYYY-MM-DD, UTC). Raises DependencyError."""
        with self._lock:
            try:
                return self._taken(self._open(), call, now_s, day)
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise DependencyError(
                    f"calls cannot be counted: {error}", hint="nothing is called meanwhile"
                ) from error

    def give_back(self, taken: Taken) -> None:
        """Uncount a call that was refused. Best effort: a count that stays too high refuses, and never lets through."""
        with self._lock:
            try:
                database = self._open()
                database.execute("BEGIN IMMEDIATE")
                database.execute("DELETE FROM calls WHERE id = ?", (taken.id,))
                for sort, name in _counters(taken.call):
                    database.execute(
                        "UPDATE days SET n = n - 1 WHERE day = ? AND sort = ? AND name = ?", (taken.day, sort, name)
                    )
                database.execute("COMMIT")
            except (sqlite3.Error, OSError):
                self._drop()

    def take_request(self, app: str, tenant: str, day: str) -> Answered:
        """Count one request to an app on `day` (YYYY-MM-DD, UTC), which is one of its month as well. Raises DependencyError."""
        with self._lock:
            try:
                database = self._open()
                database.execute("BEGIN IMMEDIATE")
                usage: dict[str, dict[str, int]] = {"app": {}, "tenant": {}}
                for sort, name, period, word in _request_counters(app, tenant, day):
                    usage[sort][word] = _counted(database, "requests", period, sort, name)
                database.execute("DELETE FROM requests WHERE period < ?", (day[:7],))
                database.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise DependencyError(f"requests cannot be counted: {error}", hint="none is let through") from error
            return Answered(day, app, tenant, usage)

    def give_back_request(self, answered: Answered) -> None:
        """Uncount a request that was refused; best effort, as `give_back`."""
        with self._lock:
            try:
                database = self._open()
                database.execute("BEGIN IMMEDIATE")
                for sort, name, period, _ in _request_counters(answered.app, answered.tenant, answered.day):
                    database.execute(
                        "UPDATE requests SET n = n - 1 WHERE period = ? AND sort = ? AND name = ?", (period, sort, name)
                    )
                database.execute("COMMIT")
            except (sqlite3.Error, OSError):
                self._drop()

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._drop()

    def _taken(self, database: sqlite3.Connection, call: Call, now_s: float, day: str) -> Taken:
        database.execute("BEGIN IMMEDIATE")
        key = (call.app, call.connector)
        database.execute("DELETE FROM calls WHERE app = ? AND connector = ? AND at <= ?", (*key, now_s - _MINUTE_S))
        (minute,) = database.execute("SELECT count(*) FROM calls WHERE app = ? AND connector = ?", key).fetchone()
        row = database.execute("INSERT INTO calls (at, app, connector) VALUES (?, ?, ?)", (now_s, *key))
        before = {sort: _counted(database, "days", day, sort, name) for sort, name in _counters(call)}
        database.execute("DELETE FROM days WHERE day < ?", (day,))
        database.execute("COMMIT")
        usage = {
            "calls_today": {call.connector: before["area"]},
            "calls_last_minute": {call.connector: minute},
            "app_calls_today": before["app"],
            "tenant_calls_today": before["tenant"],
        }
        return Taken(int(row.lastrowid or 0), day, call, usage)

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._path.chmod(0o600)
            database.execute("PRAGMA journal_mode = WAL")
            # A crash of the machine may lose the last moments' counts; a crash of the process loses none.
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
            self._database = database
        return self._database

    def _drop(self) -> None:
        """Close: what was begun is rolled back, and the next call opens anew."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _counters(call: Call) -> list[tuple[str, str]]:
    return [("area", f"{call.area}/{call.connector}"), ("app", call.app), ("tenant", call.tenant)]


def _request_counters(app: str, tenant: str, day: str) -> list[tuple[str, str, str, str]]:
    periods = ((day, "day"), (day[:7], "month"))
    return [(sort, name, period, word) for sort, name in (("app", app), ("tenant", tenant)) for period, word in periods]


def _counted(database: sqlite3.Connection, table: str, period: str, sort: str, name: str) -> int:
    """How many before this one. `table`: days or requests."""
    (number,) = database.execute(
        f"INSERT INTO {table} VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n",  # noqa: S608
        (period, sort, name),
    ).fetchone()
    return int(number) - 1
