"""Answers framed to be taken for something else: none of them, and no part of one, is ever the answer to another request."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading

import pytest

from governance.errors import GovernanceError
from governance.platform.broker.addresses import Addresses, Pin
from governance.platform.broker.sending import Bounds, Sender, SendFailed, Sent
from governance.platform.certificates import self_signed
from tests.unit.broker.conftest import HOST

JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = JSON + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


def answer(body: bytes, *lines: bytes) -> bytes:
    return JSON + b"".join(line + b"\r\n" for line in lines) + b"content-length: %d\r\n\r\n" % len(body) + body


FOREIGN = answer(b'{"of": "somebody else"}')
# What follows the first answer on its connection; the second request has an answer of its own.
LEFT = {
    "an answer": FOREIGN,
    "two answers": FOREIGN + FOREIGN,
    "a head that takes the next answer as its body": JSON + b"content-length: 60\r\n\r\n",
    "half a head that takes the next one's lines": b"HTTP/1.1 404 Not Found\r\nx-rest: ",
    "a line end": b"\r\n",
    "bytes": b"\x00\xff",
}


class Host:
    """Sends bytes exactly as it is told, over TLS; `answers` says which to each request, `None` among them hangs up."""

    def __init__(self, folder, answers):
        self.certificate, key = self_signed(folder / "raw", [HOST])
        self.asked, self.connections = [], 0
        self._answers = answers
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    def sender(self, **bounds) -> Sender:
        pin = Pin("127.0.0.1", self._socket.getsockname()[1], str(self.certificate))
        return Sender(Addresses({HOST: pin}), Bounds(**{"deadline_s": 5.0, "answer_bytes": 100_000, **bounds}))

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(accepted,), daemon=True).start()

    def _talk(self, accepted) -> None:
        try:
            with self._context.wrap_socket(accepted, server_side=True) as connection:
                while self._read(connection):
                    # However many records it is to TLS, it arrives in one piece.
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                    for piece in self._answers(len(self.asked)):
                        if piece is None:
                            return
                        connection.sendall(piece)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        except OSError:
            return

    def _read(self, connection) -> bool:
        """One request without regard to its body's length, as a host that miscounts."""
        came = b""
        while b"\r\n\r\n" not in came:
            more = connection.recv(1 << 16)
            if not more:
                return False
            came += more
        self.asked.append(came)
        return True


