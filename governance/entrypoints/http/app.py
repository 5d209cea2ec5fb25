"""The ASGI application: routes, sign-in, and one shape for everything that goes wrong."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import signal
from typing import TYPE_CHECKING, NamedTuple

from audit.errors import AuditError
from governance.entrypoints.http import (
    admission,
    app_answers,
    approvals,
    authzen,
    bundles,
    connectors,
    consents,
    decisions,
    events,
    exports,
    ext_authz,
    oauth,
    opa,
    opa_more,
    records,
    scans,
    scores,
    tiles,
    usage,
    waivers,
)
from governance.entrypoints.http.asgi import Answer, Call, json_answer, send_answer, takes_gzip
from governance.entrypoints.http.problems import MethodNotAllowed, opa_error, problem
from governance.entrypoints.http.signin import ANONYMOUS, API_SERVER, check_role, developer, signed_in
from governance.entrypoints.http.worker import Worker, prepare_process
from governance.errors import (
    CallerError,
    Damaged,
    DependencyError,
    Forbidden,
    GovernanceError,
    InternalError,
    NotFound,
    NotSignedIn,
    RecordNotDurable,
)
from governance.log_wiring import refusal_of
from governance.settings import from_environment

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from governance.entrypoints.http.asgi import Receive, Scope, Send
    from governance.platform.keys import Identity

    Handler = Callable[[Worker, Call, Identity], Awaitable[Answer]]

_EVERYBODY: frozenset[str] = frozenset({"platform", "citizen", "compliance", "auditor", "service"})
_DECIDES = frozenset({"platform", "citizen", "compliance", "service"})
_READS = frozenset({"platform", "compliance", "auditor"})
_PREVIEWS = frozenset({"platform", "compliance"})
_ASKS_RULES = frozenset({"platform", "service"})
_ADMITS = frozenset({"service"})
# An object of its own as well: GOVERNANCE_ADMISSION=open lets nobody run apps.
_RUNS = frozenset({"service"})
# An object of its own: GOVERNANCE_TILES may open these paths.
_FOLLOWS = frozenset({"platform", "compliance", "auditor"})
_ASKS_FOR_OTHERS = frozenset({"service"})
# A route for every method.
ANY = "*"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_RULES: frozenset[str] = frozenset({"platform", "compliance"})
_OPEN: frozenset[str] = frozenset()


class Route(NamedTuple):
    """One path; `roles` empty means that nobody has to sign in."""

    method: str
    path: str
    """As in the OpenAPI document: `{name}` is one segment, `{name*}` the rest of the path."""
    handler: Handler
    roles: frozenset[str]
    summary: str
    entry_point: str = ""
    """Set where a decision is asked for: then a refusal is a deny, and recorded under this name."""

    is_opa: bool = False
    """Errors have OPA's shape; those of its Data API always do."""


async def _health(worker: Worker, call: Call, _: Identity) -> Answer:
    return await opa.health(worker, call)


async def _live(_worker: Worker, _call: Call, _: Identity) -> Answer:
    return json_answer({"status": "ok"})


async def _ready(worker: Worker, _call: Call, _: Identity) -> Answer:
    why = await worker.unready()
    if why:
        raise DependencyError(why, hint="nothing is allowed until it is back; GET /v1/status says more")
    found = {"status": "ready", "revision": worker.active.revision, "damaged_apps": len(worker.directory.damaged())}
    return json_answer(found)


async def _metrics(worker: Worker, _call: Call, _: Identity) -> Answer:
    return Answer(200, worker.metrics().encode(), b"text/plain; version=0.0.4; charset=utf-8")


async def _openapi(_worker: Worker, _call: Call, _: Identity) -> Answer:
    from governance.entrypoints.http.openapi import document

    rows = [
        (method, route.path, route.summary, bool(route.roles))
        for route in ROUTES
        for method in (_METHODS if route.method == ANY else (route.method,))
    ]
    return json_answer(document(rows))


