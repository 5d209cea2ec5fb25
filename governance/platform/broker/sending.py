"""One HTTP exchange with a vendor, over a connection that goes where it was decided to go.

`Sender.send` (and `open`, whose answer comes piece by piece) connects to an address that `addresses` looked at, with TLS
verified for the host's name; follows no redirect, keeps no cookie, uses no proxy of the environment. Every size and the whole
time are bounded; what is compressed without having been asked for is unfolded under the same bound. Repeated is only what
may be repeated, on a host that still answers.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
import zlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import httpx

from governance.errors import DependencyError
from governance.platform.broker.leftovers import let_go

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from governance.platform.broker.addresses import Addresses, Place
    from governance.platform.broker.client_certificates import ClientCertificate

_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})
_TRIES = 3
_PAUSE_S = 0.1
_TRY_AGAIN = frozenset({502, 503, 504})
_FAILURES_TO_OPEN, _OPEN_S = 5, 30.0
# A connection that stands idle longer may have been closed at the other end.
_KEEP_S = 20.0
_DEADLINES_OF_A_STREAM = 20
_DATE = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT"
# What is passed back, each in the one form that it has (RFC 9110, sections 5.6.7, 8.8.3, 10.2.3; RFC 9449, section 8.1): a
# header says nothing beside it, and one that is too long is left out, for a part of it may be a part of something else.
_PASSED_BACK = {
    "etag": re.compile(r'(?:W/)?"[!#-~]{0,190}"'),
    "last-modified": re.compile(_DATE),
    "retry-after": re.compile(rf"\d{{1,9}}|{_DATE}"),
    "dpop-nonce": re.compile(r"[!#-\[\]-~]{1,200}"),
}
_OWN_HEADERS = (("Accept-Encoding", "identity"), ("User-Agent", "microapp-broker"))
_STEPS = ("connect", "read", "write", "pool")
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class Sent(NamedTuple):
    """What is sent, decided on and ready."""

    method: str
    host: str
    target: str
    """Path and query as they stand on the request line."""
    headers: Mapping[str, str]
    body: bytes = b""
    certificate: ClientCertificate | None = None
    """Presented on the connection, which nobody else's request goes over."""


class Received(NamedTuple):
    """What came back, within all bounds."""

    status: int
    content_type: str
    """In lower case, without parameters."""
    headers: dict[str, str]
    body: bytes


class Bounds(NamedTuple):
    """Upper limits of one exchange."""

    deadline_s: float = 15.0
    request_bytes: int = 1 << 20
    answer_bytes: int = 1 << 20
    stream_bytes: int = 64 << 20
    """Of an answer that is passed on record by record; one record has `answer_bytes` at most."""


class SendFailed(DependencyError):
    """The exchange did not come to an answer that may be passed on."""

    code = "vendor_failed"
    status = 502


class Redirected(SendFailed):
    """The vendor sends elsewhere; nobody decided on that place."""

    code = "redirect_refused"


class AnswerTooLarge(SendFailed):
    """The answer is larger than an app may receive, as it came or unfolded."""

    code = "answer_too_large"


class TooSlow(SendFailed):
    """The whole exchange took longer than its deadline."""

    code = "deadline"
    status = 504


class Rested(SendFailed):
    """The host failed too often in a row and is left alone for a while."""

    code = "circuit_open"
    status = 503


