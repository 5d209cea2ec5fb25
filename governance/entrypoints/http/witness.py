"""A witness over HTTP: `POST /add-checkpoint` (C2SP tlog-witness). A process, a folder and a key of its own."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.notes import BadNote, parse_verifier_key
from audit.witness import MOST_BYTES, Witness
from governance.entrypoints.http.asgi import Answer, Call, send_answer
from governance.errors import CallerError, GovernanceError
from governance.settings import from_environment

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Receive, Scope, Send
    from governance.settings import Settings

_BODY_TIMEOUT_S = 10.0
_TEXT = b"text/plain; charset=utf-8"


def witness_of(settings: Settings) -> Witness:
    """The witness that the settings describe; raises CallerError for a log's key that is none."""
    try:
        keys = [parse_verifier_key(key) for key in settings.text("witness_logs").split(",") if key.strip()]
    except BadNote as error:
        raise CallerError(
            str(error), where="GOVERNANCE_WITNESS_LOGS", hint="`governance audit key` prints it"
        ) from error
    return Witness(Path(settings.text("witness_home")), settings.text("witness_name"), keys)


class Application:
    """ASGI 3."""

    def __init__(self) -> None:
        self._witness: Witness | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await send_answer(send, await self._answer(Call(scope, receive)))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._witness = witness_of(from_environment(os.environ))
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                if self._witness is not None:
                    self._witness.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, call: Call) -> Answer:
        if call.path == "/healthz" and self._witness is not None:
            return Answer(200, f"{self._witness.verifier}\n".encode(), _TEXT)
        if call.path != "/add-checkpoint" or self._witness is None:
            return Answer(404, b"POST /add-checkpoint\n", _TEXT)
        if call.method != "POST":
            return Answer(405, b"use POST\n", _TEXT, headers=((b"allow", b"POST"),))
        try:
            body = await call.read(MOST_BYTES, _BODY_TIMEOUT_S)
        except GovernanceError as error:
            return Answer(error.status, f"{error}\n".encode(), _TEXT)
        try:
            said = await asyncio.to_thread(self._witness.add_checkpoint, body)
        except Exception as error:  # noqa: BLE001  the outermost edge: whatever it was, nothing was cosigned
            return Answer(500, f"nothing was cosigned: {type(error).__name__}\n".encode(), _TEXT)
        return Answer(said.status, said.body.encode(), said.content_type.encode())


def application() -> Any:
    """What the server calls to get the application."""
    return Application()