ROUTES: Sequence[Route] = (
    Route("POST", "/v1/decisions", decisions.decide, _DECIDES, "Decide; a deny is a 200", "http.decisions"),
    Route("POST", "/v1/decisions/batch", decisions.batch, _DECIDES, "Decide on several requests", "http.batch"),
    Route("GET", "/v1/decisions/{id}", decisions.show, _EVERYBODY, "A recorded decision"),
    Route("POST", "/v1/data/{path*}", opa.data, _ASKS_RULES, "OPA Data API, version 1", "http.data"),
    Route("GET", "/v1/data/{path*}", opa.data, _ASKS_RULES, "The same, input in the query string", "http.data"),
    Route("POST", "/v0/data/{path*}", opa.data_v0, _ASKS_RULES, "OPA Data API, version 0", "http.data"),
    Route("POST", authzen.EVALUATION, authzen.evaluation, _DECIDES, "AuthZEN 1.0: one evaluation", "http.authzen"),
    Route("POST", authzen.EVALUATIONS, authzen.evaluations, _DECIDES, "AuthZEN 1.0: several", "http.authzen"),
    Route("GET", "/.well-known/authzen-configuration", authzen.configuration, _OPEN, "AuthZEN 1.0: metadata"),
    Route(
        "POST", "/admission/validate", admission.validate, _ADMITS, "Kubernetes AdmissionReview v1", "webhook.validate"
    ),
    Route(
        "POST",
        "/admission/validate/{profile}",
        admission.validate,
        _ADMITS,
        "The same, for one Pod Security profile: privileged, baseline or restricted; ?version=v1.N or latest",
        "webhook.validate",
    ),
    Route("POST", "/admission/mutate", admission.mutate, _ADMITS, "The same, with a JSONPatch", "webhook.mutate"),
    Route(ANY, "/ext-authz/", ext_authz.ask, _ASKS_FOR_OTHERS, "Envoy ext_authz, the root path", ext_authz.ENTRY_POINT),
    Route("POST", app_answers.PATH, app_answers.ask, _ASKS_FOR_OTHERS, "An app's answer", app_answers.ENTRY_POINT),
    Route(
        ANY, "/ext-authz/{path*}", ext_authz.ask, _ASKS_FOR_OTHERS, "Envoy ext_authz over HTTP", ext_authz.ENTRY_POINT
    ),
    Route("POST", "/v1/data", opa.data, _ASKS_RULES, "OPA Data API, everything there is", "http.data"),
    Route("GET", "/v1/data", opa.data, _ASKS_RULES, "The same, input in the query string", "http.data"),
    Route("POST", "/", opa.default_decision, _ASKS_RULES, "OPA's default decision, data.system.main", "http.data"),
    Route("POST", "/v1/batch/data", opa_more.batch, _ASKS_RULES, "EOPA's batch, everything there is", "http.data"),
    Route("POST", "/v1/batch/data/{path*}", opa_more.batch, _ASKS_RULES, "EOPA's batch of inputs", "http.data"),
    Route("POST", "/v1/query", opa_more.query, _ASKS_RULES, "OPA Query API, where it is switched on", "http.data"),
    Route("GET", "/v1/query", opa_more.query, _ASKS_RULES, "The same, query in the query string", "http.data"),
    Route("GET", "/v1/config", opa_more.config, _ASKS_RULES | _READS, "OPA's configuration, the public part"),
    Route("GET", "/v1/policies", opa_more.policies, _ASKS_RULES | _READS, "Modules as they are served"),
    Route("GET", "/v1/policies/{id*}", opa_more.policy, _ASKS_RULES | _READS, "One module", is_opa=True),
    *(
        Route(method, path, opa_more.refuse_write, _ASKS_RULES, "Refused: this comes from bundles", is_opa=True)
        for path in ("/v1/policies/{id*}", "/v1/data/{path*}", "/v1/data")
        for method in ("PUT", "PATCH", "DELETE")
    ),
    Route("GET", "/v1/bundles", bundles.listing, _READS, "Bundles and the releases made of them"),
    Route("GET", "/v1/bundles/{revision}", bundles.show, _READS, "One release"),
    Route("GET", "/v1/status", bundles.status, _READS | _ASKS_RULES, "OPA's status: how each bundle fares"),
    Route("GET", "/v1/waivers", waivers.listing, _READS, "Waivers, those that do not count included"),
    Route("POST", "/v1/waivers", waivers.propose, _RULES, "Propose a waiver; it counts once somebody else approved it"),
    Route("POST", "/v1/waivers/{name}/approval", waivers.approve, _RULES, "Approve a waiver of somebody else"),
    Route("GET", "/v1/waivers/{name}", waivers.show, _READS, "One waiver"),
    Route("DELETE", "/v1/waivers/{name}", waivers.revoke, _RULES, "Revoke a waiver"),
    Route("GET", "/health", _health, _OPEN, "OPA's health; ?bundles, ?plugins: records can be written as well"),
    Route("GET", "/healthz", _live, _OPEN, "The process lives"),
    Route("GET", "/readyz", _ready, _OPEN, "Decisions can be made and recorded"),
    Route("GET", "/metrics", _metrics, _ASKS_RULES, "Prometheus metrics of all workers"),
    Route("GET", "/openapi.json", _openapi, _OPEN, "This document"),
    Route("GET", "/v1/audit/records", records.listing, _READS, "Audit records, newest first"),
    Route("POST", "/v1/audit/exports", exports.create, _READS, "Ask for an export; 202, `Idempotency-Key`"),
    Route("GET", "/v1/audit/exports/{id}", exports.show, _READS, "Where an export stands"),
    Route("GET", "/v1/audit/exports/{id}/package", exports.package, _READS, "Its package, a zip that verifies offline"),
    Route(
        "POST",
        "/v1/scans",
        scans.scan,
        _DECIDES,
        "Personal data and secrets in a document: place and kind, never the value; ?deep=true asks Presidio too",
        scans.ENTRY_POINT,
    ),
    Route("GET", "/v1/scores", scores.report, _READS, "Compliance of the apps, its trend and what moved it"),
    Route("GET", "/v1/usage", usage.report, _READS, "What running apps used, by app, tenant or day"),
    Route("GET", "/v1/audit/who-allowed", records.allowed, _READS, "Who allowed a decision, or what an app is"),
    Route("POST", "/v1/audit/mask-preview", records.mask_preview, _PREVIEWS, "What a record holds after your masks"),
    Route("GET", "/v1/audit/proof", records.proof, _READS, "That a record is in the log, or that the log only grew"),
    Route("GET", "/v1/audit/data-of", records.subject_data, _READS, "What a person's data touched"),
    Route(
        "POST",
        "/v1/connectors/{name}/calls",
        connectors.call,
        _OPEN,
        "Call a connector, with an app token; the answer comes masked",
        "http.connectors",
    ),
    Route("GET", "/v1/connectors", approvals.listing, _EVERYBODY, "The registered connectors"),
    Route("GET", "/v1/connectors/{name}", approvals.show, _EVERYBODY, "One registered connector"),
    Route("POST", "/v1/connectors/{name}/approvals", approvals.approve, _DECIDES, "Approve it", "http.connectors"),
    Route(
        "POST", "/v1/connectors/{name}/approvals/withdraw", approvals.withdraw, _DECIDES, "Take back", "http.connectors"
    ),
    Route("GET", "/v1/apps/{name}/scopes", connectors.scopes, _READS, "Scopes of an app, and when each was last used"),
    Route("POST", "/v1/apps/{name}/tokens", connectors.token, _RUNS, "A token for an app's instance (a runtime asks)"),
    Route(
        "DELETE",
        "/v1/apps/{name}/instances/{id}/tokens",
        connectors.revoke,
        _ASKS_RULES,
        "End an instance's tokens now",
    ),
    Route("POST", "/v1/events", events.publish, _OPEN, "Publish a CloudEvent, with an app token", "http.events"),
    Route("GET", "/v1/events/dead", events.dead, _READS, "Deliveries of events that were given up"),
    Route("POST", "/v1/events/dead/{number}/retry", events.retry, _RULES, "Let one of them try again"),
    Route("GET", "/v1/subscriptions", events.listing, _READS, "Subscriptions of all deployed apps"),
    Route(
        "POST", "/v1/subscriptions/{name}/pull", events.pull, _OPEN, "Fetch events, with an app token", "http.events"
    ),
    Route("POST", "/v1/subscriptions/{name}/acks", events.acknowledge, _OPEN, "Say how fetched events fared"),
    Route("POST", "/v1/hooks/{name}", events.hook, _OPEN, "A signed webhook for an app: `app.hook`"),
    Route("GET", "/.well-known/jwks.json", connectors.jwks, _OPEN, "Keys that app tokens verify with (RFC 7517)"),
    Route("GET", "/v1/consents", consents.listing, _EVERYBODY, "Consents: one's own, or those of the tenant"),
    Route("POST", "/v1/consents/{id}/withdraw", consents.withdraw, _DECIDES, "End a consent now"),
    Route("GET", "/v1/oauth/consents", oauth.consents, _OPEN, "A person's consents, in a browser"),
    Route("POST", "/v1/oauth/consents/sign-out", oauth.sign_out, _OPEN, "End the browser's session"),
    Route("POST", "/v1/oauth/consents/{id}/withdraw", oauth.withdraw, _OPEN, "End one of them"),
    Route("GET", "/v1/oauth/{connector}/authorize", oauth.authorize, _OPEN, "Ask a person: ?app=&scope="),
    Route("POST", "/v1/oauth/{connector}/authorize", oauth.answer, _OPEN, "Their answer; a yes leads to the vendor"),
    Route("POST", "/v1/oauth/{connector}/sign-in", oauth.sign_in, _OPEN, "Begin a browser's session"),
    Route("GET", "/v1/oauth/{connector}/callback", oauth.callback, _OPEN, "Where the vendor sends them back to"),
    Route("GET", "/checkpoint", tiles.checkpoint, _FOLLOWS, "The audit log's newest signed checkpoint (C2SP)"),
    Route(
        "GET", "/tile/{path*}", tiles.tile, _FOLLOWS, "Hash tiles and entry bundles of the audit log (C2SP tlog-tiles)"
    ),
)


