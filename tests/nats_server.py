"""A real nats-server with JetStream for the tests: Debian's, on loopback, its files in a folder of the test."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.ports import free_port

FOUND = shutil.which("nats-server", path="/usr/sbin:/usr/bin:/usr/local/bin")
needs_nats = pytest.mark.skipif(FOUND is None, reason="no NATS server here: apt-get install nats-server")
USER, PASSWORD = "exchange", "not-a-real-password"


class NatsServer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = f"nats://127.0.0.1:{self._port}"
        self.credentials = folder / "credentials"
        self.credentials.write_text(f"{USER}:{PASSWORD}\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> NatsServer:
        self._process = subprocess.Popen(
            [FOUND, "-js", "-sd", str(self._folder / "store"), "-a", "127.0.0.1", "-p", str(self._port),
             "--user", USER, "--pass", PASSWORD],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, "nats-server ended at start"
            assert time.monotonic() < deadline, "nats-server does not start"
            time.sleep(0.02)
        return self

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False
