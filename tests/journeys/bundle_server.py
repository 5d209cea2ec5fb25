"""A bundle server of our own: real HTTP, with the ways in which real ones fail."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.serving import serve


class BundleServer:
    """`mode`: ok, 500, garbage, hang, huge, drip, redirect, truncated."""

    def __init__(self, token: str = "") -> None:
        self.content = b""
        self.mode = "ok"
        self.token = token
        self.seen: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.changed = threading.Condition()
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        serve(self._http)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/bundle.tar.gz"

    def publish(self, path: Path) -> None:
        with self.changed:
            self.content = path.read_bytes()
            self.changed.notify_all()

    def answer(self, call) -> None:
        self.seen.append({name.lower(): value for name, value in call.headers.items()})
        if self.token and call.headers.get("authorization") != f"Bearer {self.token}":
            self._send(call, 401)
        elif self.mode == "500":
            self._send(call, 500, b"no")
        elif self.mode == "garbage":
            self._send(call, 200, b"\x1f\x8bnot an archive" * 50, etag='"garbage"')
        elif self.mode == "hang":
            self.released.wait(60)
        elif self.mode == "redirect":
            self._send(call, 302, location="http://127.0.0.1:1/elsewhere")
        elif self.mode == "huge":
            self._send(call, 200, b"0" * 2_000_000)
        elif self.mode == "truncated":
            self._send(call, 200, self.content[: len(self.content) // 2], length=len(self.content))
        else:
            self._serve(call)

    def _serve(self, call) -> None:
        prefer = call.headers.get("prefer", "")
        wait_s = float(prefer.partition("wait=")[2] or 0)
        with self.changed:
            if call.headers.get("if-none-match") == self.etag():
                if wait_s:
                    self.changed.wait_for(lambda: call.headers.get("if-none-match") != self.etag(), timeout=wait_s)
                if call.headers.get("if-none-match") == self.etag():
                    self._send(call, 304, long_poll=bool(wait_s))
                    return
            self._send(call, 200, self.content, etag=self.etag(), long_poll=bool(wait_s))

    def etag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    def _send(self, call, status, body=b"", *, etag="", location="", length=None, long_poll=False) -> None:
        self.statuses.append(status)
        call.send_response(status)
        if etag:
            call.send_header("etag", etag)
        if location:
            call.send_header("location", location)
        kind = "application/vnd.openpolicyagent.bundles" if long_poll else "application/gzip"
        call.send_header("content-type", kind)
        if status != 304:
            call.send_header("content-length", str(len(body) if length is None else length))
        call.end_headers()
        call.wfile.write(body)
        call.close_connection = True

    def stop(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
