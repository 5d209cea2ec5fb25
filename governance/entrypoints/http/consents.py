"""`/v1/consents`: what people have consented to, and its end, for programs and for who looks after the platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.entrypoints.http.asgi import Answer, json_answer
from governance.entrypoints.http.oauth import withdrawn
from governance.errors import NotFound

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.request import Json
    from governance.platform.keys import Identity
    from governance.platform.oauth.consents import Consent

_END_OTHERS = frozenset({"platform", "compliance"})
_SEE_OTHERS = _END_OTHERS | {"auditor"}


async def listing(worker: Worker, _call: Call, identity: Identity) -> Answer:
    """Newest first: all of the key's tenant for who looks after it, one's own for everybody else."""
    person = "" if identity.role in _SEE_OTHERS else identity.actor
    rows = worker.grants.consents.all(identity.tenant, person)
    return json_answer({"consents": [shown(row) for row in rows]})


async def withdraw(worker: Worker, call: Call, identity: Identity) -> Answer:
    """End a consent, and the vendor's token with it; the next call that names it is refused, in every process."""
    found = worker.grants.consents.get(call.params[0])
    if found is None or not _may_end(identity, found):
        raise NotFound("there is no such consent", where=call.path)
    ended, is_taken_back = await withdrawn(worker, call, found, identity)
    return json_answer({**shown(ended), "taken_back_by_vendor": is_taken_back})


def shown(consent: Consent) -> Json:
    """As it is listed."""
    return {**consent._asdict(), "scopes": list(consent.scopes)}


def _may_end(identity: Identity, consent: Consent) -> bool:
    if identity.tenant and identity.tenant != consent.tenant:
        return False
    return consent.person == identity.actor or identity.role in _END_OTHERS
