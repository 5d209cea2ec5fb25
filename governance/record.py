"""From a decision to an audit record: the thin translation between the line's words and the log's.

What looks like a secret or personal data (the facts say where) is masked before it reaches the log, also where a
violation's message quotes it. The rest of the input is sealed: committed to in the leaf, readable with the opening.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from audit.record import Canonical, Entry
from governance.errors import GovernanceError
from governance.model.pointer import to_segments

if TYPE_CHECKING:
    from governance.model.decision import Answer, Decision, Violation
    from governance.model.facts import Facts
    from governance.model.request import Json, Request, Source

_SHORTEST_VALUE_TO_SEARCH = 4
NOT_SCANNED = "[not scanned]"
# Header names and members whose values are credentials whatever they look like.
_ALWAYS_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "password"})


def entry_of(request: Request, facts: Facts, decision: Decision) -> Entry:
    """The record of one decision."""
    resource, hidden = masked(request.resource, facts.values)
    is_scanned = resource is not NOT_SCANNED
    sealed: dict[str, Json] = {
        "input": _masked_request(request, resource, hidden),
        "facts": _recorded_facts(facts, hidden) if is_scanned else {"unavailable": facts.values["unavailable"]},
        "answer": {
            "reason": _without(decision.reason, hidden),
            "violations": [
                _violation(v if is_scanned else v._replace(message=""), hidden) for v in decision.violations
            ],
            "obligations": _scrub([o._asdict() for o in decision.obligations], hidden),
        },
    }
    public = {
        **_public(request.source, decision.decision_id, decision.effect, decision.error),
        "action": request.action,
        "app": str(request.app.get("name", "")),
        "tenant": request.tenant,
        "rules": sorted({v.rule for v in decision.violations}),
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
    return _scrub(facts.values, hidden) if hidden else Canonical(facts.text)


def entry_of_query(
    request: Request, findings: Json, outcome: Answer | GovernanceError, revision: str, *, decision_id: str, now: str
) -> Entry:
    """The record of a question about any rule; what came out is sealed beside its input."""
    resource, hidden = masked(request.resource, findings)
    failure = outcome.code if isinstance(outcome, GovernanceError) else None
    text = None if isinstance(outcome, GovernanceError) else outcome.text
    is_scanned = resource is not NOT_SCANNED
    result = None if text is None else _scrub(json.loads(text), hidden) if is_scanned else NOT_SCANNED
    public = {
        **_public(request.source, decision_id, "", failure),
        "app": str(request.app.get("name", "")),
        "tenant": request.tenant,
        "rules": [],
        "path": request.resource["path"],
        "revision": revision,
        "executor": "none" if isinstance(outcome, GovernanceError) else outcome.executor,
        "input_digest": request.digest,
        "defined": text is not None,
        "masked": len(hidden),
    }
    sealed = {"input": resource["input"] if is_scanned else NOT_SCANNED, "result": result}
    return Entry(kind="query", time=now, public=public, sealed=sealed, subject=request.source.actor)


def entry_of_refusal(source: Source, error: GovernanceError, *, decision_id: str, now: str, body_digest: str) -> Entry:
    """The record of something that never became a request: only its digest is kept, its content was not understood."""
    public = {
        **_public(source, decision_id, "deny", error.code),
        "app": "",
        "tenant": "",
        "rules": [],
        "input_digest": body_digest,
    }
    return Entry(
        kind="refused", time=now, public=public, sealed={"answer": {"reason": str(error)}}, subject=source.actor
    )


def masked(resource: Json, facts: Json) -> tuple[Json, tuple[str, ...]]:
    """`resource` with every value that a finding points at replaced, and the values that were taken out.

    A member whose name says that it is a credential is masked with or without a finding. Where the scanner gave no answer
    nobody knows what is in it, so none of it is kept; the digest still says which request it was.
    """
    if "pii" in facts.get("unavailable", ()):
        return NOT_SCANNED, ()
    found = [finding for key in ("secrets", "pii") for finding in facts.get(key, ())]
    places = {finding["pointer"]: finding["entity"] for finding in found if "member" not in finding}
    hidden: list[str] = []
    for finding in found:
        if "member" in finding:
            name = list(_at(resource, finding["pointer"]))[finding["member"]]
            hidden += [name, name.replace("~", "~0").replace("/", "~1")]
    copy = _mask_at(resource, "", places, hidden)
    return copy, tuple(sorted({v for v in hidden if len(v) >= _SHORTEST_VALUE_TO_SEARCH}, key=len, reverse=True))


def _at(value: Json, pointer: str) -> Json:
    for segment in to_segments(pointer):
        value = value[int(segment)] if isinstance(value, list) else value[segment]
    return value


def _mask_at(value: Json, pointer: str, places: dict[str, str], hidden: list[str]) -> Json:
    if pointer in places:
        _collect(value, hidden)
        return f"[{places[pointer]}]"
    if isinstance(value, dict):
        return {key: _mask_member(key, item, pointer, places, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_at(item, f"{pointer}/{i}", places, hidden) for i, item in enumerate(value)]
    return value


def _mask_member(key: str, item: Json, pointer: str, places: dict[str, str], hidden: list[str]) -> Json:
    if key.lower() in _ALWAYS_SECRET and item not in (None, "", [], {}):
        _collect(item, hidden)
        return "[credential]"
    escaped = key.replace("~", "~0").replace("/", "~1")
    return _mask_at(item, f"{pointer}/{escaped}", places, hidden)


def _collect(value: Json, hidden: list[str]) -> None:
    if isinstance(value, str):
        hidden.append(value)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, hidden)
    elif isinstance(value, list):
        for item in value:
            _collect(item, hidden)
    elif value is not None and not isinstance(value, bool):
        hidden.append(json.dumps(value))


def _masked_request(request: Request, resource: Json, hidden: tuple[str, ...]) -> Json:
    """The request as it may be stored; a value that was hidden in the resource is hidden in its context as well."""
    if not hidden and resource == request.resource:
        return Canonical(request.text)
    rest = {
        "kind": request.kind,
        "action": request.action,
        "tenant": request.tenant,
        "subject": request.subject,
        "context": request.context,
        "dry_run": request.dry_run,
    }
    rest = {key: _scrub(value, hidden) for key, value in rest.items()}
    return {**rest, "resource": _scrub(resource, hidden)}


def _scrub(value: Json, hidden: tuple[str, ...]) -> Json:
    if isinstance(value, str):
        return _without(value, hidden)
    if isinstance(value, dict):
        return {_without(key, hidden): _scrub(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_scrub(item, hidden) for item in value]
    return value


def _without(text: str, hidden: tuple[str, ...]) -> str:
    for value in hidden:
        text = text.replace(value, "[masked]")
    return text


def _violation(violation: Violation, hidden: tuple[str, ...]) -> Json:
    return {
        "rule": violation.rule,
        "mode": violation.mode,
        "effect": violation.effect,
        "severity": violation.severity,
        "path": _without(violation.path, hidden),
        "message": _without(violation.message, hidden),
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
