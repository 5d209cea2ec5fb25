"""The meter: how many calls were made today and within the last minute. It counts; what is too many is a rule's to say.

A call is counted *before* it is decided on and given back when it was refused. So at every moment the count is at least the
number of calls that were let through, and of any number of callers, in any number of processes, only as many pass as the
limit says. One SQLite file, one transaction a call (BEGIN IMMEDIATE): what cannot be counted is not called.
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
CREATE TABLE IF NOT EXISTS costs
    (month TEXT, sort TEXT, name TEXT, microeur INTEGER, PRIMARY KEY (month, sort, name)) WITHOUT ROWID;
"""


class Call(NamedTuple):
    """What a call counts against."""

    app: str
    tenant: str
    area: str
    """Business area: a connector's daily limit is one for the whole area."""
    connector: str
    most_microeur: int = 0
    """The most that it may cost, in millionths of a euro: set aside until it is known which operation it was."""


class Taken(NamedTuple):
    """One counted call, and what had been counted before it."""

    id: int
    day: str
    call: Call
    usage: Json
    """Fact `usage`."""


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

    def finish(self, taken: Taken, cost_microeur: int | None) -> None:
        """Uncount a call that was refused (None), or take down what one that went out costs.

        Best effort: a count that stays too high refuses, and never lets through.
        """
        if cost_microeur == taken.call.most_microeur:
            return
        with self._lock:
            try:
                database = self._open()
                database.execute("BEGIN IMMEDIATE")
                if cost_microeur is None:
                    _uncount(database, taken)
                _spend(database, taken, (cost_microeur or 0) - taken.call.most_microeur)
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
        before = {sort: _counted(database, day, sort, name) for sort, name in _counters(call)}
        spent = {sort: _spent(database, day[:7], sort, name) for sort, name in _spenders(call)}
        database.execute("DELETE FROM days WHERE day < ?", (day,))
        usage = {
            "calls_today": {call.connector: before["area"]},
            "calls_last_minute": {call.connector: minute},
            "app_calls_today": before["app"],
            "tenant_calls_today": before["tenant"],
            "app_microeur": spent["app"],
            "tenant_microeur": spent["tenant"],
        }
        taken = Taken(int(row.lastrowid or 0), day, call, usage)
        _spend(database, taken, call.most_microeur)
        database.execute("COMMIT")
        return taken

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


def _counted(database: sqlite3.Connection, day: str, sort: str, name: str) -> int:
    """How many before this one."""
    (number,) = database.execute(
        "INSERT INTO days VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1 RETURNING n", (day, sort, name)
    ).fetchone()
    return int(number) - 1


def _uncount(database: sqlite3.Connection, taken: Taken) -> None:
    database.execute("DELETE FROM calls WHERE id = ?", (taken.id,))
    for sort, name in _counters(taken.call):
        database.execute("UPDATE days SET n = n - 1 WHERE day = ? AND sort = ? AND name = ?", (taken.day, sort, name))


def _spenders(call: Call) -> list[tuple[str, str]]:
    return [("app", call.app), ("tenant", call.tenant)]


def _spent(database: sqlite3.Connection, month: str, sort: str, name: str) -> int:
    key = (month, sort, name)
    row = database.execute("SELECT microeur FROM costs WHERE month = ? AND sort = ? AND name = ?", key).fetchone()
    return 0 if row is None else int(row[0])


def _spend(database: sqlite3.Connection, taken: Taken, microeur: int) -> None:
    for sort, name in _spenders(taken.call) if microeur else ():
        database.execute(
            "INSERT INTO costs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET microeur = microeur + excluded.microeur",
            (taken.day[:7], sort, name, microeur),
        )
