"""How long what is kept: classes by kind and tenant, each with an ISO 8601 duration.

The first class that fits a record counts; one that none fits is kept. What ends with its class is the sealed content. The
leaf (commitments and public members) has a duration of its own, since leaves only go from the beginning of the log.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from audit.errors import BadRetention

_DURATION = re.compile(
    r"P(?=.)(?:(?P<years>\d{1,4})Y)?(?:(?P<months>\d{1,4})M)?(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,5})M)?(?:(?P<seconds>\d{1,7})S)?)?",
    re.ASCII,
)


class Keeping(NamedTuple):
    """One class."""

    kind: str
    """Empty: every kind."""
    tenant: str
    """Empty: every tenant."""
    keep: str
    """ISO 8601 duration."""

    def fits(self, kind: str, tenant: str) -> bool:
        """Whether a record is of this class."""
        return self.kind in {"", kind} and self.tenant in {"", tenant}


class Retention(NamedTuple):
    """All classes."""

    classes: tuple[Keeping, ...] = ()
    leaves: str = ""
    """How long leaves are kept; empty: for ever."""


def parse_retention(document: Any) -> Retention:
    """Read `{"classes": [{"kind"?, "tenant"?, "keep"}], "leaves"?: duration}`; raises BadRetention naming the place."""
    if not isinstance(document, dict) or set(document) - {"classes", "leaves"}:
        raise BadRetention("/: `classes` and `leaves` are expected, and nothing else")
    rows = document.get("classes", [])
    if not isinstance(rows, list):
        raise BadRetention("/classes: a list is expected")
    classes = tuple(_keeping(row, f"/classes/{number}") for number, row in enumerate(rows))
    leaves = document.get("leaves", "")
    if leaves:
        _checked(leaves, "/leaves")
    return Retention(classes, leaves)


def _keeping(row: Any, where: str) -> Keeping:
    if not isinstance(row, dict) or set(row) - {"kind", "tenant", "keep"} or "keep" not in row:
        raise BadRetention(f"{where}: `keep` is needed, `kind` and `tenant` may stand beside it, and nothing else")
    if not all(isinstance(value, str) for value in row.values()):
        raise BadRetention(f"{where}: texts are expected")
    _checked(row["keep"], f"{where}/keep")
    return Keeping(row.get("kind", ""), row.get("tenant", ""), row["keep"])


def _checked(duration: Any, where: str) -> None:
    if not isinstance(duration, str) or _DURATION.fullmatch(duration) is None:
        raise BadRetention(f"{where}: {str(duration)[:40]!r} is not an ISO 8601 duration such as P90D, P7Y or PT12H")


def cut_off(now: str, duration: str) -> str:
    """The moment that lies a duration before `now`, RFC 3339; what is older has expired.

    Years and months are calendar ones; a day that the month has not becomes its last (RFC 3339, ISO 8601).
    """
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise BadRetention(f"{duration[:40]!r} is not an ISO 8601 duration")
    amounts = {name: int(value or 0) for name, value in found.groupdict().items()}
    moment = datetime.fromisoformat(now).astimezone(UTC)
    months = moment.year * 12 + moment.month - 1 - 12 * amounts.pop("years") - amounts.pop("months")
    try:
        year, month = months // 12, months % 12 + 1
        day = min(moment.day, calendar.monthrange(year, month)[1])
        then = moment.replace(year=year, month=month, day=day) - timedelta(**amounts)
    except (ValueError, OverflowError, IndexError):  # before the calendar begins: nothing is that old
        return "0001-01-01T00:00:00Z"
    return then.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
