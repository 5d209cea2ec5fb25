"""Waivers: one rule excused for one app or tenant, by a named owner and another approver, for a reason, until an instant.

A file holds one document: `kind: Waiver`, `metadata.name`, `spec.{rule, subject: "app:<name>" | "tenant:<name>", owner,
approver, reason, expires, ticket?}`. A waiver excuses a violation; it never removes it from the decision.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import RuleError
from governance.model.moment import sortable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from governance.model.decision import Decision
    from governance.model.request import Json

_REQUIRED = ("rule", "subject", "owner", "approver", "reason", "expires")
_OPTIONAL = frozenset({"ticket"})
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_SUBJECT = re.compile(r"(app|tenant):[A-Za-z0-9][A-Za-z0-9._-]*")


class Waiver(NamedTuple):
    """One waiver."""

    name: str
    rule: str
    subject: str
    owner: str
    approver: str
    reason: str
    expires: str
    """RFC 3339, UTC; the waiver counts before this instant and not at it."""
    ticket: str = ""


def find_waiver(waivers: Sequence[Waiver], rule: str, *, app: str, tenant: str, now: str) -> Waiver | None:
    """The first waiver that excuses `rule` for this app or tenant at `now`."""
    subjects = {f"app:{app}"} if app else set()
    if tenant:
        subjects.add(f"tenant:{tenant}")
    for waiver in waivers:
        if waiver.rule == rule and waiver.subject in subjects and not is_expired(waiver, now):
            return waiver
    return None


def used_waivers(decision: Decision, waivers: Sequence[Waiver]) -> list[Json]:
    """Those that excused something in a decision, as JSON: its record holds them."""
    used = {(v.rule, v.waived_by) for v in decision.violations if v.waived_by}
    return [waiver._asdict() for waiver in waivers if (waiver.rule, waiver.name) in used] if used else []


def load_waivers(folder: str, rules: Collection[str]) -> tuple[Waiver, ...]:
    """Every waiver file (*.yaml) of a folder, by name; raises RuleError naming the file for one that must not count."""
    return tuple(read_waiver(path, rules) for path in waiver_files(folder))


def waiver_files(folder: str) -> list[str]:
    """Paths of the waiver files of a folder, sorted; raises OSError where there is none."""
    return [os.path.join(folder, file) for file in sorted(os.listdir(folder)) if file.endswith((".yaml", ".yml"))]


def read_waiver(path: str, rules: Collection[str] | None) -> Waiver:
    """One file; as for `waiver_of`. Raises RuleError, or OSError where it cannot be read."""
    with open(path, "rb") as stream:
        return waiver_in(stream.read(), path, rules)


def waiver_in(raw: bytes, where: str, rules: Collection[str] | None) -> Waiver:
    """The waiver that a file holds; as for `waiver_of`."""
    import yaml

    from governance.policy.bundle_yaml import load_data

    try:
        document = load_data(raw)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise RuleError("not YAML", where=where) from error
    return waiver_of(document, where, rules)


def is_expired(waiver: Waiver, now: str) -> bool:
    """Whether it no longer counts at `now`."""
    return sortable(now) >= sortable(waiver.expires)


def waiver_of(document: Json, where: str, rules: Collection[str] | None) -> Waiver:
    """A waiver from its document; refuses one that names no known rule or that its owner approved.

    `rules`: ids of the rules there are; None takes any, for showing what lies about.
    """
    spec = document.get("spec") if isinstance(document, dict) and document.get("kind") == "Waiver" else None
    metadata = document.get("metadata") if isinstance(spec, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(spec, dict) or not isinstance(name, str):
        raise RuleError("not a Waiver with metadata.name and spec", where=where)
    missing = [key for key in _REQUIRED if not isinstance(spec.get(key), str) or not spec[key].strip()]
    if missing:
        raise RuleError(f"spec.{missing[0]} is missing or not a text", where=where)
    unknown = sorted(set(spec) - set(_REQUIRED) - _OPTIONAL)
    if unknown:
        raise RuleError(f"spec.{unknown[0]} is not a member of a Waiver", where=where)
    if not isinstance(spec.get("ticket", ""), str):
        raise RuleError("spec.ticket is not a text", where=where)
    waiver = Waiver(name, *(spec[key] for key in _REQUIRED))._replace(ticket=spec.get("ticket", ""))
    if rules is not None and waiver.rule not in rules:
        raise RuleError(f"rule {waiver.rule!r} does not exist", where=where, hint="`governance rules list`")
    if waiver.owner.strip().casefold() == waiver.approver.strip().casefold():
        raise RuleError("owner and approver are the same", where=where, hint="somebody else has to approve it")
    if not _SUBJECT.fullmatch(waiver.subject):
        raise RuleError(f"subject {waiver.subject!r} is not app:<name> or tenant:<name>", where=where)
    if not _is_instant(waiver.expires):
        raise RuleError(f"expires {waiver.expires!r} is not an instant like 2027-01-31T00:00:00Z", where=where)
    return waiver


def _is_instant(text: str) -> bool:
    """Of the calendar: a thirteenth month would sort behind every day that comes."""
    from datetime import datetime

    try:
        return _INSTANT.fullmatch(text) is not None and datetime.fromisoformat(text[:19]) is not None
    except ValueError:
        return False
