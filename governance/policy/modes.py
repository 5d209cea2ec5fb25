"""Modes: whether a rule only watches (shadow), warns, or is enforced; per rule, per tenant, from a date on.

Data document `platform.modes`: `{"rules": {"CONN-001": {"mode": "warn", "since": "2026-01-01T00:00:00Z",
"tenants": {"hr": "enforce", "sales": {"mode": "shadow", "since": "2026-02-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}}}}}`.
What is not named is enforced.

A bundle may also hold them one by one, as PolicyMode documents (`modes/*.yaml`): `kind: PolicyMode`, `metadata.name`,
`spec.{rule, mode, since?, tenants?}`. They become rows of the same table when the bundle is built, so that a mode takes effect
with a release like every other change of policy: recorded, reversible, and a broken one keeps the last good in force.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.errors import BadBundle
from governance.model.decision import MODES
from governance.model.moment import sortable

if TYPE_CHECKING:
    from governance.model.request import Json

ENFORCE = "enforce"
KIND = "PolicyMode"
_API_VERSION = "microapps.internal/v1alpha1"
_RULE = re.compile(r"[A-Z][A-Z0-9]*-[0-9]{3}")
_SPEC = frozenset({"rule", "mode", "since", "tenants"})
_TENANT = frozenset({"mode", "since", "until"})
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


def tenants_named(modes: Json) -> dict[str, list[str]]:
    """The tenants that a table names, each with the ids of the rules that say something of it."""
    rules = modes.get("rules") if isinstance(modes, dict) else None
    found: dict[str, list[str]] = {}
    for rule, row in sorted(rules.items()) if isinstance(rules, dict) else ():
        tenants = row.get("tenants") if isinstance(row, dict) else None
        for tenant in tenants if isinstance(tenants, dict) else ():
            found.setdefault(tenant, []).append(rule)
    return found


def row_of(document: Json, where: str) -> tuple[str, dict[str, Json]]:
    """(rule id, its row in the table) of a PolicyMode document; raises BadBundle for one that is not understood whole.

    In the table what is not understood is enforced; a document that somebody wrote for it is refused, so that they hear of it.
    """
    spec = document.get("spec") if isinstance(document, dict) else None
    metadata = document.get("metadata") if isinstance(document, dict) else None
    named = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(spec, dict) or not isinstance(named, str) or not named:
        raise BadBundle("not a PolicyMode with metadata.name and spec", where=where)
    if document.get("kind") != KIND or document.get("apiVersion") != _API_VERSION:
        raise BadBundle(f"not a {KIND} of {_API_VERSION}", where=where)
    unknown = sorted(set(spec) - _SPEC)
    if unknown:
        raise BadBundle(f"spec.{unknown[0]} is not a member of a PolicyMode", where=where)
    rule, tenants = spec.get("rule"), spec.get("tenants", {})
    if not isinstance(rule, str) or not _RULE.fullmatch(rule):
        raise BadBundle("spec.rule is not the id of a rule", where=where)
    if not isinstance(tenants, dict):
        raise BadBundle("spec.tenants is not an object", where=where)
    row = {name: spec[name] for name in ("mode", "since") if name in spec}
    _check_row(row, "spec", where)
    for tenant, own in tenants.items():
        _check_row(own if isinstance(own, dict) else {"mode": own}, f"spec.tenants.{tenant}", where)
    return rule, {**row, **({"tenants": tenants} if tenants else {})}


def _check_row(row: dict[str, Json], place: str, where: str) -> None:
    if set(row) - _TENANT:
        raise BadBundle(f"{place}.{min(set(row) - _TENANT)} is not a member here", where=where)
    if not isinstance(row.get("mode"), str) or row["mode"] not in MODES:
        raise BadBundle(f"{place}.mode is not one of {', '.join(sorted(MODES))}", where=where)
    for name in ("since", "until"):
        if name in row and not _is_instant(row[name]):
            raise BadBundle(f"{place}.{name} is not an instant like 2027-01-31T00:00:00Z", where=where)


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
