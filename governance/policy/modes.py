"""Modes: whether a rule only watches (shadow), warns, or is enforced; per rule, per tenant, from a date on.

Data document `platform.modes`: `{"rules": {"CONN-001": {"mode": "warn", "since": "2026-01-01T00:00:00Z",
"tenants": {"hr": "enforce"}}}}`. What is not named is enforced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.model.decision import MODES

if TYPE_CHECKING:
    from governance.model.request import Json

ENFORCE = "enforce"
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)


def effective_mode(rule: str, tenant: str, now: str, modes: Json) -> str:
    """The mode of `rule` for `tenant` at `now` (RFC 3339, UTC); everything that is not understood is `enforce`.

    A mode with `since` counts from that instant on; before it the rule is enforced.
    """
    rules = modes.get("rules") if isinstance(modes, dict) else None
    row = rules.get(rule) if isinstance(rules, dict) else None
    if not isinstance(row, dict):
        return ENFORCE
    tenants = row.get("tenants", {})
    if not isinstance(tenants, dict) or ("since" in row and not _is_past(row["since"], now)):
        return ENFORCE
    mode = tenants.get(tenant, row.get("mode"))
    return mode if isinstance(mode, str) and mode in MODES else ENFORCE


def _is_past(since: object, now: str) -> bool:
    """Whether `since` is not after `now`. Both must be RFC 3339 in UTC: text order is time order up to the fraction."""
    return isinstance(since, str) and _INSTANT.fullmatch(since) is not None and since[:19] <= now[:19]
