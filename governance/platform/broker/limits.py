"""The meter: how many calls were made today and within the last minute, what they cost, and how many requests passed.

It counts; what is too many is a rule's to say.
A call is counted *before* it is decided on and given back when it was refused. So at every moment the count is at least the
number of calls that were let through, and of any number of callers, in any number of processes, only as many pass as the
limit says. One transaction a call that no other runs beside, in a SQLite file of the home or in the replicas' database: what
cannot be counted is not called.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from governance.errors import DependencyError
from governance.state.sqlite import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from governance.model.request import Json

    Run = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]

_MINUTE_S = 60.0
_BUSY_S = 5.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS usage_calls (id INTEGER PRIMARY KEY, at REAL, app TEXT, connector TEXT);
CREATE INDEX IF NOT EXISTS usage_calls_of ON usage_calls (app, connector, at);
CREATE TABLE IF NOT EXISTS usage_days (
    day TEXT, sort TEXT, name TEXT, n INTEGER, PRIMARY KEY (day, sort, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage_requests (
    period TEXT, sort TEXT, name TEXT, n INTEGER, PRIMARY KEY (period, sort, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage_costs (
    month TEXT, sort TEXT, name TEXT, microeur INTEGER, PRIMARY KEY (month, sort, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage_runtime (
    day TEXT, tenant TEXT, app TEXT, calls INTEGER, fuel INTEGER, cpu_ms REAL, memory_mib_s REAL, egress_calls INTEGER,
    egress_bytes INTEGER, PRIMARY KEY (day, tenant, app)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS usage_writers (writer TEXT PRIMARY KEY, number INTEGER, at REAL) WITHOUT ROWID;
"""
_DAYS = (
    "INSERT INTO usage_days VALUES (?, ?, ?, 1) "
    "ON CONFLICT (day, sort, name) DO UPDATE SET n = usage_days.n + 1 RETURNING n"
)
_REQUESTS = (
    "INSERT INTO usage_requests VALUES (?, ?, ?, 1) "
    "ON CONFLICT (period, sort, name) DO UPDATE SET n = usage_requests.n + 1 RETURNING n"
)
_COSTS = (
    "INSERT INTO usage_costs VALUES (?, ?, ?, ?) "
    "ON CONFLICT (month, sort, name) DO UPDATE SET microeur = usage_costs.microeur + excluded.microeur"
)


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

    def is_settled_by(self, cost_microeur: int | None) -> bool:
        """Whether what was counted and set aside is what the call came to; None for one that was refused."""
        return cost_microeur == self.call.most_microeur


class Answered(NamedTuple):
    """One counted request to an app, and what had been counted before it."""

    day: str
    app: str
    tenant: str
    usage: Json
    """`{app{day, month}, tenant{day, month}}`: `requests` of the fact `usage`."""


class Counters(Protocol):
    """Where the counts are: tables `usage_calls`, `usage_days`, `usage_requests`, `usage_costs`, those of `runtime_usage`."""

    def alone(self) -> AbstractContextManager[Run]:
        """One transaction that no other runs beside. Gives what runs a statement (placeholders `?`) and answers its rows.

        Raises DependencyError where it was not carried out.
        """

    def close(self) -> None:
        """Let go of the database."""