@pytest.fixture
def host(tmp_path):
    made = []

    def make(answers) -> Host:
        made.append(Host(tmp_path, answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(sender: Sender, *sents: Sent) -> list:
    async def all_of_them() -> list:
        try:
            return [await sender.send(sent) for sent in sents]
        finally:
            await sender.close()

    return asyncio.run(all_of_them())


def get(path: str) -> Sent:
    return Sent("GET", HOST, path, {})


@pytest.mark.parametrize("together", [True, False], ids=["in one record", "in two"])
@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
def test_what_a_host_sends_beside_its_answer_answers_nobody(host, left, together):
    def answers(number: int) -> list[bytes]:
        own = answer(b'{"n": %d}' % number)
        if number > 1:
            return [own]
        return [own + left] if together else [own, left]

    one = host(answers)
    bodies = [received.body for received in ask(one.sender(), get("/1"), get("/2"))]
    assert bodies[0] == b'{"n": 1}'
    assert b"somebody" not in bodies[1]
    assert bodies[1].startswith(b'{"n": ')
    assert (b"GET /2" in one.asked[-1], one.connections) == (True, 2)


def test_a_stream_that_goes_on_after_its_end_answers_nobody(host):
    one = host(lambda number: [CHUNKED + (FOREIGN if number == 1 else b"")])

    async def both() -> list[bytes]:
        sender, found = one.sender(), []
        for number in (1, 2):
            opened = await sender.open(get(f"/{number}"))
            found.append(b"".join([piece async for piece in opened.pieces()]))
            await opened.close()
        await sender.close()
        return found

    assert asyncio.run(both()) == [b"{}", b"{}"]
    assert one.connections == 2


@pytest.mark.parametrize(
    ("body", "connections"), [(b"a\r\nGET /v1/salaries HTTP/1.1\r\n\r\n", 2), (b'{"a": "b\\n"}', 1)]
)
def test_nobody_shares_a_connection_with_a_body_that_could_be_two_requests(host, body, connections):
    one = host(lambda number: [answer(b"{}")])
    ask(one.sender(), Sent("POST", HOST, "/1", {}, body), get("/2"))
    assert one.connections == connections


def test_an_answer_that_leaves_nothing_leaves_its_connection_to_the_next(host):
    one = host(lambda number: [CHUNKED if number % 2 else answer(b"{}")])
    ask(one.sender(), *[get(f"/{number}") for number in range(4)])
    assert (len(one.asked), one.connections) == (4, 1)


@pytest.mark.parametrize(
    "raw",
    [
        JSON + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        JSON + b"content-length: 5\r\ncontent-length: 2\r\n\r\n{}",
        JSON + b"content-length: -2\r\n\r\n{}",
        JSON + b"content-length: +2\r\n\r\n{}",
        JSON + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        JSON + b"transfer-encoding: chunked\r\n\r\n2;" + b"a" * 200_000 + b"\r\n{}\r\n0\r\n\r\n",
        JSON + b"transfer-encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        JSON + b"etag: a\rset-cookie: b\r\ncontent-length: 2\r\n\r\n{}",
        JSON + b"x y: z\r\ncontent-length: 2\r\n\r\n{}",
        JSON + b"".join(b"x-%d: %b\r\n" % (n, b"a" * 1000) for n in range(300)) + b"content-length: 2\r\n\r\n{}",
        b"HTTP/2 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ],
)
def test_an_answer_whose_length_could_be_two_is_none(host, raw):
    """A POST, so that it is asked once."""
    one = host(lambda number: [raw, None])
    with pytest.raises(SendFailed):
        ask(one.sender(), Sent("POST", HOST, "/", {}, b"{}"))


@pytest.mark.parametrize("raw", [answer(b"{}")[:-1], CHUNKED[:-5]], ids=["by its length", "before the last chunk"])
def test_an_answer_that_is_cut_off_is_none(host, raw):
    with pytest.raises(SendFailed):
        ask(host(lambda number: [raw, None]).sender(), Sent("POST", HOST, "/", {}, b"{}"))


def test_what_unfolds_to_nothing_without_end_ends_at_the_bound(host):
    import zlib

    packer = zlib.compressobj(wbits=31)
    begun = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)
    empty = b"\x00\x00\x00\xff\xff" * 3000

    def forever(_number: int):
        yield JSON + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        for piece in (begun, *[empty] * 100):
            yield b"%x\r\n%b\r\n" % (len(piece), piece)

    with pytest.raises(GovernanceError, match="more than 100000 bytes"):
        ask(host(forever).sender(), get("/"))


def test_hints_before_an_answer_that_never_comes_end_with_the_deadline(host):
    def hints(_number: int):
        while True:
            yield b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" * 20

    with pytest.raises(GovernanceError, match="did not answer within"):
        ask(host(hints).sender(deadline_s=0.3), get("/"))


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([b'etag: W/"a-1"', b"retry-after: 120"], {"etag": 'W/"a-1"', "retry-after": "120"}),
        ([b"last-modified: Wed, 21 Oct 2015 07:28:00 GMT"], {"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ([b'etag: "a"', b'etag: "b"'], {}),
        ([b'etag: "a', b" b"], {}),
        ([b'etag: "\xe9"'], {}),
        ([b'etag: "' + b"a" * 200 + b'"'], {}),
        ([b"retry-after: ada@example.com", b"last-modified: Ada, Example"], {}),
        ([b"set-cookie: a=b", b"x-user: ada"], {}),
    ],
)
def test_a_header_comes_back_in_its_own_form_or_not_at_all(host, lines, kept):
    (received,) = ask(host(lambda number: [answer(b"{}", *lines)]).sender(), get("/"))
    assert received.headers == kept
