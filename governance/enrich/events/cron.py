"""Schedules: cron expressions of five fields, as Debian's cron reads them, in a named time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

_DAY_S = 86_400
_LONGEST = 200


class BadSchedule(CallerError):
    """A cron expression or time zone that is none."""

    code = "bad_schedule"


def shortest_gap_s(expression: str, timezone: str = "UTC") -> int:
    """Seconds between the two closest of its times, on days of 24 hours. Raises BadSchedule.

    Days that follow each other are assumed to match both, so the answer is never too large.
    """
    cron = _cron(expression, datetime(2024, 1, 1, tzinfo=zone(timezone)))
    times = sorted(3600 * hour + 60 * minute for hour in cron.hours for minute in cron.minutes)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return int(min([*gaps, _DAY_S - times[-1] + times[0]]))


def last_time(expression: str, timezone: str, now: datetime) -> datetime:
    """The latest time at or before `now` (aware), in UTC. Raises BadSchedule where there was none in 50 years."""
    # The library looks strictly before; a time that is just now counts.
    return _first(_cron(expression, (now + timedelta(seconds=1)).astimezone(zone(timezone)), reverse=True))


def next_time(expression: str, timezone: str, now: datetime) -> datetime:
    """The first time after `now` (aware), in UTC. Raises BadSchedule where there is none in 50 years."""
    return _first(_cron(expression, now.astimezone(zone(timezone))))


def zone(name: str) -> tzinfo:
    """A time zone by its IANA name. Raises BadSchedule."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSchedule(f"there is no time zone {name[:60]!r}") from error


def _first(times: Iterator[datetime]) -> datetime:
    try:
        return next(times).astimezone(UTC)
    except StopIteration as error:
        raise BadSchedule("never comes") from error


def _cron(expression: str, at: datetime, *, reverse: bool = False) -> Any:
    from cronsim import CronSim, CronSimError

    # A field or a space of another script would be read by some and not by others.
    if len(expression) > _LONGEST or not expression.isascii() or len(expression.split()) != 5:
        raise BadSchedule("a schedule has five fields: minute, hour, day of month, month, day of week")
    try:
        cron = CronSim(expression, at, reverse=reverse)
    except (CronSimError, ValueError) as error:
        raise BadSchedule(f"is no cron expression: {error}") from error
    return cron
