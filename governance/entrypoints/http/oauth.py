"""`/v1/oauth/…`: a person is asked in plain words, says yes or no, goes to the vendor and comes back (RFC 6749, 7636, 9207).

The line decides before the vendor is asked; what came of it is a record before it is in force. Nothing here takes an address
to go to afterwards: there is none that could lead somewhere else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode, urlsplit

from audit.record import Entry
from governance.entrypoints.http.browser import base_url, check_form, cookie, ended, form_of, session_of
from governance.entrypoints.http.decisions import source_of
from governance.entrypoints.http.pages import elsewhere, page
from governance.errors import CallerError, GovernanceError, NotFound, NotSignedIn
from governance.model.moment import new_decision_id, utc_now
from governance.normalise.requests import is_app_name, normalise_document
from governance.platform.oauth.consents import Consent
from governance.wiring import registry_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from governance.entrypoints.http.asgi import Answer, Call
    from governance.entrypoints.http.worker import Worker
    from governance.model.request import Json, Request
    from governance.platform.keys import Identity
    from governance.platform.oauth.sessions import Session

ENTRY_POINT = "http.oauth"
_CHOICES = (1, 7, 30, 60, 90)
_ACCESS = {"read": "it sees, and changes nothing", "write": "it may change things", "admin": "it may change everything"}
_DAYS = re.compile(r"P(\d{1,5})D")


class _Asked(NamedTuple):
    """What an app asks a person for, as manifest and registry have it."""

    app: str
    spec: Json
    connector: Json
    scopes: tuple[str, ...]

    @property
    def tenant(self) -> str:
        return str(self.spec.get("tenant", ""))

    @property
    def purpose(self) -> str:
        found = [one for one in self.spec.get("connectors", []) if one.get("name") == self.connector["name"]]
        return str(found[0].get("purpose", "")) if found else ""

    @property
    def query(self) -> str:
        return urlencode({"app": self.app, "scope": " ".join(self.scopes)})


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
    advice = worker.line.assess(_request(call, session, asked, 1), is_proving=False).decision
    if not advice.is_allowed:
        return _refused(asked, [violation.message for violation in advice.violations])
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
        f"{_base(worker, call)}/{asked.connector['name']}/authorize?{asked.query}", cookie(worker, call, secret)
    )


@_for_people
async def answer(worker: Worker, call: Call) -> Answer:
    """The person's yes or no. A yes is decided on, and leads to the vendor."""
    session, asked = session_of(worker, call), _asked(worker, call)
    _check_tenant(session, asked)
    fields = await form_of(worker, call)
    check_form(fields, _form(session, asked))
    if fields.get("answer") != "yes":
        await _record(worker, call, "consent_refused", _consent(session, asked))
        return page("message", title="Nothing was allowed", lines=["The app goes without."], consents="")
    days = fields.get("days", "")
    if not days.isascii() or not days.isdigit() or int(days) not in _CHOICES:
        raise CallerError("is not one of the choices", where="/days")
    request = _request(call, session, asked, int(days))
    decision = await worker.line.adecide(request)
    worker.telemetry.count(decision.kind, decision.effect, decision.error or "")
    if not decision.is_allowed:
        return _refused(asked, [violation.message for violation in decision.violations])
    consent = _consent(session, asked)._replace(id=decision.decision_id, expires_at=request.resource["expires_at"])
    return elsewhere(worker.grants.ask(consent, asked.connector, session, _callback(worker, call, asked.connector)))


@_for_people
async def callback(worker: Worker, call: Call) -> Answer:
    """The vendor's answer: the code becomes a token, and the consent is in force once that is on record."""
    session, said = session_of(worker, call), call.query()
    connector, grants = _connector(worker, call), worker.grants
    consent, _ = grants.answered(said, connector, session, call.path)
    if "error" in said:
        await _record(worker, call, "consent_refused", consent)
        return page(
            "message", title="Nothing was allowed", lines=["The vendor says that you, or it, refused."], consents=""
        )
    given = await grants.given(consent, said, connector, session, _callback(worker, call, connector))
    try:
        await _record(worker, call, "consent_given", given)
        grants.in_force(given)
    except BaseException:
        # Without its record, or after it was withdrawn, the token must not outlive this moment.
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
    connector = registry_of(worker.settings).connectors.get(found.connector)
    return found, await worker.grants.withdrawn(found, connector)


