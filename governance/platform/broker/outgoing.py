"""What leaves for a vendor, made from a decided call: host, headers and body, and the one repetition that a nonce asks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from governance.errors import CallerError, InternalError
from governance.platform.broker.sending import Sent

if TYPE_CHECKING:
    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.platform.broker.credentials import Credential
    from governance.platform.broker.sending import Received

_NONCE = "dpop-nonce"


def nonce_for(credential: Credential, head: Received) -> str:
    """RFC 9449, section 9: refused before anything was done, because the proof lacks the server's nonce. Else empty."""
    return head.headers.get(_NONCE, "") if head.status == 401 and credential.key is not None else ""


def without_nonce(head: Received) -> Received:
    """As an app may see it: the nonce is between the vendor and whoever holds the token's key."""
    return head._replace(headers={name: text for name, text in head.headers.items() if name != _NONCE})


def sent_of(resource: Json, decision: Decision, credential: Credential, nonce: str = "") -> Sent:
    """The request as it leaves; raises InternalError where the decision does not name its host."""
    parts, host = urlsplit(resource["url"]), host_of(resource, decision)
    dropped = {o.value["name"] for o in decision.obligations if o.type == "header" and o.value["op"] == "remove"}
    headers = {name: value for name, value in resource.get("headers", {}).items() if name not in dropped}
    body = resource.get("body")
    raw = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    if raw and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        raise CallerError("the address has letters that are not ASCII", where="/url", hint="percent-encode them")
    shown = credential.headers_for(resource["method"], f"https://{parts.netloc}{parts.path or '/'}", nonce)
    return Sent(resource["method"], host, target, {**headers, **shown}, raw, credential.certificate)


def host_of(resource: Json, decision: Decision) -> str:
    """Where a call goes; raises InternalError where the decision does not name it."""
    host = (urlsplit(resource["url"]).hostname or "").removesuffix(".")
    if host not in {o.value for o in decision.obligations if o.type == "egress_allow"}:
        raise InternalError(f"decision {decision.decision_id} does not let anything out to {host[:100]}")
    return host
