"""A vendor's answer as a value that can be decided on; nothing of it where it repeats the credential that was sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from governance.errors import CallerError
from governance.normalise.documents import decoded, read_json
from governance.platform.broker.echoes import Echoes
from governance.platform.broker.records import TYPES
from governance.platform.broker.sending import SendFailed

if TYPE_CHECKING:
    from governance.model.decision import Decision
    from governance.model.request import Json
    from governance.platform.broker.credentials import Credential
    from governance.platform.broker.sending import Opened, Received


def payload_of(received: Received, credential: Credential) -> Json:
    """The answer as a value that can be looked into. Raises SendFailed for one that repeats the credential, or is garbled."""
    try:
        payload = _read(received)
    except CallerError as error:
        raise SendFailed(f"the answer cannot be read: {error.message}") from error
    check_hidden([payload, received.headers], Echoes(credential.hidden))
    return payload


def check_hidden(value: Json, echoes: Echoes) -> None:
    """Raise SendFailed where a value, or a part of an answer, repeats the credential."""
    if echoes.stand_in(value):
        raise SendFailed("the answer repeats the credential that was sent, so nobody gets it")


def form_of(decision: Decision, opened: Opened) -> str:
    """How the answer is cut into records; empty where it is not."""
    forms = {o.value["stream"] for o in decision.obligations if o.type == "operation"}
    form = forms.pop() if len(forms) == 1 else ""
    is_such = opened.head.content_type in TYPES.get(form, ()) and opened.head.status < 400 and opened.is_plain
    return form if is_such else ""


def _read(received: Received) -> Json:
    text = decoded(received.body, "answer", len(received.body) + 1)
    if text and received.content_type == "application/x-ndjson":
        # At its own line ends alone: a text of JSON may hold others (U+2028) as they are.
        return [read_json(row, "answer") for row in re.split(r"\r\n|\n|\r", text) if row.strip()]
    if text and (received.content_type == "application/json" or received.content_type.endswith("+json")):
        return read_json(text, "answer")
    return text
