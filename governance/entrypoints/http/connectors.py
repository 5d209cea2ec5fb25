"""`/v1/connectors/…/calls`: the broker, for apps; app tokens, for runtimes; which scopes an app uses."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from audit.errors import AuditError
from audit.record import Entry
from governance.entrypoints.http.asgi import Answer, json_answer, json_bytes
from governance.entrypoints.http.decisions import body_of, recorded_reading
from governance.errors import (
    CallerError,
    Forbidden,
    GovernanceError,
    InternalError,
    NotFound,
    NotSignedIn,
    RecordNotDurable,
)
from governance.model.moment import new_decision_id, utc_now
from governance.model.request import Source
from governance.normalise.requests import is_app_name
from governance.platform.broker.calls import called_json
from governance.platform.broker.tokens import LONGEST_S, Caller
from governance.wiring import scope_use_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.request import Json
    from governance.platform.broker.calls import Called
    from governance.platform.keys import Identity

# Who accepts this gets an answer whose records stand alone as they come.
_LINES = "application/x-ndjson"


async def call(worker: Worker, call: Call, _: Identity) -> Answer:
    """One call of an app: a refusal is a 200 with `effect: "deny"` and no answer, as everywhere."""
    caller = caller_of(worker, call)
    asked = await body_of(worker, call)
    if call.header(b"accept").partition(";")[0].strip().lower() == _LINES:
        parts = worker.broker.stream(
            caller, call.params[0], asked, entry_point="http.connectors", trace_id=call.trace.trace_id
        )
        # What goes wrong before the first part is an answer like any other.
        first = await anext(parts)
        _count(worker, first)
        stream = _lines(worker, call, caller, first, parts)
        return Answer(200, b"", _LINES.encode(), ((b"cache-control", b"no-store"),), stream=stream)
    called = await worker.broker.call(
        caller, call.params[0], asked, entry_point="http.connectors", trace_id=call.trace.trace_id
    )
    _count(worker, called)
    return json_answer(called_json(called))


def _count(worker: Worker, called: Called, *, is_more: bool = False) -> None:
    for decision in (None if is_more else called.call, called.answer_decision):
        if decision is not None:
            worker.telemetry.count(decision.kind, decision.effect, decision.error or "")


async def _lines(
    worker: Worker, call: Call, caller: Caller, first: Called, parts: AsyncGenerator[Called]
) -> AsyncIterator[bytes]:
    """JSON lines: what became of the call; `{records, answer_decision_id}` for each part; last `{end, records}`.

    A stream that was cut has no `end`: its last line is a refused `decision`, or an `error`; both are on record.
    """
    gone = asyncio.ensure_future(call.gone())
    count = 0
    try:
        yield _line(called_json(first))
        async for part in parts:
            _count(worker, part, is_more=True)
            if part.refusal is not None:
                yield _line(called_json(part))
                return
            count += len(part.answer)
            answered = part.answer_decision.decision_id if part.answer_decision is not None else None
            yield _line({"records": part.answer, "answer_decision_id": answered})
            if gone.done():
                return
        if first.refusal is None:
            yield _line({"end": True, "records": count})
    except (GovernanceError, AuditError) as error:
        hint = error.hint if isinstance(error, GovernanceError) else ""
        yield _line({"error": {"code": error.code, "detail": str(error), "hint": hint}})
    except Exception as error:  # noqa: BLE001  the outermost edge of a stream: the caller hears no, the log says what
        failure = InternalError(f"unexpected {type(error).__name__}")
        source = Source("http.connectors", caller.actor, ("app",), "", call.trace.trace_id)
        with contextlib.suppress(RecordNotDurable):  # the stream ends here either way
            await worker.line.arefuse(source, failure)
        yield _line({"error": {"code": failure.code, "detail": str(failure), "hint": ""}})
    finally:
        gone.cancel()
        await parts.aclose()


def _line(value: Json) -> bytes:
    return json_bytes(value) + b"\n"


async def token(worker: Worker, call: Call, identity: Identity) -> Answer:
    """A token for one instance of a deployed app: `{instance, ttl_s?}`. What it may be used for is decided at each call."""
    name = call.params[0]
    known = worker.directory.app(name) if is_app_name(name) else None
    tenant = str(known["spec"].get("tenant", "")) if known is not None else ""
    if known is None or not tenant or (identity.tenant and identity.tenant != tenant):
        raise NotFound(f"no app {name[:63]!r} was deployed", where=call.path)
    asked = await body_of(worker, call)
    instance, ttl_s = _asked(asked)
    caller = Caller(name, tenant, instance)
    public = {
        "decision_id": new_decision_id(), "actor": identity.actor, "entry_point": "http.connectors", "effect": "allow",
        "app": name, "tenant": tenant, "rules": [], "instance": instance, "ttl_s": ttl_s, "trace_id": call.trace.trace_id,
    }  # fmt: skip
    await worker.client.aappend(Entry("token_issued", utc_now(), public, {}))
    return json_answer(
        {"token": worker.app_tokens.issue(caller, ttl_s), "token_type": "Bearer", "expires_in": ttl_s}, 201
    )


async def revoke(worker: Worker, call: Call, identity: Identity) -> Answer:
    """No token of an instance counts from the next call on."""
    name, instance = call.params
    known = worker.directory.app(name) if is_app_name(name) else None
    tenant = str(known["spec"].get("tenant", "")) if known is not None else ""
    if known is None or (identity.tenant and identity.tenant != tenant) or not is_app_name(instance):
        raise NotFound(f"no app {name[:63]!r} was deployed", where=call.path)
    public = {
        "decision_id": new_decision_id(), "actor": identity.actor, "entry_point": "http.connectors", "effect": "allow",
        "app": name, "tenant": tenant, "rules": [], "instance": instance, "trace_id": call.trace.trace_id,
    }  # fmt: skip
    await worker.client.aappend(Entry("token_revoked", utc_now(), public, {}))
    worker.app_tokens.revoke(Caller(name, tenant, instance).actor)
    return json_answer({"revoked": instance})


async def jwks(worker: Worker, _call: Call, _: Identity) -> Answer:
    """The keys that app tokens verify with."""
    return json_answer(worker.app_tokens.jwks(), headers=((b"cache-control", b"max-age=60"),))


async def scopes(worker: Worker, call: Call, identity: Identity) -> Answer:
    """Which scopes an app holds, since when, and when a call last used each."""
    name = call.params[0]
    known = worker.directory.app(name) if is_app_name(name) else None
    tenant = str(known["spec"].get("tenant", "")) if known is not None else ""
    if known is None or (identity.tenant and identity.tenant != tenant):
        raise NotFound(f"no app {name[:63]!r} was deployed", where=call.path)
    # In a thread: a long log must not keep decisions waiting.
    found = await asyncio.to_thread(scope_use_of, worker.settings, worker.registry, name)
    await recorded_reading(worker, identity, {"app": name, "tenant": tenant, "scopes": len(found["scopes"])})
    return json_answer({"app": name, **found})


def caller_of(worker: Worker, call: Call) -> Caller:
    """The app whose token a call carries. Raises NotSignedIn, or Forbidden where an API key came along."""
    scheme, _, presented = call.header(b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        raise NotSignedIn(
            "no app token", hint="send `Authorization: Bearer <token>`; POST /v1/apps/{name}/tokens gives one"
        )
    if call.header(b"x-api-key"):
        raise Forbidden("an API key is no app", where="header x-api-key")
    return worker.app_tokens.verify(presented.strip())


def _asked(asked: Json) -> tuple[str, int]:
    if not isinstance(asked, dict) or set(asked) - {"instance", "ttl_s"}:
        raise CallerError("`instance`, and `ttl_s` if it should live shorter", where="/")
    instance, ttl_s = asked.get("instance"), asked.get("ttl_s", LONGEST_S)
    if not is_app_name(instance):
        raise CallerError("has to be a name such as where2eat-7", where="/instance")
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool):
        raise CallerError("has to be a whole number of seconds", where="/ttl_s")
    return str(instance), ttl_s
