"""The ASGI application: routes, sign-in, and one shape for everything that goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import AuditError
from governance.entrypoints.http import decisions, opa, records
from governance.entrypoints.http.asgi import Answer, Call, problem, send_answer
from governance.entrypoints.http.worker import Worker, prepare_process
from governance.errors import (
    CallerError,
    DependencyError,
    Forbidden,
    GovernanceError,
    InternalError,
    NotFound,
    NotSignedIn,
)
from governance.platform.keys import Identity
from governance.settings import from_environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from governance.entrypoints.http.asgi import Receive, Scope, Send

    Handler = Callable[[Worker, Call, Identity], Awaitable[Answer]]

_EVERYBODY: frozenset[str] = frozenset({"platform", "citizen", "compliance", "auditor", "service"})
_DECIDES = frozenset({"platform", "citizen", "compliance", "service"})
_READS = frozenset({"platform", "compliance", "auditor"})
_OPEN: frozenset[str] = frozenset()
_DEVELOPER = Identity("dev:loopback", "service", "")


class MethodNotAllowed(CallerError):
    """The path exists, the method does not."""

    code = "method_not_allowed"
    status = 405


class Route(NamedTuple):
    """One path; `roles` empty means that nobody has to sign in."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    roles: frozenset[str]
    decides: bool
    """Whether a decision is asked for: then every problem says that it is a deny."""


def _route(method: str, path: str, handler: Handler, roles: frozenset[str], *, decides: bool = False) -> Route:
    return Route(method, re.compile(path), handler, roles, decides)


async def _health(worker: Worker, call: Call, _: Identity) -> Answer:
    return await opa.health(worker, call)


async def _live(_worker: Worker, _call: Call, _: Identity) -> Answer:
    return Answer(200, b'{"status": "ok"}')


async def _ready(worker: Worker, _call: Call, _: Identity) -> Answer:
    if not await worker.is_ready():
        raise DependencyError("the audit log cannot be reached", hint="nothing is allowed until it is back")
    return Answer(200, json.dumps({"status": "ready", "revision": worker.active.revision}).encode())


async def _metrics(worker: Worker, _call: Call, _: Identity) -> Answer:
    return Answer(200, worker.telemetry.text().encode(), "text/plain; version=0.0.4; charset=utf-8")


async def _openapi(_worker: Worker, _call: Call, _: Identity) -> Answer:
    from governance.entrypoints.http.openapi import document

    return Answer(200, json.dumps(document()).encode())


ROUTES: Sequence[Route] = (
    _route("POST", r"/v1/decisions", decisions.decide, _DECIDES, decides=True),
    _route("POST", r"/v1/decisions/batch", decisions.batch, _DECIDES, decides=True),
    _route("GET", r"/v1/decisions/([^/]+)", decisions.show, _EVERYBODY),
    _route("POST", r"/v1/data/(.+)", opa.data, frozenset({"platform", "service"}), decides=True),
    _route("GET", r"/v1/data/(.+)", opa.data, frozenset({"platform", "service"}), decides=True),
    _route("POST", r"/v0/data/(.+)", opa.data_v0, frozenset({"platform", "service"}), decides=True),
    _route("GET", r"/v1/policies", opa.policies, frozenset({"platform", "service", "auditor", "compliance"})),
    _route("GET", r"/health", _health, _OPEN),
    _route("GET", r"/healthz", _live, _OPEN),
    _route("GET", r"/readyz", _ready, _OPEN),
    _route("GET", r"/metrics", _metrics, frozenset({"platform", "service"})),
    _route("GET", r"/openapi.json", _openapi, _OPEN),
    _route("GET", r"/v1/audit/records", records.listing, _READS),
    _route("GET", r"/checkpoint", records.checkpoint, _READS),
)


class Application:
    """ASGI 3. One instance per worker process; its parts are made at start-up, in the event loop's own thread."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._fast = {(r.method, r.pattern.pattern): r for r in ROUTES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._worker is not None:
                    await self._worker.client.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        prepare_process()
        is_dev = os.environ.get("GOVERNANCE_SERVE_DEV") == "1"
        environ = {k: v for k, v in os.environ.items() if k != "GOVERNANCE_SERVE_DEV"}
        self._worker = Worker(from_environment(environ), is_dev=is_dev)
        reload_on_hangup(self._worker)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        route: Route | None = None
        try:
            worker = self._started()
            route = self._find(call)
            answer = await route.handler(worker, call, _identity(worker, route, call))
        except GovernanceError as error:
            answer = problem(error, call.path, decision=route is not None and route.decides)
        except AuditError as error:
            failure = DependencyError(f"{error.code}: {error}", hint="nothing was allowed")
            answer = problem(failure, call.path, decision=route is not None and route.decides)
        except Exception as error:  # noqa: BLE001  the outermost edge: the caller hears no, the log says what
            failure_inside = InternalError(f"unexpected {type(error).__name__}")
            answer = problem(failure_inside, call.path, decision=route is not None and route.decides)
        await send_answer(send, answer, gzip=b"gzip" in call.headers.get(b"accept-encoding", b""))

    def _find(self, call: Call) -> Route:
        exact = self._fast.get((call.method, call.path))
        if exact is not None:
            return exact
        methods = []
        for route in ROUTES:
            found = route.pattern.fullmatch(call.path)
            if found is not None:
                if route.method == call.method:
                    call.params = found.groups()
                    return route
                methods.append(route.method)
        if methods:
            raise MethodNotAllowed(
                f"{call.method} is not for this path", where=call.path, hint=f"use {', '.join(methods)}"
            )
        raise NotFound("there is nothing at this path", where=call.path, hint="GET /openapi.json lists the paths")

    def _started(self) -> Worker:
        if self._worker is None:
            raise DependencyError("this worker has not started")
        return self._worker


def _identity(worker: Worker, route: Route, call: Call) -> Identity:
    if not route.roles:
        return Identity("anonymous", "", "")
    if worker.is_dev:
        return _DEVELOPER
    identity = worker.keys.identify(_presented(call))
    if identity.role not in route.roles:
        raise Forbidden(f"the role {identity.role!r} may not do this", where=call.path)
    return identity


def _presented(call: Call) -> str:
    value = call.header(b"authorization")
    if value[:7].lower() == "bearer ":
        return value[7:].strip()
    key = call.header(b"x-api-key")
    if not key:
        raise NotSignedIn(
            "no API key", where=call.path, hint="send `Authorization: Bearer <key>`; governance key create"
        )
    return key


def reload_on_hangup(worker: Worker) -> None:
    """SIGHUP loads the bundle again; a bad one is named and the old one stays."""
    import asyncio
    import sys

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: sys.stderr.write(worker.reload() + "\n"))


def application() -> Any:
    """What the server calls to get the application."""
    return Application()
