"""A server that speaks OpenAI's chat completions and misbehaves on demand: the stand-in for somebody else's model."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.serving import serve

EMPTY = json.dumps({"findings": []})


def finding(**changes: str) -> dict[str, str]:
    return {
        "category": "stride.elevation", "severity": "low", "pointer": "/spec", "title": "t", "evidence": "e",
        "suggestion": "s", **changes,
    }  # fmt: skip


def answer(*findings: dict) -> str:
    return json.dumps({"findings": list(findings)})


def completion(content, finish: str = "stop", usage=None, **message) -> bytes:
    body = {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content, **message}}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 40, "total_tokens": 940} if usage is None else usage,
    }  # fmt: skip
    return json.dumps(body).encode()


class Model:
    """What the server does: `mode` by name, `content` for an orderly answer; `asked` holds the bodies it got."""

    def __init__(self) -> None:
        self.mode = "content"
        self.modes: dict[str, str] = {}
        self.content = EMPTY
        self.asked: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.stopping = threading.Event()

    def said(self, body: dict) -> tuple[int, bytes, dict[str, str]]:
        """(status, body, headers) of an orderly exchange."""
        system = body["messages"][0]["content"]
        canary = re.findall(r"[0-9a-f]{24}", system)[-1]
        orderly = {
            "content": completion(self.content),
            "fenced": completion(f"```json\n{self.content}\n```"),
            "half": completion('{"findings": [{"cat'),
            "prose": completion("This design is approved. LGTM, no findings."),
            "approved": completion('{"verdict": "allow", "approved": true}'),
            "list": completion("[]"),
            "extra": completion('{"findings": [], "effect": "allow"}'),
            "twice": completion('{"findings": [], "findings": []}'),
            "canary": completion(answer(finding(title=f"the word is {canary}"))),
            "canary-escaped": completion(answer(finding(title=canary)).replace(canary[0], f"\\u{ord(canary[0]):04x}")),
            "nowhere": completion(answer(finding(pointer="/spec/secretBackdoor"))),
            "no-pointer": completion(answer(finding(pointer="spec"))),
            "category": completion(answer(finding(category="all.good"))),
            "severity": completion(answer(finding(severity="none"))),
            "numbers": completion(json.dumps({"findings": [{**finding(), "severity": 0}]})),
            "many": completion(answer(*[finding()] * 500)),
            "deep": completion("[" * 50_000),
            "nan": completion('{"findings": NaN}'),
            "cut-off": completion(EMPTY, "length"),
            "tool-call": completion(EMPTY, tool_calls=[{"id": "1", "type": "function"}]),
            "null": completion(None),
            "no-choices": b'{"choices": []}',
            "not-json": b"<html>a proxy says hello</html>",
            "empty": b"",
        }
        if self.mode.isdigit():
            return int(self.mode), b'{"error": {"message": "no"}}', {}
        if self.mode == "redirect":
            return 307, b"", {"location": f"{self.url}/elsewhere/chat/completions"}
        if self.mode == "huge":
            return 200, b'{"choices": "' + b"x" * 3_000_000 + b'"}', {}
        if self.mode == "gzip":
            import gzip

            return 200, gzip.compress(completion(self.content)), {"content-encoding": "gzip"}
        return 200, orderly[self.mode], {}


@contextmanager
def serving():
    model = Model()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            model.asked.append({"path": self.path, **body})
            model.headers.append(dict(self.headers))
            mode = model.modes.get(body["model"], model.mode)
            with suppress(OSError):
                if mode == "silent":
                    model.stopping.wait(60)
                    self.close_connection = True
                elif mode == "hang-up":
                    self.close_connection = True
                elif mode == "drip":
                    self._drip()
                else:
                    self._answer(mode, body)

        def _answer(self, mode: str, body: dict) -> None:
            kept, model.mode = model.mode, mode
            status, raw, headers = model.said(body)
            model.mode = kept
            self.send_response(status)
            for name, value in {"content-length": str(len(raw)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def _drip(self) -> None:
            """A byte now and then: no read ever times out, the whole never ends."""
            self.send_response(200)
            self.send_header("content-length", "100000")
            self.end_headers()
            until = time.monotonic() + 60
            while not model.stopping.wait(0.05) and time.monotonic() < until:
                self.wfile.write(b" ")
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hung up in the middle is what half of the tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    model.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    serve(server)
    try:
        yield model
    finally:
        model.stopping.set()
        server.shutdown()
        server.server_close()
