"""AuthZEN Authorization API 1.0: one evaluation, several, and where they are. Source: openid.net/specs/authorization-api-1_0.

`resource.type` is a request kind of ours and `resource.properties` its resource. The standard has no word for what must be done
for a yes to hold, so a caller names the sorts of obligation that it carries out in `context.obligations` (a list, or `"*"`);
a yes that needs another one is a no, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import body_of, decided, digest_of, source_of
from governance.errors import CallerError, TooLarge
from governance.model.answer import decision_json

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call, Headers
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.platform.keys import Identity

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
# Behind which answer the others are not asked any more.
_STOPS_AT = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}
_ABOUT_AN_APP = frozenset({"connector_call", "data_flow", "app_call", "app_answer", "publish", "lifecycle"})
_SHARED = ("subject", "action", "resource", "context")


async def evaluation(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`{subject, action, resource, context?}` in, `{decision, context}` out."""
    document = await body_of(worker, call)
    return json_answer(await _evaluated(worker, call, identity, document), headers=_echo(call))


async def evaluations(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Several at once, with shared members as defaults; one that is none of them is a no with `context.error`."""
    document = await body_of(worker, call)
    if not isinstance(document, dict):
        raise CallerError("has to be an object", where="/")
    rows = document.get("evaluations")
    if rows is None or rows == []:
        return json_answer(await _evaluated(worker, call, identity, document), headers=_echo(call))
    if not isinstance(rows, list):
        raise CallerError("has to be a list", where="/evaluations")
    if len(rows) > worker.max_batch:
        raise TooLarge(f"more than {worker.max_batch} evaluations", where="/evaluations")
    stop = _STOPS_AT[_semantics(document)]
    defaults = {name: document[name] for name in _SHARED if name in document}
    answers: list[Json] = []
    for row in rows:
        answers.append(
            await _one_of_many(worker, call, identity, {**defaults, **row} if isinstance(row, dict) else row)
        )
        if answers[-1]["decision"] is stop:
            break
    return json_answer({"evaluations": answers}, headers=_echo(call))


async def configuration(_worker: Worker, call: Call, _: Identity) -> Answer:
    """`/.well-known/authzen-configuration`: where the endpoints are, as the caller reached us."""
    host = call.header(b"host") or "localhost"
    base = f"{call.scheme}://{host}"
    return json_answer(
        {
            "policy_decision_point": base,
            "access_evaluation_endpoint": base + EVALUATION,
            "access_evaluations_endpoint": base + EVALUATIONS,
        }
    )


async def _one_of_many(worker: Worker, call: Call, identity: Identity, row: Json) -> dict[str, Json]:
    try:
        return await _evaluated(worker, call, identity, row)
    except CallerError as error:
        await worker.line.arefuse(source_of(call, identity, "http.authzen"), error, digest_of(call.body))
        return {"decision": False, "context": {"error": {"status": error.status, "message": str(error)}}}


async def _evaluated(worker: Worker, call: Call, identity: Identity, document: Json) -> dict[str, Json]:
    native, understood = request_of(document)
    decision = await decided(worker, native, identity, source_of(call, identity, "http.authzen"))
    return answer_of(decision, understood)


def request_of(document: Json) -> tuple[dict[str, Json], frozenset[str] | None]:
    """(native request, sorts of obligation that the caller carries out; None for all). Raises CallerError."""
    if not isinstance(document, dict):
        raise CallerError("has to be an object", where="/")
    subject, action, resource = (_object(document, name) for name in ("subject", "action", "resource"))
    context = _object(document, "context") if document.get("context") is not None else {}
    kind, name = _text(resource, "type", "/resource"), _text(resource, "id", "/resource")
    properties = resource.get("properties")
    if not isinstance(properties, dict):
        raise CallerError("has to be an object: the manifest, call or flow", where="/resource/properties")
    tenant = context.get("tenant", "")
    if not isinstance(tenant, str):
        raise CallerError("has to be text", where="/context/tenant")
    claims = _object(subject, "properties") if subject.get("properties") is not None else {}
    native: dict[str, Json] = {
        "kind": kind,
        "action": _text(action, "name", "/action"),
        "tenant": tenant,
        "subject": {**claims, "id": _text(subject, "id", "/subject"), "type": _text(subject, "type", "/subject")},
        "resource": _named(kind, name, properties),
        "context": {key: value for key, value in context.items() if key not in {"tenant", "obligations"}},
    }
    return native, _understood(context.get("obligations", []))


def answer_of(decision: Decision, understood: frozenset[str] | None) -> dict[str, Json]:
    """The evaluation's answer; what stands behind it in `context`, in the words of our own API."""
    needed = {obligation.type for obligation in decision.obligations}
    missing = sorted(needed - understood) if understood is not None else []
    context = decision_json(decision)
    if decision.is_allowed and missing:
        context["reason"] = f"allowed only with obligations that the caller does not carry out: {', '.join(missing)}"
    return {"decision": decision.is_allowed and not missing, "context": context}


def _named(kind: str, name: str, properties: dict[str, Json]) -> dict[str, Json]:
    """The resource, whose own name has to be the one that is asked about."""
    if kind in _ABOUT_AN_APP:
        if properties.get("app", name) != name:
            raise CallerError(f"is about {name[:60]!r}, its properties about another app", where="/resource/id")
        return {**properties, "app": name}
    metadata = properties.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") != name:
        raise CallerError(f"is about {name[:60]!r}, its manifest about another", where="/resource/id")
    return properties


def _understood(given: Json) -> frozenset[str] | None:
    if given == "*":
        return None
    if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
        raise CallerError('has to be a list of sorts, or "*"', where="/context/obligations")
    return frozenset(given)


def _semantics(document: dict[str, Json]) -> str:
    options = document.get("options", {})
    wanted = options.get("evaluations_semantic", "execute_all") if isinstance(options, dict) else None
    if not isinstance(wanted, str) or wanted not in _STOPS_AT:
        raise CallerError(f"is not one of {', '.join(_STOPS_AT)}", where="/options/evaluations_semantic")
    return wanted


def _object(owner: dict[str, Json], name: str) -> dict[str, Json]:
    value = owner.get(name)
    if not isinstance(value, dict):
        raise CallerError("has to be an object", where=f"/{name}")
    return value


def _text(owner: dict[str, Json], name: str, where: str) -> str:
    value = owner.get(name)
    if not isinstance(value, str) or not value:
        raise CallerError("has to be a text that is not empty", where=f"{where}/{name}")
    return value


def _echo(call: Call) -> Headers:
    """The standard's request id comes back as it was sent, where it is one."""
    value = call.headers.get(b"x-request-id", b"")
    is_plain = 0 < len(value) <= 200 and all(0x21 <= byte <= 0x7E for byte in value)
    return ((b"x-request-id", value),) if is_plain else ()
