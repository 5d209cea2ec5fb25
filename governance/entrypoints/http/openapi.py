"""The OpenAPI 3.1 document of the service: written from the same route table that serves."""

from __future__ import annotations

from typing import Any

_SUMMARIES = {
    ("POST", "/v1/decisions"): "Decide on one request; a deny is a 200 with effect deny",
    ("POST", "/v1/decisions/batch"): "Decide on several requests",
    ("GET", "/v1/decisions/{id}"): "A recorded decision",
    ("POST", "/v1/data/{path}"): "OPA Data API; path platform/decision takes a native request as input",
    ("GET", "/v1/data/{path}"): "OPA Data API, input in the query string",
    ("POST", "/v0/data/{path}"): "OPA Data API v0: body is the input, answer the bare value",
    ("GET", "/v1/policies"): "Modules as they are served",
    ("GET", "/health"): "OPA health",
    ("GET", "/healthz"): "The process lives",
    ("GET", "/readyz"): "Decisions can be made and recorded",
    ("GET", "/metrics"): "Prometheus metrics",
    ("GET", "/openapi.json"): "This document",
    ("GET", "/v1/audit/records"): "Audit records, newest first",
    ("GET", "/checkpoint"): "The audit log's newest signed checkpoint",
}
_PROBLEM = {
    "description": "RFC 9457 problem",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def document() -> dict[str, Any]:
    """The whole document."""
    from governance import __version__

    paths: dict[str, Any] = {}
    for (method, path), summary in _SUMMARIES.items():
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, summary)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Microapp Governance", "version": __version__},
        "security": [{"apiKey": []}],
        "paths": paths,
        "components": {"schemas": _schemas(), "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}}},
    }


def _operation(method: str, path: str, summary: str) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "responses": {"200": {"description": "OK"}, "default": _PROBLEM}}
    name = path.partition("{")[2].rstrip("}")
    if name:
        operation["parameters"] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}}]
    if method == "POST":
        schema = {"$ref": "#/components/schemas/Request"} if path == "/v1/decisions" else {"type": "object"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if path == "/v1/decisions":
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}}
        operation["responses"]["200"] = {"description": "The decision", "content": content}
    return operation


def _schemas() -> dict[str, Any]:
    from governance.model.decision import EFFECTS, MODES, SEVERITIES, Decision, Violation
    from governance.model.request import KINDS

    text = {"type": "string"}
    violation = dict.fromkeys(Violation._fields, text) | {
        "severity": {"enum": list(SEVERITIES)},
        "mode": {"enum": list(MODES)},
        "effect": {"enum": list(EFFECTS)},
        "controls": {"type": "array", "items": text},
        "fix": {"type": "array", "description": "JSON patch that was re-evaluated and passes"},
        "location": {"type": "object"},
    }
    decision = dict.fromkeys(Decision._fields, text) | {
        "effect": {"enum": list(EFFECTS)},
        "error": {"type": ["string", "null"]},
        "expires_at": {"type": ["string", "null"]},
        "violations": {"type": "array", "items": {"type": "object", "properties": violation}},
        "obligations": {"type": "array", "items": {"type": "object"}},
        "rules_evaluated": {"type": "array", "items": text},
    }
    request = {
        "kind": {"enum": sorted(KINDS)}, "action": text, "tenant": text, "subject": {"type": "object"},
        "resource": {"type": "object"}, "context": {"type": "object"}, "dry_run": {"type": "boolean"},
    }  # fmt: skip
    problem = {
        "type": text,
        "title": text,
        "status": {"type": "integer"},
        "detail": text,
        "code": text,
        "instance": text,
        "effect": text,
    }
    return {
        "Request": {
            "type": "object",
            "required": ["kind", "resource"],
            "additionalProperties": False,
            "properties": request,
        },
        "Decision": {"type": "object", "properties": decision},
        "Problem": {"type": "object", "properties": problem},
    }
