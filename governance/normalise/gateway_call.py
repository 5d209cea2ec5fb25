"""A call that a gateway holds back while it asks, as a connector call or app call of ours, or as OPA's Envoy plugin has it.

Who calls is said by headers that the gateway sets (`GATEWAY_HEADERS`) and that it has to take off every call that comes in:
nothing here can tell who wrote them. Sources: Envoy's ext_authz HTTP service; openpolicyagent.org, "Envoy: input document".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote

from governance.errors import CallerError
from governance.normalise.documents import decoded, read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from governance.model.request import Json

GATEWAY_HEADERS = frozenset({
    "x-app", "x-tenant", "x-connector", "x-scopes", "x-subject", "x-role", "x-region", "x-governance-carries",
})  # fmt: skip
# Between gateway and us alone: the key it asks with, and what it says about the question.
_ENVELOPE = frozenset({"x-api-key", "host", "content-length", "transfer-encoding", "connection", "x-request-id"})
_ENVELOPE_STARTS = ("x-envoy-", "x-forwarded-", ":")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
# Of a request to an app; what else there is (cookies, tokens) is the app's and stands in no record.
_DESCRIBING = frozenset({"accept", "content-type", "content-encoding", "user-agent", "origin", "referer"})
PARTIAL = "x-envoy-auth-partial-body"
_MOST_FIELDS = 100
# Whoever reads another charset than we do reads another text: UTF-7 hides a quotation mark in plain letters.
_STATUS = re.compile(r"[1-9][0-9]{2}")
_UTF8 = re.compile(r'charset\s*=\s*("?)(utf-?8|us-ascii)\1')
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Held(NamedTuple):
    """The call as the gateway got it."""

    method: str
    target: str
    """Path and query as they were sent, undecoded."""
    host: str
    scheme: str
    """Of the address that the gateway calls."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def is_partial(self) -> bool:
        """Whether the gateway kept a part of the body to itself."""
        return self.headers.get(PARTIAL, "false") != "false"


def connector_call(held: Held, tenant: str, connector_of: Mapping[str, str], *, max_depth: int) -> dict[str, Json]:
    """A native request. `connector_of`: the connector whose host it is, by host.

    Raises CallerError for a call whose body was not handed over whole: nobody could have looked at what was kept back.
    """
    app = _app_of(held)
    if not _HOST.fullmatch(held.host):
        raise CallerError("is no host", where="header host")
    _check_whole(held)
    resource: dict[str, Json] = {
        "app": app,
        "connector": held.headers.get("x-connector") or connector_of.get(_host_alone(held.host), ""),
        "method": held.method,
        "url": f"{held.scheme}://{held.host}{held.target}",
        "scopes": held.headers.get("x-scopes", "").split(),
        "headers": _forwarded(held),
    }
    if held.body:
        resource["body"] = parsed_body(held, max_depth=max_depth)
    subject = {"id": held.headers["x-subject"]} if held.headers.get("x-subject") else {}
    return {"kind": "connector_call", "tenant": tenant, "subject": subject, "resource": resource}


def app_call(held: Held, tenant: str, *, max_depth: int) -> dict[str, Json]:
    """A native request: what somebody wants of an app of `tenant`, as the gateway got it.

    Raises CallerError as `connector_call` does. The path stays as it was sent; a name of the query has its value, or the
    list of them where it is said more than once.
    """
    app = _app_of(held)
    _check_whole(held)
    path, _, query = held.target.partition("?")
    resource: dict[str, Json] = {
        "app": app,
        "method": held.method,
        "path": path,
        "query": {name: values[0] if len(values) == 1 else values for name, values in _query(query).items()},
        "region": held.headers.get("x-region", ""),
        "headers": {name: value for name, value in held.headers.items() if name in _DESCRIBING},
    }
    if held.body:
        resource["body"] = parsed_body(held, max_depth=max_depth)
    return {"kind": "app_call", "tenant": tenant, "subject": _subject(held), "resource": resource}


