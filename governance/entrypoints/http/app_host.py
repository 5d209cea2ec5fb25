"""Apps behind the gateway: each HTTP call that it hands over becomes one call of the app in its sandbox, on the line again.

The gateway says who calls and which app is meant (`x-app`, `x-subject`, `x-role`, `x-tenant`); only it can reach the socket. An
app reads one JSON object, `{method, path, query, caller{subject, role, tenant}, body?}`, and answers JSON. `traceparent` is the
trace of everything that happens meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from governance.entrypoints.http.asgi import Answer, Call, send_answer
from governance.entrypoints.http.problems import problem
from governance.errors import CallerError, DependencyError, Forbidden, GovernanceError, InternalError
from governance.log_wiring import attestor_of
from governance.model.moment import utc_now
from governance.normalise.documents import decoded, read_json
from governance.platform.broker.preparing import Preparing
from governance.platform.broker.running import Host, NoRoom
from governance.platform.broker.running import run as run_app

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from governance.entrypoints.http.asgi import Receive, Scope, Send
    from governance.entrypoints.http.worker import Worker
    from runtime_adapters.pool import Pool
    from runtime_adapters.port import Adapter, Outcome

# What stopped an app, as a gateway says it: too long, or a broken answer.
_TOO_LONG = frozenset({"timeout", "fuel"})


class AppStopped(GovernanceError):
    """The app was stopped, or answered what is no answer."""

    code = "app_stopped"
    status = 502


class AppTooSlow(AppStopped):
    """It took more time than its deploy was allowed with."""

    code = "app_too_slow"
    status = 504


class AppHost:
    """ASGI 3. `root` is where the paths of modules begin; `say` hears what apps log, masked, a JSON object a call."""

    def __init__(
        self, worker: Worker, adapters: Mapping[str, Adapter], pool: Pool, root: Path, say: Callable[[str], None]
    ) -> None:
        line, recorder = worker.line_of_starts()
        self._worker, self._say = worker, say
        home, app_of = worker.settings.home, worker.directory.app
        sign = attestor_of(worker.settings)
        self._host = Host(line, worker.broker, recorder, adapters, pool, home, root, sign, Preparing(), app_of)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        call = Call(scope, receive)
        try:
            answer = await self._answered(call)
        except NoRoom as busy:
            refused = problem(busy, call.path)
            wait = (b"retry-after", str(max(1, round(busy.retry_after_s))).encode())
            answer = refused._replace(headers=(*refused.headers, wait))
        except DependencyError:
            # The reason names this host's files; it is on record, and nothing for whoever calls an app.
            answer = problem(
                DependencyError("the app cannot be run now", hint="the record of this trace says why"), call.path
            )
        except GovernanceError as error:
            answer = problem(error, call.path)
        except Exception as error:  # noqa: BLE001  the outermost edge: whatever it was, the caller hears a no
            answer = problem(InternalError(f"the call failed: {type(error).__name__}"), call.path)
        await send_answer(send, answer)

    async def _answered(self, call: Call) -> Answer:
        if call.said_twice:
            raise CallerError("stands twice, and a proxy may have read the other", where=f"header {call.said_twice}")
        name = call.header(b"x-app")
        body = await call.read(self._worker.max_body, self._worker.body_timeout_s)
        asked = json.dumps(_request(call, body, self._worker.max_depth), ensure_ascii=False).encode("utf-8", "replace")
        gone = asyncio.ensure_future(call.gone())
        try:
            ran = await run_app(self._host, name, asked, call.trace.trace_id, gone)
        finally:
            gone.cancel()
        if ran.outcome is None:
            rules = ", ".join(sorted({violation.rule for violation in ran.decision.violations}))
            raise Forbidden(f"today's decision about this app is {ran.decision.effect} ({rules})", where=name)
        if ran.outcome.log:
            about = {"app": name, "trace_id": call.trace.trace_id, "decision_id": ran.decision.decision_id}
            self._say(json.dumps({"at": utc_now(), **about, "status": ran.outcome.status, "log": ran.outcome.log}))
        return Answer(200, _json_of(ran.outcome), headers=((b"x-decision-id", ran.decision.decision_id.encode()),))


def _request(call: Call, body: bytes, max_depth: int) -> dict[str, Any]:
    """What the app reads."""
    asked: dict[str, Any] = {
        "method": call.method,
        "path": call.path,
        "query": call.query(),
        "caller": {name: call.header(f"x-{name}".encode()) for name in ("subject", "role", "tenant")},
    }
    if body:
        text = decoded(body, "body", len(body))
        kind = call.header(b"content-type").partition(";")[0].strip().lower()
        is_json = kind == "application/json" or kind.endswith("+json")
        asked["body"] = read_json(text, "body", max_depth=max_depth) if is_json else text
    return asked


def _json_of(outcome: Outcome) -> bytes:
    if outcome.status != "done":
        sort = AppTooSlow if outcome.status in _TOO_LONG else AppStopped
        raise sort(f"the app was stopped ({outcome.status}): {outcome.detail}")
    try:
        json.loads(outcome.output.decode())  # in no other coding: who masks the answer reads UTF-8
    except (ValueError, RecursionError) as error:
        raise AppStopped("the app answered something that is not JSON") from error
    return outcome.output
