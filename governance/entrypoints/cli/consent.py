"""`governance consent list|ask|withdraw`: what people let apps do for them. Asking here goes by the device flow (RFC 8628)."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, TextIO, TypeVar

from governance.broker_wiring import consents_of, grants_of, secrets_of, sender_of
from governance.errors import CallerError, GovernanceError, NotFound
from governance.log_wiring import open_recorder
from governance.model.moment import utc_now
from governance.settings import from_environment
from governance.wiring import directory_of, for_cli, registry_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Sequence

    from audit.record import Entry
    from connectors_registry.load import Registry
    from governance.model.request import Json
    from governance.platform.oauth.asking import Asked
    from governance.platform.oauth.consents import Consent
    from governance.platform.oauth.grants import Grants
    from governance.settings import Settings

_T = TypeVar("_T")
_ENTRY_POINT = "cli.consent"


def run(argv: Sequence[str], stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    """Dispatch one verb; exit 1 where policy, the person or the vendor said no."""
    options = _parser().parse_args(argv)
    settings = from_environment(os.environ)
    if options.verb == "list":
        return _list(settings, options, stdout)
    if options.verb == "withdraw":
        return _withdraw(settings, options.id, stdout, stderr)
    return _ask(settings, options, stdin, stdout, stderr)


def _list(settings: Settings, options: argparse.Namespace, stdout: TextIO) -> int:
    rows = consents_of(settings).all(options.tenant)
    if options.format == "json":
        stdout.write(json.dumps([row._asdict() for row in rows], indent=2) + "\n")
        return 0
    stdout.writelines(
        f"{row.id}  {row.state:<9} {row.app} at {row.connector} for {row.person} until {row.expires_at[:10]}: "
        f"{' '.join(row.scopes)}\n"
        for row in rows
    )
    return 0


def _withdraw(settings: Settings, consent_id: str, stdout: TextIO, stderr: TextIO) -> int:
    """It ends first and is recorded then: nobody who withdraws may have to wait for a disk."""
    ended = consents_of(settings).withdraw(consent_id, _person(), utc_now())
    _record(settings, _entry("consent_withdrawn", ended))
    connector = _told(settings, ended, stderr)
    taken_back = _with_grants(settings, lambda grants: grants.withdrawn(ended, connector))
    said = {
        True: "the vendor took its token back",
        False: "THE VENDOR DID NOT TAKE ITS TOKEN BACK",
        None: "no token is left",
    }
    stdout.write(f"{ended.id} is withdrawn; {said[taken_back]}\n")
    return 0


def _told(settings: Settings, ended: Consent, stderr: TextIO) -> Json | None:
    """The connector's document where policy lets its addresses be shown the token; what cannot be decided may not leave."""
    from governance.model.request import Source
    from governance.platform.oauth.asking import handing_back

    try:
        registry = registry_of(settings)
        with for_cli(settings, registry) as line:
            decision = line.decide(handing_back(ended, Source(_ENTRY_POINT, _person())))
    except GovernanceError as error:
        stderr.write(f"the vendor is not told: {error}\n")
        return None
    stderr.writelines(f"{violation.rule}: {violation.message}\n" for violation in decision.violations)
    return registry.connectors.get(ended.connector) if decision.is_allowed else None


def _ask(settings: Settings, options: argparse.Namespace, stdin: TextIO, stdout: TextIO, stderr: TextIO) -> int:
    registry = registry_of(settings)
    asked = _asked(settings, options, registry)
    stdout.write(_terms(asked, options.days))
    stderr.write("Type yes to allow it: ")
    stderr.flush()
    if stdin.readline().strip() != "yes":
        _record(settings, _entry("consent_refused", asked.consent(_person())))
        stdout.write("Nothing was allowed.\n")
        return 1
    consent = _decided(settings, asked, options.days, registry, stderr)
    if consent is None:
        return 1

    async def given(grants: Grants) -> Consent:
        begun = await grants.device(consent, asked.connector)
        stdout.write(f"Go to {begun.verification_uri} and type {begun.user_code}\n")
        stdout.flush()
        found = await grants.device_given(consent, asked.connector, begun)
        try:
            _record(settings, _entry("consent_given", found))
            grants.in_force(found)
        except BaseException:
            # Without its record, or after it was withdrawn, the token must not outlive this moment.
            await grants.withdrawn(found, asked.connector)
            raise
        return found

    found = _with_grants(settings, given)
    stdout.write(f"The app names this consent as {found.id}.\n")
    return 0


def _decided(settings: Settings, asked: Asked, days: int, registry: Registry, stderr: TextIO) -> Consent | None:
    from governance.model.request import Source

    request = asked.request(Source(_ENTRY_POINT, _person()), days)
    with for_cli(settings, registry) as line:
        decision = line.decide(request)
    if decision.is_allowed:
        return asked.consent(_person(), request, decision)
    stderr.writelines(f"{violation.rule}: {violation.message}\n" for violation in decision.violations)
    return None


def _asked(settings: Settings, options: argparse.Namespace, registry: Registry) -> Asked:
    from governance.platform.oauth.asking import asked_of

    connector = registry.connectors.get(options.connector)
    if connector is None:
        raise NotFound(f"there is no connector {options.connector[:63]!r}", hint="governance connector list")
    if "device_authorization_url" not in connector.get("oauth", {}):
        raise CallerError(
            f"{options.connector} has no device flow", hint=f"/v1/oauth/{options.connector}/authorize?app={options.app}"
        )
    return asked_of(options.app, directory_of(settings).app(options.app), connector, options.scope)


def _terms(asked: Asked, days: int) -> str:
    words = asked.words()
    rows = [f"The app {asked.app} of {asked.tenant} asks to act for you at {asked.connector['title']}. It may then:"]
    rows += [f"  - {scope['means']} ({scope['access']}; {scope['name']})" for scope in words["scopes"]]
    rows += [
        f"Purpose: {words['purpose']}",
        f"Kept for: {words['retention'] or 'not stated'}; in: {words['residency']}",
    ]
    rows += [f"For {days} days; `governance consent withdraw` ends it at any time."]
    return "\n".join(rows) + "\n"


def _with_grants(settings: Settings, what: Callable[[Grants], Awaitable[_T]]) -> _T:
    async def once() -> _T:
        sender = sender_of(settings)
        try:
            return await what(grants_of(settings, sender, secrets_of(settings)))
        finally:
            await sender.close()

    return asyncio.run(once())


def _entry(kind: str, consent: Consent) -> Entry:
    from governance.platform.oauth.asking import consent_entry

    return consent_entry(kind, consent, actor=_person(), entry_point=_ENTRY_POINT)


def _record(settings: Settings, entry: Entry) -> None:
    with open_recorder(settings) as recorder:
        recorder.append(entry)


def _person() -> str:
    return f"os-uid:{os.getuid()}"


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser("governance consent", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    listing = verbs.add_parser("list", help="every consent with its state, newest first")
    listing.add_argument("--tenant", default="")
    listing.add_argument("--format", choices=("text", "json"), default="text")
    ask = verbs.add_parser("ask", help="let an app act for you; the terms are shown, and you are asked")
    ask.add_argument("app")
    ask.add_argument("connector")
    ask.add_argument("--scope", action="append", default=[], help="less than the app's manifest has")
    ask.add_argument("--days", type=int, default=30)
    verbs.add_parser("withdraw", help="end one; the next call that names it is refused").add_argument("id")
    return parser
