"""A call of an app to a connector, from its token to its masked answer.

In this order: count the call, decide on the resolved address (`connector_call`), put the credential on, send, decide on the
answer (`data_flow` to the app), carry out what both decisions oblige to. Both decisions and whatever goes wrong between them
are records of one trace. Nothing here grants or refuses by itself: a no comes from the policy, or from a thing that failed.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from governance.enforce import masked_payload
from governance.enrich.port import Incomplete
from governance.errors import CallerError, DependencyError
from governance.model.answer import decision_json
from governance.model.moment import utc_now
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.platform.broker.answers import check_hidden, form_of, payload_of
from governance.platform.broker.credentials import Use
from governance.platform.broker.echoes import Echoes
from governance.platform.broker.ends import Ends
from governance.platform.broker.limits import Call
from governance.platform.broker.mail import deliver, is_mail, message_of
from governance.platform.broker.outgoing import host_of, nonce_for, sent_of, without_nonce
from governance.platform.broker.records import cutter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from governance.model.decision import Decision
    from governance.model.request import Json, Request
    from governance.pipeline import Pipeline
    from governance.platform.broker.credentials import Credential, Credentials
    from governance.platform.broker.limits import Meter, Taken
    from governance.platform.broker.sending import Opened, Received, Sender
    from governance.platform.broker.tokens import Caller

_MEMBERS = frozenset({"operation", "method", "url", "scopes", "headers", "body", "consent"})


class Called(NamedTuple):
    """What an app hears. `answer` is None where the call, or its answer, was refused."""

    call: Decision
    answer_decision: Decision | None
    status: int = 0
    headers: Mapping[str, str] = {}
    answer: Json = None

    @property
    def refusal(self) -> Decision | None:
        """The decision that said no, if one did."""
        for decision in (self.call, self.answer_decision):
            if decision is not None and not decision.is_allowed:
                return decision
        return None


def called_json(called: Called) -> dict[str, Json]:
    """`{effect, decision, answer_decision_id, answer?{status, headers, body}}`; `decision` is the one that counts."""
    refusal = called.refusal
    said: dict[str, Json] = {
        "effect": called.call.effect if refusal is None else refusal.effect,
        "decision": decision_json(refusal or called.call),
        "call_decision_id": called.call.decision_id,
        "answer_decision_id": called.answer_decision.decision_id if called.answer_decision is not None else None,
        "trace_id": called.call.trace_id,
    }
    if refusal is None:
        said["answer"] = {"status": called.status, "headers": dict(called.headers), "body": called.answer}
    return said


class Parts(NamedTuple):
    """What the broker is made of; `governance.wiring` picks it."""

    line: Pipeline
    connectors: Mapping[str, Json]
    tenants: Mapping[str, Json]
    spec_of: Callable[[str], Json]
    meter: Meter
    credentials: Credentials
    sender: Sender
    clock: Callable[[], float] = time.time


class _Flow(NamedTuple):
    """What is known of an answer besides what it says."""

    request: Request
    decision: Decision
    received: Received
    content_type: str


class _Known:
    """Facts `usage`, `credential` and `consent` of one call, or `consent` of its answer.

    What could not be found out is named as unavailable.
    """

    def __init__(self, facts: Json, missing: str = "") -> None:
        """`missing`: `usage` where the meter failed, `secrets` or `consents` where that store did."""
        self.name = missing or "usage"
        self._facts, self._is_whole = facts, not missing

    def facts(self, _request: Request) -> dict[str, Json]:
        """Raises Incomplete where a part failed."""
        if not self._is_whole:
            raise Incomplete(dict(self._facts))
        return dict(self._facts)


class Broker:
    """Calls of all apps; belongs to one event loop, which is its policy engine's thread as well."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ends = Ends(parts.line)

    async def call(
        self,
        caller: Caller,
        connector: str,
        asked: Json,
        *,
        entry_point: str,
        trace_id: str,
        deadline_s: float | None = None,
    ) -> Called:
        """One call. Raises CallerError for a question that is none, DependencyError where the vendor or a part failed.

        `asked`: `{method, url, operation?, scopes?, headers?, body?, consent?}`. `deadline_s`: less than the broker's own.
        """
        source = Source(entry_point, caller.actor, ("app",), "", trace_id)
        request = self._request(caller, connector, asked, source)
        async with self._ends.given_up(request):
            decision = await self._admitted(request, caller, connector)
            if not decision.is_allowed:
                return Called(decision, None)
            async with self._ends.failed(request) as hidden:
                credential = await self._credential(request, caller)
                hidden.extend(credential.hidden)
                received = await self._sent(request, decision, credential, deadline_s)
                return await self._whole(request, decision, credential, received)

    async def stream(
        self, caller: Caller, connector: str, asked: Json, *, entry_point: str, trace_id: str
    ) -> AsyncGenerator[Called]:
        """One call whose answer comes in parts, each decided on, recorded and masked before it leaves.

        The first says what became of the call; each following one has records in `answer`. The registry says whose records
        stand alone; an answer that is not of that form comes whole, in the first. A part that is refused, or an error, is on
        record and the last. Whoever goes away before closes it (`aclose`), and that is on record. Raises as `call` does.
        """
        source = Source(entry_point, caller.actor, ("app",), "", trace_id)
        request = self._request(caller, connector, asked, source)
        async with self._ends.given_up(request) as progress:
            decision = await self._admitted(request, caller, connector)
            if not decision.is_allowed:
                progress.is_over = True
                yield Called(decision, None)
                return
            async with self._ends.failed(request) as hidden:
                credential = await self._credential(request, caller)
                hidden.extend(credential.hidden)
                if is_mail(self._parts.connectors[connector]):
                    received = await self._sent(request, decision, credential, None)
                    whole = await self._whole(request, decision, credential, received)
                    progress.is_over = True
                    yield whole
                    return
                opened = await self._opened(request, decision, credential)
                try:
                    form = form_of(decision, opened)
                    if not form:
                        whole = await self._whole(request, decision, credential, await opened.whole())
                        progress.is_over = True
                        yield whole
                        return
                    # Its headers would pass before anything of the answer was decided on.
                    opened.head = opened.head._replace(headers={})
                    yield Called(decision, None, opened.head.status)
                    async for part in self._parted(request, decision, credential, opened, form):
                        progress.is_over = part.refusal is not None
                        yield part
                        if progress.is_over:
                            return
                finally:
                    await opened.close()

    async def close(self) -> None:
        """Close connections and the meter's file, once what must not be cut short has ended."""
        await self._ends.written()
        await self._parts.credentials.settled()
        await self._parts.sender.close()
        await asyncio.to_thread(self._parts.credentials.close)
        self._parts.meter.close()

    def _request(self, caller: Caller, connector: str, asked: Json, source: Source) -> Request:
        if not isinstance(asked, dict):
            raise CallerError("a call is a JSON object", where="/")
        unknown = sorted(set(asked) - _MEMBERS)
        if unknown:
            raise CallerError(f"{unknown[0][:40]!r} is not a member of a call", where="/")
        resource = {**asked, "app": caller.app, "connector": connector}
        context = {"enforcement_point": "broker", "instance": caller.instance}
        document = {"kind": "connector_call", "tenant": caller.tenant, "resource": resource, "context": context}
        return normalise_document(document, source)

    async def _admitted(self, request: Request, caller: Caller, connector: str) -> Decision:
        """The decision on a call; what was counted for it is given back unless it may go out."""
        # One way to another thread and back for all that may wait for a disk: each costs as much as what is done there.
        known, taken = await asyncio.to_thread(self._looked_up, request, caller, connector)
        costs: int | None = None
        try:
            decision = await self._parts.line.knowing(known).adecide(request)
            if decision.is_allowed:
                costs = max(
                    (o.value["cost_microeur"] for o in decision.obligations if o.type == "operation"), default=0
                )
        finally:
            if taken is not None and not taken.is_settled_by(costs):
                await asyncio.to_thread(self._parts.meter.finish, taken, costs)
        return decision

    def _looked_up(self, request: Request, caller: Caller, connector: str) -> tuple[_Known, Taken | None]:
        """Facts of a call, and what was counted for it: last, so that nothing after it can fail and leave it counted."""
        facts, missing = self._known(request)
        try:
            taken = self._counted(request, caller, connector)
        except DependencyError:
            return _Known({}, "usage"), None
        return _Known({"usage": taken.usage, **facts}, missing), taken

    def _counted(self, request: Request, caller: Caller, connector: str) -> Taken:
        area = str(self._parts.tenants.get(caller.tenant, {}).get("business_area", ""))
        now = self._parts.clock()
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        # Names that nobody registered share one counter: whoever makes them up must not fill the meter.
        named = connector if connector in self._parts.connectors else ""
        method, asked = request.resource.get("method"), request.resource.get("operation")
        operations = self._parts.connectors[named]["operations"] if named else ()
        # What the policy may find that it is: `lib/operation.rego` takes none of another method, nor of another name.
        possible = [one for one in operations if one["method"] == method and (asked is None or asked == one["name"])]
        most = max((one.get("cost_microeur", 0) for one in possible), default=0)
        return self._parts.meter.take(Call(caller.app, caller.tenant, area, named, most), now, day)

    def _known(self, request: Request) -> tuple[dict[str, Json], str]:
        """Facts `credential` and `consent`, and which store could not be asked."""
        entry = self._parts.connectors.get(request.resource["connector"])
        credentials, consent = self._parts.credentials, request.resource.get("consent")
        facts: dict[str, Json] = {"credential": {"known": False}}
        try:
            if entry:
                facts["credential"] = credentials.fact(request.tenant, entry, utc_now())
        except DependencyError:
            return facts, "secrets"
        try:
            if isinstance(consent, str):
                facts["consent"] = credentials.consent_fact(consent)
        except DependencyError:
            return facts, "consents"
        return facts, ""

    def _consented(self, consent: str) -> _Known:
        """The fact `consent` alone, for an answer."""
        try:
            return _Known({"consent": self._parts.credentials.consent_fact(consent)})
        except DependencyError:
            return _Known({}, "consents")

    async def _credential(self, request: Request, caller: Caller) -> Credential:
        """The tenant's, or that of the person whose consent the call names."""
        resource = request.resource
        connector, scopes = self._parts.connectors[resource["connector"]], tuple(resource.get("scopes", []))
        return await self._parts.credentials.of(Use(caller, connector, scopes, resource.get("consent", "")))

    async def _sent(
        self, request: Request, decision: Decision, credential: Credential, deadline_s: float | None
    ) -> Received:
        sender, resource = self._parts.sender, request.resource
        connector = self._parts.connectors[resource["connector"]]
        if is_mail(connector):
            host, now = host_of(resource, decision), datetime.fromtimestamp(self._parts.clock(), UTC)
            message = message_of(host, connector, resource.get("body"), now)
            return await deliver(sender, message, credential, deadline_s)
        received = await sender.send(sent_of(resource, decision, credential), deadline_s)
        nonce = nonce_for(credential, received)
        if nonce:
            received = await sender.send(sent_of(resource, decision, credential, nonce), deadline_s)
        return without_nonce(received)

    async def _opened(self, request: Request, decision: Decision, credential: Credential) -> Opened:
        """As `_sent`, for an answer of which nothing was read yet; whoever gets it closes it."""
        sender, resource = self._parts.sender, request.resource
        opened = await sender.open(sent_of(resource, decision, credential))
        nonce = nonce_for(credential, opened.head)
        if nonce:
            await opened.close()
            opened = await sender.open(sent_of(resource, decision, credential, nonce))
        opened.head = without_nonce(opened.head)
        return opened

    async def _whole(self, request: Request, decision: Decision, credential: Credential, received: Received) -> Called:
        payload = payload_of(received, credential)
        flow = _Flow(request, decision, received, received.content_type or ("" if received.body else "text/plain"))
        return await self._passed(flow, payload)

    async def _parted(
        self, request: Request, decision: Decision, credential: Credential, opened: Opened, form: str
    ) -> AsyncIterator[Called]:
        """Records as they come, those of one piece decided on together."""
        reader = cutter(form, self._parts.sender.bounds.answer_bytes)
        flow = _Flow(request, decision, opened.head, "application/json")
        echoes = Echoes(credential.hidden)
        async for piece in opened.pieces():
            records = reader.feed(piece)
            if records:
                yield await self._part(flow, echoes, records)
        records = reader.end()
        if records:
            yield await self._part(flow, echoes, records)

    async def _part(self, flow: _Flow, echoes: Echoes, records: list[Json]) -> Called:
        check_hidden(records, echoes)
        return await self._passed(flow, records)

    async def _passed(self, flow: _Flow, payload: Json) -> Called:
        """What of the payload may be seen, once that was decided and recorded."""
        line, consent = self._parts.line, flow.request.resource.get("consent")
        if isinstance(consent, str):
            # It may have ended since the call was decided on.
            line = line.knowing(await asyncio.to_thread(self._consented, consent))
        answered = await line.adecide(self._answer(flow, payload))
        if not answered.is_allowed:
            return Called(flow.decision, answered, flow.received.status)
        # Both at once: what is masked twice would be masked as if the first mask were data.
        more = [o for o in flow.decision.obligations if o not in answered.obligations]
        seen = masked_payload(payload, answered._replace(obligations=(*answered.obligations, *more)))
        dropped = {o.value["name"] for o in answered.obligations if o.type == "header" and o.value["op"] == "remove"}
        headers = {name: text for name, text in flow.received.headers.items() if name not in dropped}
        return Called(flow.decision, answered, flow.received.status, headers, seen)

    def _answer(self, flow: _Flow, payload: Json) -> Request:
        """The answer as a flow from the connector to the app, for the purpose that the app's manifest states."""
        request = flow.request
        app, connector = request.resource["app"], request.resource["connector"]
        declared = self._parts.spec_of(app).get("connectors", [])
        purposes = [
            one.get("purpose", "") for one in declared if isinstance(one, dict) and one.get("name") == connector
        ]
        resource = {
            "app": app, "source": connector, "destination": {"app": app}, "purpose": "".join(purposes[:1]),
            "content_type": flow.content_type, "payload": payload,
            **({"headers": dict(flow.received.headers)} if flow.received.headers else {}),
        }  # fmt: skip
        operations = sorted(o.value["name"] for o in flow.decision.obligations if o.type == "operation")
        context = {**request.context, "operations": operations, "status": flow.received.status}
        if "consent" in request.resource:
            context["consent"] = request.resource["consent"]
        document = {"kind": "data_flow", "tenant": request.tenant, "resource": resource, "context": context}
        return normalise_document(document, request.source)
