"""The rest of OPA's REST API: batches, ad-hoc queries, policies to read, configuration; what would write is refused.

Batches as EOPA has them (docs.styra.com, "Batch Query API"): 200 where each has an answer, 207 where some have, 500 for none.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.decisions import digest_of, source_of
from governance.entrypoints.http.opa import asked, document_of, is_on, metrics, opa_answer, provenance
from governance.entrypoints.http.problems import opa_error
from governance.errors import CallerError, Forbidden, NoAnswer, NotFound, TooLarge
from governance.model.moment import new_decision_id
from governance.policy.adhoc import ask_query, check_query

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.errors import GovernanceError
    from governance.model.request import Json
    from governance.platform.keys import Identity

_NO_INPUTS = {"code": "api_usage_warning", "message": "'inputs' key missing from the request"}


class BundleOwned(CallerError):
    """A write to what comes from bundles."""


async def batch(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`{"inputs": {id: input}, "common_input"?}` in, `{"batch_decision_id", "responses": {id: …}}` out; each is recorded."""
    started = time.perf_counter_ns()
    await call.read(worker.max_body, worker.body_timeout_s)
    document = await document_of(worker, call)
    if not isinstance(document, dict):
        raise CallerError("body contains malformed input document", where="body")
    inputs, common = document.get("inputs", {}), document.get("common_input")
    if not isinstance(inputs, dict):
        raise CallerError("has to be an object of inputs by name", where="/inputs")
    if len(inputs) > worker.max_batch:
        raise TooLarge(f"more than {worker.max_batch} inputs", where="/inputs", hint="send several batches")
    wanted, parsed = call.query(), time.perf_counter_ns()
    path = call.params[0].strip("/") if call.params else ""
    good: dict[str, Json] = {}
    bad: dict[str, Json] = {}
    for name in sorted(inputs):
        given = inputs[name] if common is None else _merged(common, inputs[name])
        try:
            good[name] = await _one(worker, call, identity, path, given)
        except (NoAnswer, CallerError) as error:
            bad[name] = await _failed(worker, call, identity, error)
    if good and bad:
        good = {name: {**row, "http_status_code": "200"} for name, row in good.items()}
        bad = {name: {**row, "http_status_code": "500"} for name, row in bad.items()}
    body: dict[str, Json] = {"batch_decision_id": new_decision_id(), "responses": {**good, **bad}}
    if is_on(wanted, "metrics"):
        body["metrics"] = metrics(started, parsed)
    if "inputs" not in document:
        body["warning"] = _NO_INPUTS
    return opa_answer(json.dumps(body, ensure_ascii=False), wanted, 200 if not bad else 207 if good else 500)


async def _one(worker: Worker, call: Call, identity: Identity, path: str, given: Json) -> dict[str, Json]:
    started = time.perf_counter_ns()
    decision_id, text = await asked(worker, call, identity, path, given)
    row: dict[str, Json] = {"decision_id": decision_id}
    if text is not None:
        row["result"] = json.loads(text)
    if is_on(call.query(), "metrics"):
        row["metrics"] = metrics(started, started)
    if is_on(call.query(), "provenance"):
        row["provenance"] = provenance(worker)
    return row


async def _failed(worker: Worker, call: Call, identity: Identity, error: GovernanceError) -> dict[str, Json]:
    """One answer that is none: a deny, which the line recorded unless it never became a question."""
    decision_id = ""
    if isinstance(error, CallerError):
        decision_id = await worker.line.arefuse(source_of(call, identity, "http.data"), error, digest_of(call.body))
    row: dict[str, Json] = json.loads(opa_error(error, decision_id=decision_id).body)
    return row


def _merged(common: Json, own: Json) -> Json:
    """`own` over `common`, member by member at every depth."""
    if not (isinstance(common, dict) and isinstance(own, dict)):
        return own
    return {**common, **{k: _merged(common[k], v) if k in common else v for k, v in own.items()}}


async def query(worker: Worker, call: Call, identity: Identity) -> Answer:
    """`POST /v1/query` with `{query, input?}`, `GET /v1/query?q=`: bindings of each solution; off unless it was switched on."""
    started = time.perf_counter_ns()
    if not worker.answers_queries:
        raise Forbidden("ad-hoc queries are switched off", where=call.path, hint="GOVERNANCE_QUERIES=on allows them")
    if identity.tenant:
        raise Forbidden("a query sees the data of every tenant; this key is for one", where=call.path)
    wanted = call.query()
    document = await _query_of(worker, call, wanted)
    check_query(worker.active, document["query"])
    parsed = time.perf_counter_ns()
    source = source_of(call, identity, "http.data")
    decision_id, answer = await worker.line.aquery("query", document, source, evaluate=ask_query)
    worker.telemetry.count("query", "", "")
    body: dict[str, Json] = {"decision_id": decision_id}
    if answer.text is not None:
        body["result"] = json.loads(answer.text)
    if is_on(wanted, "metrics"):
        body["metrics"] = metrics(started, parsed)
    return opa_answer(json.dumps(body, ensure_ascii=False), wanted)


async def _query_of(worker: Worker, call: Call, wanted: Any) -> dict[str, Json]:
    if call.method == "GET":
        if "q" not in wanted:
            raise CallerError("missing parameter 'q'")
        return {"query": wanted["q"][0]}
    await call.read(worker.max_body, worker.body_timeout_s)
    document = await document_of(worker, call)
    if not isinstance(document, dict) or not isinstance(document.get("query"), str):
        raise CallerError("has to be text", where="/query")
    return {name: document[name] for name in ("query", "input") if name in document}


async def policies(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """`GET /v1/policies`: ids and texts as they are served (compiled form)."""
    rows = [{"id": path, "raw": text} for path, text in worker.active.compiled.modules]
    return json_answer({"result": rows})


async def policy(worker: Worker, call: Call, _identity: Identity) -> Answer:
    """`GET /v1/policies/{id}`: one of them."""
    for path, text in worker.active.compiled.modules:
        if path == call.params[0]:
            return json_answer({"result": {"id": path, "raw": text}})
    raise NotFound(f"storage_not_found_error: policy id {json.dumps(call.params[0])}")


async def refuse_write(_worker: Worker, call: Call, _identity: Identity) -> Answer:
    """PUT, PATCH and DELETE: policy and data come from bundles alone, and OPA says so in these words."""
    raise BundleOwned(
        f'path {call.params[0] if call.params else "/"} is owned by bundle "main"', hint="activate a new bundle"
    )


async def config(worker: Worker, _call: Call, _identity: Identity) -> Answer:
    """`GET /v1/config`: what OPA's clients look for, without anything secret."""
    from governance import __version__

    labels = {"id": worker.settings.text("log_origin"), "version": __version__}
    decisions = {"decision_logs": {"console": False}, "default_decision": "/system/main"}
    return json_answer({"result": {"labels": labels, **decisions, "bundles": {"main": {"resource": "main"}}}})
