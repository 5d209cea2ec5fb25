"""The verdict: a request and its facts against one active bundle.

Pure: the same request, facts, bundle revision, waivers, clock and decision id give the same `Decision`, byte for byte.
Replay, impact analysis and an auditor's own re-run stand on this. What could not be evaluated is a deny with a code.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import GovernanceError, InternalError, NoAnswer
from governance.model.decision import ALLOW, DENY, EFFECTS, WARN, Decision, Obligation, Violation
from governance.model.pointer import resource_pointer
from governance.policy.modes import effective_mode
from governance.policy.waivers import find_waiver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.facts import Facts
    from governance.model.request import Json, Request
    from governance.policy.active import Active
    from governance.policy.metadata import RuleMeta
    from governance.policy.waivers import Waiver

# Made once: making an encoder costs as much as writing a small value.
_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_SORTED = json.JSONEncoder(sort_keys=True)


class Verdict(NamedTuple):
    """A decision and the fixes its rules propose; nobody has checked these yet."""

    decision: Decision
    candidates: tuple[tuple[int, Json], ...]
    """(index into `decision.violations`, JSON patch on the resource)."""


class Moment(NamedTuple):
    """What makes a decision repeatable besides request, facts and bundle."""

    now: str
    """RFC 3339, UTC; becomes `input.now`."""
    decision_id: str
    trace_id: str = ""


class _Question(NamedTuple):
    request: Request
    facts: Facts
    moment: Moment


def policy_input(request: Request, facts: Facts, now: str) -> str:
    """The JSON document that every rule sees as `input`.

    `app` is the manifest's own spec for a manifest, and for everything else the spec of the last allowed deploy, which
    is a fact: what a caller says about an app is never taken for what was decided about it.
    """
    app = request.app
    if request.kind not in {"template", "deploy"}:
        known = facts.values.get("app", {})
        app = {**(known.get("spec") or {}), "name": request.app.get("name", "")}
    parts = (
        request.text[:-1],
        ',"app":',
        _COMPACT.encode(app),
        ',"facts":',
        facts.text,
        ',"now":"',
        now,
        '"}',
    )
    return "".join(parts)


def decide(active: Active, request: Request, facts: Facts, moment: Moment, waivers: Sequence[Waiver] = ()) -> Verdict:
    """Evaluate every rule for the request's kind and combine what they say."""
    try:
        answer = active.engine.rule(f"data.platform.main.{request.kind}", policy_input(request, facts, moment.now))
    except NoAnswer as error:
        return Verdict(refusal(active.revision, request, facts, moment, error), ())
    if answer.text is None:
        silence = NoAnswer(f"policy gave no value for {request.kind}; treated as deny", hint="governance rules lint")
        return Verdict(refusal(active.revision, request, facts, moment, silence), ())
    try:
        found = json.loads(answer.text)
        return _combine(active, _Question(request, facts, moment), waivers, found, answer.executor)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # A rule that answers in another shape than the contract is no answer; it must never read as "no violations".
        shape = NoAnswer(f"policy answered in a shape that is not the contract: {type(error).__name__}: {error}")
        return Verdict(refusal(active.revision, request, facts, moment, shape), ())


def refusal(revision: str, request: Request, facts: Facts | None, moment: Moment, error: GovernanceError) -> Decision:
    """The deny for a request that could not be decided; `error.code` says why."""
    return Decision(
        decision_id=moment.decision_id,
        kind=request.kind,
        effect=DENY,
        violations=(),
        obligations=(),
        reason=f"{error.code}: {error}",
        error=error.code,
        revision=revision,
        input_digest=request.digest,
        facts_digest=facts.digest if facts is not None else "",
        executor="none",
        decided_at=moment.now,
        expires_at=None,
        trace_id=moment.trace_id,
    )


