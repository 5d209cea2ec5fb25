"""`/v1/oauth/…`: a person is asked in plain words, says yes or no, goes to the vendor and comes back (RFC 6749, 7636, 9207).

The line decides before the vendor is asked; what came of it is a record before it is in force. Nothing here takes an address
to go to afterwards: there is none that could lead somewhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from governance.entrypoints.http.browser import base_url, check_form, cookie, ended, form_of, session_of
from governance.entrypoints.http.decisions import source_of
from governance.entrypoints.http.pages import elsewhere, page
from governance.errors import CallerError, GovernanceError, NotFound, NotSignedIn
from governance.model.moment import utc_now
from governance.normalise.requests import is_app_name
from governance.platform.oauth.asking import CHOICES, Asked, asked_of, consent_entry, finishing, handing_back

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from governance.entrypoints.http.asgi import Answer, Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.decision import Decision
    from governance.model.request import Json, Request
    from governance.platform.keys import Identity
    from governance.platform.oauth.consents import Consent
    from governance.platform.oauth.sessions import Session

ENTRY_POINT = "http.oauth"


def _for_people(
    handler: Callable[[Worker, Call], Awaitable[Answer]],
) -> Callable[[Worker, Call, Identity], Awaitable[Answer]]:
    """What goes wrong is said on a page; recorded where a signed-in person caused it, as everywhere."""

    async def shown(worker: Worker, call: Call, _: Identity) -> Answer:
        try:
            return await handler(worker, call)
        except NotSignedIn as error:
            return _failed(error)
        except GovernanceError as error:
            return await _recorded_failure(worker, call, error)

    return shown


@_for_people
async def authorize(worker: Worker, call: Call) -> Answer:
    """The question to the person; who is not signed in signs in first, and sees it then."""
    asked = _asked(worker, call)
    try:
        session = session_of(worker, call)
    except NotSignedIn as error:
        return _sign_in(worker, call, asked, str(error.message))
    _check_tenant(session, asked)
    # Advice, which permits nothing: nobody should be asked for what would be refused.
    source = source_of(call, session.identity, ENTRY_POINT)
    advice = worker.line.assess(asked.request(source, 1), is_proving=False).decision
    if not advice.is_allowed:
        return _refused(asked.app, advice)
    return _question(worker, call, session, asked)


@_for_people
async def sign_in(worker: Worker, call: Call) -> Answer:
    """Begin a session with the key that was typed in, and show the question."""
    asked = _asked(worker, call)
    fields = await form_of(worker, call)
    try:
        secret = worker.sessions.begin(worker.keys.identify(fields.get("key", "").strip()))
    except GovernanceError as error:
        return _sign_in(worker, call, asked, error.message, 403)
    return elsewhere(
        f"{_base(worker, call)}/{asked.connector['name']}/authorize?{_query(asked)}", cookie(worker, call, secret)
    )


@_for_people
async def answer(worker: Worker, call: Call) -> Answer:
    """The person's yes or no. A yes is decided on, and leads to the vendor."""
    session, asked = session_of(worker, call), _asked(worker, call)
    _check_tenant(session, asked)
    fields = await form_of(worker, call)
    check_form(fields, _form(session, asked))
    if fields.get("answer") != "yes":
        await _record(worker, call, "consent_refused", asked.consent(session.identity.actor))
        return page("message", title="Nothing was allowed", lines=["The app goes without."], consents="")
    days = fields.get("days", "")
    if not days.isascii() or not days.isdigit() or int(days) not in CHOICES:
        raise CallerError("is not one of the choices", where="/days")
    request = asked.request(source_of(call, session.identity, ENTRY_POINT), int(days))
    decision = await worker.line.adecide(request)
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    if not decision.is_allowed:
        return _refused(asked.app, decision)
    consent = asked.consent(session.identity.actor, request, decision)
    place = _callback(worker, call, asked.connector)
    address = await worker.grants.ask(consent, asked.connector, session, place)
    # Not a redirect: browsers hold every further one of the vendor's against the form's policy, and vendors sign people in
    # at places of their own.
    title = asked.connector["title"]
    return page("leaving", title=f"On to {title}", connector=title, address=address)


@_for_people
async def callback(worker: Worker, call: Call) -> Answer:
    """The vendor's answer: the code becomes a token, and the consent is in force once that is on record.

    The line decides again first: the address that gets code and secret is the one that the connector's document names now.
    """
    session, said = session_of(worker, call), call.query()
    connector, grants = _connector(worker, call), worker.grants
    consent = grants.answered(said, connector, session, call.path)
    if "error" in said:
        await _record(worker, call, "consent_refused", consent)
        return page(
            "message", title="Nothing was allowed", lines=["The vendor says that you, or it, refused."], consents=""
        )
    decision = await worker.line.adecide(finishing(consent, source_of(call, session.identity, ENTRY_POINT)))
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    if not decision.is_allowed:
        return _refused(consent.app, decision)
    given = await grants.given(consent, said, connector, session, _callback(worker, call, connector))
    try:
        await _record(worker, call, "consent_given", given)
        grants.in_force(given)
    except BaseException:
        # Without its record, or after it was withdrawn, the token must not outlive this moment. It goes back to where it
        # came from, by the document that was decided on above.
        await grants.withdrawn(given, connector)
        raise
    lines = [
        f"The app {given.app} may now act for you at {connector['title']}, until {given.expires_at[:10]}.",
        f"The app names this consent as {given.id}. You can close this page.",
    ]
    return page("message", title="Thank you", lines=lines, consents=f"{_base(worker, call)}/consents")


