"""Which witnesses the settings name for this home's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.notes import BadNote
from audit.witnessing import Witnesses, parse_peers, strangers, urls_last_used
from governance.errors import CallerError

if TYPE_CHECKING:
    from audit.reader import LogReader
    from audit.witnessing import Peer
    from governance.settings import Settings


def log_witnesses(settings: Settings) -> Witnesses | None:
    """The witnesses of this home's log; None where none is named and none needed. Raises CallerError for one that is none."""
    needed = 0 if settings.text("witnesses_needed") == "0" else settings.number("witnesses_needed")
    peers = _peers(settings)
    if not peers and not needed:
        return None
    return Witnesses(settings.home, peers, needed, settings.number("witness_timeout_ms") / 1000)


def refuse_strangers(settings: Settings, reader: LogReader) -> None:
    """Raises CallerError where a witness, of the settings or of the service that ran last, does not know the log's new key.

    It would cosign nothing any more once the old key no longer signs beside it.
    """
    if len(reader.signing_key.verifiers) == 1:
        return
    urls = urls_last_used(settings.home) | {peer.key.name: peer.url for peer in _peers(settings)}
    found = strangers(reader, urls, settings.number("witness_timeout_ms") / 1000)
    if found:
        raise CallerError(
            f"the old key stays, since witnesses do not know the new one yet: {'; '.join(found)}",
            hint=f"name it there (`witness serve --log {reader.verifier_key}`), or say --without-witnesses",
        )


def _peers(settings: Settings) -> list[Peer]:
    try:
        return parse_peers(settings.text("witnesses"))
    except BadNote as error:
        raise CallerError(str(error), where="GOVERNANCE_WITNESSES") from error
