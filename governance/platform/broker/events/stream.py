"""Events on a NATS JetStream, for subscribers that read it themselves (`deliver: {via: stream}`).

What stands there was decided on and masked for that one subscriber, under a subject of its own: `events.<tenant>.<app>.
<subscription>`. The operator's NATS accounts say who may read which subject. Bodies are CloudEvents in structured mode; the
message id (`Nats-Msg-Id`) is the same for each attempt, so that within two minutes the server drops what comes twice.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError, DependencyError
from governance.platform.broker.events.message import STRUCTURED

if TYPE_CHECKING:
    from nats.aio.client import Client

NAME = "EVENTS"
_SCHEMES = ("nats://", "tls://")
_TIMEOUT_S = 5.0
_DUPLICATES_S = 120.0


class Stream:
    """One connection, made when it is first needed and again after it failed; belongs to one event loop."""

    def __init__(self, url: str, credentials_file: str, keep_s: float) -> None:
        """`url`: `nats://host:4222` or `tls://…`, without a password; `credentials_file` holds `user:password`, or a token.

        `keep_s`: how long the stream keeps a message. Raises CallerError for a URL that is none, or holds a password.
        """
        if not url.startswith(_SCHEMES) or "@" in url:
            raise CallerError(
                "a stream is named by a URL that begins with nats:// or tls://, without a password",
                where="GOVERNANCE_EVENTS",
                hint="GOVERNANCE_EVENTS_CREDENTIALS_FILE names a file with user:password or a token",
            )
        self._url, self._credentials_file, self._keep_s = url, credentials_file, keep_s
        self._alone = asyncio.Lock()
        self._client: Client | None = None

    async def put(self, place: tuple[str, str, str], message_id: str, body: bytes) -> None:
        """Return once the stream has the message on its disk. Raises DependencyError.

        `place`: tenant, app and subscription, all of them names without dots.
        """
        subject = ".".join(("events", *place))
        headers = {"Nats-Msg-Id": message_id, "content-type": STRUCTURED}
        try:
            async with asyncio.timeout(2 * _TIMEOUT_S):
                client = await self._connected()
                await client.jetstream(timeout=_TIMEOUT_S).publish(subject, body, stream=NAME, headers=headers)
        except DependencyError:
            raise
        except Exception as error:  # the library lets through errors of its own, of asyncio and of the system
            await self.close()
            raise DependencyError(
                f"the stream took nothing: {type(error).__name__}", where="GOVERNANCE_EVENTS"
            ) from error

    async def close(self) -> None:
        """Let go of the connection; what was not acknowledged is put again by whoever wanted it there."""
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            await client.close()

    async def _connected(self) -> Client:
        async with self._alone:
            if self._client is None or not self._client.is_connected:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Client:
        try:
            import nats
        except ImportError as error:
            raise DependencyError(
                f"NATS' client is missing ({error})",
                where="GOVERNANCE_EVENTS",
                hint="pip install 'microapp-governance[nats]'",
            ) from error
        client = await nats.connect(
            self._url, allow_reconnect=False, connect_timeout=int(_TIMEOUT_S), name="governance", error_cb=_unheard,
            **self._options(),
        )  # fmt: skip
        await self._ensure(client)
        return client

    async def _ensure(self, client: Client) -> None:
        """The stream as it has to be; one that an operator made under this name stays as it is."""
        from nats.js.api import StorageType, StreamConfig
        from nats.js.errors import NotFoundError

        context = client.jetstream(timeout=_TIMEOUT_S)
        try:
            await context.stream_info(NAME)
        except NotFoundError:
            config = StreamConfig(
                name=NAME, subjects=["events.>"], storage=StorageType.FILE, max_age=self._keep_s,
                duplicate_window=min(_DUPLICATES_S, self._keep_s),
            )  # fmt: skip
            await context.add_stream(config)

    def _options(self) -> dict[str, Any]:
        found: dict[str, Any] = {"tls": ssl.create_default_context()} if self._url.startswith("tls://") else {}
        if not self._credentials_file:
            return found
        try:
            with open(self._credentials_file, encoding="utf-8") as file:
                user, colon, password = file.read().strip().partition(":")
        except OSError as error:
            raise DependencyError(f"cannot be read: {error.strerror}", where=self._credentials_file) from error
        return {**found, "user": user, "password": password} if colon else {**found, "token": user}


async def _unheard(_: Exception) -> None:
    """Whoever waits for an answer hears of it; the library would print it."""
