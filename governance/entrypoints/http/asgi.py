"""Reading a request and writing an answer over ASGI, with limits that hold before anything is parsed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, quote

from governance.errors import CallerError, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

Headers = tuple[tuple[bytes, bytes], ...]

# Below this size compressing costs more than it saves.
_WORTH_COMPRESSING = 1024
_MOST_FIELDS = 100
# Bytes of a file that are in memory at once.
_PIECE = 1 << 18
# A body that is too large is heard out, and thrown away, up to this many times the limit: a caller that is still sending
# when the connection closes would see a broken connection instead of the reason.
_LISTENS = 8
# Said twice, these would mean one thing to a proxy and another to us.
_SAID_ONCE = frozenset(
    b"authorization x-api-key content-type content-encoding content-length host traceparent"
    b" x-app x-tenant x-connector x-scopes x-subject x-role x-region x-envoy-auth-partial-body x-governance-carries"
    b" x-asked-method x-asked-path x-answer-status x-answer-type x-answer-encoding"
    b" ce-specversion ce-id ce-source ce-type ce-subject ce-time ce-dataschema ce-partitionkey webhook-id webhook-timestamp"
    b" webhook-signature webhook-jwt stripe-signature x-hub-signature-256 x-slack-signature x-slack-request-timestamp".split()
)
# W3C Trace Context, level 1. A version above 00 may carry more after the flags.
_TRACE_PARENT = re.compile(
    r"(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Answer(NamedTuple):
    """What goes back."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: Headers = ()
    file: str = ""
    """Path of a file that is sent instead of `body`, piece by piece."""
    stream: AsyncIterator[bytes] | None = None
    """Pieces that are sent instead of `body` as they come; an error in between closes the connection."""


class UnsupportedMedia(CallerError):
    """A content type or encoding that is not read here."""

    code = "unsupported_media"
    status = 415


class SlowBody(CallerError):
    """The body did not arrive in time."""

    code = "slow_body"
    status = 408


class CutOff(CallerError):
    """The caller hung up before the body was whole; nobody hears the answer."""

    code = "cut_off"


class Call:
    """One HTTP request."""

    __slots__ = (
        "_receive",
        "body",
        "headers",
        "is_read",
        "method",
        "params",
        "path",
        "query_string",
        "said_twice",
        "scheme",
        "target",
        "trace",
    )

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.scheme: str = scope.get("scheme", "http")
        self.query_string: bytes = scope.get("query_string", b"")
        self.target: bytes = _target(scope)
        """Path and query as they were sent, undecoded."""
        headers = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(headers)
        self.said_twice = ""
        if len(headers) != len(self.headers):
            self.headers, self.said_twice = _joined(headers), _said_twice(headers)
        self._receive = receive
        self.body = b""
        self.is_read = False
        """Whether `body` is the whole body as it was sent, decompressed."""
        self.params: tuple[str, ...] = ()
        """Parts of the path that the route left open."""
        self.trace = trace_of(self.headers.get(b"traceparent"))

    def header(self, name: bytes) -> str:
        """A header's value, latin-1 as HTTP has it; empty where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    def query(self) -> Mapping[str, list[str]]:
        """The query string's members; a name without a value has an empty one."""
        if not self.query_string:
            return {}
        try:
            return parse_qs(self.query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError as error:
            raise CallerError(f"more than {_MOST_FIELDS} members", where="query string") from error

    def query_of(self, names: Sequence[str]) -> dict[str, str]:
        """The query string's members, each of them one of `names` and asked once; raises CallerError for any other."""
        query = self.query()
        for name, values in query.items():
            if name not in names or len(values) > 1:
                raise CallerError(f"{name[:40]!r} is not asked once, or not known here", hint=f"use {', '.join(names)}")
        return {name: values[0] for name, values in query.items()}

    async def read(self, limit: int, deadline_s: float) -> bytes:
        """The whole body, decompressed; raises TooLarge as soon as it is, SlowBody when it takes too long."""
        encoding = self.headers.get(b"content-encoding", b"identity").lower()
        if encoding not in {b"gzip", b"identity"}:
            name = encoding.decode("latin-1")[:40]
            raise UnsupportedMedia(f"content encoding {name!r} is not read here", hint="send gzip or none")
        announced = self.headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced[:20]) > limit * _LISTENS:
            raise _too_large(limit)
        try:
            async with asyncio.timeout(deadline_s):
                raw = await self._read(limit)
        except TimeoutError as error:
            raise SlowBody(f"the body took more than {deadline_s:g} s", where="body") from error
        self.body = gunzipped(raw, limit) if encoding == b"gzip" else raw
        self.is_read = True
        return self.body

    async def gone(self) -> None:
        """Return once the caller has hung up; to be awaited only after the body was read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _read(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CutOff("the connection closed before the body was whole", where="body")
            piece = message.get("body", b"")
            size += len(piece)
            if size <= limit:
                pieces.append(piece)
            elif size > limit * _LISTENS:
                raise _too_large(limit)
            if not message.get("more_body"):
                if size > limit:
                    raise _too_large(limit)
                return b"".join(pieces)


class Trace(NamedTuple):
    """Which distributed trace a call belongs to (W3C Trace Context)."""

    trace_id: str
    parent_id: str
    """Span of the caller; empty where the trace begins here."""
    flags: str

    def header(self) -> bytes:
        """The `traceparent` of our own span in the same trace."""
        return f"00-{self.trace_id}-{os.urandom(8).hex()}-{self.flags}".encode()


def trace_of(header: bytes | None) -> Trace:
    """The trace named by a `traceparent` header; a new one where there is none that is well-formed."""
    if header is not None:
        found = _TRACE_PARENT.fullmatch(header.decode("latin-1"))
        if found is not None and _is_known(found):
            return Trace(found["trace"], found["parent"], found["flags"])
    return Trace(os.urandom(16).hex(), "", "00")


def _is_known(found: re.Match[str]) -> bool:
    has_ids = found["trace"].strip("0") != "" and found["parent"].strip("0") != ""
    return has_ids and (found["version"] != "00" or found["more"] is None)


def _target(scope: Scope) -> bytes:
    path, _, _ = (scope.get("raw_path") or quote(scope["path"]).encode()).partition(b"?")
    query = scope.get("query_string", b"")
    return bytes(path + b"?" + query if query else path)


def _joined(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """What stands several times as one value (RFC 9110 section 5.3; RFC 9113 section 8.2.3 for cookies): none of it is lost."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        between = b"; " if name == b"cookie" else b", "
        found[name] = found[name] + between + value if name in found else value
    return found


