"""Compliance scores: which share of the apps is compliant, day by day, and what moved it. Read from the log alone.

An app is compliant when its last evaluation found nothing that is still open, was made on the policy in force, and is
younger than a day. An evaluation is a recorded deploy decision, dry runs included. A score always says which rule set it
is about: a green light of rules that were never asked would be worth nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from audit.questions import not_carried_out
from audit.store import Filter
from governance.errors import CallerError
from governance.platform.evidence import Recorded, decisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from audit.reader import LogReader
    from governance.model.request import Json

COMPLIANT, OPEN, STALE, OTHER_POLICY = "compliant", "open_findings", "stale", "other_policy"
FRESH = timedelta(hours=24)
_MOST_DAYS = 400
_GONE = frozenset({"archived", "deleted"})
# How far back a record with a revision is looked for: reads and exports have none.
_LOOK_BACK = 200


class Standing(NamedTuple):
    """How one app stands at one moment."""

    app: str
    tenant: str
    status: str
    open: tuple[str, ...]
    waived: tuple[str, ...]
    evaluated_at: str
    revision: str
    record: int


class Score(NamedTuple):
    """How the apps of a scope stand at one moment."""

    at: str
    revision: str
    """The policy that had to be the one an app was evaluated on."""
    standings: tuple[Standing, ...]

    def share(self) -> float | None:
        """From 0.0 to 1.0; None where there is no app: nothing that was looked at is not the same as nothing found."""
        compliant = sum(one.status == COMPLIANT for one in self.standings)
        return round(compliant / len(self.standings), 4) if self.standings else None


class Day(NamedTuple):
    """One day of a trend: the score at its end, and what moved it since the end of the day before."""

    day: str
    score: Score
    changes: tuple[str, ...]


def score(log: LogReader, *, now: str, revision: str, app: str = "", tenant: str = "") -> Score:
    """The score of a scope at `now`, `revision` being the policy in force."""
    last: dict[tuple[str, str], Recorded] = {}
    for decision in _evaluations(log, Filter(app=app, tenant=tenant)):
        _take(last, decision)
    return _scored(last, now, revision)


def trend(
    log: LogReader, *, days: Sequence[str], now: str, revision: str, app: str = "", tenant: str = ""
) -> list[Day]:
    """One entry for each day (`2026-03-01`, ascending), each as it was at its end, or as it is now."""
    last: dict[tuple[str, str], Recorded] = {}
    waiting = iter(_evaluations(log, Filter(app=app, tenant=tenant)))
    following = next(waiting, None)
    found: list[Day] = []
    before: Score | None = None
    for day in days:
        end = min(_end_of(day), now)
        while following is not None and _moment(following.time) < _moment(end):
            _take(last, following)
            following = next(waiting, None)
        in_force = revision if end == now else _revision_at(log, end)
        after = _scored(last, end, in_force)
        found.append(Day(day, after, tuple(_changes(before, after)) if before is not None else ()))
        before = after
    return found


def days_between(since: str, until: str) -> list[str]:
    """Dates from `since` to `until`, both included. Raises CallerError for what is no date, or too many."""
    try:
        first, last = (datetime.fromisoformat(text[:10]).date() for text in (since, until))
    except ValueError as error:
        raise CallerError("not a date like 2026-03-01", where="since or until") from error
    count = (last - first).days + 1
    if not 0 < count <= _MOST_DAYS:
        raise CallerError(f"between 1 and {_MOST_DAYS} days can be asked for, not {count}", where="since and until")
    return [(first + timedelta(days=number)).isoformat() for number in range(count)]


def score_json(found: Score, rules: Iterable[str]) -> dict[str, Json]:
    """A score as JSON; `rules`: ids of the rule set it covers."""
    counted = {s: sum(one.status == s for one in found.standings) for s in (COMPLIANT, OPEN, OTHER_POLICY, STALE)}
    return {
        "score": found.share(),
        "at": found.at,
        "rule_set": {"revision": found.revision, "rules": sorted(rules)},
        "apps": len(found.standings),
        **counted,
        "with_waivers": sum(bool(one.waived) for one in found.standings),
        "tenants": _by_tenant(found),
        "standings": [one._asdict() for one in found.standings],
    }


def trend_json(days: Sequence[Day]) -> list[Json]:
    """A trend as JSON."""
    return [
        {
            "day": day.day,
            "at": day.score.at,
            "score": day.score.share(),
            "apps": len(day.score.standings),
            "revision": day.score.revision,
            "because": list(day.changes),
        }
        for day in days
    ]


def _by_tenant(found: Score) -> dict[str, Json]:
    tenants = sorted({one.tenant for one in found.standings})
    parts = {t: found._replace(standings=tuple(s for s in found.standings if s.tenant == t)) for t in tenants}
    return {tenant: {"score": part.share(), "apps": len(part.standings)} for tenant, part in parts.items()}


def _evaluations(log: LogReader, wanted: Filter) -> Iterable[Recorded]:
    """What an app's standing follows from, by time: its deploys, and its leaving."""
    kinds = ("deploy", "lifecycle")
    without = not_carried_out(log, wanted)
    found = [
        decision
        for kind in kinds
        for decision in decisions(log, wanted._replace(kind=kind), inputs_of="lifecycle")
        if decision.decision_id not in without
    ]
    return sorted(found, key=lambda one: (_moment(one.time), one.index))