def app_answer(held: Held, tenant: str, *, max_depth: int) -> dict[str, Json]:
    """A native request: what an app of `tenant` answered, held by the gateway before anybody hears it.

    `held.body` is the answer's; headers say what it answers (`x-asked-method`, `x-asked-path`) and how (`x-answer-status`,
    `-type`, `-encoding`). A body that cannot be read as JSON is `unreadable`, with the reason: for a rule to refuse, on record.
    """
    headers, status = held.headers, held.headers.get("x-answer-status", "")
    resource: dict[str, Json] = {
        "app": _app_of(held),
        "method": headers.get("x-asked-method", ""),
        "path": headers.get("x-asked-path", "").partition("?")[0],
        "region": headers.get("x-region", ""),
        "status": int(status) if _STATUS.fullmatch(status) else 0,
        "content_type": headers.get("x-answer-type", ""),
    }
    if held.body:
        body, why = _answered_body(held, max_depth)
        resource.update({"unreadable": why} if why else {"body": body})
    return {"kind": "app_answer", "tenant": tenant, "subject": _subject(held), "resource": resource}


def _answered_body(held: Held, max_depth: int) -> tuple[Json, str]:
    """The body, or why there is none; the reason quotes nothing of it."""
    kind = held.headers.get("x-answer-type", "")
    said = held._replace(headers={"content-type": kind, "content-encoding": held.headers.get("x-answer-encoding", "")})
    if not _is_json(said):
        return None, "its type is not JSON"
    try:
        return parsed_body(said, max_depth=max_depth), ""
    except CallerError:
        return None, "it is encoded, not UTF-8, no strict JSON, or nested too deep"


def _subject(held: Held) -> dict[str, str]:
    about = {"id": "x-subject", "role": "x-role", "tenant": "x-tenant"}
    return {name: held.headers.get(header, "") for name, header in about.items()}


def _app_of(held: Held) -> str:
    app = held.headers.get("x-app", "")
    if not app:
        raise CallerError(
            "no app is named", where="header x-app", hint="the gateway sets it from the caller's key or token"
        )
    return app


def _check_whole(held: Held) -> None:
    """Nobody could look at what was kept back."""
    if held.is_partial:
        raise CallerError("only a part of the body was handed over", where="body", hint="raise max_request_bytes")
    if held.method in _WITH_BODY and PARTIAL not in held.headers and not held.body:
        raise CallerError(
            "the body was not handed over", where="body", hint="with_request_body at the gateway's filter"
        )


def _query(text: str) -> dict[str, list[str]]:
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise CallerError(f"more than {_MOST_FIELDS} members", where="query string") from error
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value)
    return found


def envoy_input(held: Held, *, max_depth: int) -> dict[str, Json]:
    """The input that policies for OPA's Envoy plugin read."""
    path, _, query = held.target.partition("?")
    headers = _forwarded(held, keep_identity=True)
    http = {
        "method": held.method, "path": held.target, "host": held.host, "scheme": held.scheme, "headers": headers,
        "body": held.body.decode("utf-8", "replace"), "size": len(held.body),
    }  # fmt: skip
    document: dict[str, Json] = {
        "attributes": {"request": {"http": http}},
        "parsed_path": [unquote(part) for part in path.lstrip("/").split("/")],
        "parsed_query": _query(query),
        "truncated_body": held.is_partial,
    }
    if held.body and not held.is_partial and _is_json(held):
        document["parsed_body"] = parsed_body(held, max_depth=max_depth)
    return document


def parsed_body(held: Held, *, max_depth: int) -> Json:
    """A JSON body as its value, any other as text. Raises CallerError for what is not plain UTF-8, or says that it is not."""
    _check_plain(held)
    text = decoded(held.body, "body", len(held.body))
    return read_json(text, "body", max_depth=max_depth) if _is_json(held) else text


def _check_plain(held: Held) -> None:
    encoding = held.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        raise CallerError("nobody looks into an encoded body", where="header content-encoding", hint="send it as it is")
    said = [part.strip() for part in held.headers.get("content-type", "").lower().split(";") if "charset" in part]
    if not all(_UTF8.fullmatch(part) for part in said):
        raise CallerError("a body is UTF-8", where="header content-type", hint="charset=utf-8, or none")


def _is_json(held: Held) -> bool:
    kind = held.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _forwarded(held: Held, *, keep_identity: bool = False) -> dict[str, str]:
    """The headers that the call itself has."""
    return {
        name: value
        for name, value in held.headers.items()
        if name not in _ENVELOPE
        and not name.startswith(_ENVELOPE_STARTS)
        and (keep_identity or name not in GATEWAY_HEADERS)
    }


def _host_alone(host: str) -> str:
    """A host without the port, in lower case; an address in brackets stays as it is and is no connector's."""
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower().rstrip(".")
