"""The parts of the exchange: where its outbox stands, what it publishes, delivers, receives and fires with."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from governance.broker_wiring import secrets_of, sender_of
from governance.log_wiring import database_of, seeds_of

if TYPE_CHECKING:
    from governance.enrich.apps import AppDirectory
    from governance.pipeline import Pipeline
    from governance.platform.broker.events.delivering import Deliverer
    from governance.platform.broker.events.hooks import Hooks
    from governance.platform.broker.events.outbox import Outbox
    from governance.platform.broker.events.outbox_rows import Ended
    from governance.platform.broker.events.outbox_store import Store
    from governance.platform.broker.events.publishing import Publisher
    from governance.platform.broker.events.stream import Stream
    from governance.platform.broker.sending import Sender
    from governance.settings import Settings

_DAY_S = 86_400.0


class Exchange(NamedTuple):
    """Events of all apps; belongs to one event loop."""

    outbox: Outbox
    publisher: Publisher
    deliverer: Deliverer
    hooks: Hooks
    sender: Sender
    stream: Stream | None

    async def close(self) -> None:
        """Close connections and the outbox."""
        await self.sender.close()
        if self.stream is not None:
            await self.stream.close()
        self.outbox.close()


def outbox_of(settings: Settings) -> Outbox:
    """The outbox of this home, or of the database that replicas share."""
    from governance.platform.broker.events.outbox_store import PostgresStore, SqliteStore

    database = database_of(settings)
    return _sealed(settings, SqliteStore(settings.home) if database is None else PostgresStore(database))


def left_outboxes(settings: Settings) -> list[Outbox]:
    """What a move into a database left in the home."""
    from governance.platform.broker.events.outbox_store import SqliteStore

    if database_of(settings) is None or not (settings.home / "events.db").exists():
        return []
    return [_sealed(settings, SqliteStore(settings.home))]


def move_events(there: Settings) -> int:
    """How many deliveries of this home wait, or are dead letters, where replicas share them now. Raises DependencyError."""
    shared, moved = outbox_of(there), 0
    try:
        for outbox in left_outboxes(there):
            moved += shared.take_over(outbox)
            outbox.close()
    finally:
        shared.close()
    return moved


def wrap_outboxes(settings: Settings, *, is_alone: bool) -> None:
    """While the log's key is changed: let the new one open what waits too; with `is_alone` only that one. DependencyError."""
    for outbox in (outbox_of(settings), *left_outboxes(settings)):
        try:
            outbox.wrap(is_alone=is_alone)
        finally:
            outbox.close()


def _sealed(settings: Settings, store: Store) -> Outbox:
    from governance.platform.broker.events.outbox import Outbox
    from governance.platform.broker.events.outbox_seal import Keys

    return Outbox(store, Keys(partial(seeds_of, settings)))


def keep_s(settings: Settings) -> float:
    """How long what is through, or given up, is remembered."""
    return settings.number("event_keep_days") * _DAY_S


def tidy(settings: Settings, outbox: Outbox, now: float) -> None:
    """Forget what is old; each delivery that ends so is a record first. Raises DependencyError."""
    from audit.errors import AuditError
    from governance.enrich.scan import masked_texts
    from governance.errors import DependencyError
    from governance.wiring import record_change

    def record(ended: Ended) -> None:
        about = {"actor": "system", "entry_point": "events", "effect": "deny", "app": ended.app, "change": ended.change}
        place = {"delivery": ended.delivery, "subscription": ended.subscription}
        # What a publisher chose is its own words: sealed, and masked before.
        said = masked_texts({"source": ended.source, "id": ended.id, "reason": ended.reason})
        try:
            record_change(settings, "event_ended", {**about, **place}, said)
        except (AuditError, OSError) as error:
            raise DependencyError(f"nothing old is forgotten, since that cannot be recorded: {error}") from error

    outbox.tidy(now, keep_s(settings), record)


def stream_of(settings: Settings) -> Stream | None:
    """The stream that subscribers may read for themselves; None where the settings name none. Raises CallerError."""
    from governance.platform.broker.events.stream import Stream

    if not settings.text("events"):
        return None
    return Stream(settings.text("events"), settings.text("events_credentials_file"), keep_s(settings))


def exchange_of(settings: Settings, line: Pipeline, directory: AppDirectory) -> Exchange:
    """The exchange whose flows `line` decides on."""
    from governance.platform.broker.events import delivering, hooks, publishing
    from governance.protect.keys import data_keys

    outbox, sender, secrets = outbox_of(settings), sender_of(settings), secrets_of(settings)
    stream = stream_of(settings)
    publisher = publishing.Publisher(line, outbox, directory.subscribers)
    terms = delivering.Terms(
        settings.number("event_attempts"),
        settings.number("event_pause_ms") / 1000,
        settings.number("event_lease_s"),
    )
    deliverer = delivering.Deliverer(
        delivering.Parts(
            line=line,
            outbox=outbox,
            spec_of=directory.spec_of,
            secrets=secrets,
            sender=sender,
            stream=stream,
            terms=terms,
            keys=lambda: data_keys(settings.home),
        )
    )
    window_s = settings.number("webhook_window_s")
    public_url = settings.text("public_url").rstrip("/")
    receiver = hooks.Hooks(hooks.Parts(line, publisher, directory.spec_of, secrets, window_s, public_url))
    return Exchange(outbox, publisher, deliverer, receiver, sender, stream)
