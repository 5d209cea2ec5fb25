"""Connections kept between calls: used again where that is safe, and what a vendor says unasked is nobody's answer."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self

import pytest

from governance.errors import CallerError
from governance.platform.broker.addresses import Addresses, Pin
from governance.platform.broker.sending import Bounds, Sender, SendFailed, Sent, TooSlow
from governance.platform.certificates import self_signed

HOST, OTHER = "api.hris.example.com", "api.crm.example.com"
GET = Sent("GET", HOST, "/", {})
BOUNDS = Bounds(3.0, 1000, 1000)


def answer(body: bytes = b"{}", head: str = "HTTP/1.1 200 OK\r\ncontent-type: application/json") -> bytes:
    return f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


class Vendor:
    """A TLS server in this loop. `script(connection, request)`: numbers from 0, and the bytes that it says."""

    def __init__(self, folder, script, bounds: Bounds):
        self.folder, self.script, self.bounds = folder, script, bounds
        self.heard: list[list[bytes]] = []
        self.now = self.most_at_once = 0

    async def __aenter__(self) -> Self:
        certificate, key = self_signed(self.folder / "tls", [HOST])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        pin = Pin("127.0.0.1", self._server.sockets[0].getsockname()[1], str(certificate))
        self.sender = Sender(Addresses({HOST: pin, OTHER: pin}), self.bounds)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.sender.close()
        self._server.close()

    async def _serve(self, reader, writer) -> None:
        heard: list[bytes] = []
        self.heard.append(heard)
        number = len(self.heard) - 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                heard.append(head)
                self.now += 1
                self.most_at_once = max(self.most_at_once, self.now)
                said = self.script(number, len(heard) - 1)
                pieces = said if isinstance(said, list) else [said]
                for piece in pieces:
                    if isinstance(piece, float):
                        await asyncio.sleep(piece)
                    else:
                        self.now -= piece is pieces[-1]
                        writer.write(piece)
                        await writer.drain()
                if said == b"" or b"onnection: close" in b"".join(p for p in said if isinstance(p, bytes)):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @property
    def requests(self) -> list[int]:
        """How many came over each connection."""
        return [len(heard) for heard in self.heard]


def asking(folder, script, *sents: Sent, bounds: Bounds = BOUNDS, pause_s: float = 0.0):
    """(vendor, what each call came to), one call after the other."""

    async def asked():
        found: list[object] = []
        async with Vendor(folder, script, bounds) as vendor:
            for sent in sents:
                try:
                    found.append(await vendor.sender.send(sent))
                except (SendFailed, CallerError) as error:
                    found.append(error)
                await asyncio.sleep(pause_s)
            return vendor, found

    return asyncio.run(asked())


def test_calls_go_over_one_connection_while_both_ends_are_done(tmp_path):
    vendor, found = asking(
        tmp_path, lambda *number: answer(b"%d%d" % number), GET, GET, Sent("POST", HOST, "/", {}), GET
    )
    assert [one.body for one in found] == [b"00", b"01", b"02", b"03"]
    assert vendor.requests == [4]
    assert b"Content-Length: 0\r\n" in vendor.heard[0][2]


@pytest.mark.parametrize("late", [[], [0.05]])
def test_an_answer_that_nobody_asked_for_is_not_the_next_call_s(tmp_path, late):
    """One behind the first answer, or a moment later on the idle connection: what came is thrown away with it."""
    vendor, found = asking(
        tmp_path,
        lambda connection, _: [answer(b"%d" % connection), *late, answer(b"stolen")],
        GET,
        GET,
        GET,
        pause_s=0.1,
    )
    assert [one.body for one in found] == [b"0", b"1", b"2"]
    assert vendor.requests == [1, 1, 1]


def test_a_connection_that_the_vendor_closes_is_not_used_again(tmp_path):
    said = answer(b"{}", "HTTP/1.1 200 OK\r\nconnection: close")
    vendor, found = asking(tmp_path, lambda *_: [said], GET, GET)
    assert ([one.status for one in found], vendor.requests) == ([200, 200], [1, 1])


def test_an_answer_that_came_too_late_is_not_the_next_call_s(tmp_path):
    said = {0: [0.5, answer(b"late")], 1: [answer(b"own")]}
    vendor, found = asking(tmp_path, lambda connection, _: said[connection], GET, GET, bounds=Bounds(0.25, 1000, 1000))
    assert isinstance(found[0], TooSlow)
    assert (found[1].body, vendor.requests) == (b"own", [1, 1])


def test_a_body_that_was_not_read_to_its_end_takes_its_connection_along(tmp_path):
    vendor, found = asking(tmp_path, lambda connection, _: answer(b"x" * (2000 if connection == 0 else 10)), GET, GET)
    assert isinstance(found[0], SendFailed)
    assert (found[1].body, vendor.requests) == (b"x" * 10, [1, 1])


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"220 smtp.example.com ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nname\0: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000 + b"\r\n\r\n",
        [b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 500\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\nconnection: close\r\n"],
    ],
)
def test_what_is_no_answer_is_a_failure(tmp_path, said):
    _, found = asking(tmp_path, lambda *_: said, Sent("POST", HOST, "/", {}, b"{}"))
    assert isinstance(found[0], SendFailed)
    assert "BrokenAnswer" in str(found[0])


def test_what_http_allows_before_and_around_an_answer_is_read(tmp_path):
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\nx-end: 1\r\n\r\n"
    said = [
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"a"),
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n",  # of a HEAD
        chunked,
        [b"HTTP/1.0 200 OK\r\netag: a\r\netag: b\r\nconnection: close\r\n\r\nall ", b"of it"],
    ]
    vendor, found = asking(tmp_path, lambda _, request: said[request], GET, GET, GET._replace(method="HEAD"), GET, GET)
    assert [one.body for one in found] == [b"a", b"", b"", b"abc", b"all of it"]
    assert found[4].headers == {"etag": "a, b"}
    assert vendor.requests == [5]


def test_a_large_answer_is_read_whole(tmp_path):
    body = bytes(range(256)) * 16_000
    _, found = asking(tmp_path, lambda *_: answer(body), GET, bounds=Bounds(15.0, 1000, len(body)))
    assert found[0].body == body


@pytest.mark.parametrize(
    "sent",
    [
        GET._replace(headers={"a": "b\r\nHost: c"}),
        GET._replace(headers={"a b": "c"}),
        GET._replace(headers={"a": "é"}),
        GET._replace(target="/ HTTP/1.1\r\nx: y"),
        GET._replace(method="GET /"),
        GET._replace(headers={"content-length": "7"}, body=b"{}"),
    ],
)
def test_what_is_no_request_is_not_sent_and_not_held_against_the_host(tmp_path, sent):
    vendor, found = asking(tmp_path, lambda *_: answer(), *[sent] * 6, GET)
    assert all(isinstance(one, CallerError) for one in found[:6])
    assert (found[6].status, vendor.requests) == (200, [1])


def test_a_connection_is_one_host_s_alone(tmp_path):
    """Both are at one address, and its certificate is for the first."""
    vendor, found = asking(tmp_path, lambda *_: answer(), GET, Sent("POST", OTHER, "/", {}), GET)
    assert [getattr(one, "status", 0) for one in (found[0], found[2])] == [200, 200]
    assert "certificate" in str(found[1])
    assert [request for heard in vendor.heard for request in heard if OTHER.encode() in request] == []


def test_many_calls_at_once_are_fifty_at_most(tmp_path):
    async def asked():
        async with Vendor(tmp_path, lambda *_: [0.02, answer()], Bounds(15.0, 1000, 1000)) as vendor:
            found = await asyncio.gather(*[vendor.sender.send(GET) for _ in range(70)])
            before = len(vendor.heard)
            again = await asyncio.gather(*[vendor.sender.send(GET) for _ in range(10)])
            assert len(vendor.heard) == before  # ten stay open for later
            return vendor, {one.status for one in [*found, *again]}

    vendor, statuses = asyncio.run(asked())
    assert (sum(vendor.requests), statuses) == (80, {200})
    assert 10 < vendor.most_at_once <= 50