class Sender:
    """Connections to vendors; belongs to one event loop."""

    def __init__(self, addresses: Addresses, bounds: Bounds, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._addresses = addresses
        self.bounds = bounds
        self.monotonic = monotonic
        self._transports: dict[tuple[str, str, str], httpx.AsyncHTTPTransport] = {}
        self._failures: dict[str, tuple[int, float]] = {}

    async def send(self, sent: Sent, deadline_s: float | None = None) -> Received:
        """The vendor's answer. Raises SendFailed, NotReachable; never follows, never waits beyond the deadline."""
        bounds = self._bounds(deadline_s)
        if len(sent.body) > bounds.request_bytes:
            raise SendFailed(f"the body has {len(sent.body)} bytes; at most {bounds.request_bytes} are sent")
        self._check_rest(sent.host)
        async with self.timed(sent.host, bounds):
            received = await self._repeated(sent, bounds)
        self._answered(sent.host, received.status)
        return received

    async def open(self, sent: Sent) -> Opened:
        """As `send`, once, for an answer that is to be read piece by piece; whoever opens it closes it."""
        bounds = self.bounds
        if len(sent.body) > bounds.request_bytes:
            raise SendFailed(f"the body has {len(sent.body)} bytes; at most {bounds.request_bytes} are sent")
        self._check_rest(sent.host)
        async with self.timed(sent.host, bounds):
            place = await self._addresses.place(sent.host)
            response = await self._handled(sent, place, place.addresses[0], bounds)
        self._answered(sent.host, response.status_code)
        try:
            return Opened(self, response, sent)
        except SendFailed:
            await response.aclose()
            raise

    @asynccontextmanager
    async def reached(self, host: str, port: int, deadline_s: float | None) -> AsyncIterator[tuple[Place, Bounds]]:
        """Where a host is, for an exchange in another protocol that is bounded, and counts, as those here are."""
        bounds = self._bounds(deadline_s)
        self._check_rest(host)
        async with self.timed(host, bounds):
            yield await self._addresses.place(host, port), bounds
        self._failures.pop(host, None)

    def _bounds(self, deadline_s: float | None) -> Bounds:
        if deadline_s is None:
            return self.bounds
        return self.bounds._replace(deadline_s=min(deadline_s, self.bounds.deadline_s))

    @asynccontextmanager
    async def timed(self, host: str, bounds: Bounds) -> AsyncIterator[None]:
        """Whatever goes wrong inside, or takes longer than the deadline, is a SendFailed, and counts against the host."""
        try:
            async with asyncio.timeout(bounds.deadline_s):
                yield
        except TimeoutError as error:
            # Whoever had less time than everybody else says nothing about the host.
            if bounds.deadline_s == self.bounds.deadline_s:
                self._failed(host)
            raise TooSlow(f"{host} did not answer within {bounds.deadline_s:g} s") from error
        except (httpx.HTTPError, ssl.SSLError, OSError) as error:
            self._failed(host)
            raise SendFailed(f"{host}: {_said(error)}") from error

    def _answered(self, host: str, status: int) -> None:
        if status in _TRY_AGAIN:
            self._failed(host)
        else:
            self._failures.pop(host, None)

    async def close(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()

    async def _repeated(self, sent: Sent, bounds: Bounds) -> Received:
        # A proof of possession is good for one request (RFC 9449, section 11.1), and a second with it a replay.
        may_repeat = sent.method in _REPEATABLE and "DPoP" not in sent.headers
        tries = _TRIES if may_repeat else 1
        place = await self._addresses.place(sent.host)
        for number in range(1, tries + 1):
            try:
                received = await self._once(sent, place, place.addresses[(number - 1) % len(place.addresses)], bounds)
            except httpx.TransportError:
                if number == tries:
                    raise
            else:
                if received.status not in _TRY_AGAIN or number == tries:
                    return received
            await asyncio.sleep(_PAUSE_S * 2**number)
        raise AssertionError("unreachable")

    async def _once(self, sent: Sent, place: Place, address: str, bounds: Bounds) -> Received:
        opened, came = await self._handled(sent, place, address, bounds), None
        try:
            received = await _received(opened, sent.host, bounds)
            came = len(received.body) if _is_plain(opened) else None
        finally:
            await let_go(opened, sent.body, came)
        return received

    async def _handled(self, sent: Sent, place: Place, address: str, bounds: Bounds) -> httpx.Response:
        try:
            url = httpx.URL(scheme="https", host=address, port=place.port, raw_path=sent.target.encode("ascii"))
        except httpx.InvalidURL as error:
            raise SendFailed(
                "the address cannot be sent", hint="it is too long, or has signs that no address has"
            ) from error
        request = httpx.Request(
            sent.method,
            url,
            headers=[("Host", sent.host), *sent.headers.items(), *_OWN_HEADERS],
            content=sent.body or None,
            # The certificate has to be the host's, whatever the address is.
            extensions={"sni_hostname": sent.host, "timeout": dict.fromkeys(_STEPS, bounds.deadline_s)},
        )
        return await self._transport(place, sent.certificate).handle_async_request(request)

    def _transport(self, place: Place, certificate: ClientCertificate | None) -> httpx.AsyncHTTPTransport:
        """One pool a host: hosts that share an address must not share a connection that was verified for one of them.

        And one a client certificate: what one tenant is known by says nothing for another.
        """
        key = place.host, place.ca_file, certificate.thumbprint if certificate else ""
        if key not in self._transports:
            context = ssl.create_default_context(cafile=place.ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if certificate is not None:
                certificate.put_on(context)
            limits = httpx.Limits(max_connections=50, max_keepalive_connections=10, keepalive_expiry=_KEEP_S)
            self._transports[key] = httpx.AsyncHTTPTransport(verify=context, trust_env=False, limits=limits)
        return self._transports[key]

    def _check_rest(self, host: str) -> None:
        count, since = self._failures.get(host, (0, 0.0))
        if count < _FAILURES_TO_OPEN:
            return
        if self.monotonic() - since < _OPEN_S:
            raise Rested(f"{host} failed {count} times in a row and is left alone", hint=f"try again in {_OPEN_S:g} s")
        # One may try; while it does, the others still wait.
        self._failures[host] = count, self.monotonic()

    def _failed(self, host: str) -> None:
        count, _ = self._failures.get(host, (0, 0.0))
        self._failures[host] = count + 1, self.monotonic()


class Opened:
    """An answer whose body is still to come."""

    def __init__(self, sender: Sender, response: httpx.Response, sent: Sent) -> None:
        """Raises Redirected."""
        self.head = _head(response, sent.host)
        """Its body is empty."""
        self.is_plain = _is_plain(response)
        """Not compressed: what was not asked for is read as a whole, where its bound holds."""
        self._sender, self._response, self._sent, self._host = sender, response, sent, sent.host
        self._came: int | None = None

    async def whole(self) -> Received:
        """All of it, within the bounds of an answer that is not streamed."""
        async with self._sender.timed(self._host, self._sender.bounds):
            body = await _body(self._response, self._host, self._sender.bounds.answer_bytes)
        self._came = len(body) if self.is_plain else None
        return self.head._replace(body=body)

    async def pieces(self) -> AsyncIterator[bytes]:
        """As they come; each within the deadline, all within the bytes and the time of a stream. Raises SendFailed."""
        bounds, size = self._sender.bounds, 0
        begun = self._sender.monotonic()
        # A transport's own stream is asynchronous.
        stream = aiter(self._response.stream)  # type: ignore[arg-type]
        while True:
            async with self._sender.timed(self._host, bounds):
                piece = await anext(stream, None)
            if piece is None:
                self._came = size
                return
            size += len(piece)
            if size > bounds.stream_bytes:
                raise AnswerTooLarge(f"the answer of {self._host} has more than {bounds.stream_bytes} bytes")
            if self._sender.monotonic() - begun > bounds.deadline_s * _DEADLINES_OF_A_STREAM:
                raise TooSlow(f"the answer of {self._host} does not end")
            yield piece

    async def close(self) -> None:
        """Let go of the connection; a body that was not read to its end is not read further."""
        await let_go(self._response, self._sent.body, self._came)


def _is_plain(response: httpx.Response) -> bool:
    return response.headers.get("content-encoding", "identity").strip().lower() in {"", "identity"}


def _head(response: httpx.Response, host: str) -> Received:
    if 300 <= response.status_code < 400 and response.status_code != 304:
        raise Redirected(
            f"{host} redirects to {_host_of(response.headers.get('location', ''))}; redirects are not followed",
            hint="call the address that the connector's catalog page names",
        )
    if {"content-length", "transfer-encoding"} <= set(response.headers):
        # RFC 9112, section 6.3: whoever is in between may have gone by the other one.
        raise SendFailed(f"{host} says twice how long its answer is")
    content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    found = {name: response.headers.get(name, "") for name in _PASSED_BACK}
    kept = {name: text for name, text in found.items() if _PASSED_BACK[name].fullmatch(text)}
    return Received(response.status_code, content_type, kept, b"")


async def _received(response: httpx.Response, host: str, bounds: Bounds) -> Received:
    head = _head(response, host)
    return head._replace(body=await _body(response, host, bounds.answer_bytes))


async def _body(response: httpx.Response, host: str, limit: int) -> bytes:
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity", *_WINDOW_BITS}:
        raise SendFailed(f"{host} answers with the encoding {encoding[:40]!r}, which nobody asked for")
    machine = zlib.decompressobj(wbits=_WINDOW_BITS[encoding]) if encoding in _WINDOW_BITS else None
    pieces, size, packed = [], 0, 0
    async for raw in response.stream:  # type: ignore[union-attr]
        try:
            # One byte more than the limit is enough to know; a bomb is never unfolded.
            piece = raw if machine is None else machine.decompress(raw, limit + 1 - size)
        except zlib.error as error:
            raise SendFailed(f"{host} answers with something that is not {encoding}") from error
        size, packed = size + len(piece), packed + len(raw)
        if max(size, packed) > limit or (machine is not None and machine.unconsumed_tail):
            raise AnswerTooLarge(f"the answer of {host} has more than {limit} bytes")
        if machine is not None and machine.unused_data:
            raise SendFailed(f"{host} answers with more than what is packed as {encoding}")
        pieces.append(piece)
    if machine is not None and not machine.eof:
        raise SendFailed(f"the answer of {host} is cut off")
    return b"".join(pieces)


def _host_of(location: str) -> str:
    """The host of a redirect, which may be named; path and query may hold anything."""
    try:
        return (urlsplit(location).hostname or "a path of its own")[:100]
    except ValueError:
        return "an address that is none"


def _said(error: Exception) -> str:
    """What went wrong, without anything that was sent."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not one for this host"
    return type(error).__name__
