"""`/ext-authz/{path}`: Envoy's external authorisation over HTTP. 200 lets the call go on, every other status stops it.

The gateway asks with a key of its own in `x-api-key`, which it sets on each question (`headers_to_add`), so that what the
caller sent under that name never counts; `authorization` is the caller's. `GOVERNANCE_EXT_AUTHZ` says what is asked: the
line about a request to an app (`app_call`, for `governance gateway run`) or about a connector call, or a rule that answers
as OPA's Envoy plugin expects it (true, false, or an object).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import decided, source_of
from governance.errors import CallerError, NoAnswer
from governance.model.answer import decision_json
from governance.normalise.gateway_call import Held, connector_call, envoy_input

if TYPE_CHECKING:
    from collections.abc import Iterable

    from governance.entrypoints.http.asgi import Call, Headers
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.platform.keys import Identity

ENTRY_POINT = "http.ext_authz"
PREFIX = "/ext-authz"
CONNECTOR_CALL, APP_CALL = "connector_call", "app_call"
# Envoy takes these off the call before it goes on.
_TO_REMOVE = b"x-envoy-auth-headers-to-remove"
_NAME = re.compile(r"[a-zA-Z0-9!#$%&'*+.^_`|~-]+")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "host", "trailer", "upgrade", "te"})
# A yes says this to Envoy, so a no must never.
_YES, _NO = 200, 403
# Only a no asks for it: when the quota that is used up begins again.
_REDACT = "redact"
# What a gateway may say in its question to carry out; as for who calls, it has to take off what callers say under this name.
_CARRIED = frozenset({_REDACT})
_WAIT, _TOO_MANY = "retry_after", 429


async def ask(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Any method; the path below the prefix, the headers and the body are the call's own."""
    body = await call.read(worker.max_body, worker.body_timeout_s)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    target = call.target.decode("latin-1").removeprefix(PREFIX)
    held = Held(call.method, target, call.header(b"host"), worker.upstream_scheme, headers, body)
    if not held.host or not target.startswith("/"):
        raise CallerError("a call has a host and a path", where=call.path[:200])
    if worker.ext_authz == CONNECTOR_CALL:
        return await _asked_the_line(worker, call, identity, held)
    if worker.ext_authz == APP_CALL:
        return await _asked_about_an_app(worker, call, identity, held)
    return await _asked_a_rule(worker, call, identity, held)


async def _asked_the_line(worker: Worker, call: Call, identity: Identity, held: Held) -> Answer:
    tenant = identity.tenant or held.headers.get("x-tenant", "")
    document = connector_call(held, tenant, worker.connector_of, max_depth=worker.max_depth)
    decision = await decided(worker, document, identity, source_of(call, identity, ENTRY_POINT))
    return answered(worker, decision)


async def _asked_about_an_app(worker: Worker, call: Call, identity: Identity, held: Held) -> Answer:
    source = source_of(call, identity, ENTRY_POINT)
    decision = await worker.app_calls.decide(held, source, tenant=identity.tenant, max_depth=worker.max_depth)
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    carried = frozenset(held.headers.get("x-governance-carries", "").split()) & _CARRIED
    waits = [int(o.value) for o in decision.obligations if o.type == _WAIT]
    if waits and not decision.is_allowed:
        wait = (b"retry-after", str(max(waits)).encode())
        return json_answer(decision_json(decision), _TOO_MANY, (*_id_of(decision.decision_id), wait))
    # Where somebody is excused from the quota there is nothing to wait for.
    kept = decision._replace(obligations=tuple(o for o in decision.obligations if o.type != _WAIT))
    return answered(worker, kept, carried)


def answered(worker: Worker, decision: Decision, carried: frozenset[str] = frozenset()) -> Answer:
    """200 for a yes whose obligations the gateway carries out, else 403 with the decision.

    `carried`: obligations that it says to carry out, beside those of GOVERNANCE_EXT_AUTHZ_OBLIGATIONS.
    """
    missing = sorted({o.type for o in decision.obligations} - worker.gateway_obligations - carried)
    if not decision.is_allowed or missing:
        body = decision_json(decision)
        if decision.is_allowed:
            body["effect"] = "deny"
            body["reason"] = f"allowed only with obligations that the gateway does not carry out: {', '.join(missing)}"
        return json_answer(body, _NO, _id_of(decision.decision_id))
    return Answer(_YES, b"", headers=(*_id_of(decision.decision_id), *_obligations(decision)))


