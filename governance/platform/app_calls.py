"""What somebody wants of an app, and what it answers, from the gateway that holds either to the decision about it.

Of a request in this order: count it, look at it with the core rule set where the audience's policy asks for that, decide.
What was refused is uncounted. Nothing here grants or refuses: a count or a look that failed is a fact that is missing.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import DependencyError, Forbidden
from governance.normalise.gateway_call import app_answer, app_call
from governance.normalise.requests import normalise_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from governance.enrich.attacks import Inspector
    from governance.model.decision import Decision
    from governance.model.request import Json, Request, Source
    from governance.normalise.gateway_call import Held
    from governance.pipeline import Pipeline
    from governance.platform.broker.limits import Answered, Meter


class Parts(NamedTuple):
    """What deciding about requests to apps is made of; `governance.wiring` picks it."""

    line: Pipeline
    spec_of: Callable[[str], Json]
    """The spec of an app's last allowed deploy; empty for an unknown one."""
    meter: Meter
    policy: Callable[[], Json]
    """`data.platform.gateway` of the bundle in force."""
    inspector: Inspector
    clock: Callable[[], float] = time.time


class _Known:
    """Facts that were gathered before the line was asked; None for what could not be had."""

    def __init__(self, name: str, facts: dict[str, Json] | None) -> None:
        self.name = name
        self._facts = facts

    def facts(self, _request: Request) -> dict[str, Json]:
        """Raises where there are none."""
        if self._facts is None:
            raise DependencyError(f"no facts: {self.name}")
        return self._facts


class AppCalls:
    """Decides about requests to all apps; belongs to one event loop, as its line does."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def decide(self, held: Held, source: Source, *, tenant: str = "", max_depth: int) -> Decision:
        """One decision, recorded. `tenant`: the only one whose apps the asking gateway may ask about; empty: any.

        Raises CallerError for what is no request to an app, Forbidden for another tenant's.
        """
        name, spec, owner = self._whose(held, tenant)
        request = normalise_document(app_call(held, owner, max_depth=max_depth), source)
        # Names that nobody deployed share one counter: whoever makes them up must not fill the meter.
        answered = await self._counted(name if spec else "", owner)
        is_in = False
        try:
            usage = None if answered is None else {"usage": {"requests": answered.usage}}
            line = self._parts.line.knowing(_Known("usage", usage))
            if self._wants_look(spec):
                line = line.knowing(_Known("attack", await self._looked_at(held)))
            decision = await line.adecide(request)
            is_in = decision.is_allowed
            return decision
        finally:
            if answered is not None and not is_in:
                await asyncio.to_thread(self._parts.meter.give_back_request, answered)

    async def decide_answer(self, held: Held, source: Source, *, tenant: str = "", max_depth: int) -> Decision:
        """One decision about an app's answer, recorded. `tenant` and what is raised: as for a request."""
        _, _, owner = self._whose(held, tenant)
        return await self._parts.line.adecide(normalise_document(app_answer(held, owner, max_depth=max_depth), source))

    def _whose(self, held: Held, tenant: str) -> tuple[str, Json, str]:
        """The app, its spec and its tenant."""
        name = held.headers.get("x-app", "")
        spec = self._parts.spec_of(name)
        owner = str(spec.get("tenant", ""))
        if tenant and owner != tenant:
            raise Forbidden(f"this key is for the tenant {tenant!r} only", where="header x-app")
        return name, spec, owner

    def close(self) -> None:
        """Let go of the meter's file."""
        self._parts.meter.close()

    def _wants_look(self, spec: Json) -> bool:
        """Only a plain no in the policy's data saves the work; GW-005 reads it the same way."""
        audiences = self._parts.policy().get("audience", {})
        about = audiences.get(str(spec.get("audience"))) if isinstance(audiences, dict) else None
        return not isinstance(about, dict) or about.get("attacks") is not False

    async def _looked_at(self, held: Held) -> dict[str, Json] | None:
        try:
            found = await asyncio.to_thread(
                self._parts.inspector.look, held.method, held.target, {**held.headers, "host": held.host}, held.body
            )
        except DependencyError:
            return None
        return {"attack": found}

    async def _counted(self, app: str, tenant: str) -> Answered | None:
        day = time.strftime("%Y-%m-%d", time.gmtime(self._parts.clock()))
        try:
            return await asyncio.to_thread(self._parts.meter.take_request, app, tenant, day)
        except DependencyError:
            return None