def _take(last: dict[tuple[str, str], Recorded], decision: Recorded) -> None:
    name = decision.tenant, decision.app
    if decision.kind == "deploy":
        last[name] = decision
    elif decision.effect == "allow" and _leaves_to(decision) in _GONE:
        last.pop(name, None)


def _leaves_to(decision: Recorded) -> str:
    resource = decision.input.get("resource") if isinstance(decision.input, dict) else None
    change = resource.get("change") if isinstance(resource, dict) else None
    return str(change.get("to", "")) if isinstance(change, dict) else ""


def _scored(last: Mapping[tuple[str, str], Recorded], at: str, revision: str) -> Score:
    standings = [
        Standing(d.app, d.tenant, _status(d, at, revision), d.open, d.waived, d.time, d.revision, d.index)
        for _, d in sorted(last.items())
    ]
    return Score(at, revision, tuple(standings))


def _status(decision: Recorded, at: str, revision: str) -> str:
    """The worst that can be said: a finding weighs more than its age."""
    if decision.open or not decision.is_made:
        return OPEN
    if decision.revision != revision:
        return OTHER_POLICY
    return STALE if _moment(at) - _moment(decision.time) > FRESH else COMPLIANT


def _changes(before: Score, after: Score) -> Iterable[str]:
    """What moved the score, one sentence each."""
    old = {(one.tenant, one.app): one for one in before.standings}
    new = {(one.tenant, one.app): one for one in after.standings}
    if before.revision != after.revision:
        yield f"the policy in force changed from {before.revision or '(none)'} to {after.revision or '(none)'}"
    for name in sorted(old.keys() - new.keys()):
        yield f"{name[0]}/{name[1]} left"
    for name, one in sorted(new.items()):
        was = old.get(name)
        if was is None:
            yield f"{one.tenant}/{one.app} is new: {_said(one)}"
        elif was.status != one.status or was.open != one.open:
            yield f"{one.tenant}/{one.app} was {_said(was)}, is {_said(one)} (record {one.record})"


def _said(one: Standing) -> str:
    words = {COMPLIANT: "compliant", STALE: "not evaluated for a day", OTHER_POLICY: "evaluated on another policy"}
    return words.get(one.status) or f"open on {', '.join(one.open) or 'an evaluation that failed'}"


def _revision_at(log: LogReader, at: str) -> str:
    """The policy of the last decision before a moment: records are nearly in the order of their times."""
    low, high = 0, log.size()
    while low < high:
        middle = (low + high) // 2
        if _moment(log.record(middle)["time"]) < _moment(at):
            low = middle + 1
        else:
            high = middle
    for index in range(low - 1, max(-1, low - 1 - _LOOK_BACK), -1):
        revision = log.record(index)["public"].get("revision")
        if revision:
            return str(revision)
    return ""


def _end_of(day: str) -> str:
    return (datetime.fromisoformat(day) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
