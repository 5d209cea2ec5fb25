"""What somebody who holds one app's key, or none, sends to reach another app or to be taken for somebody else.

Two apps live on one host: `lunch`, which the key opens, and `pay`, which it does not. Each input goes out as these very bytes.
"""

from __future__ import annotations

import socket
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from runtime_adapters.gateway.state import Backend, Grant
from tests.contract.gateways import HOST, Running, presented, running_in

KEY = f"x-api-key: {presented('ab')}\r\n"
PLAIN = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", HOST),
    (":path", "/lunch/a"),
    ("x-api-key", presented("ab")),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    with running_in(tmp_path_factory.mktemp("gateway") / "xds") as running:
        pay = running.app(
            app="pay", tenant="hr", prefix="/pay", grants=(Grant(("service",), ("hr",)),),
            backends=(Backend("stable", (running.other.endpoint,)),),
        )  # fmt: skip
        running.apply(running.app(prefix="/lunch"), pay, shared_hosts=(HOST,))
        yield running


@pytest.fixture(autouse=True)
def _heard_nothing(gateway):
    gateway.upstream.calls.clear()
    gateway.other.calls.clear()


def answered(gateway: Running, wire: str) -> int:
    """The status that these bytes get; 0 where the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(wire.encode("latin-1"))
        first = connection.recv(65536)
    return int(first.split()[1]) if first.startswith(b"HTTP/") else 0


def asked(target: str = "/lunch/a", more: str = "", *, method: str = "GET", host: str = HOST) -> str:
    return f"{method} {target} HTTP/1.1\r\nhost: {host}\r\n{KEY}{more}\r\n"


def test_what_the_attacks_differ_from_comes_in(gateway):
    assert answered(gateway, asked()) == 200
    assert h2_status(gateway, PLAIN) == 200
    assert [call["headers"]["x-role"] for call in gateway.upstream.calls] == ["service", "service"]


PATHS = [
    "/pay", "//pay", "/./pay", "/lunch/../pay", "/lunch/./../pay", "/lunch/%2e%2e/pay", "/lunch/.%2e/pay",
    "/lunch/..%2fpay", "/lunch%2f..%2fpay", "/lunch;/../pay", "/lunch/..;/pay", "/lunch/..;a=b/pay",
    "/lunch/%2e%2e;/pay", "/lunch/%2E%2E%3B/pay", "/lunch/..%3f/pay", "/lunch/..%23/pay", "/lunch/..\\pay",
    "/lunch/..%5cpay", "/lunch/%252e%252e/pay", "/lunch/..%252fpay", "/lunch/%c0%ae%c0%ae/pay",
    "/lunch/%uff0e%uff0e/pay", "/lunch/..%u002fpay", "/lunch/..%00/pay", "/lunch/..%0d/pay", "/lunch/%f8%80%80/pay",
    "/lunch/%2", "/lunch/%", "/lunch/%zz", "/lunch/a b", "/lunch/\x01", "/lunch/a#/../pay", "/lunch/..?/pay",
    "/lunch/\xe2\x80\xa5/pay", "*", "lunch/a", f"http://{HOST}/pay", "http://pay.example.com/lunch/a", "/PAY",
    "/pay;x", "/lunch/..", "",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_into_another_app_or_means_two_things(gateway, path):
    status = answered(gateway, asked(path))
    assert not gateway.other.calls
    assert status in {400, 403, 404}, (status, gateway.upstream.calls)


@pytest.mark.parametrize(
    "host",
    [
        "pay.example.com", f"{HOST}:evil.example", f"{HOST}:80@evil.example", f"{HOST}:123456", f"x@{HOST}", f"{HOST}/pay",
        f"{HOST}:", "",
    ],
)  # fmt: skip
def test_no_host_but_a_name_and_a_port_reaches_an_app(gateway, host):
    assert answered(gateway, asked(host=host)) in {400, 403, 404}
    assert not gateway.upstream.calls


CLAIMS = [
    "x-role: platform", "X-ROLE: platform", "x-tenant: hr", "x-subject: root", "x-app: pay", "x-region: us",
    "x-decision-id: made-up", "x-governance-obligations: []", "x-governance-carries: redact",
    "x-forwarded-for: 10.0.0.1", "x-forwarded-host: evil.example", "x-forwarded-proto: https",
    "x-forwarded-prefix: /pay", "x-forwarded-client-cert: By=me", "forwarded: for=10.0.0.1", "x-real-ip: 10.0.0.1",
    "x-original-url: /pay", "x-original-uri: /pay", "x-rewrite-url: /pay", "x-host: evil.example",
    "x-original-host: evil.example", "x-http-method: DELETE", "x-http-method-override: DELETE",
    "x-method-override: DELETE", "x-envoy-original-path: /pay", "x-envoy-original-dst-host: 127.0.0.1:1",
    "x-envoy-upstream-rq-timeout-ms: 1", "x-envoy-auth-partial-body: false", "x-envoy-force-trace: 1",
    "x-request-id: chosen", "proxy-authorization: Basic eA==",
]  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_about_caller_place_or_decision_does_not_reach_the_app(gateway, claim):
    assert answered(gateway, asked(more=f"{claim}\r\n")) == 200
    ((call,), (name, value)) = gateway.upstream.calls, claim.split(": ", 1)
    assert value not in call["headers"].get(name.lower(), "")
    assert call["headers"]["x-role"] == "service"


@pytest.mark.parametrize(
    "named", ["x-role", "x-role, x-tenant, x-app, x-subject", "x-decision-id", "traceparent", "x-region, close"]
)
def test_a_caller_cannot_have_the_gateway_s_own_words_taken_off(gateway, named):
    """As names in `Connection` are, on one hop (RFC 9110, 7.6.1)."""
    assert answered(gateway, asked(more=f"connection: {named}\r\n")) in {200, 400}
    for call in gateway.upstream.calls:
        about = {name: call["headers"].get(name) for name in ("x-role", "x-tenant", "x-app", "x-region", "x-subject")}
        assert about == {
            "x-role": "service",
            "x-tenant": "marketing",
            "x-app": "lunch",
            "x-region": "eu",
            "x-subject": "key:ab",
        }
        assert "traceparent" in call["headers"]


SMUGGLED = "GET /pay/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        f"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n{SMUGGLED}",
        f"content-length: 4\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
        "transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        'transfer-encoding: chunked\r\n\r\n5;a="\n"\r\nhello\r\n0\r\n\r\n',
        "transfer-encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
        "content-length: 5, 5\r\n\r\nhello",
        "content-length: 0x5\r\n\r\nhello",
        "x-role : platform\r\n\r\n",
        "x-role\t: platform\r\n\r\n",
        "x_role: platform\r\n\r\n",
        "x-tenant: hr\x00\r\n\r\n",
        f"host: pay.example.com\r\ncontent-length: 0\r\n\r\n{SMUGGLED}",
        f"x-api-key: {presented('cd')}\r\n\r\n",
        "big: " + "a" * 40_000 + "\r\n\r\n",
        "".join(f"h{number}: x\r\n" for number in range(120)) + "\r\n",
    ],
)
def test_a_message_that_two_readers_end_in_two_places_or_that_is_too_much_reaches_nothing(gateway, framing):
    status = answered(gateway, f"POST /lunch/a HTTP/1.1\r\nhost: {HOST}\r\n{KEY}{framing}")
    assert status in {0, 400, 401, 403, 404, 431, 501}
    assert not gateway.upstream.calls
    assert not gateway.other.calls


def test_trailers_say_nothing(gateway):
    body = "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-role: platform\r\nx-app: pay\r\n"
    assert answered(gateway, asked(more=body, method="POST")) == 200
    (call,) = gateway.upstream.calls
    assert (call["body"], call["headers"]["x-role"], call["headers"]["x-app"]) == ("hello", "service", "lunch")


@pytest.mark.parametrize(
    "wire",
    [
        asked(f"{HOST}:443", method="CONNECT"),
        asked(method="TRACE"),
        asked(method="BREW"),
        asked(method="get"),
        asked("*", method="OPTIONS"),
        asked(
            more="upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: eA==\r\nsec-websocket-version: 13\r\n"
        ),
        f"GET /lunch/a HTTP/1.0\r\nhost: {HOST}\r\n{KEY}\r\n",
        "GET /lunch/a\r\n\r\n",
        f"GET /lunch/a HTTP/1.1\r\n{KEY}\r\n",
    ],
)
def test_other_methods_upgrades_and_versions_reach_nothing(gateway, wire):
    assert answered(gateway, wire) in {0, 400, 403, 404, 405, 426}
    assert not gateway.upstream.calls


def changed(name: str, value: str) -> list[tuple[str, str]]:
    return [(one, value if one == name else old) for one, old in PLAIN]


FORGED = [
    [*PLAIN[:3], (":authority", "pay.example.com"), *PLAIN[3:]],
    [*PLAIN[:4], (":path", "/pay"), *PLAIN[4:]],
    changed(":path", "http://x/pay"),
    changed(":path", "/lunch/a HTTP/1.1\r\nx-role: platform\r\n\r\n"),
    changed(":path", "/lunch/../pay"),
    changed(":path", ""),
    changed(":method", "GET /pay HTTP/1.1\r\nx: y"),
    changed(":authority", f"x@{HOST}"),
    changed(":authority", f"{HOST}\r\nx: y"),
    [*PLAIN, (":role", "platform")],
    [*PLAIN, ("X-Role", "platform")],
    [*PLAIN, ("x-a", "b\r\nx-role: platform")],
    [*PLAIN, ("x-role ", "platform")],
    [*PLAIN, ("connection", "x-role")],
    [*PLAIN, ("transfer-encoding", "chunked")],
    [(":method", "CONNECT"), (":protocol", "websocket"), *PLAIN[1:]],
    [(":method", "CONNECT"), (":authority", f"{HOST}:443"), PLAIN[4]],
]


def test_no_pseudo_header_or_header_of_http_2_becomes_another_request(gateway):
    # At once: Envoy waits a second before it closes the connection of such a one.
    with ThreadPoolExecutor(len(FORGED)) as pool:
        statuses = list(pool.map(lambda headers: h2_status(gateway, headers), FORGED))
    assert set(statuses) <= {0, 400, 403, 404}, statuses
    assert not gateway.upstream.calls
    assert not gateway.other.calls


def test_a_host_beside_the_authority_of_http_2_is_not_what_the_app_reads(gateway):
    assert h2_status(gateway, [*PLAIN, ("host", "pay.example.com")]) == 200
    assert gateway.upstream.calls[0]["headers"]["host"] == HOST


def h2_status(gateway: Running, headers: list[tuple[str, str]]) -> int:
    """The status of one HTTP/2 request with these headers as they are; 0 where stream or connection just ended."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        block = b"".join(literal(name, value) for name, value in headers)
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 5, 1, block))
        read = connection.makefile("rb")
        while head := read.read(9):
            size, kind = int.from_bytes(head[:3], "big"), head[3]
            payload = read.read(size)
            if kind == 1:
                return h2_status_of(payload)
            if kind in {3, 7}:  # the stream was reset, or the connection is to end
                return 0
    return 0


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """RFC 9113, 4.1."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: str, value: str) -> bytes:
    """RFC 7541, 6.2.2: a header that no table holds, without Huffman's code."""
    return b"\0" + b"".join(integer(len(raw)) + raw for raw in (name.encode("latin-1"), value.encode("latin-1")))


def integer(number: int) -> bytes:
    """RFC 7541, 5.1, with seven bits to begin with."""
    return bytes([number]) if number < 127 else bytes([127, number - 127])


def h2_status_of(block: bytes) -> int:
    """Of an answer's header block, which begins with the status: indexed (RFC 7541, appendix A), or a literal."""
    while block[0] & 0xE0 == 0x20:  # a change of the table's size
        block = block[1:]
    if block[0] & 0x80:
        return {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}[block[0] & 0x7F]
    if block[1] & 0x80:  # Huffman's code of a digit has five bits for 0, 1, 2 and six for the others (appendix B)
        return huffman_digits(block[2 : 2 + (block[1] & 0x7F)])
    return int(block[2:5])


def huffman_digits(raw: bytes) -> int:
    bits, found = "".join(f"{byte:08b}" for byte in raw), ""
    codes = {"00000": "0", "00001": "1", "00010": "2", **{f"{0x19 + at:06b}": str(3 + at) for at in range(7)}}
    while len(found) < 3:
        size = next(size for size in (5, 6) if bits[:size] in codes)
        found, bits = found + codes[bits[:size]], bits[size:]
    return int(found)
