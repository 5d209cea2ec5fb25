"""From a decision to what an adapter must do: the thin translation, with no verdict of its own.

`plan_of` turns obligations into a `RuntimePlan` in the adapters' own words. `masked_payload` carries out the mask and
drop obligations of a data flow or a connector's answer. Both refuse a decision that is not a yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.errors import InternalError
from runtime_adapters.plan import Caps, RuntimePlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from governance.model.decision import Decision, Obligation
    from governance.model.request import Json, Request

MASK = "[masked]"


def plan_of(request: Request, decision: Decision) -> RuntimePlan:
    """The plan for running the app of an allowed deploy.

    Raises InternalError for a decision that is not an allow, and where the policy named no runtime class or caps: an
    adapter must never fall back to limits of its own.
    """
    _must_be_allowed(decision)
    classes = [str(o.value) for o in decision.obligations if o.type == "runtime_class"]
    caps = [o.value for o in decision.obligations if o.type == "caps"]
    if len(set(classes)) != 1 or not caps:
        raise InternalError(
            f"decision {decision.decision_id} names {len(set(classes))} runtime classes and {len(caps)} sets of caps",
            hint="the obligations runtime_class and caps must each answer exactly once for a deploy",
        )
    hosts = {str(o.value) for o in decision.obligations if o.type == "egress_allow"}
    return RuntimePlan(
        app=str(request.app.get("name", "")),
        tenant=request.tenant,
        decision_id=decision.decision_id,
        runtime_class=classes[0],
        caps=_tightest(caps),
        egress_allow=tuple(sorted(hosts)),
    )


def masked_payload(payload: Json, decision: Decision) -> Json:
    """A copy of `payload` with every `mask` and `drop` obligation carried out.

    An obligation's value is `{"pointer": […segments…]}`, segments relative to the payload; `*` stands for every member
    or item. A pointer that matches nothing changes nothing.
    """
    _must_be_allowed(decision)
    result = _copy(payload)
    for obligation in decision.obligations:
        if obligation.type in {"mask", "drop"}:
            result = _apply(result, _segments(obligation), drop=obligation.type == "drop")
    return result


def _must_be_allowed(decision: Decision) -> None:
    if not decision.is_allowed:
        raise InternalError(
            f"decision {decision.decision_id} is {decision.effect}: there is nothing to enforce but the no"
        )


def _tightest(caps: Iterable[Json]) -> Caps:
    """The smallest of each cap over all obligations."""
    names = ("cpu", "memoryMiB", "timeoutMs", "storageMiB")
    merged = {name: min(float(c[name]) for c in caps) for name in names}
    return Caps(merged["cpu"], int(merged["memoryMiB"]), int(merged["timeoutMs"]), int(merged["storageMiB"]))


def _segments(obligation: Obligation) -> list[str]:
    value = obligation.value
    pointer = value.get("pointer") if isinstance(value, dict) else None
    if not isinstance(pointer, list):
        raise InternalError(
            f"obligation {obligation.rule} has no pointer", hint='its value must be {"pointer": [segments]}'
        )
    return [str(segment) for segment in pointer]


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item) for item in value]
    return value


def _apply(value: Json, segments: list[str], *, drop: bool) -> Json:
    """`value` with the place at `segments` masked, or removed when `drop`; shares nothing with other copies."""
    if not segments:
        return MASK
    head, rest = segments[0], segments[1:]
    if isinstance(value, dict):
        return _apply_members(value, head, rest, drop=drop)
    if isinstance(value, list):
        return [
            _apply(item, rest, drop=drop) if head in {"*", str(i)} and not (drop and not rest) else item
            for i, item in enumerate(value)
            if not (drop and not rest and head in {"*", str(i)})
        ]
    return value


def _apply_members(value: dict[str, Json], head: str, rest: list[str], *, drop: bool) -> dict[str, Json]:
    keys = list(value) if head == "*" else [key for key in (head,) if key in value]
    for key in keys:
        if drop and not rest:
            del value[key]
        else:
            value[key] = _apply(value[key], rest, drop=drop)
    return value
