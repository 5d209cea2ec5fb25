"""`governance serve`: the HTTP service. One audit writer process, N worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, TextIO

from governance.errors import CallerError, DependencyError
from governance.platform.certificates import is_pair, self_signed, stamp
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from governance.policy.active import Active
    from governance.settings import Settings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WRITER_START_S = 15.0
_LOOK_AT_CERTIFICATE_S = 1.0
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
    _with_certificate(options, home.resolve(), stderr)
    writer = WriterProcess(home.resolve())
    writer.start()
    try:
        _record_policy(from_environment(os.environ), active)
    except BaseException:
        writer.stop()
        raise
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


def _record_policy(settings: Settings, active: Active) -> None:
    """Where other rules or waivers come into force than the log says last, that is a record before anything is decided."""
    import asyncio

    from governance.model.request import Source
    from governance.pipeline import Pipeline
    from governance.wiring import SharedRecorder, open_reader, parts_for, waivers_of

    waivers = waivers_of(settings, active)
    reader = open_reader(settings)
    last: dict[str, Any] = {}
    for last in reader.custody("policy_change"):  # noqa: B007  the newest is what counts
        pass
    reader.close()
    before = last.get("public", {})
    if (before.get("revision"), before.get("waivers")) == (active.revision, sorted(w.name for w in waivers)):
        return
    recorder = SharedRecorder(settings.home, settings.number("record_timeout_ms") / 1000)
    line = Pipeline(parts_for(settings, lambda: active)._replace(recorder=recorder))
    source = Source("cli.serve", f"os:{os.getuid()}")
    asyncio.run(line.achanged(source, active.revision, str(before.get("revision", "")), waivers))


def _serve_until_told(options: argparse.Namespace, stderr: TextIO) -> None:
    """Only a signal ends the service.

    The server gives up when workers die one after the other. Here a worker dies whenever a rule exceeds its budget, so
    that would let anybody who may ask such a rule switch the service off.
    """
    pause = _FIRST_PAUSE_S
    while True:
        started = time.monotonic()
        server = _granian(options)
        watch = _CertificateWatch(options, server, stderr)
        try:
            server.serve()
        except SystemExit:
            if not server.interrupt_children:
                raise
        finally:
            watch.stop()
        if server.interrupt_signal:
            return
        pause = _FIRST_PAUSE_S if time.monotonic() - started > _QUIET_S else min(2 * pause, _LONGEST_PAUSE_S)
        stderr.write(f"workers died one after the other; starting again in {pause:g} s\n")
        time.sleep(pause)
        if server.interrupt_signal:  # told while it slept
            return


def _with_certificate(options: argparse.Namespace, home: Path, stderr: TextIO) -> None:
    """Settle which certificate is served; raises CallerError for a pair that is none."""
    if options.tls_self_signed:
        if options.tls_cert or options.tls_key:
            raise CallerError(
                "--tls-self-signed makes a certificate, and --tls-cert names one", hint="leave out one of the two"
            )
        made = self_signed(home / "tls", options.tls_self_signed.split(","))
        options.tls_cert, options.tls_key = map(str, made)
        stderr.write(f"SELF-SIGNED certificate, for trying out: {options.tls_cert}\n")
    if bool(options.tls_cert) != bool(options.tls_key):
        raise CallerError("--tls-cert and --tls-key come together")
    if options.tls_cert and not is_pair(options.tls_cert, options.tls_key):
        raise CallerError("certificate and key are not a pair, or not readable", where=options.tls_cert)


class _CertificateWatch:
    """Starts new workers, one after the other, when the certificate's files were replaced: they read them anew."""

    def __init__(self, options: argparse.Namespace, server: Any, stderr: TextIO) -> None:
        self._files = (options.tls_cert, options.tls_key)
        self._server = server
        self._stderr = stderr
        self._stopped = threading.Event()
        self._seen = stamp(*self._files)
        if options.tls_cert:
            threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """End watching."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(_LOOK_AT_CERTIFICATE_S):
            found = stamp(*self._files)
            if found == self._seen:
                continue
            self._seen = found
            if is_pair(*self._files):
                self._stderr.write("the certificate was replaced; workers take the new one\n")
                self._server.signal_handler_reload()
            else:
                self._stderr.write("the new certificate and key are not a pair; the old one is served on\n")
            self._stderr.flush()


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
        respawn_interval=0.5,
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
    parser.add_argument("--tls-cert", default="", metavar="FILE", help="PEM; a new one is taken up within seconds")
    parser.add_argument("--tls-key", default="", metavar="FILE", help="PEM, without a passphrase")
    parser.add_argument(
        "--tls-self-signed",
        default="",
        metavar="NAME[,NAME]",
        help="make a certificate for these names, for trying out",
    )
    parser.add_argument(
        "--bundle", action="append", default=[], metavar="PATH", help="serve somebody's own Rego and data beside ours"
    )
    parser.add_argument("--dev", action="store_true", help="loopback only, no sign-in")
    return parser.parse_args(argv)
