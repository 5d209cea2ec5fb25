"""From a decision to what an adapter must do: the thin translation, with no verdict of its own.

`plan_of` turns obligations into a `RuntimePlan` in the adapters' own words. `masked_payload` and `masked_document` carry
out what a decision obliges to on the data of a flow or a connector's answer. All refuse a decision that is not a yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.errors import InternalError
from governance.protect.edits import Protection, edits_of, protected_document, protected_value
from runtime_adapters.plan import Caps, RuntimePlan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from governance.model.decision import Decision
    from governance.model.request import Json, Request
    from governance.protect.transforms import Keys


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
        clock=_one(decision, "clock"),
        randomness=_one(decision, "randomness"),
        artifact=_artifact(decision),
    )


def masked_payload(payload: Json, decision: Decision, tenant: str = "", keys: Keys | None = None) -> Json:
    """A copy of `payload` with every obligation on data carried out: mask, drop, tokenize, hash, generalize.

    An obligation's value is `{"pointer": […segments…], "entity"?, "span"?}`, segments relative to the payload; `*` stands
    for every member or item, `**` for any number of levels, or none. A pointer that matches nothing changes nothing.
    Raises InternalError where one needs a key and there is none: then nothing may be sent.
    """
    _must_be_allowed(decision)
    return protected_value(payload, Protection(edits_of(decision.obligations), tenant, keys))


def masked_document(
    data: bytes, content_type: str, decision: Decision, tenant: str = "", keys: Keys | None = None
) -> bytes:
    """As `masked_payload` for a document of any format; what no obligation names stays byte for byte as it was.

    In CSV a pointer is `row, column`, in XML `element, place, …, @attribute`. Raises NotReadable for a broken document.
    """
    _must_be_allowed(decision)
    return protected_document(data, content_type, Protection(edits_of(decision.obligations), tenant, keys))


def _must_be_allowed(decision: Decision) -> None:
    if not decision.is_allowed:
        raise InternalError(
            f"decision {decision.decision_id} is {decision.effect}: there is nothing to enforce but the no"
        )


def _one(decision: Decision, kind: str) -> str:
    """What the policy says of a clock or of randomness; of several the one that shows less of this host."""
    found = {str(o.value) for o in decision.obligations if o.type == kind}
    if not found:
        raise InternalError(f"decision {decision.decision_id} says nothing of the {kind}", hint=f"obligation {kind}")
    return max(found, key=lambda value: (value != "real", value != "coarse", value))


def _artifact(decision: Decision) -> str:
    digests = {str(o.value) for o in decision.obligations if o.type == "artifact"}
    if len(digests) != 1:
        raise InternalError(
            f"decision {decision.decision_id} names {len(digests)} digests of what may run",
            hint="the obligation artifact answers for an image that is pinned, or a module with its checksum",
        )
    return digests.pop()


def _tightest(caps: Iterable[Json]) -> Caps:
    """The smallest of each cap over all obligations."""
    names = ("cpu", "memoryMiB", "timeoutMs", "storageMiB")
    merged = {name: min(float(c[name]) for c in caps) for name in names}
    return Caps(merged["cpu"], int(merged["memoryMiB"]), int(merged["timeoutMs"]), int(merged["storageMiB"]))
