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
from runtime_adapters.abi import checked, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.platform.broker.calls import Broker, Called
    from governance.platform.broker.tokens import Caller

_ENTRY_POINT = "runtime"
_LONGEST_KEY, _LONGEST_VALUE = 256, 65_536


class Store:
    """Small things that an app keeps between calls; each app has its own, up to its storage cap."""

    def __init__(self, folder: Path, caller: Caller, most_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / "app-storage.db"
        self._owner = (caller.tenant, caller.app)
        self._most_bytes = most_bytes

    def get(self, key: str) -> Json:
        """What was put; None where nothing was."""
        with self._open() as database:
            row = database.execute(
                "SELECT value FROM kept WHERE tenant = ? AND app = ? AND key = ?", (*self._owner, key)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, key: str, value: Json) -> bool:
        """Keep a value; False where the app's storage is full."""
        text = json.dumps(value)
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            (others,) = database.execute(
                "SELECT coalesce(sum(length(key) + length(value)), 0) FROM kept WHERE tenant = ? AND app = ? AND key <> ?",
                (*self._owner, key),
            ).fetchone()
            if others + len(key) + len(text) > self._most_bytes or len(text) > _LONGEST_VALUE:
                return False
            database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (*self._owner, key, text))
            database.commit()
        return True

    def _open(self) -> _Closing:
        database = sqlite3.connect(self._path, timeout=1, isolation_level=None)
        self._path.chmod(0o600)
        database.execute(
            "CREATE TABLE IF NOT EXISTS kept (tenant TEXT, app TEXT, key TEXT, value TEXT, PRIMARY KEY (tenant, app, key))"
        )
        return _Closing(database)


class _Closing:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> sqlite3.Connection:
        return self._database

    def __exit__(self, *_: object) -> None:
        self._database.close()


def broker_for(
    caller: Caller, broker: Broker, loop: asyncio.AbstractEventLoop, store: Store, trace_id: str
) -> Callable[[bytes, float], bytes]:
    """What `runtime_adapters.port.Broker` asks for; keeps to its seconds by itself and never raises for a guest's fault."""
    guest = _Guest(caller, broker, store, trace_id)

    def ask(raw: bytes, seconds: float) -> bytes:
        waiting = asyncio.run_coroutine_threadsafe(guest.answer(raw, seconds), loop)
        try:
            return waiting.result(seconds)
        except concurrent.futures.TimeoutError:
            waiting.cancel()
            return refusal("timeout", "the call took longer than the app may run")

    return ask


class _Guest:
    def __init__(self, caller: Caller, broker: Broker, store: Store, trace_id: str) -> None:
        self._caller, self._broker, self._store, self._trace_id = caller, broker, store, trace_id

    async def answer(self, raw: bytes, seconds: float) -> bytes:
        asked = checked(raw)
        if asked is None:
            return refusal("bad_request", "not one JSON object with a known op")
        op = asked.pop("op")
        if op == "connector.call":
            return await self._call(asked, seconds)
        if op in {"kv.get", "kv.put"}:
            return self._kept(op, asked)
        return refusal("not_available", f"this host takes no {op}")

    async def _call(self, asked: dict[str, Any], seconds: float) -> bytes:
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

    def _kept(self, op: str, asked: dict[str, Any]) -> bytes:
        key = asked.get("key")
        if not isinstance(key, str) or not 0 < len(key) <= _LONGEST_KEY:
            return refusal("bad_request", f"key: a text of 1 to {_LONGEST_KEY} characters")
        try:
            if op == "kv.get":
                return json.dumps({"ok": self._store.get(key)}).encode()
            if self._store.put(key, asked.get("value")):
                return b'{"ok":null}'
        except (sqlite3.Error, OSError):
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
