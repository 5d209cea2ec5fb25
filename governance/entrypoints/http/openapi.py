"""The OpenAPI 3.1 document of the service: written from the same route table that serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROBLEM = {
    "description": "RFC 9457 problem",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def document(routes: Iterable[tuple[str, str, str, bool]]) -> dict[str, Any]:
    """The whole document. `routes`: method, path, summary, whether one has to sign in."""
    from governance import __version__

    paths: dict[str, Any] = {}
    for method, path, summary, is_closed in routes:
        # OpenAPI has no word for a parameter that spans segments.
        plain = path.replace("*}", "}")
        paths.setdefault(plain, {})[method.lower()] = {
            **_operation(method, plain, summary), **({} if is_closed else {"security": []})
        }  # fmt: skip
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
    if path == "/v1/scans":
        operation |= _scan(operation["responses"])
    if path == "/v1/decisions":
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/Decision"}}}
        operation["responses"]["200"] = {"description": "The decision", "content": content}
    return operation


def _scan(responses: dict[str, Any]) -> dict[str, Any]:
    """A scan takes a document of any format that can be looked into, not only JSON."""
    from governance.entrypoints.http.scans import CONTENT_TYPES

    deep = {"name": "deep", "in": "query", "schema": {"type": "boolean", "default": False}}
    answer = {"application/json": {"schema": {"$ref": "#/components/schemas/Scan"}}}
    return {
        "parameters": [deep],
        "requestBody": {"required": True, "content": {kind: {} for kind in CONTENT_TYPES}},
        "responses": {**responses, "200": {"description": "What was found", "content": answer}},
    }


def _scan_schema() -> dict[str, Any]:
    text = {"type": "string"}
    finding = {
        "pointer": {
            **text,
            "description": "JSON pointer; /row/column in CSV, /name/place in XML; telling names replaced",
        },
        "entity": text,
        "kind": {"enum": ["pii", "secret"]},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "reason": {"enum": ["checksum", "form", "prefix", "context", "name", "column", "deep"]},
        "decode": {"type": "array", "items": text, "description": "How it was hidden, outermost first"},
        "span": {
            "type": ["array", "null"],
            "items": {"type": "integer"},
            "description": "Characters; null: the whole value",
        },
        "line": {"type": "integer", "minimum": 1},
    }
    return {
        "type": "object",
        "properties": {
            "scan_id": text,
            "content_type": text,
            "bytes": {"type": "integer"},
            "deep": {"type": "boolean"},
            "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
            "revision": {**text, "description": "The bundle whose data said what to look for"},
            "policy": {
                "type": "object",
                "properties": {"countries": {"type": "array", "items": text}, "least_score": {"type": "number"}},
            },
            "findings": {"type": "array", "items": {"type": "object", "properties": finding}},
        },
    }


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
        "Scan": _scan_schema(),
    }