class Application:
    """ASGI 3. One instance per worker process; its parts are made at start-up, in the event loop's own thread."""

    def __init__(
        self, on_start: Callable[[], None] = lambda: None, stop_accepting: Callable[[], None] = lambda: None
    ) -> None:
        """`on_start` is called once requests can be served; `stop_accepting` when another worker takes over (SIGUSR1)."""
        self._on_start, self._stop_accepting = on_start, stop_accepting
        self._is_leaving = False
        self._worker: Worker | None = None
        self._care: asyncio.Task[None] | None = None
        self._exact = {(route.method, route.path): route for route in ROUTES if "{" not in route.path}
        self._patterns = [(_pattern(route.path), route) for route in ROUTES]

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
                self._on_start()
            elif message["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _start(self) -> None:
        import asyncio

        prepare_process()
        is_dev = os.environ.get("GOVERNANCE_SERVE_DEV") == "1"
        environ = {k: v for k, v in os.environ.items() if k != "GOVERNANCE_SERVE_DEV"}
        self._worker = worker = Worker(from_environment(environ), is_dev=is_dev)
        # What lives now lives for good; collecting it again and again would cost more than some decisions.
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        loop = asyncio.get_running_loop()
        # A bad bundle is named and the old one stays.
        loop.add_signal_handler(signal.SIGHUP, worker.ask_to_rebuild)
        loop.add_signal_handler(signal.SIGUSR1, self._leave)
        self._care = loop.create_task(worker.look_after())

    def _leave(self) -> None:
        """Another worker takes over: no new connections, and none kept open behind its next answer."""
        self._is_leaving = True
        self._stop_accepting()

    async def _stop(self) -> None:
        if self._care is not None:
            self._care.cancel()
        if self._worker is not None:
            await self._worker.close()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive)
        if self._worker is None:
            answer = problem(DependencyError("this worker has not started"), call.path)
        else:
            with self._worker.telemetry.request(call.trace):
                answer = await self._answer(self._worker, call)
        if self._is_leaving and scope.get("http_version", "1.1").startswith("1"):
            answer = answer._replace(headers=(*answer.headers, (b"connection", b"close")))
        await send_answer(send, answer, gzip=takes_gzip(call))

    async def _answer(self, worker: Worker, call: Call) -> Answer:
        route: Route | None = None
        identity = ANONYMOUS
        try:
            route = self._find(call)
            identity = _identity(worker, route, call)
            check_role(identity, route.roles, call)
            return await route.handler(worker, call, identity)
        except GovernanceError as error:
            return await _refused(worker, route, call, identity, error)
        except AuditError as error:
            return await _refused(worker, route, call, identity, refusal_of(error, "nothing was allowed"))
        except Exception as error:  # noqa: BLE001  the outermost edge: the caller hears no, the log says what
            inside = InternalError(f"unexpected {type(error).__name__}")
            return await _refused(worker, route, call, identity, inside)

    def _find(self, call: Call) -> Route:
        exact = self._exact.get((call.method, call.path)) or self._exact.get((ANY, call.path))
        if exact is not None:
            return exact
        methods = []
        for pattern, route in self._patterns:
            found = pattern.fullmatch(call.path)
            if found is not None and route.method in {call.method, ANY}:
                call.params = found.groups()
                return route
            if found is not None:
                methods.append(route.method)
        if methods:
            raise MethodNotAllowed(call.method, call.path, methods)
        raise NotFound("there is nothing at this path", where=call.path, hint="GET /openapi.json lists the paths")


