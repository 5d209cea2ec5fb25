"""Reading a request and writing an answer over ASGI, with limits that hold before anything is parsed."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs

from governance.errors import CallerError, GovernanceError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

# How long a body may take to arrive, whole.
BODY_DEADLINE_S = 10.0
_PROBLEM_TYPE = "urn:governance:problem:"


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class UnsupportedMedia(CallerError):
    """A content type or encoding that is not read here."""

    code = "unsupported_media"
    status = 415


class SlowBody(CallerError):
    """The body did not arrive in time."""

    code = "slow_body"
    status = 408


class Call:
    """One HTTP request."""

    __slots__ = ("_receive", "body", "headers", "method", "params", "path", "query_string")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query_string: bytes = scope.get("query_string", b"")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self._receive = receive
        self.body = b""
        self.params: tuple[str, ...] = ()
        """Parts of the path that the route left open."""

    def header(self, name: bytes) -> str:
        """A header's value, latin-1 as HTTP has it; empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self) -> Mapping[str, list[str]]:
        """The query string's members; a name without a value has an empty one."""
        if not self.query_string:
            return {}
        return parse_qs(self.query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=100)

    async def read(self, limit: int) -> bytes:
        """The whole body, decompressed; raises TooLarge as soon as it is, SlowBody when it takes too long."""
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                raw = await self._read(limit)
        except TimeoutError as error:
            raise SlowBody(f"the body took more than {BODY_DEADLINE_S:g} s") from error
        encoding = self.headers.get(b"content-encoding", b"identity").lower()
        if encoding == b"gzip":
            raw = gunzipped(raw, limit)
        elif encoding != b"identity":
            raise UnsupportedMedia(
                f"content encoding {encoding.decode('latin-1')[:40]!r} is not read here", hint="send gzip or none"
            )
        self.body = raw
        return raw

    async def _read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerError("the body was cut off")
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                raise TooLarge(
                    f"more than {limit} bytes", where="body", hint="GOVERNANCE_MAX_BODY_BYTES sets the limit"
                )
            pieces.append(piece)
            if not message.get("more_body"):
                return b"".join(pieces)


def gunzipped(raw: bytes, limit: int) -> bytes:
    """Decompress at most `limit` bytes: a small body that unfolds into a huge one is refused, not unfolded."""
    machine = zlib.decompressobj(wbits=31)
    try:
        plain = machine.decompress(raw, limit + 1)
    except zlib.error as error:
        raise CallerError("the body is not gzip", where="body") from error
    if len(plain) > limit:
        raise TooLarge(f"more than {limit} bytes once decompressed", where="body")
    if not machine.eof:
        raise CallerError("the gzip body is cut off", where="body")
    return plain


def json_answer(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), headers=headers)


def problem(error: GovernanceError, instance: str, *, decision: bool = False) -> Answer:
    """RFC 9457. `decision`: a decision was asked for, so the answer says in so many words that it is a deny."""
    body: dict[str, Any] = {
        "type": _PROBLEM_TYPE + error.code,
        "title": error.code.replace("_", " "),
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        "instance": instance,
    }
    if decision:
        body["effect"] = "deny"
    headers = (("retry-after", "1"),) if error.status == 503 else ()
    if error.status == 401:
        headers = (("www-authenticate", "Bearer"),)
    raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Answer(error.status, raw, "application/problem+json", headers)


async def send_answer(send: Send, answer: Answer, *, gzip: bool = False) -> None:
    """Write the answer; compressed where the caller asked and it is worth it."""
    body = answer.body
    headers = [
        (b"content-type", answer.content_type.encode()),
        *((k.encode(), v.encode("latin-1", "replace")) for k, v in answer.headers),
    ]
    if gzip and len(body) > 1024:
        machine = zlib.compressobj(wbits=31)
        body = machine.compress(body) + machine.flush()
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
