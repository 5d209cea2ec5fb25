"""From a decision to an audit record: the thin translation between the line's words and the log's.

What looks like a secret or personal data (the facts say where) is masked before it reaches the log, also where a
violation's message quotes it. The rest of the input is sealed: committed to in the leaf, readable with the opening.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from audit.canonical import canonical_text
from audit.record import Canonical, Entry
from governance.errors import GovernanceError
from governance.masking import NOT_SCANNED, holds_any, masked, scrubbed, searchable, without, without_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from governance.masking import Masks
    from governance.model.decision import Answer, Decision, Violation
    from governance.model.facts import Facts
    from governance.model.request import Json, Request, Source

_OLD = "old_object"
_HIDING = frozenset({"mask", "drop", "tokenize", "hash", "generalize", "refuse"})


def entry_of(
    request: Request, facts: Facts, decision: Decision, waivers: Sequence[Json] = (), beside: Sequence[str] = ()
) -> Entry:
    """The record of one decision; with the `waivers` that it stands on, so that it can be made again.

    `beside`: values that are to be masked though no finding names them, for they stand beside the resource.
    """
    resource, hidden = masked(request.resource, facts.values)
    hidden = searchable([*hidden, *beside])
    is_scanned = resource is not NOT_SCANNED
    pointers = [o.value["pointer"] for o in decision.obligations if o.type in _HIDING]
    if request.kind == "data_flow" and is_scanned and pointers and "payload" in resource:
        # What its recipient may not see is not kept for anybody else either.
        resource = {**resource, "payload": without_places(resource["payload"], pointers)}
    sealed: dict[str, Json] = {
        "input": _masked_request(request, resource, hidden),
        "facts": _recorded_facts(facts, hidden) if is_scanned else {"unavailable": facts.values["unavailable"]},
        "answer": {
            "reason": without(decision.reason, hidden),
            "violations": [
                _violation(v if is_scanned else v._replace(message=""), hidden) for v in decision.violations
            ],
            "waivers": scrubbed(list(waivers), hidden),
            "obligations": scrubbed([o._asdict() for o in decision.obligations], hidden),
        },
    }
    public = {
        **_public(request.source, decision.decision_id, decision.effect, decision.error),
        "action": without(request.action, hidden),
        "app": without(str(request.app.get("name", "")), hidden),
        "tenant": without(request.tenant, hidden),
        "rules": sorted({v.rule for v in decision.violations}),
        "connectors": [without(name, hidden) for name in _connectors(request)],
        "waivers": sorted({v.waived_by for v in decision.violations if v.waived_by}),
        "revision": decision.revision,
        "executor": decision.executor,
        "input_digest": decision.input_digest,
        "facts_digest": decision.facts_digest,
        "dry_run": request.dry_run,
        "masked": len(hidden),
    }
    return Entry(kind=request.kind, time=decision.decided_at, public=public, sealed=sealed, subject=_subject(request))


def _recorded_facts(facts: Facts, hidden: tuple[str, ...]) -> Json:
    return scrubbed(facts.values, hidden) if holds_any(facts.text, hidden) else Canonical(facts.text)


def entry_of_correction(recorded: Entry, decision: Decision) -> Entry:
    """The record of the no that takes the place of a recorded yes, which was never carried out: `corrects` names that one.

    It is of a kind of its own, since nothing was evaluated for it: whoever counts or repeats decisions finds each once.
    """
    public = {
        **recorded.public,
        "decision_id": decision.decision_id,
        "effect": decision.effect,
        "error": decision.error,
        "rules": [],
        "waivers": [],
        "executor": decision.executor,
        "asked": recorded.kind,
        "corrects": recorded.public["decision_id"],
    }
    sealed = {"answer": {"reason": decision.reason}}
    return Entry("not_carried_out", decision.decided_at, public, sealed, recorded.subject)


def entry_of_query(
    request: Request, findings: Json, outcome: Answer | GovernanceError, revision: str, *, decision_id: str, now: str
) -> Entry:
    """The record of a question about any rule; what came out is sealed beside its input."""
    resource, hidden = masked(request.resource, findings)
    failure = outcome.code if isinstance(outcome, GovernanceError) else None
    text = None if isinstance(outcome, GovernanceError) else outcome.text
    is_scanned = resource is not NOT_SCANNED
    result = None if text is None else scrubbed(json.loads(text), hidden) if is_scanned else NOT_SCANNED
    public = {
        **_public(request.source, decision_id, "", failure),
        "app": without(str(request.app.get("name", "")), hidden),
        "tenant": without(request.tenant, hidden),
        "rules": [],
        "path": without(request.resource["path"], hidden),
        "revision": revision,
        "executor": "none" if isinstance(outcome, GovernanceError) else outcome.executor,
        "input_digest": request.digest,
        "defined": text is not None,
        "masked": len(hidden),
    }
    sealed = {"input": resource["input"] if is_scanned else NOT_SCANNED, "result": result}
    return Entry(kind="query", time=now, public=public, sealed=sealed, subject=request.source.actor)


def entry_of_refusal(
    source: Source, error: GovernanceError, reason: str, *, decision_id: str, now: str, body_digest: str
) -> Entry:
    """The record of something that never became a request: only its digest is kept, its content was not understood.

    `reason`: the error's text without secrets and personal data.
    """
    public = {
        **_public(source, decision_id, "deny", error.code),
        "app": "",
        "tenant": "",
        "rules": [],
        "input_digest": body_digest,
    }
    return Entry(kind="refused", time=now, public=public, sealed={"answer": {"reason": reason}}, subject=source.actor)


def entry_of_review(request: Request, about: dict[str, Json], findings: Json, *, review_id: str, now: str) -> Entry:
    """The record of a question to a model about a design (`phase` asked), or of what came of it (`phase` answered).

    `about`: small public members: phase, sent_digest, sent_to, models, tokens, cost, outcome. A review permits nothing, so
    it has no effect. What the model found is sealed.
    """
    public = {
        **_public(request.source, review_id, "", None),
        "action": "review",
        "app": str(request.app.get("name", "")),
        "tenant": request.tenant,
        "rules": [],
        "input_digest": request.digest,
        **about,
    }
    return Entry(kind="review", time=now, public=public, sealed={"findings": findings}, subject=_subject(request))


def with_masks(entry: Entry, masks: Masks) -> Entry:
    """The entry after an operator's masks; `/result` is the answer of a decision, or the value of a query."""
    plain = {name: json.loads(value) if isinstance(value, Canonical) else value for name, value in entry.sealed.items()}
    result = "answer" if "answer" in plain else "result"
    sealed, public = masks.applied(plain, {"input": "input", "result": result})
    return entry._replace(sealed=sealed, public={**entry.public, **public})


