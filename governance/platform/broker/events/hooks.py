"""Webhooks from outside: who sent it is verified, and what they sent becomes an event of the app that declared the hook.

A message is named by what was signed, so one that is sent again, by its sender or by somebody who listened, is not taken
twice. A signature that does not fit is a 401 and a record; of more than thirty a minute only the number is kept, since
anybody may send as many as they like.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs

from governance.enrich.events.declared import named
from governance.errors import CallerError, DependencyError, NotFound
from governance.model.moment import utc_now
from governance.model.request import Source
from governance.normalise.documents import decoded, read_json
from governance.platform.broker.events import signatures
from governance.platform.broker.events.message import Event
from governance.platform.broker.events.publishing import source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from governance.model.request import Json
    from governance.pipeline import Pipeline
    from governance.platform.broker.events.publishing import Published, Publisher
    from governance.platform.broker.secrets import Secrets

ENTRY_POINT = "http.hooks"
_MINUTE_S, _MOST_A_MINUTE = 60.0, 30
_MOST_FIELDS = 200
_LONGEST_CHALLENGE = 200
_FORM = "application/x-www-form-urlencoded"


class Delivered(NamedTuple):
    """What arrived through a hook."""

    headers: Mapping[bytes, bytes]
    body: bytes
    """As it was sent: signatures are over bytes."""
    trace_id: str
    digest: str
    """How a record names the body."""


class Received(NamedTuple):
    """What the sender hears."""

    published: Published | None
    challenge: str = ""
    """Slack asks for it back before it sends anything."""


class Parts(NamedTuple):
    """What hooks are made of; `governance.events_wiring` picks it."""

    line: Pipeline
    publisher: Publisher
    spec_of: Callable[[str], Json]
    secrets: Secrets
    window_s: float
    public_url: str = ""
    """Where senders find this service, without a slash at the end; a token may be for a hook's whole address."""
    clock: Callable[[], float] = time.time


class Hooks:
    """The hooks that apps declared, by `app.hook`. Belongs to one event loop."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: dict[str, tuple[float, int]] = {}

    async def receive(self, name: str, delivered: Delivered) -> Received:
        """One message. Raises BadSignature (recorded), CallerError for a body that cannot be read, DependencyError."""
        app, _, hook = name.partition(".")
        spec = self._parts.spec_of(app)
        row = named(spec, "webhooks", hook)
        if row is None:
            raise signatures.BadSignature("there is no such webhook, or the signature does not fit")
        source = Source(ENTRY_POINT, f"hook:{app}/{hook}", ("webhook",), "", delivered.trace_id)
        message_id = await self._verified(row, (str(spec.get("tenant", "")), name), delivered, source)
        try:
            return await self._taken(app, row, message_id, delivered, source)
        except CallerError as error:
            # Only from here on it is somebody we know: what strangers send fills no log.
            await self._parts.line.arefuse(source, error, delivered.digest)
            raise

    async def _taken(self, app: str, row: Json, message_id: str, delivered: Delivered, source: Source) -> Received:
        data = _data(delivered)
        if row.get("scheme") == "slack" and isinstance(data, dict) and data.get("type") == "url_verification":
            return Received(None, str(data.get("challenge", ""))[:_LONGEST_CHALLENGE])
        place = f"{source_of(app)}/hooks/{row['name']}"
        event = Event(message_id, place, str(row.get("type", "")), data, time=utc_now())
        return Received(await self._parts.publisher.publish(app, event, source))

    async def _verified(self, row: Json, place: tuple[str, str], delivered: Delivered, source: Source) -> str:
        """`place`: the tenant, and the hook's name in its address."""
        parts, (tenant, name) = self._parts, place
        try:
            secret = await asyncio.to_thread(parts.secrets.get, f"{tenant}/{row.get('signedWith', '')}")
        except NotFound as error:
            # Whoever asks from outside does not hear how it is called.
            raise DependencyError("the webhook's secret is not stored", hint="governance secret put") from error
        try:
            return signatures.verified(
                str(row.get("scheme", "")), secret.reveal(), delivered.headers, delivered.body, parts.clock(),
                parts.window_s, (name, f"{parts.public_url}/v1/hooks/{name}"),
            )  # fmt: skip
        except signatures.BadSignature as error:
            await self._record(error, delivered, source)
            raise

    async def _record(self, error: signatures.BadSignature, delivered: Delivered, source: Source) -> None:
        began, count = self._refused.get(source.actor, (0.0, 0))
        now = self._parts.clock()
        if not 0 <= now - began < _MINUTE_S:
            left_out, began, count = max(0, count - _MOST_A_MINUTE), now, 0
            if left_out:
                error = signatures.BadSignature(f"{error.message}; {left_out} before it were not recorded one by one")
        self._refused[source.actor] = began, count + 1
        if count < _MOST_A_MINUTE:
            await self._parts.line.arefuse(source, error, delivered.digest)


def _data(delivered: Delivered) -> Json:
    """The body as JSON; a form as an object, a field that stands twice as a list."""
    kind = delivered.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    text = decoded(delivered.body, "body", len(delivered.body) + 1)
    if kind == "application/json" or kind.endswith("+json"):
        return read_json(text, "body")
    if kind != _FORM:
        raise CallerError(
            f"content of the type {kind[:60]!r} is not taken", where="header content-type", hint="send JSON"
        )
    try:
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, strict_parsing=True)
    except ValueError as error:
        raise CallerError("is no form", where="body") from error
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
