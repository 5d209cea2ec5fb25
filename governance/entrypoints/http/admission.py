"""`/admission/validate` and `/admission/mutate`: the Kubernetes admission webhook (admission.k8s.io/v1).

Whatever has a uid to answer to is answered by a review: a yes or no of the policy, or a no with the reason why there is
none. That holds for a review in another version too (v1beta1), which is refused in its own. Only what is no review gets an
HTTP error, on which the API server falls back to its failure policy.

`mutate` decides on the object as it will be stored: what the obligations add is added first, and the result is evaluated. So
it never patches an object into one that `validate` would refuse, and asked again about its own result it adds nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from typing import TYPE_CHECKING, NamedTuple

from audit.errors import AuditError
from governance.entrypoints.http.admission_patch import patch_of
from governance.entrypoints.http.asgi import Answer, SlowBody, json_answer
from governance.entrypoints.http.decisions import body_of, check_tenant, digest_of, source_of
from governance.errors import CallerError, GovernanceError, InternalError, NoAnswer, RecordNotDurable
from governance.model.decision import ALLOW, WARN
from governance.model.patch import BadPatch, patched
from governance.normalise.admission import Review, asked_of, request_of, review_of, with_target

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision, Violation
    from governance.model.request import Json, Request, Source
    from governance.normalise.admission import Asked
    from governance.platform.keys import Identity

# The API server shows up to this much of a warning whole, and about this many.
_LONGEST_WARNING = 120
_MOST_WARNINGS = 30
_LONGEST_MESSAGE = 4000
_DEFAULT_TIMEOUT_S = 10.0
# What is left of the API server's own deadline for the way back.
_SHARE = 0.8
# An obligation that asks for something else each time it is met would never be met.
_MOST_ROUNDS = 3
# The event loop itself keeps no task from being collected.
_recording: set[asyncio.Task[None]] = set()


class _Question(NamedTuple):
    """What came in, from whom, and until when it has to be answered."""

    body: Json
    identity: Identity
    source: Source
    deadline: float
    """In the event loop's time."""
    is_patching: bool


class _Outcome(NamedTuple):
    """What goes into the answer."""

    decision: Decision | None
    failure: GovernanceError | None = None
    refusal_id: str = ""
    """Of the record, where there is no decision."""
    patch: Json = None


