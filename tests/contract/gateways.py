"""A gateway on ports of its own in front of upstreams that say what reached them."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from runtime_adapters.gateway.applying import Applied, GatewayFolder
from runtime_adapters.gateway.process import Envoy
from runtime_adapters.gateway.state import (
    ApiKey,
    AppRoute,
    Backend,
    Endpoint,
    GatewayState,
    Grant,
    Listener,
)
from tests.journeys.envoy import envoy_program
from tests.ports import free_port
from tests.serving import serve

SECRETS = {"ab": "1" * 64, "cd": "2" * 64, "ef": "3" * 64}
HOST = "lunch.example.com"
# Encodings of more than a byte a letter; the ones without an order begin with a mark of it.
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")


def presented(key_id: str) -> str:
    return f"gk_{key_id}_{SECRETS[key_id]}"


def key(key_id: str, role: str = "service", tenant: str = "marketing", **more) -> ApiKey:
    return ApiKey(key_id, hashlib.sha256(SECRETS[key_id].encode()).hexdigest(), role, tenant, **more)


class _SocketServer(http.server.ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def get_request(self):
        return self.socket.accept()[0], ("socket", 0)


class Upstream:
    """Answers with its name and what arrived, or with what the test put into `says`. `path`: on a Unix socket there."""

    def __init__(self, name: str, path: str = "") -> None:
        self.calls: list[dict] = []
        self.says: tuple[int, dict[str, str], bytes] | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one packet: two wait 40 ms for each other

            def whole_body(self) -> bytes:
                if self.headers.get("transfer-encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length", 0)))
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)

            def answer(self) -> None:
                body = self.whole_body()
                headers = {key.lower(): value for key, value in self.headers.items()}
                heard = {"name": name, "method": self.command, "path": self.path, "headers": headers,
                         "body": body.decode("latin-1")}  # fmt: skip
                outer.calls.append(heard)
                plain = (200, {"content-type": "application/json"}, json.dumps(heard).encode())
                status, said, raw = outer.says or plain
                self.send_response(status)
                for header, value in {"content-length": str(len(raw)), **said}.items():
                    self.send_header(header, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(raw)

            # The names that http.server looks for.
            do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                return None

        if path:
            self._server: http.server.ThreadingHTTPServer = _SocketServer(path, Handler)
            self.endpoint = Endpoint(f"unix:{path}", 0)
        else:
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            self.endpoint = Endpoint("127.0.0.1", self._server.server_address[1])
        self._server.daemon_threads = True
        serve(self._server)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Running:
    """One folder, one Envoy, and the state that was applied last."""

    def __init__(self, folder: Path, program: str, port: int, upstream: Upstream, other: Upstream) -> None:
        self.folder, self.program, self.port = folder, program, port
        self.upstream, self.other = upstream, other
        self.url = f"http://127.0.0.1:{port}"
        self.gateway = GatewayFolder(folder, program)
        self.access_log = folder.parent / "access.log"
        self.gateway.apply(self.state())
        self.envoy = Envoy(program, folder).start()
        self.client = httpx.Client(verify=False, timeout=30)

    def app(self, **changes) -> AppRoute:
        plain = AppRoute(
            "lunch", "marketing", "decision-1", (HOST,), (Backend("stable", (self.upstream.endpoint,)),), ("eu",),
            grants=(Grant(("service", "citizen"), ("marketing",)),), asks=False,
        )  # fmt: skip
        return plain._replace(**changes)

    def state(self, *apps: AppRoute, **changes) -> GatewayState:
        plain = GatewayState(
            (Listener("eu", "127.0.0.1", self.port, "eu"),), apps or (self.app(),), (key("ab"),),
            access_log=str(self.access_log),
        )  # fmt: skip
        return plain._replace(**changes)

    def apply(self, *apps: AppRoute, **changes) -> Applied:
        return self.gateway.apply(self.state(*apps, **changes), [self.envoy.admin_socket])

    def get(self, path: str = "/", *, key_id: str = "ab", host: str = HOST, **headers: str) -> httpx.Response:
        return self.call("GET", path, key_id=key_id, host=host, **headers)

    def call(self, method: str, path: str = "/", *, key_id: str = "ab", host: str = HOST, content=None, **headers: str):
        sent = {"host": host, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if key_id:
            sent["x-api-key"] = presented(key_id)
        return self.client.request(method, self.url + path, headers=sent, content=content)


@contextmanager
def running_in(folder: Path) -> Iterator[Running]:
    """A gateway before two upstreams; all of them end with the block."""
    program = str(envoy_program())
    upstream, other = Upstream("stable"), Upstream("canary")
    running = Running(folder, program, free_port(), upstream, other)
    try:
        yield running
    finally:
        running.envoy.stop()
        upstream.stop()
        other.stop()
