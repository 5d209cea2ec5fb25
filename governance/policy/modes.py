"""Modes: whether a rule only watches (shadow), warns, or is enforced; per rule, per tenant, from a date on.

Data document `platform.modes`: `{"rules": {"CONN-001": {"mode": "warn", "since": "2026-01-01T00:00:00Z",
"tenants": {"hr": "enforce", "sales": {"mode": "shadow", "since": "2026-02-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}}}}}`.
What is not named is enforced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.model.decision import MODES
from governance.model.moment import sortable

if TYPE_CHECKING:
    from governance.model.request import Json

ENFORCE = "enforce"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)


def effective_mode(rule: str, tenant: str, now: str, modes: Json) -> str:
    """The mode of `rule` for `tenant` at `now` (RFC 3339, UTC); everything that is not understood is `enforce`.

    A mode with `since` counts from that instant on, and with `until` before that one; otherwise the rule is enforced. A tenant
    with dates of its own goes by them alone, and by the rule's dates where it has a mode only.
    """
    rules = modes.get("rules") if isinstance(modes, dict) else None
    row = rules.get(rule) if isinstance(rules, dict) else None
    if not isinstance(row, dict):
        return ENFORCE
    tenants = row.get("tenants", {})
    if not isinstance(tenants, dict):
        return ENFORCE
    own = tenants.get(tenant, row.get("mode"))
    if tenant in tenants and isinstance(own, dict):
        return _mode_of(own, own.get("mode"), now)
    return _mode_of(row, own, now)


def _mode_of(row: dict[str, Json], mode: Json, now: str) -> str:
    is_known = isinstance(mode, str) and mode in MODES
    is_begun = "since" not in row or _is_past(row["since"], now)
    is_over = "until" in row and (not _is_instant(row["until"]) or _is_past(row["until"], now))
    return str(mode) if is_known and is_begun and not is_over else ENFORCE


def _is_instant(moment: object) -> bool:
    return isinstance(moment, str) and _INSTANT.fullmatch(moment) is not None


def _is_past(since: object, now: str) -> bool:
    """Whether `since` is not after `now`. Both must be RFC 3339 in UTC."""
    return _is_instant(since) and sortable(str(since)) <= sortable(now)
