"""What running apps used, by day, tenant and app: kept for charging it to whoever is to pay.

A pool says what each call used; sums are written down by a thread of their own, once a second while there are any. So a process
that is killed loses the calls that ended within its last second and those that were running, and nothing else; one that ends
writes down the rest. Each writing is numbered within its transaction: one whose answer was lost is not counted twice when it is
tried again. A store that is away loses nothing while the process lives. A call counts for the day (UTC) on which it ended.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, DependencyError
from governance.model.moment import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from governance.model.request import Json
    from governance.platform.broker.limits import Counters
    from runtime_adapters.port import Usage

FLUSH_S = 1.0
"""What a killed process may lose, in seconds."""
_AGAIN_S = 5.0
_MOST_ROWS = 10_000
_FOREVER = ("0000-00-00", "9999-99-99")
_SUMS = ("calls", "fuel", "cpu_ms", "memory_mib_s", "egress_calls", "egress_bytes")
_ADD = (
    "INSERT INTO usage_runtime VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (day, tenant, app) DO UPDATE SET "
    "calls = usage_runtime.calls + excluded.calls, fuel = usage_runtime.fuel + excluded.fuel, "
    "cpu_ms = usage_runtime.cpu_ms + excluded.cpu_ms, "
    "memory_mib_s = usage_runtime.memory_mib_s + excluded.memory_mib_s, "
    "egress_calls = usage_runtime.egress_calls + excluded.egress_calls, "
    "egress_bytes = usage_runtime.egress_bytes + excluded.egress_bytes"
)
_NUMBER = (
    "INSERT INTO usage_writers VALUES (?, ?, ?) "
    "ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at"
)
_KEPT_S = 86_400.0
BY = ("app", "tenant", "day")
_GROUPS = {"app": "tenant, app, ''", "tenant": "tenant, '', ''", "day": "tenant, app, day"}


class Sums(NamedTuple):
    """What was used; members as in `runtime_adapters.port.Usage`."""

    calls: int = 0
    fuel: int = 0
    cpu_ms: float = 0.0
    memory_mib_s: float = 0.0
    egress_calls: int = 0
    egress_bytes: int = 0


class Row(NamedTuple):
    """Sums of one tenant, app or day; what they are not divided by is empty."""

    tenant: str
    app: str
    day: str
    sums: Sums


class _Batch(NamedTuple):
    number: int
    sums: dict[tuple[str, str, str], Sums]


class UsageBook:
    """Writes down what a pool's calls used. Safe to use from several threads; `close` writes the rest."""

    def __init__(self, counters: Counters, complain: Callable[[str], object], now: Callable[[], str] = utc_now) -> None:
        """`complain` hears, once each time, that nothing can be written; `now`: RFC 3339."""
        self._counters, self._complain, self._now = counters, complain, now
        self._writer = os.urandom(12).hex()
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str, str], Sums] = {}
        self._pending: _Batch | None = None
        self._writing = threading.Lock()
        self._numbers = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="usage", daemon=True)
        self._thread.start()

    def meter(self, tenant: str, app: str, before: Usage, after: Usage) -> None:
        """Take down one call; what `runtime_adapters.pool.Pool` asks for. Never waits for the store."""
        used = _sums(tuple(getattr(after, name) - getattr(before, name) for name in _SUMS))
        key = self._now()[:10], tenant, app
        with self._lock:
            self._sums[key] = added([self._sums.get(key, Sums()), used])

    def flush(self) -> None:
        """Write down what there is. Raises DependencyError; then it stays, and is tried again."""
        with self._writing:
            while self._pending is not None or self._sums:
                if self._pending is None:
                    with self._lock:
                        self._numbers += 1
                        self._pending, self._sums = _Batch(self._numbers, self._sums), {}
                self._write(self._pending)
                self._pending = None

    def close(self) -> None:
        """Write down the rest, and say where that cannot be."""
        self._ended.set()
        self._thread.join()
        try:
            self.flush()
        except DependencyError as error:
            self._complain(f"usage of the last moments was lost: {error}\n")
        self._counters.close()

    def _follow(self) -> None:
        wait_s, said = FLUSH_S, ""
        while not self._ended.wait(wait_s):
            try:
                self.flush()
                wait_s, said = FLUSH_S, ""
            except DependencyError as error:
                wait_s = _AGAIN_S
                if str(error) != said:
                    said = str(error)
                    self._complain(
                        f"usage is not written down meanwhile, and lost if this process is killed: {error}\n"
                    )

    def _write(self, batch: _Batch) -> None:
        now_s = time.time()
        with self._counters.alone() as run:
            rows = run("SELECT number FROM usage_writers WHERE writer = ?", (self._writer,))
            if rows and int(rows[0][0]) >= batch.number:
                return
            for key, sums in batch.sums.items():
                run(_ADD, (*key, *sums))
            run(_NUMBER, (self._writer, batch.number, now_s))
            run("DELETE FROM usage_writers WHERE at < ? AND writer <> ?", (now_s - _KEPT_S, self._writer))


