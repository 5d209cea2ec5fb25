"""Approvals of connectors as a note that the log's key signed: what a check elsewhere, in CI for one, goes by.

    ORIGIN/connector-approvals
    time 2026-11-25T09:00:00.000000Z
    {"calendar": {"sha256:…": [{"as": "owner", …}]}}

The first line keeps it from being taken for a checkpoint. People are numbered anew in each note: a rule has to tell them apart
and nobody else has to know them. A check permits nothing, so a note that is old says what was, and the service what is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from audit.notes import BadNote, opened, parse_verifier_key
from governance.errors import CallerError
from governance.model.moment import utc_now
from governance.platform.connector_approvals import parsed

if TYPE_CHECKING:
    from audit.keys import SigningKey
    from governance.platform.connector_approvals import Held

_WHO = ("by", "person", "withdrawn_by")


def note_of(held: Held, key: SigningKey) -> str:
    """The note about all approvals of an installation."""
    numbers: dict[str, str] = {"": ""}
    told = {
        name: {
            digest: [
                {k: numbers.setdefault(v, f"p{len(numbers)}") if k in _WHO else v for k, v in row.items()}
                for row in rows
            ]
            for digest, rows in documents.items()
        }
        for name, documents in held.items()
    }
    return key.note(f"{key.verifier.name}/connector-approvals\ntime {utc_now()}\n{json.dumps(told)}\n")


def read_note(note: str, verifier: str, where: str) -> Held:
    """The approvals in a note that the key signed; `verifier`: as `governance audit key` prints it. Raises CallerError."""
    hint = "governance connector export-approvals writes it, governance audit key says whose it is"
    try:
        key = parse_verifier_key(verifier)
        first, time, *text = opened(note, key).split("\n")
    except (BadNote, ValueError) as error:
        raise CallerError(str(error), where=where, hint=hint) from error
    if first != f"{key.name}/connector-approvals" or not time.startswith("time ") or len(text) != 2:
        raise CallerError("a note about something else than approvals of connectors", where=where, hint=hint)
    return parsed(text[0].encode())
