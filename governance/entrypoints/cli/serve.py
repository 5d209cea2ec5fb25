"""`governance serve`: the HTTP service. One audit writer process, N worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError, DependencyError
from governance.platform.certificates import self_signed, stamp, taken
from governance.settings import from_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from governance.entrypoints.http.server import Server
    from governance.platform.bundles.keeper import Keeper
    from governance.platform.bundles.releases import Release
    from governance.settings import Settings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WRITER_START_S = 15.0
_COMPANION_PAUSE_S, _COMPANION_LONGEST_S = 0.5, 30.0
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
    from governance.events_wiring import stream_of
    from governance.wiring import keeper_of

    home = settings.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["GOVERNANCE_HOME"] = str(home.resolve())
    settings = from_environment(os.environ)
    # Compiles and proves once, before workers start, and refuses a bad bundle by name.
    keeper = keeper_of(settings, lambda text: _say(stderr, f"bundles: {text}"))
    release = keeper.first()
    _check_waivers(settings, keeper, release)
    stream_of(settings)
    served = _with_certificate(options, home.resolve(), stderr)
    writer = WriterProcess(home.resolve())
    writer.start()
    companions = [Companion(module) for module in companions_of(settings)]
    if options.dev:
        stderr.write("DEV MODE: no sign-in; everybody on this machine may ask. Not for real data.\n")
        os.environ["GOVERNANCE_SERVE_DEV"] = "1"
    scheme = "https" if options.tls_cert else "http"
    try:
        if release is not None:
            keeper.put_in_force(release, "start")
        _say(stderr, f"serving {_told(keeper)} on {scheme}://{options.host}:{options.port}")
        for companion in companions:
            companion.start()
        _serve_until_told(options, served, stderr)
    finally:
        for companion in companions:
            companion.stop()
        writer.stop()
    return 0


def _check_waivers(settings: Settings, keeper: Keeper, release: Release | None) -> None:
    """Refuse to start with a waiver file that must not count: whoever wrote it believes that it does."""
    from governance.policy.active import activated
    from governance.policy.waivers import load_waivers

    packed = keeper.shelf.packed(release.id) if release is not None else None
    if settings.text("waivers") and packed is not None:
        load_waivers(settings.text("waivers"), activated(packed).rules)


def companions_of(settings: Settings) -> list[str]:
    """Modules of the processes that work beside the workers."""
    found = ["governance.entrypoints.http.keeper_main", "governance.entrypoints.http.events_main"]
    if settings.text("candidate_bundle"):
        found.append("governance.entrypoints.http.candidate_main")
    if settings.text("review_model"):
        found.append("governance.entrypoints.http.review_main")
    if settings.text("decision_log_url"):
        found.append("governance.entrypoints.http.upload_main")
    return found


def _say(stderr: TextIO, text: str) -> None:
    stderr.write(f"{text}\n")
    stderr.flush()


def _told(keeper: Keeper) -> str:
    """What is in force for these settings."""
    standing = keeper.shelf.standing()
    if standing is None or standing.release.config != keeper.plan.config:
        return "NO BUNDLE YET: everything is denied until every source was reached,"
    return f"{standing.release.rules} rules ({standing.release.revision[:19]})"


def _serve_until_told(options: argparse.Namespace, served: _Served | None, stderr: TextIO) -> None:
    """Only a signal ends the service.

    The server gives up when workers die one after the other. Here a worker dies whenever a rule exceeds its budget, so
    that would let anybody who may ask such a rule switch the service off.
    """
    pause = _FIRST_PAUSE_S
    server = _server(options, served)
    while True:
        started = time.monotonic()
        watch = _CertificateWatch(server, served, stderr)
        try:
            server.serve()
        except SystemExit:
            if not server.interrupt_children:
                raise
        finally:
            watch.stop()
        if server.was_told_to_stop():
            return
        pause = _FIRST_PAUSE_S if time.monotonic() - started > _QUIET_S else min(2 * pause, _LONGEST_PAUSE_S)
        stderr.write(f"workers died one after the other; starting again in {pause:g} s\n")
        time.sleep(pause)
        following = _server(options, served, before=server)
        if server.was_told_to_stop():  # told in the meantime
            return
        server = following


class _Served:
    """The certificate's files, and the copies of them that are served."""

    def __init__(self, folder: Path, certificate: str, key: str) -> None:
        self._folder = folder
        self._files = (certificate, key)
        self._seen = stamp(*self._files)
        copies = taken(folder, *self._files)
        if copies is None:
            raise CallerError("certificate and key are not a pair, or not readable", where=certificate)
        self.copies: tuple[Path, Path] = copies

    def look(self) -> tuple[bool, bool]:
        """(whether the files changed since the last look, whether what they hold now is served)."""
        found = stamp(*self._files)
        if found == self._seen:
            return False, True
        self._seen = found
        copies = taken(self._folder, *self._files)
        self.copies = copies or self.copies
        return True, copies is not None


def _with_certificate(options: argparse.Namespace, home: Path, stderr: TextIO) -> _Served | None:
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
    return _Served(home / "tls" / "served", options.tls_cert, options.tls_key) if options.tls_cert else None


class _CertificateWatch:
    """Has workers replaced, one after the other, when the certificate's files were."""

    def __init__(self, server: Server, served: _Served | None, stderr: TextIO) -> None:
        self._server = server
        self._stderr = stderr
        self._stopped = threading.Event()
        if served is not None:
            threading.Thread(target=self._watch, args=[served], daemon=True).start()

    def stop(self) -> None:
        """End watching."""
        self._stopped.set()

    def _watch(self, served: _Served) -> None:
        while not self._stopped.wait(_LOOK_AT_CERTIFICATE_S):
            is_changed, is_good = served.look()
            if is_changed and is_good:
                self._stderr.write("the certificate was replaced; workers take the new one\n")
                self._server.take_certificate(*served.copies)
            elif is_changed:
                self._stderr.write("the new certificate and key are not a pair; the old one is served on\n")
            self._stderr.flush()


def _server(options: argparse.Namespace, served: _Served | None, before: Server | None = None) -> Server:
    from granian.constants import Interfaces, Loops, RuntimeModes

    from governance.entrypoints.http.server import Server

    return Server(
        interface=Interfaces.ASGI,
        address=options.host,
        port=options.port,
        before=before,
        workers=options.workers,
        loop=Loops.uvloop,
        runtime_mode=RuntimeModes.st,
        ssl_cert=served.copies[0] if served else None,
        ssl_key=served.copies[1] if served else None,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        websockets=False,
        log_access=False,
    )


class Companion:
    """Keeps one process beside the workers running; it starts again when it ends, at most once in a while."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start it."""
        threading.Thread(target=self._keep, daemon=True).start()

    def stop(self) -> None:
        """End it; whatever it was doing, it can do again."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()

    def _keep(self) -> None:
        pause = _COMPANION_PAUSE_S
        while not self._stopping.is_set():
            started = time.monotonic()
            self._process = subprocess.Popen([sys.executable, "-P", "-m", self._module])  # noqa: S603  a module of ours
            self._process.wait()
            # One that cannot begin says why each time: seldom enough to be read.
            pause = (
                _COMPANION_PAUSE_S if time.monotonic() - started > _QUIET_S else min(2 * pause, _COMPANION_LONGEST_S)
            )
            self._stopping.wait(pause)


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
        return subprocess.Popen([sys.executable, "-P", "-m", "governance.entrypoints.http.writer_main"])

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
    parser.add_argument(
        "--tls-cert",
        default="",
        metavar="FILE",
        help="PEM; a new one is taken up within seconds, without a request that fails",
    )
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
