"""Doubles of the vendors in the registry, as tables: what each answers at which path, and how each says no.

Shapes and errors follow the vendors' public documentation, and a test holds every answer to the schema that the registry
has for its operation. The people are invented. A parameter of a path matches one segment.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from governance.platform.broker.doubles import Asked, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Answers = Mapping[tuple[str, str], Any]


class Vendor(NamedTuple):
    """One vendor: `answers` by method and path template; a tuple is a stream of events, None an answer without a body."""

    host: str
    answers: Answers
    refusal: Callable[[int, str], Any]
    """The body of an error, from its status and a word for it."""
    error_status: int = 0
    """The status of every error; 0: its own."""


def double_of(vendor: Vendor, credential: str) -> Callable[[Asked], Reply]:
    """Answers who presents this credential, and gives it out at the token endpoint where the vendor has one."""

    def answer(asked: Asked) -> Reply:
        if (asked.method, asked.path) == ("POST", "/oauth/token"):
            form = parse_qs(asked.body.decode("latin-1"))
            if form.get("grant_type") != ["client_credentials"]:
                return _json({"error": "unsupported_grant_type"}, 400)
            return _json({"access_token": credential, "token_type": "Bearer", "expires_in": 300})
        if asked.headers.get("authorization") != f"Bearer {credential}":
            return _json(vendor.refusal(401, "not_authed"), vendor.error_status or 401)
        for (method, template), body in vendor.answers.items():
            if method == asked.method and _is_at(template, asked.path):
                return _reply(body)
        return _json(vendor.refusal(404, "not_found"), vendor.error_status or 404)

    return answer


def _is_at(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    pairs = zip(wanted, given, strict=False)
    return len(wanted) == len(given) and all(part == one or part.startswith("{") for part, one in pairs)


def _reply(body: Any) -> Reply:
    if isinstance(body, tuple):
        events = [f"data: {json.dumps(event)}\n\n".encode() for event in body]
        return Reply(b"", "text/event-stream", pieces=[*events, b"data: [DONE]\n\n"])
    return Reply(b"", "text/plain", 202) if body is None else _json(body)


def _json(body: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(body).encode(), "application/json; charset=utf-8", status)


_ADA_SLACK = {"real_name": "Ada Example", "email": "ada@example.com"}
_ADA_GOOGLE = {
    "resourceName": "people/c1001", "etag": "%EgUBAgMuNw==",
    "names": [{"displayName": "Ada Example", "givenName": "Ada", "familyName": "Example"}],
    "emailAddresses": [{"value": "ada@example.com", "type": "work"}],
}  # fmt: skip
_ADA_GRAPH = {
    "id": "87d349ed-44d7-43e1-9a83-5f2406dee5bd", "displayName": "Ada Example", "givenName": "Ada", "surname": "Example",
    "mail": "ada@example.com", "userPrincipalName": "ada@example.com", "mobilePhone": None,
}  # fmt: skip
_ADA_SALESFORCE = {
    "attributes": {"type": "Contact", "url": "/services/data/v63.0/sobjects/Contact/003D000000QExampleIAG"},
    "Id": "003D000000QExampleIAG", "Name": "Ada Example", "Email": "ada@example.com",
}  # fmt: skip
_PLACES = ({"name": "Green Table", "score": 0.93}, {"name": "Corner Kitchen", "score": 0.81})

VENDORS: dict[str, Vendor] = {
    "slack": Vendor(
        "slack.com",
        {
            ("POST", "/api/chat.postMessage"): {"ok": True, "channel": "C0123", "ts": "1800000000.000100"},
            ("GET", "/api/conversations.list"): {
                "ok": True, "channels": [{"id": "C0123", "name": "lunch"}], "response_metadata": {"next_cursor": ""},
            },
            ("GET", "/api/users.list"): {
                "ok": True, "response_metadata": {"next_cursor": ""},
                "members": [{"id": "U0123", "name": "ada", "real_name": "Ada Example", "profile": _ADA_SLACK}],
            },
        },
        lambda _, word: {"ok": False, "error": word},
        # Slack says no with a 200.
        error_status=200,
    ),
    "google-workspace": Vendor(
        "people.googleapis.com",
        {
            ("GET", "/v1/people/me/connections"): {"connections": [_ADA_GOOGLE], "totalItems": 1},
            ("GET", "/v1/people:searchDirectoryPeople"): {"people": [_ADA_GOOGLE], "totalSize": 1},
            ("POST", "/v1/people:createContact"): _ADA_GOOGLE,
            ("GET", "/v1/people/{id}"): _ADA_GOOGLE,
        },
        lambda status, word: {"error": {"code": status, "message": word, "status": word.upper()}},
    ),
    "salesforce": Vendor(
        "example.my.salesforce.com",
        {
            ("GET", "/services/data/{version}/query"): {"totalSize": 1, "done": True, "records": [_ADA_SALESFORCE]},
            ("GET", "/services/data/{version}/query/{locator}"): {"totalSize": 1, "done": True, "records": []},
            ("GET", "/services/data/{version}/sobjects/{object}/{id}"): _ADA_SALESFORCE,
            ("GET", "/services/oauth2/userinfo"): {"sub": "https://example.my.salesforce.com/id/1", "organization_id": "00D"},
        },
        lambda status, word: [{"message": word, "errorCode": "INVALID_SESSION_ID" if status == 401 else "NOT_FOUND"}],
    ),
    "microsoft365": Vendor(
        "graph.microsoft.com",
        {
            ("GET", "/v1.0/me"): _ADA_GRAPH,
            ("GET", "/v1.0/users"): {"value": [_ADA_GRAPH]},
            ("GET", "/v1.0/me/events"): {"value": [{"id": "AAMkAG", "subject": "Lunch"}]},
            ("POST", "/v1.0/me/sendMail"): None,
            ("GET", "/v1.0/users/{id}"): _ADA_GRAPH,
        },
        lambda status, word: {"error": {"code": "InvalidAuthenticationToken" if status == 401 else word, "message": word}},
    ),
    "recommender": Vendor(
        "api.recommender.example.com",
        {
            ("POST", "/v1/recommendations"): {"recommendations": list(_PLACES)},
            ("POST", "/v1/recommendations/stream"): _PLACES,
        },
        lambda status, word: {"status": status, "title": word},
    ),
}  # fmt: skip
