"""OPA's REST API: Data API in both versions, default decision, health; paths, members, statuses and errors as OPA's."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import decided, source_of
from governance.errors import CallerError, Forbidden
from governance.model.answer import decision_json
from governance.normalise.documents import read_json
from governance.policy.query import ask, ask_strictly, holds_data

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

# The whole line under OPA's address: `input` is a native request, `result` the decision.
DECISION_PATH = "platform/decision"
_EXPLAINS = frozenset({"notes", "fails", "full", "debug"})
_WARNING = {"code": "api_usage_warning", "message": "'input' key missing from the request"}


async def data(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`POST|GET /v1/data/{path}`: `{"result": …, "decision_id": …}`; no `result` where the path is undefined."""
    started = time.perf_counter_ns()
    wanted = call.query()
    document, has_input = await _input_of(worker, call, wanted)
    parsed = time.perf_counter_ns()
    path = call.params[0].strip("/") if call.params else ""
    is_explained = _is_explained(wanted, path)
    decision_id, text = await asked(worker, call, identity, path, document)
    parts = [f'"decision_id":"{decision_id}"']
    if text is not None:
        parts.append(f'"result":{text}')
    if not has_input and call.method == "POST":
        parts.append(f'"warning":{json.dumps(_WARNING)}')
    if is_explained and text is not None:
        parts.append(f'"explanation":{json.dumps(_explanation(json.loads(text)), ensure_ascii=False)}')
    if is_on(wanted, "provenance"):
        parts.append(f'"provenance":{json.dumps(provenance(worker))}')
    if is_on(wanted, "metrics") or is_on(wanted, "instrument"):
        parts.append(f'"metrics":{json.dumps(metrics(started, parsed))}')
    answer = opa_answer("{" + ",".join(parts) + "}", wanted)
    return answer._replace(headers=((b"x-decision-id", decision_id.encode()),))


async def data_v0(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`POST /v0/data/{path}`: the body is the input, the answer is the bare value; 404 where it is undefined."""
    return await _bare(worker, call, identity, call.params[0].strip("/"))


async def default_decision(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`POST /`: the body is the input of `data.system.main`, whose bare value is the answer; 404 where it is undefined."""
    return await _bare(worker, call, identity, "system/main")


async def _bare(worker: Worker, call: Call, identity: Identity, path: str) -> Answer:
    raw = await call.read(worker.max_body, worker.body_timeout_s)
    document = await document_of(worker, call) if raw.strip() else {}
    decision_id, text = await asked(worker, call, identity, path, document)
    headers = ((b"x-decision-id", decision_id.encode()),)
    if text is None:
        dotted = "data." + path.replace("/", ".")
        missing = {"code": "undefined_document", "message": f"document missing or undefined: {dotted}"}
        return json_answer(missing, 404, headers)
    return opa_answer(text, call.query())._replace(headers=headers)


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
    document = await document_of(worker, call)
    if not isinstance(document, dict):
        raise CallerError("body contains malformed input document", where="body")
    return document.get("input", {}), "input" in document


async def document_of(worker: Worker, call: Call) -> Any:
    """The body as a value: YAML where the caller says so, else JSON whatever it says, as OPA has it."""
    from governance.normalise.documents import decoded, read_documents

    if "yaml" in call.header(b"content-type"):
        documents = read_documents(call.body, "body.yaml", max_bytes=worker.max_body, max_depth=worker.max_depth)
        if len(documents) > 1:
            raise CallerError("one document is asked about at a time", where="body.yaml", hint="send each by itself")
        return documents[0].value if documents else {}
    return read_json(decoded(call.body, "body", worker.max_body), "body", max_depth=worker.max_depth)


async def asked(worker: Worker, call: Call, identity: Identity, path: str, document: Any) -> tuple[str, str | None]:
    """(decision id, JSON text of the result or None)."""
    source = source_of(call, identity, "http.data")
    if path == DECISION_PATH:
        decision = await decided(worker, document, identity, source)
        return decision.decision_id, json.dumps(decision_json(decision), ensure_ascii=False)
    if identity.tenant and isinstance(document, dict) and document.get("tenant", identity.tenant) != identity.tenant:
        raise Forbidden(f"this key is for the tenant {identity.tenant!r} only", where="/input/tenant")
    if identity.tenant and holds_data(worker.active, path):
        raise Forbidden(
            f"this is data of every tenant; this key is for {identity.tenant!r} only",
            where=f"/v1/data/{path}", hint="ask for the value of one rule, or with a key that is for no tenant",
        )  # fmt: skip
    evaluate = ask_strictly if is_on(call.query(), "strict-builtin-errors") else ask
    decision_id, answer = await worker.line.aquery(path, document, source, evaluate=evaluate)
    worker.telemetry.count("query", "", "")
    return decision_id, answer.text


def is_on(wanted: Mapping[str, list[str]], name: str) -> bool:
    """OPA reads `?name` and `?name=true` as on."""
    return wanted.get(name, ["false"])[0] in {"", "true", "1"}


def opa_answer(text: str, wanted: Mapping[str, list[str]], status: int = 200) -> Answer:
    """JSON text as an answer, with line breaks where `?pretty` asks for them."""
    if is_on(wanted, "pretty"):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return Answer(status, text.encode("utf-8", "replace"))


def provenance(worker: Worker) -> dict[str, Any]:
    """OPA's members; nobody stamps a build here, so those three are empty as they are in an unstamped OPA."""
    from governance import __version__

    empty = {"build_commit": "", "build_timestamp": "", "build_hostname": ""}
    return {"version": __version__, **empty, "bundles": {"main": {"revision": worker.active.revision}}}


def metrics(started: int, parsed: int) -> dict[str, int]:
    """OPA's timers, as far as there is something to time: nothing is parsed or compiled for a question."""
    now = time.perf_counter_ns()
    return {
        "timer_rego_input_parse_ns": parsed - started,
        "timer_rego_query_eval_ns": now - parsed,
        "timer_server_handler_ns": now - started,
    }


def _is_explained(wanted: Mapping[str, list[str]], path: str) -> bool:
    """Whether an explanation is asked for; the line can say which rules it asked, and no other path has a trace here."""
    mode = wanted.get("explain", ["off"])[0]
    if mode not in _EXPLAINS:
        return False
    if path != DECISION_PATH:
        raise CallerError(
            f"explain={mode} needs an evaluation trace, which this engine does not keep",
            where="query string", hint=f"ask data/{DECISION_PATH}, whose explanation names every rule",
        )  # fmt: skip
    return True


def _explanation(decision: dict[str, Any]) -> list[str]:
    """One line for each rule that was evaluated: where it objects and why, or that it does not."""
    said: dict[str, list[str]] = {}
    for violation in decision["violations"]:
        said.setdefault(violation["rule"], []).append(
            f"{violation['effect']} at {violation['path'] or '/'}: {violation['message']}"
        )
    return [f"{rule} {line}" for rule in decision["rules_evaluated"] for line in said.get(rule, ["does not object"])]