def _combine(active: Active, question: _Question, waivers: Sequence[Waiver], found: Json, executor: str) -> Verdict:
    request, facts, moment = question
    if not isinstance(found["violations"], list) or not isinstance(found["obligations"], list):
        raise TypeError("violations and obligations have to be lists")
    whose = _excusable(request, facts)
    judged = [_judge(active, request, moment, waivers, whose, raw) for raw in found["violations"]]
    judged.sort(key=lambda pair: (pair[0].rule, pair[0].path, pair[0].message))
    violations = tuple(violation for violation, _ in judged)
    obligations = sorted(
        (Obligation(raw["type"], raw["name"], raw["value"]) for raw in found["obligations"]),
        key=lambda o: (o.type, o.rule, _SORTED.encode(o.value)),
    )
    effect = max((v.effect for v in violations), key=EFFECTS.index, default=ALLOW)
    decision = Decision(
        decision_id=moment.decision_id,
        kind=request.kind,
        effect=effect,
        violations=violations,
        obligations=tuple(obligations),
        reason=_reason(effect, violations),
        error=None,
        revision=active.revision,
        input_digest=request.digest,
        facts_digest=facts.digest,
        executor=executor,
        decided_at=moment.now,
        expires_at=None,
        trace_id=moment.trace_id,
        rules_evaluated=active.rules_for(request.kind),
    )
    return Verdict(decision, tuple((i, patch) for i, (_, patch) in enumerate(judged) if patch))


def _excusable(request: Request, facts: Facts) -> tuple[str, str]:
    """(app, tenant) whose waivers and modes count here; each empty where that is only said, and by whoever wrote a label."""
    known = facts.values.get("app")
    spec = known.get("spec") if isinstance(known, dict) and known.get("known") else None
    tenant = request.tenant if _is_from_home(request, facts) else ""
    is_foreign = isinstance(spec, dict) and spec.get("tenant") != tenant
    # A label anybody writes; until an app of that name was deployed it is nobody's.
    is_only_said = request.kind == "workload" and not isinstance(spec, dict)
    no_app = request.kind == "template" or is_foreign or is_only_said
    return "" if no_app else str(request.app.get("name", "")), tenant


def _is_from_home(request: Request, facts: Facts) -> bool:
    """Whether an object of a cluster is in a namespace of the tenant whose label it has; a file may have yet to go to one."""
    namespace = request.context.get("namespace") if request.kind == "workload" else ""
    if not namespace:
        return True
    tenant = facts.values.get("tenant")
    theirs = tenant.get("namespaces") if isinstance(tenant, dict) and tenant.get("known") else None
    return isinstance(theirs, list) and namespace in theirs


def _judge(
    active: Active,
    request: Request,
    moment: Moment,
    waivers: Sequence[Waiver],
    whose: tuple[str, str],
    raw: Mapping[str, Json],
) -> tuple[Violation, Json]:
    """One raw violation with its rule's metadata, mode and waiver; and the fix that the rule proposes."""
    found = raw["found"]
    meta: RuleMeta | None = active.rules.get(raw["rule"])
    if meta is None:
        raise InternalError(f"rule {raw['rule']!r} answered but has no metadata in bundle {active.revision}")
    app, tenant = whose
    mode = effective_mode(meta.id, tenant, moment.now, active.modes)
    waiver = find_waiver(waivers, meta.id, app=app, tenant=tenant, now=moment.now)
    violation = Violation(
        rule=meta.id,
        title=meta.title,
        severity=meta.severity,
        mode=mode,
        effect=_effect(mode, found.get("effect", meta.effect), is_waived=waiver is not None),
        path=resource_pointer(request.kind, found["path"]),
        message=str(found["message"]),
        remediation=meta.remediation,
        controls=tuple(meta.controls),
        waived_by=waiver.name if waiver is not None else None,
    )
    return violation, _patch(request.kind, found.get("fix"))


def _effect(mode: str, asked: Json, *, is_waived: bool) -> str:
    """What a violation weighs: what its rule says of it, else what the rule's metadata say; unknown modes and effects deny."""
    if is_waived or mode == "shadow":
        return ALLOW
    if mode == "warn":
        return WARN
    return asked if asked in EFFECTS[1:] else DENY


def _patch(kind: str, fix: Json) -> Json:
    """A rule's fix (paths as segments into `input`) as a JSON patch on the resource."""
    if not fix:
        return None
    return [{**step, "path": resource_pointer(kind, step["path"])} for step in fix]


def _reason(effect: str, violations: Sequence[Violation]) -> str:
    if effect == ALLOW:
        excused = sum(1 for v in violations if v.waived_by)
        return f"no rule objects ({excused} waived)" if excused else "no rule objects"
    deciding = [v for v in violations if v.effect == effect]
    more = f" (and {len(deciding) - 1} more)" if len(deciding) > 1 else ""
    return f"{deciding[0].rule}: {deciding[0].message}{more}"