async def _refused(
    worker: Worker, route: Route | None, call: Call, identity: Identity, error: GovernanceError
) -> Answer:
    """What the caller hears; where a decision was asked for, a deny, with the id of its record where one was written."""
    if route is None or not route.entry_point:
        if isinstance(error, Forbidden) and identity is not ANONYMOUS:
            # Nothing was to be decided, but somebody with a key reached for what they may not have: that is evidence.
            with contextlib.suppress(RecordNotDurable):
                await worker.line.arefuse(decisions.source_of(call, identity, "http"), error)
        return opa_error(error, is_decision=False) if route is not None and route.is_opa else problem(error, call.path)
    decision_id = ""
    if _is_to_record(error):
        source = decisions.source_of(call, identity, route.entry_point)
        digest = decisions.digest_of(call.body) if call.is_read else ""
        with contextlib.suppress(RecordNotDurable):  # the answer is no either way, and names no record
            decision_id = await worker.line.arefuse(source, error, digest)
    worker.telemetry.count("refused", "deny", error.code)
    if route.entry_point == "http.data":
        return opa_error(error, decision_id=decision_id)
    return problem(error, call.path, is_decision=True, decision_id=decision_id)


def _is_to_record(error: GovernanceError) -> bool:
    """Not what the line recorded itself, and nothing from outside: who has no key must not be able to fill the disk."""
    return isinstance(error, CallerError | InternalError | Damaged) and not isinstance(error, NotSignedIn)


def _identity(worker: Worker, route: Route, call: Call) -> Identity:
    if call.said_twice:
        raise CallerError("stands twice, and a proxy may have read the other", where=f"header {call.said_twice}")
    if not route.roles:
        return ANONYMOUS
    if worker.is_dev:
        return developer(call)
    if route.roles is _ADMITS and worker.admits_without_key:
        return API_SERVER
    if route.roles is _FOLLOWS and worker.tiles_without_key:
        return ANONYMOUS
    # A gateway hands over the call of somebody else, whose `authorization` is not its own.
    return signed_in(worker.keys, call, is_gateway=route.entry_point == ext_authz.ENTRY_POINT)


def _pattern(path: str) -> re.Pattern[str]:
    text = re.sub(r"\{\w+\*\}", "(.+)", path)
    return re.compile(re.sub(r"\{\w+\}", "([^/]+)", text))
