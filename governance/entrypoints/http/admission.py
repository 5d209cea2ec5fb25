"""`/admission/validate` and `/admission/mutate`: the Kubernetes admission webhook.

The answer is always a review with the uid that was asked, also where the line had no answer: then it is a no with the reason.
Only what is no review gets an HTTP error, on which the API server falls back to its failure policy.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING

from audit.errors import AuditError
from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import body_of, digest_of, source_of
from governance.errors import CallerError, GovernanceError, InternalError, NoAnswer
from governance.model.decision import ALLOW, WARN
from governance.model.pointer import to_pointer
from governance.normalise.admission import API_VERSION, request_of, review_of

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.normalise.admission import Review
    from governance.platform.keys import Identity

# The API server shows up to this much of a warning whole.
_LONGEST_WARNING = 120
_LONGEST_MESSAGE = 4000
_DEFAULT_TIMEOUT_S = 10.0
# What is left of the API server's own deadline for the way back.
_SHARE = 0.8
_PREFIX = "microapps.internal/"


async def validate(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Whether the object may be stored."""
    review = review_of(await body_of(worker, call))
    return _answer(review, await _decided(worker, call, identity, review), patch=None)


async def mutate(worker: Worker, call: Call, identity: Identity) -> Answer:
    """The same decision, and for a yes the patch that carries out its obligations."""
    review = review_of(await body_of(worker, call))
    outcome = await _decided(worker, call, identity, review)
    patch = None if isinstance(outcome, GovernanceError) else patch_of(review.target, outcome)
    return _answer(review, outcome, patch)


async def _decided(worker: Worker, call: Call, identity: Identity, review: Review) -> Decision | GovernanceError:
    """The decision, or why there is none; whatever went wrong is a reason, never an exception."""
    source = source_of(call, identity, "webhook.mutate" if call.path.endswith("mutate") else "webhook.validate")
    try:
        async with asyncio.timeout(_timeout_s(call) * _SHARE):
            decision = await worker.line.adecide(request_of(review, source))
    except TimeoutError:
        return NoAnswer("no decision within the API server's deadline", hint="raise timeoutSeconds of the webhook")
    except CallerError as error:
        await worker.line.arefuse(source, error, digest_of(call.body))
        return error
    except (GovernanceError, AuditError) as error:
        return error if isinstance(error, GovernanceError) else InternalError(f"{error.code}: {error}")
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return decision


def _answer(review: Review, outcome: Decision | GovernanceError, patch: Json) -> Answer:
    response: dict[str, Json] = {"uid": review.uid, "allowed": False}
    if isinstance(outcome, GovernanceError):
        status = 422 if isinstance(outcome, CallerError) else 503
        response["status"] = {"code": status, "reason": outcome.code, "message": str(outcome)[:_LONGEST_MESSAGE]}
        return _review(response)
    response["allowed"] = outcome.is_allowed
    response["auditAnnotations"] = {
        "decision-id": outcome.decision_id,
        "revision": outcome.revision,
        "rules": ",".join(sorted({v.rule for v in outcome.violations})),
    }
    warnings = [_warning(f"{v.rule}: {v.message}") for v in outcome.violations if v.effect == WARN]
    if warnings:
        response["warnings"] = warnings
    if not outcome.is_allowed:
        response["status"] = {"code": 403, "reason": "Forbidden", "message": _message(outcome)}
    elif patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(patch).encode()).decode()
    return _review(response)


def _review(response: dict[str, Json]) -> Answer:
    return json_answer({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})


def _message(decision: Decision) -> str:
    """Each reason on a line with its rule, place and remedy; the decision's id last, to look it up by."""
    deciding = [v for v in decision.violations if v.effect not in {ALLOW, WARN}]
    rows = [f"{v.rule} at {v.path or '/'}: {v.message} {v.remediation}".strip() for v in deciding] or [decision.reason]
    return "\n".join(rows)[: _LONGEST_MESSAGE - 60] + f"\n(decision {decision.decision_id})"


def _warning(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_WARNING else plain[: _LONGEST_WARNING - 1] + "…"


def patch_of(target: dict[str, Json], decision: Decision) -> list[dict[str, Json]]:
    """Annotations that say to the runtime what the decision's obligations demand. Asked again it changes nothing."""
    if not decision.is_allowed or not target:
        return []
    wanted = _annotations(decision)
    metadata = target.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    present: dict[str, Json] = annotations if isinstance(annotations, dict) else {}
    patch: list[dict[str, Json]] = []
    if wanted and not isinstance(metadata, dict):
        patch.append({"op": "add", "path": "/metadata", "value": {}})
    if wanted and not isinstance(annotations, dict):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    return patch + [
        {"op": "add", "path": to_pointer(["metadata", "annotations", name]), "value": value}
        for name, value in sorted(wanted.items())
        if present.get(name) != value
    ]


def _annotations(decision: Decision) -> dict[str, str]:
    found: dict[str, list[Json]] = {}
    for obligation in decision.obligations:
        found.setdefault(obligation.type, []).append(obligation.value)
    names = {"caps": "caps", "runtime_class": "runtime-class", "egress_allow": "egress-allow"}
    return {
        _PREFIX + names[sort]: json.dumps(sorted(values, key=json.dumps), sort_keys=True, separators=(",", ":"))
        for sort, values in found.items()
        if sort in names
    }


def _timeout_s(call: Call) -> float:
    """The API server says how long it waits (`?timeout=10s`)."""
    given = call.query().get("timeout", [""])[0]
    number = given.removesuffix("s")
    return float(number) if number.isascii() and number.isdigit() and 0 < int(number) <= 30 else _DEFAULT_TIMEOUT_S