def used(counters: Counters, *, by: str = "app", tenant: str = "", app: str = "", days: tuple[str, str]) -> list[Row]:
    """Sums by `app`, `tenant` or `day` of a period, both days included, in that order.

    Raises CallerError for more rows than one answer holds, DependencyError where the counts cannot be had.
    """
    given = [(name, value) for name, value in (("tenant", tenant), ("app", app)) if value]
    conditions = "".join(f" AND {name} = ?" for name, _ in given)
    # Nothing of it is anybody's text: names of columns stand here, values do not.
    sql = (
        f"SELECT {_GROUPS[by]}, {', '.join(f'SUM({name})' for name in _SUMS)} FROM usage_runtime "  # noqa: S608
        f"WHERE day >= ? AND day <= ?{conditions} GROUP BY 1, 2, 3 ORDER BY 3, 1, 2 LIMIT {_MOST_ROWS + 1}"
    )
    with counters.alone() as run:
        rows = run(sql, (*days, *(value for _, value in given)))
    if len(rows) > _MOST_ROWS:
        raise CallerError(f"more than {_MOST_ROWS} rows", hint="ask for a tenant, an app or fewer days; or by tenant")
    return [Row(str(row[0]), str(row[1]), str(row[2]), _sums(row[3:])) for row in rows]


def _sums(numbers: tuple[Json, ...]) -> Sums:
    calls, fuel, cpu_ms, memory, egress_calls, egress_bytes = numbers
    return Sums(int(calls), int(fuel), float(cpu_ms), float(memory), int(egress_calls), int(egress_bytes))


def added(sums: Iterable[Sums]) -> Sums:
    """The sum of sums."""
    return _sums(tuple(map(sum, zip(*sums, strict=True))) or Sums())


def period(since: str, until: str) -> tuple[str, str]:
    """The days asked for, both included; empty means without end. Raises CallerError for what is no date."""
    days = tuple(
        _day(name, text, other) for name, text, other in zip(("since", "until"), (since, until), _FOREVER, strict=True)
    )
    if days[0] > days[1]:
        raise CallerError("begins after its end", where="since and until")
    return days[0], days[1]


def _day(name: str, text: str, other: str) -> str:
    if not text:
        return other
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError as error:
        raise CallerError(f"{text[:40]!r} is not a date like 2026-03-01", where=name) from error


def usage_json(rows: list[Row], since: str, until: str) -> Json:
    """As JSON: the rows, and their sum."""
    return {
        "since": since or None,
        "until": until or None,
        "may_miss_s": FLUSH_S,
        "total": _rounded(added(row.sums for row in rows)),
        "usage": [
            {name: value for name, value in (("tenant", row.tenant), ("app", row.app), ("day", row.day)) if value}
            | _rounded(row.sums)
            for row in rows
        ],
    }


def _rounded(sums: Sums) -> dict[str, Json]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in sums._asdict().items()}
