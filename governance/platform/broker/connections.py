"""TLS connections to vendors and the HTTP/1.1 exchanges over them; kept open between exchanges.

h11 says what the bytes mean, the event loop carries them: between the two is only what a vendor needs, for a quarter of what
a general client costs. A connection goes to the address it is told and has the host's certificate. It is used again only
after an exchange that both ends finished, and only while nothing came over it since: whatever a vendor says unasked is never
taken for the answer to somebody's next call.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import h11

from governance.errors import CallerError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from governance.platform.broker.addresses import Place
    from governance.platform.broker.client_certificates import ClientCertificate
    from governance.platform.broker.sending import Sent

_MOST_OPEN, _MOST_IDLE = 50, 10
# A connection that stands idle longer may have been closed at the other end.
_KEEP_S = 20.0
_MOST_HEAD = 100 * 1024
# More than this is not read ahead of whoever reads the body.
_MOST_UNREAD = 256 * 1024
_HAS_LENGTH = frozenset({"POST", "PUT", "PATCH"})
_OWN_HEADERS = (("Accept-Encoding", "identity"), ("User-Agent", "microapp-broker"))


class BrokenAnswer(ConnectionError):
    """What came over the connection is no HTTP answer, or ended within one."""


class _To(NamedTuple):
    """The address that a connection goes to."""

    address: str
    port: int


class _Wire(asyncio.Protocol):
    """One connection: bytes in and out, neither without bounds."""

    def __init__(self, to: _To) -> None:
        self.to = to
        self.machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
        self.idle_since = 0.0
        self.closed = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._unread: deque[bytes] = deque()
        self._size = 0
        self._is_over, self._is_broken, self._is_full, self._is_held = False, False, False, False
        self._waiting: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's word that TLS is verified and up."""
        self._transport = transport  # type: ignore[assignment]  # what a stream protocol is given is a Transport

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._unread.append(data)
        self._size += len(data)
        if self._size > _MOST_UNREAD and not self._is_held and self._transport is not None:
            self._transport.pause_reading()
            self._is_held = True
        self._wake()

    def eof_received(self) -> None:
        """Nothing more comes; the loop closes the connection."""
        self._is_over = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone; with an error, what came before it may not be all."""
        self._is_over, self._is_broken = True, self._is_broken or error is not None
        self._wake()
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """The other end takes no more for now."""
        self._is_full = True

    def resume_writing(self) -> None:
        """It takes more again."""
        self._is_full = False
        self._wake()

    async def write(self, data: bytes) -> None:
        """Send; returns early where the other end hangs up, for it may have answered before."""
        if self._transport is None or self._is_over:
            return
        self._transport.write(data)
        while self._is_full and not self._is_over:
            await self._woken()

    async def read(self) -> bytes:
        """What came since, at least one byte; empty at the end. Raises BrokenAnswer where the end is none of the vendor's."""
        while not self._unread and not self._is_over:
            await self._woken()
        if self._is_broken:
            raise BrokenAnswer("the connection broke off")
        data = b"".join(self._unread)
        self._unread.clear()
        self._size = 0
        if self._is_held and self._transport is not None and not self._is_over:
            self._transport.resume_reading()
            self._is_held = False
        return data

    def is_silent(self) -> bool:
        """Whether the connection stands, and nothing came over it that nobody asked for: not here, not at the socket."""
        if self._is_over or self._unread or self._transport is None or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        """End the connection, without waiting for the other end."""
        self._is_over = self._is_broken = True
        if self._transport is not None:
            self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _woken(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting


class Exchange:
    """An answer whose body is still to come. Whoever has it closes it."""

    def __init__(self, pool: _Pool, wire: _Wire, head: h11.Response) -> None:
        self.status = head.status_code
        self.headers: dict[str, str] = {}
        """Names in lower case; what is said more than once is joined by commas."""
        for raw_name, raw_value in head.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._pool, self._wire = pool, wire
        self._is_closed = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes, without the framing of HTTP. Raises BrokenAnswer."""
        while True:
            event = await _event(self._wire)
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    def close(self) -> None:
        """Give the connection back; one whose answer was not read to its end is closed."""
        if not self._is_closed:
            self._is_closed = True
            self._pool.give_back(self._wire)


class _Pool:
    """The connections of one host, under one client certificate."""

    def __init__(self, host: str, context: ssl.SSLContext) -> None:
        self._host, self._context = host, context
        self._places = asyncio.Semaphore(_MOST_OPEN)
        self._idle: list[_Wire] = []
        self._open: set[_Wire] = set()

    async def exchange(self, to: _To, request: h11.Request, body: bytes) -> Exchange:
        await self._places.acquire()
        try:
            wire = self._kept(to) or await self._connected(to)
        except BaseException:
            self._places.release()
            raise
        try:
            return Exchange(self, wire, await _asked(wire, request, body))
        except BaseException:
            self.give_back(wire)
            raise

    def give_back(self, wire: _Wire) -> None:
        """Keep a connection both of whose ends are done, close every other."""
        self._places.release()
        machine = wire.machine
        if machine.our_state is h11.DONE and machine.their_state is h11.DONE and not machine.trailing_data[0]:
            machine.start_next_cycle()
            wire.idle_since = time.monotonic()
            self._idle.append(wire)
            if len(self._idle) > _MOST_IDLE:
                self._end(self._idle.pop(0))
        else:
            self._end(wire)

    async def close(self) -> None:
        gone = list(self._open)
        for wire in gone:
            self._end(wire)
        self._idle.clear()
        if gone:
            await asyncio.wait([wire.closed for wire in gone], timeout=1)

    def _kept(self, to: _To) -> _Wire | None:
        """The youngest of those that go to where this call was decided to go."""
        eldest = time.monotonic() - _KEEP_S
        for wire in reversed(self._idle[:]):
            if wire.idle_since < eldest or not wire.is_silent():
                self._idle.remove(wire)
                self._end(wire)
            elif wire.to == to:
                self._idle.remove(wire)
                return wire
        return None

    async def _connected(self, to: _To) -> _Wire:
        # The certificate has to be the host's, whatever the address is.
        _, wire = await asyncio.get_running_loop().create_connection(
            lambda: _Wire(to), to.address, to.port, ssl=self._context, server_hostname=self._host
        )
        self._open.add(wire)
        return wire

    def _end(self, wire: _Wire) -> None:
        self._open.discard(wire)
        wire.close()


class Connections:
    """Of one sender; belongs to one event loop."""

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str, str], _Pool] = {}

    async def exchange(self, sent: Sent, place: Place, address: str) -> Exchange:
        """Send one request; returns when the answer's head has come.

        Raises OSError (ssl.SSLError and BrokenAnswer among them), and CallerError for what HTTP/1.1 has no form for.
        """
        length = [("Content-Length", str(len(sent.body)))] if sent.body or sent.method in _HAS_LENGTH else []
        headers = [("Host", sent.host), *sent.headers.items(), *_OWN_HEADERS, *length]
        try:
            request = h11.Request(method=sent.method, target=sent.target, headers=headers)
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise CallerError("method, address and headers make no HTTP request", where="/headers") from error
        pool = self._pool(place, sent.certificate)
        return await pool.exchange(_To(address, place.port), request, sent.body)

    async def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.close()
        self._pools.clear()

    def _pool(self, place: Place, certificate: ClientCertificate | None) -> _Pool:
        """Hosts that share an address must not share a connection that was verified for one of them.

        Nor do client certificates: what one tenant is known by says nothing for another.
        """
        key = place.host, place.ca_file, certificate.thumbprint if certificate else ""
        if key not in self._pools:
            context = ssl.create_default_context(cafile=place.ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            if certificate is not None:
                certificate.put_on(context)
            self._pools[key] = _Pool(place.host, context)
        return self._pools[key]


async def _asked(wire: _Wire, request: h11.Request, body: bytes) -> h11.Response:
    """The head of the answer to one request; head and body of the request leave together."""
    machine = wire.machine
    head = machine.send(request)
    content = machine.send(h11.Data(data=body)) if body else b""
    await wire.write(b"".join((head or b"", content or b"", machine.send(h11.EndOfMessage()) or b"")))
    while True:
        event = await _event(wire)
        if isinstance(event, h11.Response):
            return event
        if not isinstance(event, h11.InformationalResponse) or event.status_code == 101:
            raise BrokenAnswer("the vendor answers in another protocol")


async def _event(wire: _Wire) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
    machine = wire.machine
    try:
        while (event := machine.next_event()) is h11.NEED_DATA:
            machine.receive_data(await wire.read())
    except h11.RemoteProtocolError as error:
        raise BrokenAnswer("what the vendor says is no HTTP answer, or not all of one") from error
    return event