@_for_people
async def consents(worker: Worker, call: Call) -> Answer:
    """What the person has consented to, each with a button that ends it."""
    session = session_of(worker, call)
    rows = [row for row in worker.grants.consents.all(person=session.identity.actor) if row.state != "asked"]
    forms = {name: session.derived("form", name) for name in ("sign-out", *(row.id for row in rows))}
    return page("consents", title="Your consents", rows=rows, forms=forms, base=f"{_base(worker, call)}/consents")


@_for_people
async def withdraw(worker: Worker, call: Call) -> Answer:
    """End one of the person's own consents."""
    session, consent_id = session_of(worker, call), call.params[0]
    check_form(await form_of(worker, call), session.derived("form", consent_id))
    found = worker.grants.consents.get(consent_id)
    if found is None or found.person != session.identity.actor:
        raise NotFound("you have given no such consent", where=call.path)
    await withdrawn(worker, call, found, session.identity)
    return elsewhere(f"{_base(worker, call)}/consents")


@_for_people
async def sign_out(worker: Worker, call: Call) -> Answer:
    """End the session."""
    session = session_of(worker, call)
    check_form(await form_of(worker, call), session.derived("form", "sign-out"))
    ended(worker, call)
    return page("message", title="Signed out", lines=[], consents="", headers=cookie(worker, call, ""))


async def withdrawn(worker: Worker, call: Call, consent: Consent, by: Identity) -> tuple[Consent, bool | None]:
    """(the consent, ended; whether the vendor took its token back).

    It ends before it is recorded: nobody who withdraws may have to wait for a disk. Where the record then fails the caller
    hears so, and asking again writes it.
    """
    found = worker.grants.consents.withdraw(consent.id, by.actor, utc_now())
    await _record(worker, call, "consent_withdrawn", found, by.actor)
    connector = worker.registry.connectors.get(found.connector)
    if connector is not None and not await _may_be_told(worker, handing_back(found, source_of(call, by, ENTRY_POINT))):
        connector = None
    return found, await worker.grants.withdrawn(found, connector)


async def _may_be_told(worker: Worker, request: Request) -> bool:
    """What cannot be decided or recorded may not leave; the consent has ended in any case."""
    try:
        decision = await worker.line.adecide(request)
    except GovernanceError:
        return False
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    return decision.is_allowed


def _question(worker: Worker, call: Call, session: Session, asked: Asked) -> Answer:
    return page(
        "consent",
        title=f"May {asked.app} act for you?",
        app=asked.app,
        tenant=asked.tenant,
        connector=asked.connector["title"],
        consents=f"{_base(worker, call)}/consents",
        action=f"{call.path}?{_query(asked)}",
        form=_form(session, asked),
        choices=CHOICES,
        person=session.identity.actor,
        **asked.words(),
    )


def _sign_in(worker: Worker, call: Call, asked: Asked, why: str, status: int = 401) -> Answer:
    action = f"{_base(worker, call)}/{asked.connector['name']}/sign-in?{_query(asked)}"
    return page("sign_in", status, title="Who are you?", why=_sentence(why), action=action)


def _refused(app: str, decision: Decision) -> Answer:
    reasons = [violation.message for violation in decision.violations]
    return page("message", 403, title=f"{app} may not ask for this", lines=reasons, consents="")


def _failed(error: GovernanceError) -> Answer:
    return page("message", error.status, title="This did not work", lines=[_sentence(error.message)], consents="")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


async def _recorded_failure(worker: Worker, call: Call, error: GovernanceError) -> Answer:
    try:
        identity = session_of(worker, call).identity
    except GovernanceError:
        # From outside: who is not signed in must not be able to fill the disk.
        return _failed(error)
    await worker.line.arefuse(source_of(call, identity, ENTRY_POINT), error)
    worker.telemetry.count("refused", "deny", error.code)
    return _failed(error)


def _asked(worker: Worker, call: Call) -> Asked:
    """What stands in the query: `app`, and `scope` where it is less than the manifest has. Nothing else is known here."""
    query = call.query()
    unknown = sorted(set(query) - {"app", "scope"})
    if unknown or any(len(values) > 1 for values in query.values()):
        name = (unknown or ["a member"])[0][:40]
        raise CallerError(f"{name!r} is not known here, or stands there twice", where="query string")
    app = query.get("app", [""])[0]
    found = worker.directory.app(app) if is_app_name(app) else None
    return asked_of(app, found, _connector(worker, call), query.get("scope", [""])[0].split())


def _connector(worker: Worker, call: Call) -> Json:
    found = worker.registry.connectors.get(call.params[0])
    if found is None or "authorization_url" not in found.get("oauth", {}):
        raise NotFound("no such connector asks people for consent", where=call.path)
    return found


def _check_tenant(session: Session, asked: Asked) -> None:
    if session.identity.tenant and session.identity.tenant != asked.tenant:
        raise NotFound(f"no app {asked.app!r} was deployed with this connector")


def _form(session: Session, asked: Asked) -> str:
    return session.derived("form", str(asked.connector["name"]), _query(asked))


def _base(worker: Worker, call: Call) -> str:
    return f"{base_url(worker, call)}/v1/oauth"


def _callback(worker: Worker, call: Call, connector: Json) -> str:
    """Each connector has its own: an answer that was meant for another does not fit (RFC 9700, section 4.4.2)."""
    return f"{_base(worker, call)}/{connector['name']}/callback"


def _query(asked: Asked) -> str:
    return urlencode({"app": asked.app, "scope": " ".join(asked.scopes)})


async def _record(worker: Worker, call: Call, kind: str, consent: Consent, actor: str = "") -> None:
    actor, trace_id = actor or consent.person, call.trace.trace_id
    await worker.client.aappend(consent_entry(kind, consent, actor=actor, entry_point=ENTRY_POINT, trace_id=trace_id))
