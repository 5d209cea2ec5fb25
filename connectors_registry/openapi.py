"""A registry entry from an OpenAPI 3.1 description: everything that can be read off it, `proposed`, and nothing guessed.

Scopes come from the operations' OAuth security requirements; an operation that requires none, or whose server is not plain
https, is refused by place. How much access a scope gives stands in no OpenAPI file: reading methods make it `read`, any other
`write`, and whoever reviews the entry decides. So it is with data: every member of an answer becomes a field without a class,
which is masked for everybody, and nobody can approve the entry before its owner has filled them in. `data_classes` is empty.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from connectors_registry.load import METHODS, BadEntry, check_connector
from connectors_registry.openapi_schemas import UNCLASSIFIED, Schemas, TooMuch, fields_of

_METHODS = tuple(method.lower() for method in METHODS)
_OTHERS = ("options", "trace")
_READING = frozenset({"get", "head"})
_SERVER = re.compile(r"https://(?P<host>[a-z0-9.-]+)(?P<base>/[A-Za-z0-9._~/-]*)?")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_FLOWS = {
    "authorizationCode": "authorization_code",
    "clientCredentials": "client_credentials",
    "deviceAuthorization": "device_code",
}
_PARAMETER = re.compile(r"\{([^{}/]+)\}")
_JSON = re.compile(r"application/([a-z0-9.+-]+\+)?json")
_SUCCESS = re.compile(r"2(\d\d|XX)")
_URLS = {"authorizationUrl": "authorization_url", "tokenUrl": "token_url"}


class Imported(NamedTuple):
    """What became of a file."""

    entry: dict[str, Any]
    """As `load` reads it."""
    notes: list[str]
    """What was left out of it, by place."""


def imported(document: Any, name: str, *, owner: str, review_by: str) -> Imported:
    """The entry that a file describes. Raises BadEntry naming the place that cannot be taken over."""
    if not _NAME.fullmatch(name):
        raise BadEntry(f"{name!r} is not a name for a connector: lower-case letters, digits and hyphens")
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3.1"):
        raise BadEntry("/openapi: not an OpenAPI 3.1 document")
    hosts, base = _servers(document.get("servers"))
    schemes = _object(_object(document, "components", "/components"), "securitySchemes", "/components/securitySchemes")
    words, oauth = _scopes(schemes)
    operations: list[dict[str, Any]] = []
    access: dict[str, str] = {}
    bodies = _Bodies(document)
    for path, item in _object(document, "paths", "/paths").items():
        if "$ref" in _members(item):
            raise BadEntry(f"{_where(path)}/$ref: write out what stands there")
        bodies.notes += [f"{_where(path)}/{one}: no call is made with it" for one in _OTHERS if one in _members(item)]
        for method in (method for method in _METHODS if method in _members(item)):
            operation = _operation(item[method], document, method, path, schemes)
            operation["paths"] = [base + _PARAMETER.sub(_named, path)]
            operation |= bodies.of(item[method], f"{_where(path)}/{method}", method)
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
        "fields": bodies.fields(),
        "limits": {"*": 0},
        "tenants": [],
    }
    entry |= {"oauth": oauth} if oauth else {}
    check_connector(entry, f"{name} as it would be")
    return Imported(entry, bodies.notes)


class _Bodies:
    """Schemas of requests and answers, and the members of answers."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas = Schemas(document)
        self._fields: dict[str, tuple[str, str]] = {}
        self.notes: list[str] = []

    def of(self, operation: dict[str, Any], where: str, method: str) -> dict[str, Any]:
        """`request` and `response`, where the operation has one that can be checked."""
        self._schemas.begin()
        found: dict[str, Any] = {}
        body = self._schemas.resolved(operation.get("requestBody"), where)
        if isinstance(body, dict) and body.get("required") is True:
            found |= self._kept("request", self._json_of(body, f"{where}/requestBody"), f"{where}/requestBody")
        elif isinstance(body, dict):
            self.notes.append(f"{where}/requestBody: may be missing, so no call is held to its schema")
        answer = None if method == "head" else self._answer(operation.get("responses"), f"{where}/responses")
        return found | self._kept("response", answer, f"{where}/responses")

    def fields(self) -> list[dict[str, Any]]:
        """Every member of an answer, wherever it stands in it, for its owner to say the class."""
        return [
            {"pointer": ["**", name], "class": of_class, **({"pii": kind} if kind else {})}
            for name, (of_class, kind) in sorted(self._fields.items())
        ]

    def _kept(self, part: str, schema: Any, where: str) -> dict[str, Any]:
        if schema is None:
            return {}
        if part == "response":
            for name, said in fields_of(schema, self._schemas, where).items():
                known = self._fields.setdefault(name, said)
                self._fields[name] = known if known == said else (UNCLASSIFIED, "")
        hides = "readOnly" if part == "request" else "writeOnly"
        try:
            return {part: self._schemas.of(schema, where, hides=hides)}
        except TooMuch:
            self.notes.append(f"{where}: its schema is too large to be kept; write what matters of it by hand")
            return {}

    def _answer(self, responses: Any, where: str) -> Any:
        """The schema of a successful answer, where there is one; of several nobody knows which one it will be."""
        named = responses if isinstance(responses, dict) else {}
        good = [self._schemas.resolved(one, where) for code, one in named.items() if _SUCCESS.fullmatch(str(code))]
        schemas = [self._json_of(one, where) for one in good if isinstance(one, dict) and one.get("content")]
        if len(schemas) > 1:
            self.notes.append(f"{where}: several successful answers, so none is held to a schema")
            for schema in schemas:
                self._kept("response", schema, where)
            return None
        return schemas[0] if schemas else None

    def _json_of(self, body: dict[str, Any], where: str) -> Any:
        content = body.get("content")
        types = content if isinstance(content, dict) else {}
        found = [about for name, about in types.items() if _JSON.fullmatch(str(name).partition(";")[0].strip().lower())]
        if len(found) != 1 or len(types) != 1 or not isinstance(found[0], dict) or "schema" not in found[0]:
            self.notes.append(f"{where}: not JSON alone, or without a schema, so it is held to none")
            return None
        return found[0]["schema"]


def _named(parameter: re.Match[str]) -> str:
    """A parameter's name as templates have them; calls never say it."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", parameter[1])
    return f"{{{name}}}" if name[:1].isalpha() else f"{{p{name}}}"


def _members(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _where(path: str) -> str:
    return f"/paths/{path.replace('~', '~0').replace('/', '~1')}"


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
    where = f"{_where(path)}/{method}"
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
