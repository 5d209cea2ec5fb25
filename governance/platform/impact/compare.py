"""One recorded decision under two revisions, by the evaluator that enforces (`governance.policy.decide`).

Only what can differ is evaluated. A rule whose fingerprint is the same in both revisions says the same about the same input,
so its part of the answer is taken from the record; the rest is asked of a policy whose entry points hold the changed rules
alone. A record of another revision than the one in force is decided anew by that one first.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from governance.model.decision import ALLOW, EFFECTS, WARN
from governance.platform.impact.recorded import is_read
from governance.policy.decide import Moment, decide
from governance.policy.fingerprints import read_prints
from governance.policy.waivers import Waiver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.model.request import Json
    from governance.platform.impact.recorded import Recorded
    from governance.policy.active import Active
    from governance.policy.fingerprints import Print

SAME, UNTOUCHED, NOT_COMPARABLE = "same", "untouched", "not_comparable"
NEWLY_DENIED, NEWLY_ALLOWED, OBLIGATIONS, OTHER = "newly_denied", "newly_allowed", "obligations", "other"
CHANGES = (NEWLY_DENIED, NEWLY_ALLOWED, OBLIGATIONS, OTHER)
_YES = frozenset({ALLOW, WARN})


class Answer(NamedTuple):
    """What one revision says, as far as it matters here."""

    effect: str
    error: str | None
    violations: tuple[tuple[str, str, str], ...]
    """(rule, path, effect), sorted."""
    obligations: tuple[tuple[str, str], ...]
    """(name, canonical JSON), sorted."""


class Change(NamedTuple):
    """What another bundle would change for one decision."""

    outcome: str
    was: str = ""
    becomes: str = ""
    rules: tuple[str, ...] = ()
    """Rules (or obligations) that make the difference."""
    why: str = ""


class Sides(NamedTuple):
    """Both revisions, ready to be asked."""

    base: Active
    candidate: Active
    """With entry points that hold the changed rules alone."""
    whole: Active
    """The candidate with all its rules; asked where nothing of the base's answer can be used."""
    changed: frozenset[str]
    reads: dict[str, frozenset[tuple[str, ...]]]
    """Kind to what its changed rules read, in either revision."""
    all_reads: dict[str, frozenset[tuple[str, ...]]]
    """The same for all its rules."""


def changed_between(base: Active, candidate: Active) -> frozenset[str]:
    """Ids of rules and obligations that are not the same, or not there, in both."""
    left, right = read_prints(base.prints), read_prints(candidate.prints)
    digests = [{rule: row.digest for rule, row in side.items()} for side in (left, right)]
    return frozenset(rule for rule in left.keys() | right.keys() if digests[0].get(rule) != digests[1].get(rule))


def sides_of(base: Active, candidate: Active, whole: Active, changed: frozenset[str]) -> Sides:
    """Both revisions with what is read for each kind."""
    prints = [(active, read_prints(active.prints)) for active in (base, whole)]
    return Sides(base, candidate, whole, changed, _reads(prints, changed), _reads(prints, None))


def compare(recorded: Recorded, sides: Sides) -> Change:
    """What the candidate would have said; never a guess."""
    kind = recorded.request.kind
    if kind not in sides.reads:
        return Change(UNTOUCHED)
    is_usable = recorded.revision == sides.base.revision and recorded.error is None
    reads = sides.reads[kind] if is_usable else sides.all_reads[kind]
    if recorded.masked and is_read(recorded.masked, reads):
        return Change(NOT_COMPARABLE, why="a rule that has to be asked reads what the log keeps masked")
    waivers = _waivers(recorded)
    before = _recorded_answer(recorded) if is_usable else _asked(sides.base, recorded, waivers)
    if before.error is not None:
        after = _asked(sides.whole, recorded, waivers)
    else:
        after = _joined(before, _asked(sides.candidate, recorded, waivers), sides.changed)
    return _difference(before, after)


def _reads(
    prints: Sequence[tuple[Active, dict[str, Print]]], only: frozenset[str] | None
) -> dict[str, frozenset[tuple[str, ...]]]:
    found: dict[str, set[tuple[str, ...]]] = {}
    for active, rows in prints:
        for meta in (*active.rules.values(), *active.obligations.values()):
            if only is None or meta.id in only:
                for kind in meta.applies_to:
                    found.setdefault(kind, set()).update(rows[meta.id].reads)
    return {kind: frozenset(reads) for kind, reads in found.items()}


def _waivers(recorded: Recorded) -> list[Waiver]:
    """The waivers that counted then, as the record names them: they go on excusing the same rules for the same app."""
    app, tenant = str(recorded.request.app.get("name", "")), recorded.request.tenant
    subject = f"app:{app}" if app else f"tenant:{tenant}"
    rows = {(v["waived_by"], v["rule"]) for v in recorded.violations if v.get("waived_by")}
    return [Waiver(name, rule, subject, "", "", "", "9999-01-01T00:00:00Z") for name, rule in sorted(rows)]


def _recorded_answer(recorded: Recorded) -> Answer:
    violations = tuple(sorted((str(v["rule"]), str(v["path"]), str(v["effect"])) for v in recorded.violations))
    obligations = tuple(sorted((str(o["rule"]), _text(o)) for o in recorded.obligations))
    return Answer(recorded.effect, recorded.error, violations, obligations)


def _asked(active: Active, recorded: Recorded, waivers: Sequence[Waiver]) -> Answer:
    moment = Moment(recorded.time, recorded.decision_id, recorded.trace_id)
    decision = decide(active, recorded.request, recorded.facts, moment, waivers).decision
    violations = tuple(sorted((v.rule, v.path, v.effect) for v in decision.violations))
    obligations = tuple(sorted((o.rule, _text(o._asdict())) for o in decision.obligations))
    return Answer(decision.effect, decision.error, violations, obligations)


def _joined(before: Answer, asked: Answer, changed: frozenset[str]) -> Answer:
    """The candidate's whole answer: what the changed rules say now, and what the others said."""
    if asked.error is not None:
        return asked
    kept = [v for v in before.violations if v[0] not in changed]
    violations = tuple(sorted([*kept, *(v for v in asked.violations if v[0] in changed)]))
    duties = [o for o in before.obligations if o[0] not in changed]
    obligations = tuple(sorted([*duties, *(o for o in asked.obligations if o[0] in changed)]))
    effect = max((v[2] for v in violations), key=EFFECTS.index, default=ALLOW)
    return Answer(effect, None, violations, obligations)


def _difference(before: Answer, after: Answer) -> Change:
    appeared = sorted({v[0] for v in set(after.violations) - set(before.violations)})
    gone = sorted({v[0] for v in set(before.violations) - set(after.violations)})
    if before.effect in _YES and after.effect not in _YES:
        return Change(NEWLY_DENIED, before.effect, after.effect, tuple(appeared), after.error or "")
    if before.effect not in _YES and after.effect in _YES:
        return Change(NEWLY_ALLOWED, before.effect, after.effect, tuple(gone))
    if after.effect in _YES and before.obligations != after.obligations:
        names = sorted({o[0] for o in set(before.obligations) ^ set(after.obligations)})
        return Change(OBLIGATIONS, before.effect, after.effect, tuple(names))
    if before.effect != after.effect or appeared or gone:
        return Change(OTHER, before.effect, after.effect, tuple(sorted({*appeared, *gone})))
    return Change(SAME, before.effect, after.effect)


def _text(obligation: dict[str, Json]) -> str:
    return json.dumps(obligation, sort_keys=True, ensure_ascii=False)