def _said_twice(headers: list[tuple[bytes, bytes]]) -> str:
    names = [name for name, _ in headers]
    # Whatever an event is called by, in this mode (CloudEvents HTTP binding, section 3.1.3).
    once = _SAID_ONCE | {name for name in names if name.startswith(b"ce-")}
    return next((name.decode("latin-1") for name in sorted(once) if names.count(name) > 1), "")


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"more than {limit} bytes", where="body", hint="GOVERNANCE_MAX_BODY_BYTES sets the limit")


def gunzipped(raw: bytes, limit: int) -> bytes:
    """Decompress at most `limit` bytes: a small body that unfolds into a huge one is refused, not unfolded."""
    machine = zlib.decompressobj(wbits=31)
    try:
        plain = machine.decompress(raw, limit + 1)
    except zlib.error as error:
        raise CallerError("the body is not gzip", where="body") from error
    if len(plain) > limit:
        raise TooLarge(f"more than {limit} bytes once decompressed", where="body")
    if not machine.eof or machine.unused_data:
        raise CallerError("the gzip body is cut off, or something stands behind it", where="body")
    return plain


def json_answer(value: Any, status: int = 200, headers: Headers = ()) -> Answer:
    """A JSON answer."""
    return Answer(status, json_bytes(value), headers=headers)


def json_bytes(value: Any) -> bytes:
    """JSON text; half a surrogate pair, which no caller may send but a policy may make, is replaced."""
    return _ENCODER.encode(value).encode("utf-8", "replace")


async def send_answer(send: Send, answer: Answer, *, gzip: bool = False) -> None:
    """Write the answer; compressed where the caller asked and it is worth it."""
    if answer.file:
        await _send_file(send, answer)
        return
    if answer.stream is not None:
        await _send_stream(send, answer, answer.stream)
        return
    body = answer.body
    headers = [(b"content-type", answer.content_type), *answer.headers]
    if gzip and len(body) > _WORTH_COMPRESSING:
        machine = zlib.compressobj(level=4, wbits=31)
        body = machine.compress(body) + machine.flush()
        headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _send_stream(send: Send, answer: Answer, pieces: AsyncIterator[bytes]) -> None:
    headers = [(b"content-type", answer.content_type), *answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _send_file(send: Send, answer: Answer) -> None:
    with open(answer.file, "rb") as file:  # noqa: ASYNC230  reading on from the page cache takes microseconds
        size = os.fstat(file.fileno()).st_size
        headers = [(b"content-type", answer.content_type), *answer.headers, (b"content-length", str(size).encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        while piece := file.read(_PIECE):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def takes_gzip(call: Call) -> bool:
    """Whether the caller accepts a compressed answer; `gzip;q=0` says no."""
    accepted = call.headers.get(b"accept-encoding")
    if accepted is None:
        return False
    for part in accepted.lower().split(b","):
        name, _, weight = part.partition(b";")
        if name.strip() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b"0.") != b"q="
    return False
