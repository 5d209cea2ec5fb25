"""Which witnesses the settings name for this home's log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.notes import BadNote
from audit.witnessing import Witnesses, parse_peers
from governance.errors import CallerError

if TYPE_CHECKING:
    from governance.settings import Settings


def log_witnesses(settings: Settings) -> Witnesses | None:
    """The witnesses of this home's log; None where none is named and none needed. Raises CallerError for one that is none."""
    needed = 0 if settings.text("witnesses_needed") == "0" else settings.number("witnesses_needed")
    try:
        peers = parse_peers(settings.text("witnesses"))
    except BadNote as error:
        raise CallerError(str(error), where="GOVERNANCE_WITNESSES") from error
    if not peers and not needed:
        return None
    return Witnesses(settings.home, peers, needed, settings.number("witness_timeout_ms") / 1000)
