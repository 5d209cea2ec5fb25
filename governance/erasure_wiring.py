"""Where a person may be beside the log: the stores of consents and events that are in use, and what a move left in the home."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from governance.broker_wiring import consents_of, grants_of, secrets_of, sender_of
from governance.errors import GovernanceError
from governance.events_wiring import left_outboxes, outbox_of
from governance.log_wiring import database_of
from governance.model.request import Source
from governance.platform.erasure import ENTRY_POINT
from governance.platform.oauth.asking import handing_back
from governance.wiring import line_on, registry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.record import Entry, Receipt
    from governance.model.request import Json
    from governance.platform.erasure import Erased, Parts, Record
    from governance.platform.oauth.consents import Consent, Consents
    from governance.settings import Settings

_DELIVERED = "events that were delivered before: what their subscribers made of them"
_DATABASE = (
    "the database's write-ahead log, standbys and backups: consents and events that went are sealed in them under keys that "
    "are wrapped under the log's; those of the events open for nobody once the log's key was changed and destroyed. What a "
    "version before this one wrote of events stands there in clear until it is reused or removed"
)


@contextmanager
def opened_beside(settings: Settings) -> Iterator[Parts]:
    """What `governance.platform.erasure` looks into."""
    from governance.platform.erasure import Parts

    def take_back(consent: Consent, record: Record) -> bool | None:
        return asyncio.run(_taken_back(settings, consent, _told(settings, consent, record)))

    consents, outboxes = [consents_of(settings)], [outbox_of(settings), *left_outboxes(settings)]
    if database_of(settings) is not None:
        consents += _left_consents(settings)
    try:
        yield Parts(consents, outboxes, take_back)
    finally:
        for outbox in outboxes:
            outbox.close()


def said_of(settings: Settings, gone: Erased) -> dict[str, Any]:
    """`{reached, beside}`: what a certificate says went, and what nobody here can take back."""
    counts = ((gone.consents, "consents"), (gone.events, "events"), (gone.deliveries, "deliveries"))
    beside = [_DELIVERED]
    if gone.unrevoked:
        beside.append(
            f"tokens of {gone.unrevoked} consents that their vendors did not take back: they end by themselves"
        )
    if database_of(settings) is not None:
        beside.append(_DATABASE)
    return {"reached": [f"{count} {what}" for count, what in counts if count], "beside": beside}


class _Recording:
    """The erasure's way into the log as the line's recorder: while it erases, this process has no other."""

    def __init__(self, record: Record) -> None:
        self.append = record

    async def aappend(self, entry: Entry) -> Receipt:
        """As `append`."""
        return self.append(entry)


def _told(settings: Settings, consent: Consent, record: Record) -> Json | None:
    """The connector's document where policy lets its addresses be shown the token; what cannot be decided may not leave."""
    try:
        registry = registry_of(settings)
        connector = registry.connectors.get(consent.connector)
        if connector is None:
            return None
        line = line_on(settings, _Recording(record), registry)
        decision = line.decide(handing_back(consent, Source(ENTRY_POINT, f"os-uid:{os.getuid()}")))
    except GovernanceError:
        return None
    return connector if decision.is_allowed else None


async def _taken_back(settings: Settings, consent: Consent, connector: Json | None) -> bool | None:
    sender = sender_of(settings)
    try:
        with closing(secrets_of(settings)) as secrets:
            try:
                return await grants_of(settings, sender, secrets).withdrawn(consent, connector)
            except (
                GovernanceError,
                ValueError,
                TypeError,
            ):  # whatever the vendor, or a damaged token, stands in the way
                secrets.drop(consent.handle)
                return False
    finally:
        await sender.close()


def _left_consents(settings: Settings) -> list[Consents]:
    from governance.platform.oauth.consents import SqliteConsents

    return [SqliteConsents(settings.home)] if (settings.home / "consents.db").exists() else []