class Meter:
    """Counts calls; safe to use from several threads and processes."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def take(self, call: Call, now_s: float, day: str) -> Taken:
        """Count one call at `now_s` (seconds since 1970) on `day` (YYYY-MM-DD, UTC). Raises DependencyError."""
        key = (call.app, call.connector)
        with self._counters.alone() as run:
            run("DELETE FROM usage_calls WHERE app = ? AND connector = ? AND at <= ?", (*key, now_s - _MINUTE_S))
            ((minute,),) = run("SELECT count(*) FROM usage_calls WHERE app = ? AND connector = ?", key)
            ((number,),) = run(
                "INSERT INTO usage_calls (at, app, connector) VALUES (?, ?, ?) RETURNING id", (now_s, *key)
            )
            before = {sort: _counted(run, _DAYS, day, sort, name) for sort, name in _counters_of(call)}
            spent = {sort: _spent(run, day[:7], sort, name) for sort, name in _spenders_of(call)}
            _spend(run, day[:7], call, call.most_microeur)
            # The day before stays: another machine's midnight may be a moment later.
            run("DELETE FROM usage_days WHERE day < ?", (_day_before(day),))
        usage = {
            "calls_today": {call.connector: before["area"]},
            "calls_last_minute": {call.connector: int(minute)},
            "app_calls_today": before["app"],
            "tenant_calls_today": before["tenant"],
            "app_microeur": spent["app"],
            "tenant_microeur": spent["tenant"],
        }
        return Taken(int(number), day, call, usage)

    def finish(self, taken: Taken, cost_microeur: int | None) -> None:
        """Uncount a call that was refused (None), or take down what one that went out costs.

        Best effort: a count that stays too high refuses, and never lets through.
        """
        if taken.is_settled_by(cost_microeur):
            return
        with suppress(DependencyError), self._counters.alone() as run:
            if cost_microeur is None:
                _uncount(run, taken)
            _spend(run, taken.day[:7], taken.call, (cost_microeur or 0) - taken.call.most_microeur)

    def take_request(self, app: str, tenant: str, day: str) -> Answered:
        """Count one request to an app on `day` (YYYY-MM-DD, UTC), which is one of its month as well. Raises DependencyError."""
        usage: dict[str, dict[str, int]] = {"app": {}, "tenant": {}}
        with self._counters.alone() as run:
            for sort, name, period, word in _request_counters(app, tenant, day):
                usage[sort][word] = _counted(run, _REQUESTS, period, sort, name)
            # As for calls: the month of the day before stays, and the day before with it.
            run("DELETE FROM usage_requests WHERE period < ?", (_day_before(day)[:7],))
        return Answered(day, app, tenant, {sort: dict(counts) for sort, counts in usage.items()})

    def give_back_request(self, answered: Answered) -> None:
        """Uncount a request that was refused; best effort, as `finish`."""
        with suppress(DependencyError), self._counters.alone() as run:
            for sort, name, period, _ in _request_counters(answered.app, answered.tenant, answered.day):
                run(
                    "UPDATE usage_requests SET n = n - 1 WHERE period = ? AND sort = ? AND name = ?",
                    (period, sort, name),
                )

    def close(self) -> None:
        """Let go of the database."""
        self._counters.close()


class FileCounters:
    """Counts in one SQLite file (BEGIN IMMEDIATE)."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "usage.db"
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None

    @contextmanager
    def alone(self) -> Iterator[Run]:
        """Whatever goes wrong, the file is opened anew the next time."""
        with self._lock:
            try:
                database = self._open()
                database.execute("BEGIN IMMEDIATE")
                yield lambda sql, values: database.execute(sql, values).fetchall()
                database.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise DependencyError(
                    f"calls cannot be counted: {error}", hint="nothing is called meanwhile"
                ) from error
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._drop()

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            database = connected(self._path, _BUSY_S)
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


def _counters_of(call: Call) -> list[tuple[str, str]]:
    return [("area", f"{call.area}/{call.connector}"), ("app", call.app), ("tenant", call.tenant)]


def _request_counters(app: str, tenant: str, day: str) -> list[tuple[str, str, str, str]]:
    periods = ((day, "day"), (day[:7], "month"))
    return [(sort, name, period, word) for sort, name in (("app", app), ("tenant", tenant)) for period, word in periods]


def _counted(run: Run, sql: str, period: str, sort: str, name: str) -> int:
    """How many before this one. `sql`: `_DAYS` or `_REQUESTS`."""
    ((number,),) = run(sql, (period, sort, name))
    return int(number) - 1


def _uncount(run: Run, taken: Taken) -> None:
    run("DELETE FROM usage_calls WHERE id = ?", (taken.id,))
    for sort, name in _counters_of(taken.call):
        run("UPDATE usage_days SET n = n - 1 WHERE day = ? AND sort = ? AND name = ?", (taken.day, sort, name))


def _spenders_of(call: Call) -> list[tuple[str, str]]:
    return [("app", call.app), ("tenant", call.tenant)]


def _spent(run: Run, month: str, sort: str, name: str) -> int:
    rows = run("SELECT microeur FROM usage_costs WHERE month = ? AND sort = ? AND name = ?", (month, sort, name))
    return int(rows[0][0]) if rows else 0


def _spend(run: Run, month: str, call: Call, microeur: int) -> None:
    for sort, name in _spenders_of(call) if microeur else ():
        run(_COSTS, (month, sort, name, microeur))


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
