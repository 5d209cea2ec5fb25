"""The broker as a runtime sees it: bytes in, bytes out, for one instance of one app, on the line that every call takes.

Runtimes call from threads of their own; the broker lives in its event loop. What a guest says about itself is not listened
to: app, tenant and instance are the host's. Words and sizes are those of `runtime_adapters.abi`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import sqlite3
from typing import TYPE_CHECKING, Any

from governance.errors import GovernanceError
from governance.model.moment import new_decision_id
from governance.model.request import Source
from governance.platform.broker.app_storage import LONGEST_KEY, Store
from runtime_adapters.abi import NOT_READ, checked, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.model.decision import Decision
    from governance.platform.broker.calls import Broker, Called
    from governance.platform.broker.tokens import Caller

_ENTRY_POINT = "runtime"


def broker_for(
    caller: Caller, broker: Broker, loop: asyncio.AbstractEventLoop, store: Store, trace_id: str
) -> Callable[[bytes, float], bytes]:
    """What `runtime_adapters.port.Broker` asks for; keeps to its seconds by itself and never raises for a guest's fault."""
    guest = _Guest(caller, broker, trace_id)

    def ask(raw: bytes, seconds: float) -> bytes:
        asked = checked(raw)
        if asked is None:
            return refusal("bad_request", NOT_READ)
        op = asked.pop("op")
        if op in {"kv.get", "kv.put"}:
            return _kept(store, op, asked)
        if op != "connector.call":
            return refusal("not_available", f"this host takes no {op}")
        waiting = asyncio.run_coroutine_threadsafe(guest.call(asked, seconds), loop)
        try:
            return waiting.result(seconds)
        except concurrent.futures.TimeoutError:
            waiting.cancel()
            return refusal("timeout", "the call took longer than the app may run")

    return ask


class _Guest:
    def __init__(self, caller: Caller, broker: Broker, trace_id: str) -> None:
        self._caller, self._broker, self._trace_id = caller, broker, trace_id

    async def call(self, asked: dict[str, Any], seconds: float) -> bytes:
        connector = asked.pop("connector", "")
        if not isinstance(connector, str):
            return refusal("invalid_request", "connector: has to be text")
        try:
            called = await self._broker.call(
                self._caller, connector, asked, entry_point=_ENTRY_POINT, trace_id=self._trace_id, deadline_s=seconds
            )
        except GovernanceError as error:
            return refusal(error.code, error.message)
        return _heard(called)


def _kept(store: Store, op: str, asked: dict[str, Any]) -> bytes:
    """In the runtime's own thread: a disk has to do with no call but this one."""
    key = asked.get("key")
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        return refusal("bad_request", f"key: a text of 1 to {LONGEST_KEY} characters")
    try:
        if op == "kv.get":
            return json.dumps({"ok": store.get(key)}).encode()
        if store.put(key, asked.get("value")):
            return b'{"ok":null}'
    except (sqlite3.Error, OSError, UnicodeEncodeError):
        return refusal("storage_failed", "nothing could be read or kept")
    return refusal("storage_full", "the app's storage is full, or the value too large")


def _heard(called: Called) -> bytes:
    denied = called.refusal
    if denied is not None:
        return refusal(denied.error or "denied", _reasons(denied))
    return json.dumps(
        {"ok": {"status": called.status, "headers": dict(called.headers), "body": called.answer}}, ensure_ascii=False
    ).encode("utf-8", "replace")


def _reasons(decision: Decision) -> str:
    """Every reason once, with its rule, as a developer needs it."""
    return "; ".join(dict.fromkeys(f"{v.rule}: {v.message}" for v in decision.violations)) or decision.reason


def new_trace() -> str:
    """A trace of its own for a call that came without one."""
    return new_decision_id().replace("-", "")


def source_of_runtime(caller: Caller, trace_id: str) -> Source:
    """Who asks when a runtime starts an app again."""
    return Source(_ENTRY_POINT, caller.actor, ("app",), "", trace_id)
