"""`governance serve`: the HTTP service. One audit writer process, N worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError, DependencyError
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WRITER_START_S = 15.0
# Between two starts of the workers, when they died one after the other.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _QUIET_S = 0.1, 5.0, 10.0


def run(argv: Sequence[str], _stdin: TextIO, _stdout: TextIO, stderr: TextIO) -> int:
    """Serve until a signal stops it."""
    options = _options(argv)
    settings = from_environment(os.environ)
    if options.dev and options.host not in _LOOPBACK:
        raise CallerError(f"--dev has no sign-in and {options.host} is not loopback", hint="leave out --dev, or --host")
    for bundle in options.bundle:
        known = os.environ.get("GOVERNANCE_EXTRA_BUNDLES", "")
        os.environ["GOVERNANCE_EXTRA_BUNDLES"] = f"{known},{bundle}".lstrip(",")
    from governance.wiring import active_of

    # Compiles and proves once, before workers start, and refuses a bad bundle by name.
    active = active_of(from_environment(os.environ))
    home = settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GOVERNANCE_HOME"] = str(home.resolve())
    writer = WriterProcess(home.resolve())
    writer.start()
    if options.dev:
        stderr.write("DEV MODE: no sign-in; everybody on this machine may ask. Not for real data.\n")
        os.environ["GOVERNANCE_SERVE_DEV"] = "1"
    scheme = "https" if options.tls_cert else "http"
    stderr.write(
        f"serving {len(active.rules)} rules ({active.revision[:19]}) on {scheme}://{options.host}:{options.port}\n"
    )
    stderr.flush()
    try:
        _serve_until_told(options, stderr)
    finally:
        writer.stop()
    return 0


def _serve_until_told(options: argparse.Namespace, stderr: TextIO) -> None:
    """Only a signal ends the service.

    The server gives up when workers die one after the other. Here a worker dies whenever a rule exceeds its budget, so
    that would let anybody who may ask such a rule switch the service off.
    """
    pause = _FIRST_PAUSE_S
    while True:
        started = time.monotonic()
        server = _granian(options)
        try:
            server.serve()
        except SystemExit:
            if not server.interrupt_children:
                raise
        if server.interrupt_signal:
            return
        pause = _FIRST_PAUSE_S if time.monotonic() - started > _QUIET_S else min(2 * pause, _LONGEST_PAUSE_S)
        stderr.write(f"workers died one after the other; starting again in {pause:g} s\n")
        time.sleep(pause)
        if server.interrupt_signal:  # told while it slept
            return


def _granian(options: argparse.Namespace) -> Any:
    from pathlib import Path

    from granian import Granian
    from granian.constants import Interfaces, Loops, RuntimeModes

    return Granian(
        "governance.entrypoints.http.app:application",
        factory=True,
        interface=Interfaces.ASGI,
        address=options.host,
        port=options.port,
        workers=options.workers,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        ssl_cert=Path(options.tls_cert) if options.tls_cert else None,
        ssl_key=Path(options.tls_key) if options.tls_key else None,
        respawn_failed_workers=True,
        websockets=False,
        log_access=False,
    )


class WriterProcess:
    """Keeps the audit writer running; while it is away, nothing is allowed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def start(self) -> None:
        """Start it and wait until it takes connections; raises DependencyError with what it said."""
        self._process = self._spawn()
        socket = self._home / "audit" / "writer.sock"
        deadline = time.monotonic() + _WRITER_START_S
        while not socket.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise DependencyError("the audit writer did not start", hint="its reason stands above")
            time.sleep(0.02)
        threading.Thread(target=self._keep, daemon=True).start()

    def stop(self) -> None:
        """End it in good order: what was taken is written."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)

    def _spawn(self) -> subprocess.Popen[bytes]:
        (self._home / "audit" / "writer.sock").unlink(missing_ok=True)
        return subprocess.Popen([sys.executable, "-m", "governance.entrypoints.http.writer_main"])

    def _keep(self) -> None:
        while not self._stopping and self._process is not None:
            self._process.wait()
            if not self._stopping:
                time.sleep(0.2)
                self._process = self._spawn()


def _options(argv: Sequence[str]) -> argparse.Namespace:
    import argparse

    parser = argparse.ArgumentParser("governance serve", description="The HTTP service.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8181)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tls-cert", default="")
    parser.add_argument("--tls-key", default="")
    parser.add_argument(
        "--bundle", action="append", default=[], metavar="PATH", help="serve somebody's own Rego and data beside ours"
    )
    parser.add_argument("--dev", action="store_true", help="loopback only, no sign-in")
    return parser.parse_args(argv)
