"""A witness behind HTTP, in the process of the test."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from audit.witness import Witness
from audit.witnessing import Peer
from tests.serving import serve


class Serving:
    """A real witness behind real HTTP, in this process."""

    def __init__(self, witness: Witness) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                answer = witness.add_checkpoint(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(answer.status)
                self.send_header("content-type", answer.content_type)
                self.end_headers()
                self.wfile.write(answer.body.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.peer = Peer(f"http://127.0.0.1:{self._server.server_port}", witness.verifier)
        serve(self._server)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