def _obligations(decision: Decision) -> Headers:
    """Headers to take off, as Envoy does it; what to cut out; every other obligation as JSON for who carries it out."""
    names = [o.value["name"] for o in decision.obligations if o.type == "header" and o.value.get("op") == "remove"]
    cut = sorted({str(o.value) for o in decision.obligations if o.type == _REDACT})
    others = [{"type": o.type, "value": o.value} for o in decision.obligations if o.type not in {"header", _REDACT}]
    found: list[tuple[bytes, bytes]] = []
    if names:
        found.append((_TO_REMOVE, ",".join(map(_checked_name, names)).encode()))
    if cut:
        found.append((b"x-governance-redact", ",".join(cut).encode()))
    if others:
        found.append((b"x-governance-obligations", json.dumps(others, separators=(",", ":")).encode()))
    return tuple(found)


async def _asked_a_rule(worker: Worker, call: Call, identity: Identity, held: Held) -> Answer:
    document = envoy_input(held, max_depth=worker.max_depth)
    decision_id, answer = await worker.line.aquery(worker.ext_authz, document, source_of(call, identity, ENTRY_POINT))
    worker.telemetry.count("query", "", "")
    if answer.text is None:
        raise NoAnswer(f"{worker.ext_authz} is undefined", hint="treated as deny")
    return plugin_answer(json.loads(answer.text), decision_id)


def plugin_answer(result: Json, decision_id: str) -> Answer:
    """The answer for a result of OPA's Envoy plugin. Raises NoAnswer for any other shape."""
    told = {"allowed": result} if isinstance(result, bool) else result
    if not isinstance(told, dict) or not isinstance(told.get("allowed"), bool):
        raise NoAnswer(
            "the policy's result is neither true, false, nor an object with `allowed`", hint="treated as deny"
        )
    headers = [*_id_of(decision_id), *_pairs(told.get("headers"))]
    if told["allowed"]:
        headers += _pairs(told.get("response_headers_to_add"))
        names = told.get("request_headers_to_remove") or []
        if not isinstance(names, list):
            raise NoAnswer("request_headers_to_remove is not a list", hint="treated as deny")
        if names:
            headers.append((_TO_REMOVE, ",".join(map(_checked_name, names)).encode()))
        return Answer(_YES, b"", headers=tuple(headers))
    body = told.get("body", "")
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    return Answer(
        _status(told.get("http_status")), text.encode("utf-8", "replace"), b"text/plain; charset=utf-8", tuple(headers)
    )


def _status(wanted: Json) -> int:
    """A status for a no: what would read as a yes, or is none, becomes 403."""
    is_one = isinstance(wanted, int | float) and not isinstance(wanted, bool) and 300 <= wanted <= 599
    return int(wanted) if is_one else _NO


def _pairs(given: Json) -> Iterable[tuple[bytes, bytes]]:
    """Headers as the policy gives them: text by name, or a list of texts."""
    if given is None:
        return []
    if not isinstance(given, dict):
        raise NoAnswer("headers are not an object", hint="treated as deny")
    rows = [(name, one) for name, value in given.items() for one in (value if isinstance(value, list) else [value])]
    return [(_checked_name(name).lower().encode(), _checked_value(value)) for name, value in rows]


def _checked_name(name: Json) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() in _FRAMING:
        raise NoAnswer("a header's name is none that may be set", hint="treated as deny")
    return name


def _checked_value(value: Json) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    if any(ord(char) < 0x20 or ord(char) > 0xFF or ord(char) == 0x7F for char in text):
        raise NoAnswer("a header's value holds control characters", hint="treated as deny")
    return text.encode("latin-1")


def _id_of(decision_id: str) -> Headers:
    return ((b"x-decision-id", decision_id.encode()),)
