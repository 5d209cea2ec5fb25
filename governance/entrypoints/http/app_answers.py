"""`POST /app-answers`: what an app answered, asked about by the gateway that holds it. 200 lets it leave, all else does not.

The body is the answer's, as the app sent it; headers say which app answered what to whom (`x-app`, `x-subject`, `x-role`,
`x-tenant`, `x-region`, `x-asked-method`, `x-asked-path`) and how (`x-answer-status`, `x-answer-type`, `x-answer-encoding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from governance.entrypoints.http.decisions import source_of
from governance.entrypoints.http.ext_authz import answered
from governance.normalise.gateway_call import Held

if TYPE_CHECKING:
    from governance.entrypoints.http.asgi import Answer, Call
    from governance.entrypoints.http.worker import Worker
    from governance.platform.keys import Identity

ENTRY_POINT = "http.app_answers"
PATH = "/app-answers"


async def ask(worker: Worker, call: Call, identity: Identity) -> Answer:
    """One decision about one answer."""
    body = await call.read(worker.max_body, worker.body_timeout_s)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    held = Held(call.method, PATH, "", "", headers, body)
    source = source_of(call, identity, ENTRY_POINT)
    decision = await worker.app_calls.decide_answer(held, source, tenant=identity.tenant, max_depth=worker.max_depth)
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return answered(worker, decision)
