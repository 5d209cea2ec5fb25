"""Where a person may be beside the log: the stores of consents and events that are in use, and what a move left in the home."""

from __future__ import annotations

import asyncio
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from governance.broker_wiring import consents_of, grants_of, secrets_of, sender_of
from governance.errors import GovernanceError
from governance.events_wiring import left_outboxes, outbox_of
from governance.log_wiring import database_of
from governance.wiring import registry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.platform.erasure import Erased, Parts
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

    def take_back(consent: Consent) -> bool | None:
        return asyncio.run(_taken_back(settings, consent))

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


async def _taken_back(settings: Settings, consent: Consent) -> bool | None:
    sender = sender_of(settings)
    try:
        with closing(secrets_of(settings)) as secrets:
            connector = registry_of(settings).connectors.get(consent.connector)
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