async def validate(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Whether the object may be stored."""
    return await _answered(worker, call, identity, "webhook.validate", is_patching=False)


async def mutate(worker: Worker, call: Call, identity: Identity) -> Answer:
    """The same for the object with its obligations carried out, and the patch that does so."""
    return await _answered(worker, call, identity, "webhook.mutate", is_patching=True)


async def _answered(worker: Worker, call: Call, identity: Identity, door: str, *, is_patching: bool) -> Answer:
    deadline = asyncio.get_running_loop().time() + _timeout_s(call) * _SHARE
    try:
        async with asyncio.timeout_at(deadline):
            body = await body_of(worker, call, worker.max_review)
    except TimeoutError as error:
        raise SlowBody("timeout: the review did not arrive within the API server's deadline", where="body") from error
    asked = asked_of(body)
    question = _Question(body, identity, source_of(call, identity, door), deadline, is_patching=is_patching)
    return _answer(asked, await _outcome(worker, call, question))


async def _outcome(worker: Worker, call: Call, question: _Question) -> _Outcome:
    """The decision, or why there is none; whatever went wrong is a reason, never an exception."""
    source = question.source
    try:
        async with asyncio.timeout_at(question.deadline):
            review = review_of(question.body, _standard(call))
            request = request_of(review, source)
            patch: Json = None
            if question.is_patching:
                request, patch = _patched(worker, review, request, source)
            check_tenant(question.identity, request)
            decision = await worker.line.adecide(request)
    except TimeoutError:
        late = NoAnswer(
            "timeout: no decision within the API server's deadline", hint="raise timeoutSeconds of the webhook"
        )
        _record_late(worker, source, late, digest_of(call.body))
        worker.telemetry.count("refused", "deny", late.code)
        return _Outcome(None, late)
    except (CallerError, InternalError) as error:
        refusal_id = ""
        with contextlib.suppress(RecordNotDurable, AuditError):  # the answer is no either way, and names no record
            refusal_id = await worker.line.arefuse(source, error, digest_of(call.body))
        worker.telemetry.count("refused", "deny", error.code)
        return _Outcome(None, error, refusal_id)
    except (GovernanceError, AuditError) as error:
        return _Outcome(None, error if isinstance(error, GovernanceError) else InternalError(f"{error.code}: {error}"))
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return _Outcome(decision, patch=patch)


def _record_late(worker: Worker, source: Source, late: NoAnswer, digest: str) -> None:
    """Record the no behind the answer, which cannot wait: whatever the line still records, this is what was answered."""

    async def record() -> None:
        with contextlib.suppress(RecordNotDurable, AuditError):  # the answer is no either way
            await worker.line.arefuse(source, late, digest)

    task = asyncio.get_running_loop().create_task(record())
    _recording.add(task)
    task.add_done_callback(_recording.discard)


def _patched(worker: Worker, review: Review, request: Request, source: Source) -> tuple[Request, list[dict[str, Json]]]:
    """The request about the object with its obligations carried out, and the patch that leads there.

    Nothing is permitted by this: the result is what the line decides on. Raises InternalError for obligations that
    contradict each other, or have another shape than `rules/README.md` says.
    """
    whole: list[dict[str, Json]] = []
    if not review.is_patchable:
        return request, whole
    for _ in range(_MOST_ROUNDS):
        decision = worker.line.assess(request, is_proving=False).decision
        if decision.error is not None:
            return request, whole
        try:
            patch = patch_of(review.target, decision, is_new=review.is_new)
            review = with_target(review, patched(review.target, patch))
        except (BadPatch, KeyError, TypeError, ValueError) as error:
            raise InternalError(f"an obligation cannot be carried out: {type(error).__name__}: {error}") from error
        if not patch:
            return request, whole
        whole += patch
        request = request_of(review, source)
    raise InternalError(f"the obligations ask for more after each of {_MOST_ROUNDS} patches")


def _answer(asked: Asked, outcome: _Outcome) -> Answer:
    response: dict[str, Json] = {"uid": asked.uid, "allowed": False}
    decision, failure = outcome.decision, outcome.failure
    if decision is None or failure is not None:
        response["status"] = _status_of(failure or InternalError("no decision"))
        if outcome.refusal_id:
            response["auditAnnotations"] = {"decision-id": outcome.refusal_id}
    else:
        response["allowed"] = decision.is_allowed
        response["auditAnnotations"] = {
            "decision-id": decision.decision_id,
            "revision": decision.revision,
            "rules": ",".join(_ids(decision.violations)),
        }
        if warnings := _warnings(decision):
            response["warnings"] = warnings
        if not decision.is_allowed:
            response["status"] = {"code": 403, "reason": "Forbidden", "message": _message(decision)}
        elif outcome.patch:
            response["patchType"] = "JSONPatch"
            response["patch"] = base64.b64encode(json.dumps(outcome.patch).encode()).decode()
    return json_answer({"apiVersion": asked.api_version, "kind": "AdmissionReview", "response": response})


def _status_of(failure: GovernanceError) -> dict[str, Json]:
    code = 422 if isinstance(failure, CallerError) else 503
    return {"code": code, "reason": failure.code, "message": str(failure)[:_LONGEST_MESSAGE]}


def _message(decision: Decision) -> str:
    """All ids first, then each reason on a line with its rule, place and remedy; the decision's id last, to look it up by."""
    deciding = [v for v in decision.violations if v.effect not in {ALLOW, WARN}]
    warned = [v for v in decision.violations if v.effect == WARN]
    heads = [("violates", _ids(deciding)), ("warned of", _ids(warned))]
    head = "; ".join(f"{word} {', '.join(ids)}" for word, ids in heads if ids)
    rows = [f"{v.rule} at {v.path or '/'}: {v.message} {v.remediation}".strip() for v in deciding] or [decision.reason]
    tail = f"\n(decision {decision.decision_id})"
    text = "\n".join([head, *rows]).strip()
    room = max(_LONGEST_MESSAGE, len(head)) - len(tail)
    return (text if len(text) <= room else text[: room - 1] + "…") + tail


def _ids(violations: tuple[Violation, ...] | list[Violation]) -> list[str]:
    return sorted({violation.rule for violation in violations})


def _warnings(decision: Decision) -> list[str]:
    rows = [_warning(f"{v.rule}: {v.message}") for v in decision.violations if v.effect == WARN]
    more = len(rows) - _MOST_WARNINGS
    return rows if more <= 0 else [*rows[:_MOST_WARNINGS], f"and {more} more warnings"]


def _warning(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _LONGEST_WARNING else plain[: _LONGEST_WARNING - 1] + "…"


def _standard(call: Call) -> dict[str, Json]:
    """Which Pod Security profile and version the path and query name; whether there is such a one is for a rule to say."""
    if not call.params:
        return {}
    return {"profile": call.params[0], "pss_version": ",".join(call.query().get("version", ["latest"]))}


def _timeout_s(call: Call) -> float:
    """The API server says how long it waits (`?timeout=10s`)."""
    given = call.query().get("timeout", [""])[0]
    number = given.removesuffix("s")
    return float(number) if number.isascii() and number.isdigit() and 0 < int(number) <= 30 else _DEFAULT_TIMEOUT_S