def _question(worker: Worker, call: Call, session: Session, asked: _Asked) -> Answer:
    data, known = asked.spec.get("data", {}), asked.connector["scopes"]
    address = urlsplit(asked.connector["oauth"]["authorization_url"])
    kept = _DAYS.fullmatch(str(data.get("retention", "")))
    return page(
        "consent",
        title=f"May {asked.app} act for you?",
        goes_to=f"{address.scheme}://{address.netloc}",
        app=asked.app,
        tenant=asked.tenant,
        connector=asked.connector["title"],
        scopes=[
            {"name": name, "means": known[name]["means"], "access": _ACCESS[known[name]["access"]]}
            for name in asked.scopes
        ],
        purpose=asked.purpose,
        classes=", ".join(data.get("classes", [])),
        pii=", ".join(kind.replace("_", " ") for kind in data.get("pii", [])),
        retention=f"{kept[1]} days" if kept else data.get("retention", ""),
        residency=", ".join(data.get("residency", [])),
        owner=asked.spec.get("owner", ""),
        consents=f"{_base(worker, call)}/consents",
        action=f"{call.path}?{asked.query}",
        form=_form(session, asked),
        choices=_CHOICES,
        person=session.identity.actor,
    )


def _sign_in(worker: Worker, call: Call, asked: _Asked, why: str, status: int = 401) -> Answer:
    action = f"{_base(worker, call)}/{asked.connector['name']}/sign-in?{asked.query}"
    return page("sign_in", status, title="Who are you?", why=_sentence(why), action=action)


def _refused(asked: _Asked, reasons: list[str]) -> Answer:
    return page("message", 403, title=f"{asked.app} may not ask for this", lines=reasons, consents="")


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


def _asked(worker: Worker, call: Call) -> _Asked:
    """What stands in the query: `app`, and `scope` where it is less than the manifest has. Nothing else is known here."""
    query = call.query()
    unknown = sorted(set(query) - {"app", "scope"})
    if unknown or any(len(values) > 1 for values in query.values()):
        raise CallerError(
            f"{(unknown or ['a member'])[0][:40]!r} is not known here, or stands there twice", where="query string"
        )
    name = query.get("app", [""])[0]
    found = worker.directory.app(name) if is_app_name(name) else None
    connector = _connector(worker, call)
    declared = [
        one for one in (found or {}).get("spec", {}).get("connectors", []) if one.get("name") == connector["name"]
    ]
    if found is None or not declared:
        raise NotFound(f"no app {name[:63]!r} was deployed with this connector", where=call.path)
    wanted = query.get("scope", [""])[0].split() or declared[0].get("scopes", [])
    if not set(wanted) <= set(connector["scopes"]):
        raise CallerError("the connector has no such scope", where="?scope")
    return _Asked(name, found["spec"], connector, tuple(dict.fromkeys(wanted)))


def _connector(worker: Worker, call: Call) -> Json:
    found = registry_of(worker.settings).connectors.get(call.params[0])
    if found is None or "authorization_url" not in found.get("oauth", {}):
        raise NotFound("no such connector asks people for consent", where=call.path)
    return found


def _check_tenant(session: Session, asked: _Asked) -> None:
    if session.identity.tenant and session.identity.tenant != asked.tenant:
        raise NotFound(f"no app {asked.app!r} was deployed with this connector")


def _request(call: Call, session: Session, asked: _Asked, days: int) -> Request:
    ends = (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    resource = {
        "app": asked.app, "connector": asked.connector["name"], "scopes": list(asked.scopes), "purpose": asked.purpose,
        "expires_at": ends,
    }  # fmt: skip
    document = {"kind": "consent", "tenant": asked.tenant, "resource": resource}
    return normalise_document(document, source_of(call, session.identity, ENTRY_POINT))


def _consent(session: Session, asked: _Asked) -> Consent:
    return Consent(
        "",
        asked.app,
        asked.tenant,
        str(asked.connector["name"]),
        session.identity.actor,
        asked.scopes,
        asked.purpose,
        "",
    )


def _form(session: Session, asked: _Asked) -> str:
    return session.derived("form", str(asked.connector["name"]), asked.query)


def _base(worker: Worker, call: Call) -> str:
    return f"{base_url(worker, call)}/v1/oauth"


def _callback(worker: Worker, call: Call, connector: Json) -> str:
    """Each connector has its own: an answer that was meant for another does not fit (RFC 9700, section 4.4.2)."""
    return f"{_base(worker, call)}/{connector['name']}/callback"


async def _record(worker: Worker, call: Call, kind: str, consent: Consent, actor: str = "") -> None:
    public: dict[str, Any] = {
        "decision_id": new_decision_id(), "actor": actor or consent.person, "entry_point": ENTRY_POINT, "effect": "",
        "app": consent.app, "tenant": consent.tenant, "rules": [], "connectors": [consent.connector],
        "consent": consent.id, "scopes": list(consent.scopes), "expires_at": consent.expires_at,
        "trace_id": call.trace.trace_id,
    }  # fmt: skip
    sealed = {"person": consent.person, "purpose": consent.purpose}
    await worker.client.aappend(Entry(kind, utc_now(), public, sealed, consent.person))
