"""Doubles of vendors: a TLS server on this machine that answers like the real thing, for the demo and for tests.

Shapes follow the vendors' public documentation; the people in them are invented. A double has a certificate for the
vendor's host name, and `pins` says where the broker finds it: exactly how an operator connects a system of their own.
"""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from governance.platform.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

_LONGEST_BODY = 1 << 20


class Asked(NamedTuple):
    """What arrived at a double."""

    method: str
    host: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    certificate: bytes = b""
    """DER of what the client presented; it held its key."""

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path


class Reply(NamedTuple):
    """What a double answers."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = {}
    pieces: Iterable[bytes] | None = None
    """Sent one by one instead of `body`, in the chunked transfer coding; an OSError in between cuts the connection."""


class _Server(ThreadingHTTPServer):
    # As it comes, the sixth of several callers at once would be turned away.
    request_queue_size = 128


class Double:
    """A vendor on this machine, from `start` to `stop`; keeps what it was asked."""

    def __init__(
        self,
        host: str,
        folder: Path,
        answer: Callable[[Asked], Reply],
        clients: Sequence[Path] = (),
        *,
        needs_client: bool = False,
    ) -> None:
        """`clients`: PEM files of the certificates that a client may present; with `needs_client` it has to."""
        self.host = host
        self.asked: list[Asked] = []
        self._certificate, key = self_signed(folder / host, [host])
        self._answer = answer
        self._server = _Server(("127.0.0.1", 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate, key)
        for known in clients:
            context.verify_mode = ssl.CERT_REQUIRED if needs_client else ssl.CERT_OPTIONAL
            # These very certificates, not what bears the name of one of them.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(known)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def pin(self) -> dict[str, Any]:
        """The operator's entry for this host in the file of pins."""
        port = self._server.server_address[1]
        return {"address": "127.0.0.1", "port": port, "ca_file": str(self._certificate)}

    def start(self) -> Double:
        """Serve in a thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30
            # Head and body leave in two writes; the second would wait for the first one's acknowledgement.
            disable_nagle_algorithm = True

            def _any(self) -> None:
                length = min(int(self.headers.get("content-length", "0")), _LONGEST_BODY)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length)
                presented = self.connection.getpeercert(binary_form=True) or b""
                asked = Asked(self.command, headers.get("host", ""), self.path, headers, body, presented)
                double.asked.append(asked)
                reply = double._answer(asked)
                self.send_response(reply.status)
                framing = (
                    {"content-length": str(len(reply.body))}
                    if reply.pieces is None
                    else {"transfer-encoding": "chunked"}
                )
                for name, value in {"content-type": reply.content_type, **framing, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.pieces is None:
                    self.wfile.write(reply.body)
                else:
                    self._write(reply.pieces)

            def _write(self, pieces: Iterable[bytes]) -> None:
                try:
                    for piece in pieces:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    # Whoever listened hung up, or the double is to break off here.
                    self.close_connection = True

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815  http.server's names

            def log_message(self, *_: object) -> None:
                """Nothing goes to standard error: a header may hold a credential."""

        return Handler


def write_pins(path: Path, *doubles: Double) -> Path:
    """The file for GOVERNANCE_CONNECTOR_PINS."""
    path.write_text(json.dumps({double.host: double.pin for double in doubles}))
    return path


def hris(credential: str) -> Callable[[Asked], Reply]:
    """An HR system that speaks SCIM 2.0 (RFC 7643, RFC 7644) and wants this bearer token."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {credential}":
            return _scim_error(401, "no valid token")
        if asked.method == "GET" and asked.path == "/scim/v2/Users":
            return Reply(json.dumps(_PEOPLE).encode(), "application/scim+json")
        if asked.method == "GET" and asked.path == "/v1/employees/export":
            rows = [json.dumps(person).encode() + b"\n" for person in _PEOPLE["Resources"]]
            return Reply(b"", "application/x-ndjson", pieces=rows)
        return _scim_error(404, "there is nothing at this path")

    return answer


def _scim_error(status: int, detail: str) -> Reply:
    """RFC 7644, section 3.12."""
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
    return Reply(json.dumps(body).encode(), "application/scim+json", status)


_PEOPLE: dict[str, Any] = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
    "totalResults": 2,
    "startIndex": 1,
    "itemsPerPage": 2,
    "Resources": [
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "E-1001",
            "userName": "ada@example.com",
            "name": {"formatted": "Ada Example", "givenName": "Ada", "familyName": "Example"},
            "emails": [{"value": "ada@example.com", "type": "work"}],
            "department": "Campaigns",
            "dietaryPreference": "vegan",
        },
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "E-1002",
            "userName": "ben@example.com",
            "name": {"formatted": "Ben Beispiel", "givenName": "Ben", "familyName": "Beispiel"},
            "emails": [{"value": "ben@example.com", "type": "work"}],
            "department": "Campaigns",
            "dietaryPreference": "gluten-free",
        },
    ],
}
