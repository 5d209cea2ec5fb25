"""A registry entry from an OpenAPI 3.1 description: everything that can be read off it, `proposed`, and nothing guessed.

Scopes come from the operations' OAuth security requirements; an operation that requires none, or whose server is not plain
https, is refused by place. How much access a scope gives stands in no OpenAPI file: reading methods make it `read`, any other
`write`, and whoever reviews the entry decides. Sensitive fields are left to that review as well: `data_classes` is empty, and
an entry without classes passes no review and no rule.
"""

from __future__ import annotations

import re
from typing import Any

from connectors_registry.load import BadEntry

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_READING = frozenset({"get", "head", "options"})
_SERVER = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?P<base>/[A-Za-z0-9._~/-]*)?")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_FLOWS = {
    "authorizationCode": "authorization_code",
    "clientCredentials": "client_credentials",
    "deviceAuthorization": "device_code",
}
_URLS = {"authorizationUrl": "authorization_url", "tokenUrl": "token_url"}


def entry_from(document: Any, name: str, *, owner: str, review_by: str) -> dict[str, Any]:
    """The entry as `load` reads it. Raises BadEntry naming the place that cannot be taken over."""
    if not _NAME.fullmatch(name):
        raise BadEntry(f"{name!r} is not a name for a connector: lower-case letters, digits and hyphens")
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3.1"):
        raise BadEntry("/openapi: not an OpenAPI 3.1 document")
    hosts, base = _servers(document.get("servers"))
    schemes = _object(_object(document, "components", "/components"), "securitySchemes", "/components/securitySchemes")
    words, oauth = _scopes(schemes)
    operations: list[dict[str, Any]] = []
    access: dict[str, str] = {}
    for path, item in _object(document, "paths", "/paths").items():
        for method in (method for method in _METHODS if isinstance(item, dict) and method in item):
            operation = _operation(item[method], document, method, path, schemes)
            operation["paths"] = [base + path]
            operations.append(operation)
            level = "read" if method in _READING and access.get(operation["scope"]) != "write" else "write"
            access[operation["scope"]] = level
    if not operations:
        raise BadEntry("/paths: no operations")
    entry = {
        "name": name,
        "title": str(_object(document, "info", "/info").get("title", name)),
        "state": "proposed",
        "owner": owner,
        "review_by": review_by,
        "hosts": hosts,
        "regions": [],
        "scopes": {scope: {"access": access[scope], "means": words.get(scope, scope)} for scope in access},
        "data_classes": [],
        "operations": operations,
        "fields": [],
        "limits": {"*": 0},
        "tenants": [],
    }
    return {**entry, "oauth": oauth} if oauth else entry


def _servers(servers: Any) -> tuple[list[str], str]:
    """Hosts, and the path that all of them begin with."""
    if not isinstance(servers, list) or not servers:
        raise BadEntry("/servers: none is named, so nobody knows where this is")
    found = []
    for index, server in enumerate(servers):
        url = server.get("url") if isinstance(server, dict) else None
        match = _SERVER.fullmatch(url) if isinstance(url, str) else None
        if match is None:
            raise BadEntry(f"/servers/{index}/url: not a plain https address without variables")
        found.append((match["host"], (match["base"] or "").rstrip("/")))
    bases = {base for _, base in found}
    if len(bases) > 1:
        raise BadEntry("/servers: they begin with different paths; import one of them at a time")
    return sorted({host for host, _ in found}), bases.pop()


def _scopes(schemes: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """Scopes in the file's words, and the OAuth endpoints."""
    words: dict[str, str] = {}
    flows: list[str] = []
    urls: dict[str, str] = {}
    for scheme in schemes.values():
        for flow, about in (scheme.get("flows", {}) if isinstance(scheme, dict) else {}).items():
            if flow not in _FLOWS or not isinstance(about, dict):
                continue
            flows.append(_FLOWS[flow])
            words |= {str(scope): str(text) or str(scope) for scope, text in about.get("scopes", {}).items()}
            urls |= {ours: str(about[theirs]) for theirs, ours in _URLS.items() if theirs in about}
    return words, {"flows": sorted(set(flows)), **urls} if flows else {}


def _operation(
    operation: Any, document: dict[str, Any], method: str, path: str, schemes: dict[str, Any]
) -> dict[str, Any]:
    where = f"/paths/{path.replace('~', '~0').replace('/', '~1')}/{method}"
    if not isinstance(operation, dict):
        raise BadEntry(f"{where}: not an object")
    required = operation.get("security", document.get("security"))
    alternatives = [
        [str(scope) for name, asked in one.items() if _is_oauth(schemes.get(name)) for scope in asked]
        for one in (required if isinstance(required, list) else ())
        if isinstance(one, dict) and all(isinstance(asked, list) for asked in one.values())
    ]
    if not any(alternatives):
        raise BadEntry(f"{where}: requires no OAuth scope, so nobody could be granted it alone")
    alone = [scopes[0] for scopes in alternatives if len(scopes) == 1]
    if not alone or not all(alternatives):
        raise BadEntry(
            f"{where}: requires several scopes at once, or none as an alternative; write this operation by hand"
        )
    name = str(operation.get("operationId") or f"{method} {path}")
    return {"name": name, "method": method.upper(), "paths": [], "scope": alone[0]}


def _is_oauth(scheme: Any) -> bool:
    return isinstance(scheme, dict) and scheme.get("type") == "oauth2"


def _object(owner: dict[str, Any], member: str, where: str) -> dict[str, Any]:
    value = owner.get(member, {})
    if not isinstance(value, dict):
        raise BadEntry(f"{where}: not an object")
    return value
