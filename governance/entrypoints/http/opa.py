"""OPA's REST API: the Data API in both versions, health, policies. Same paths, members, statuses and error shapes."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import body_of, decided, source_of
from governance.errors import CallerError, Forbidden
from governance.model.answer import decision_json
from governance.normalise.documents import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

# The whole line under OPA's address: `input` is a native request, `result` the decision.
DECISION_PATH = "platform/decision"
_WARNING = {"code": "api_usage_warning", "message": "'input' key missing from the request"}


async def data(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`POST|GET /v1/data/{path}`: `{"result": …, "decision_id": …}`; no `result` where the path is undefined."""
    started = time.perf_counter_ns()
    wanted = call.query()
    document, has_input = await _input_of(worker, call, wanted)
    parsed = time.perf_counter_ns()
    decision_id, text = await _asked(worker, call, identity, document)
    parts = [f'"decision_id":"{decision_id}"']
    if text is not None:
        parts.append(f'"result":{text}')
    if not has_input and call.method == "POST":
        parts.append(f'"warning":{json.dumps(_WARNING)}')
    if _is_on(wanted, "provenance"):
        parts.append(f'"provenance":{json.dumps({"bundles": {"main": {"revision": worker.active.revision}}})}')
    if _is_on(wanted, "metrics"):
        parts.append(f'"metrics":{json.dumps(_metrics(started, parsed))}')
    body = "{" + ",".join(parts) + "}"
    if _is_on(wanted, "pretty"):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return Answer(200, body.encode("utf-8", "replace"), headers=((b"x-decision-id", decision_id.encode()),))


async def data_v0(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`POST /v0/data/{path}`: the body is the input, the answer is the bare value; 404 where it is undefined."""
    document = await body_of(worker, call)
    decision_id, text = await _asked(worker, call, identity, document)
    headers = ((b"x-decision-id", decision_id.encode()),)
    if text is None:
        path = "data." + call.params[0].replace("/", ".")
        missing = {"code": "undefined_document", "message": f"document missing or undefined: {path}"}
        return json_answer(missing, 404, headers)
    return Answer(200, text.encode("utf-8", "replace"), headers=headers)


async def policies(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """`GET /v1/policies`: ids and texts as they are served (compiled form)."""
    rows = [{"id": path, "raw": text} for path, text in worker.active.compiled.modules]
    return json_answer({"result": rows})


async def health(worker: Worker, call: Call) -> Answer:
    """`GET /health`: 200 `{}` when decisions can be made; with `?bundles` or `?plugins` also that they can be recorded."""
    wanted = call.query()
    asked = {"bundles", "bundle", "plugins"} & set(wanted)
    why = await worker.unready() if asked else ""
    if why:
        return json_answer({"error": why}, 500)
    return json_answer({})


async def _input_of(worker: Worker, call: Call, wanted: Mapping[str, list[str]]) -> tuple[Any, bool]:
    """The input document, and whether there was one."""
    if call.method == "GET":
        given = wanted.get("input")
        return (read_json(given[0], "input", max_depth=worker.max_depth), True) if given else ({}, False)
    raw = await call.read(worker.max_body, worker.body_timeout_s)
    if not raw.strip():
        return {}, False
    document = await _body(worker, call)
    if not isinstance(document, dict):
        raise CallerError("body contains malformed input document", where="body")
    return document.get("input", {}), "input" in document


async def _body(worker: Worker, call: Call) -> Any:
    from governance.normalise.documents import decoded, read_documents

    if "yaml" in call.header(b"content-type"):
        documents = read_documents(call.body, "body.yaml", max_bytes=worker.max_body, max_depth=worker.max_depth)
        return documents[0].value if documents else {}
    return read_json(decoded(call.body, "body", worker.max_body), "body", max_depth=worker.max_depth)


async def _asked(worker: Worker, call: Call, identity: Identity, document: Any) -> tuple[str, str | None]:
    """(decision id, JSON text of the result or None)."""
    source = source_of(call, identity, "http.data")
    path = call.params[0].strip("/")
    if path == DECISION_PATH:
        decision = await decided(worker, document, identity, source)
        return decision.decision_id, json.dumps(decision_json(decision), ensure_ascii=False)
    if identity.tenant and isinstance(document, dict) and document.get("tenant", identity.tenant) != identity.tenant:
        raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="/input/tenant")
    decision_id, answer = await worker.line.aquery(path, document, source)
    worker.telemetry.count("query", "", "")
    return decision_id, answer.text


def _is_on(wanted: Mapping[str, list[str]], name: str) -> bool:
    """OPA reads `?name` and `?name=true` as on."""
    return wanted.get(name, ["false"])[0] in {"", "true", "1"}


def _metrics(started: int, parsed: int) -> dict[str, int]:
    now = time.perf_counter_ns()
    return {
        "timer_rego_input_parse_ns": parsed - started,
        "timer_rego_query_eval_ns": now - parsed,
        "timer_server_handler_ns": now - started,
    }
