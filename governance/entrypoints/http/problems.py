"""What goes wrong, in words a caller can act on: RFC 9457 problem documents, and OPA's own shape on OPA's paths.

Whatever was asked for and could not be decided is a deny, and the answer says so in so many words (`effect: "deny"`): a
caller that only looks at the body must not read a failure as a yes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from governance.entrypoints.http.asgi import Answer, Headers, json_bytes
from governance.errors import CallerError, DependencyError, Forbidden, NoAnswer, NotFound, NotSignedIn
from governance.policy.adhoc import BadQuery

if TYPE_CHECKING:
    from governance.errors import GovernanceError

_TYPE = "urn:governance:problem:"
_RETRY_AFTER_S = b"1"


class MethodNotAllowed(CallerError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(f"{method} is not for this path", where=path, hint=f"use {', '.join(allowed)}")
        self.allowed = ", ".join(allowed)


def problem(error: GovernanceError, instance: str, *, is_decision: bool = False, decision_id: str = "") -> Answer:
    """RFC 9457. `is_decision`: a decision was asked for; `decision_id`: the refusal's record, where there is one."""
    body: dict[str, Any] = {
        "type": _TYPE + error.code,
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        "instance": quote(instance),
    }
    return Answer(
        error.status, _marked(body, is_decision, decision_id), b"application/problem+json", _headers(error, decision_id)
    )


def opa_error(error: GovernanceError, *, is_decision: bool = True, decision_id: str = "") -> Answer:
    """OPA's `{code, message, errors?}`; its fixed messages, with ours below `errors`."""
    status, body = _opa(error)
    return Answer(status, _marked(body, is_decision, decision_id), headers=_headers(error, decision_id))


def _opa(error: GovernanceError) -> tuple[int, dict[str, Any]]:
    if isinstance(error, NoAnswer):
        reason = {"code": error.code, "message": str(error)}
        return 500, {
            "code": "internal_error",
            "message": "error(s) occurred while evaluating query",
            "errors": [reason],
        }
    if isinstance(error, BadQuery):
        reason = {"code": error.reason, "message": error.message}
        message = f"error(s) occurred while {error.stage} query"
        return error.status, {"code": "invalid_parameter", "message": message, "errors": [reason]}
    if isinstance(error, NotSignedIn | Forbidden):
        return error.status, {"code": "unauthorized", "message": str(error)}
    if isinstance(error, NotFound):
        return error.status, {"code": "resource_not_found", "message": str(error)}
    if isinstance(error, MethodNotAllowed):
        return error.status, {"code": "invalid_operation", "message": str(error)}
    if isinstance(error, CallerError):
        return error.status, {"code": "invalid_parameter", "message": str(error)}
    return error.status, {"code": "internal_error", "message": str(error)}


def _marked(body: dict[str, Any], is_decision: bool, decision_id: str) -> bytes:  # noqa: FBT001
    if is_decision:
        body["effect"] = "deny"
    if decision_id:
        body["decision_id"] = decision_id
    return json_bytes(body)


def _headers(error: GovernanceError, decision_id: str) -> Headers:
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, DependencyError):
        headers.append((b"retry-after", _RETRY_AFTER_S))
    elif isinstance(error, NotSignedIn):
        headers.append((b"www-authenticate", b"Bearer"))
    elif isinstance(error, MethodNotAllowed):
        headers.append((b"allow", error.allowed.encode()))
    if decision_id:
        headers.append((b"x-decision-id", decision_id.encode()))
    return tuple(headers)