def event_of(entry: Entry) -> Json:
    """What a mask policy sees as its input: OPA's decision log event, as far as this record has it."""
    public = entry.public
    plain = {name: json.loads(value) if isinstance(value, Canonical) else value for name, value in entry.sealed.items()}
    return {
        "decision_id": public["decision_id"],
        "path": public.get("path", "platform/decision"),
        "requested_by": public["actor"],
        "trace_id": public["trace_id"],
        "timestamp": entry.time,
        "input": plain.get("input"),
        "result": plain.get("answer", plain.get("result")),
        "labels": {"kind": entry.kind, "app": public.get("app", ""), "tenant": public.get("tenant", "")},
    }


def _masked_request(request: Request, resource: Json, hidden: tuple[str, ...]) -> Json:
    """The request as it may be stored; a value that was hidden in the resource is hidden in its context as well."""
    if not hidden and resource == request.resource and not request.context.get(_OLD):
        return Canonical(request.text)
    kept = {
        "kind": request.kind,
        "action": request.action,
        "tenant": request.tenant,
        "subject": request.subject,
        "context": _context(request.context),
        "dry_run": request.dry_run,
        "resource": resource,
    }
    text = canonical_text(kept)
    # Most values that are hidden stand nowhere else: then nothing has to be walked.
    if not holds_any(text, hidden):
        return Canonical(text)
    return {name: scrubbed(value, hidden) for name, value in kept.items()}


def _context(context: Json) -> Json:
    """What an update replaces was never scanned, so the record names it by its digest alone."""
    old = context.get(_OLD)
    if not old:
        return context
    text = json.dumps(old, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return {**context, _OLD: {"digest": "sha256:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()}}


def _violation(violation: Violation, hidden: tuple[str, ...]) -> Json:
    return {
        "rule": violation.rule,
        "mode": violation.mode,
        "effect": violation.effect,
        "severity": violation.severity,
        "path": without(violation.path, hidden),
        "message": without(violation.message, hidden),
        "waived_by": violation.waived_by,
        "controls": list(violation.controls),
    }


def _public(source: Source, decision_id: str, effect: str, error: str | None) -> dict[str, Json]:
    return {
        "decision_id": decision_id,
        "effect": effect,
        "error": error,
        "actor": source.actor,
        "entry_point": source.entry_point,
        "trace_id": source.trace_id,
    }


def _subject(request: Request) -> str:
    """Whose data the sealed part is: erasing this subject's key makes it unreadable."""
    subject = request.subject.get("id") if isinstance(request.subject, dict) else None
    return str(subject or request.source.actor)


def _connectors(request: Request) -> list[str]:
    """Names of the connectors that a request is about: the one it calls, or those that an app declares."""
    resource = request.resource if isinstance(request.resource, dict) else {}
    destination = resource.get("destination")
    named = [resource.get("connector"), destination.get("connector") if isinstance(destination, dict) else None]
    declared = request.app.get("connectors") if request.kind in {"template", "deploy"} else None
    named += [one.get("name") for one in declared if isinstance(one, dict)] if isinstance(declared, list) else []
    return sorted({name for name in named if isinstance(name, str) and name})
