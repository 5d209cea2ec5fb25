"""Renewal, rotation, bound tokens, device flow, exchange and withdrawal, each in its real protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
import time
from urllib.parse import parse_qsl

import pytest

from connectors_registry.digests import digest_of
from governance.errors import CallerError, DependencyError, GovernanceError, NotFound
from governance.log_wiring import state_of
from governance.model.moment import utc_now
from governance.platform.broker.app_storage import Store
from governance.platform.broker.doubles import Reply
from governance.platform.broker.guests import broker_for
from governance.platform.broker.sending import SendFailed
from governance.platform.connector_approvals import Approvals, AskedBack
from governance.platform.keys import Identity
from governance.platform.oauth.consents import SqliteConsents
from governance.platform.oauth.grants import ConsentEnded, _check_id_token
from governance.platform.oauth.vendor import Client, TokenRefused, Tokens
from governance.wiring import registry_of
from tests.consenting import CALL
from tests.oauth_server import CLIENT_SECRET, ISSUER
from tests.unit.oauth.conftest import DATES, rules, stored


def test_a_call_stands_on_a_consent_and_falls_with_it(world):
    consent = world.consent()
    called = world.call(consent)
    assert called.refusal is None
    assert called.status == 200
    world.grants.consents.withdraw(consent.id, "key:ada", utc_now())
    assert rules(world.call(consent)) == {"OAUTH-007"}
    assert rules(world.call()) == {"OAUTH-007"}


@pytest.mark.parametrize("named", ["0199-made-up", {"known": True}, None, "", 7])
def test_a_consent_that_nobody_gave_is_none(world, named):
    called = world.call(consent=named)
    assert rules(called) == {"OAUTH-007"}
    assert "No consent of a person is known for this call." in {v.message for v in called.refusal.violations}


def test_a_consent_that_is_over_lets_nothing_out(world):
    asked = world.new_consent()._replace(state="given", expires_at="2026-01-01T00:00:00Z")
    world.grants.consents.ask(asked, "")
    called = world.call(asked)
    assert [v.message for v in called.refusal.violations] == ["The consent is over."]


def test_what_the_app_is_deployed_with_later_is_not_what_the_person_consented_to(world):
    from tests.consenting import manifest

    consent = world.consent()
    world.decide("deploy", manifest("Calendars.Read", "Calendars.Shared"))
    world.broker._parts.spec_of("dates")
    wider = {"operation": "read shared", "url": f"{ISSUER}/api/shared", "scopes": ["Calendars.Shared"]}
    called = world.call(consent, **wider)
    assert [(v.rule, v.message) for v in called.refusal.violations] == [
        ("OAUTH-007", 'The person did not consent to the scope "Calendars.Shared".')
    ]
    assert world.call(consent).refusal is None


def test_another_purpose_than_the_person_read_lets_nothing_out(world):
    from tests.consenting import manifest

    consent = world.consent()
    changed = manifest()
    changed["spec"]["connectors"][0]["purpose"] = "Advertising to everybody who is busy."
    world.decide("deploy", changed)
    assert "another purpose" in world.call(consent).refusal.violations[0].message


def test_a_consent_to_one_app_is_none_to_another(world):
    consent = world.consent()
    foreign = consent._replace(id="0199-foreign", app="lunch", state="given")
    world.grants.consents.ask(foreign, "")
    assert "another app" in world.call(foreign).refusal.violations[0].message


def test_a_vendor_that_grants_less_is_taken_at_its_word(make):
    world = make()
    from tests.consenting import manifest

    world.decide("deploy", manifest("Calendars.Read", "Calendars.Shared"))
    world.vendor.server.leaves_out = "Calendars.Shared"
    consent = world.consent("Calendars.Read", "Calendars.Shared")
    assert world.grants.consents.get(consent.id).scopes == ("Calendars.Read",)


def test_a_token_is_renewed_shortly_before_its_end_and_its_refresh_token_rotates(world):
    consent = world.consent()
    first = stored(world, consent)
    world.late = 3580
    second = world.held(consent)
    assert second.tokens.access != first[0][0]
    assert second.tokens.refresh != first[0][4]
    assert stored(world, consent)[0][0] == second.tokens.access
    assert world.call(consent).status == 200


def test_many_calls_at_once_renew_once(world):
    consent = world.consent()
    world.late = 3580
    before = len(world.vendor.double.asked)

    async def many():
        return await asyncio.gather(*(world.grants.held(consent.id, world.connector) for _ in range(20)))

    assert len({held.tokens.access for held in world.runner.run(many())}) == 1
    assert len(world.vendor.double.asked) - before == 1


def test_a_renewal_that_the_vendor_refuses_ends_the_consent(world):
    consent = world.consent()
    world.vendor.server.end_all()
    world.late = 3580
    with pytest.raises(ConsentEnded, match=consent.id):
        world.call(consent)
    assert world.records()[-1]["public"]["error"] == "consent_ended"
    ended = world.grants.consents.get(consent.id)
    assert (ended.state, ended.ended_by) == ("withdrawn", "vendor")
    with pytest.raises(NotFound):
        world.secrets.get(consent.handle)
    assert rules(world.call(consent)) == {"OAUTH-007"}


def test_a_token_that_is_over_and_cannot_be_renewed_is_not_sent(world):
    consent = world.consent()
    tokens, key, _ = stored(world, consent)
    world.secrets.rotate(consent.handle, json.dumps([[*tokens[:4], "", ""], key]))
    world.late = 3700
    with pytest.raises(SendFailed, match="ask the person again"):
        world.call(consent)
    assert world.vendor.double.asked[-1].path == "/token"


def unapproved(settings) -> None:
    """The owner takes the calendar's approval back."""
    approvals, entry = Approvals(state_of(settings)), registry_of(settings).connectors["calendar"]
    owner = Identity("key:owner", "platform", "", entry["owner"], "ana.k")
    approvals.keep(AskedBack(entry, approvals, owner, part="owner", digest=digest_of(entry), reason="no more"))


@pytest.mark.parametrize("is_approved", [True, False])
def test_a_withdrawal_during_a_renewal_leaves_no_token_behind(world, is_approved):
    """Nor does one go to addresses that are not approved any longer; either way the record says what was decided."""
    consent = world.consent()
    world.late = 3580
    answer = world.grants._vendor.tokens

    async def withdrawn_meanwhile(*asked):
        tokens = await answer(*asked)
        world.grants.consents.withdraw(consent.id, "key:ada", utc_now())
        world.secrets.drop(consent.handle)
        if not is_approved:
            unapproved(world.settings)
        return tokens

    world.grants._vendor.tokens = withdrawn_meanwhile
    with pytest.raises(NotFound):
        world.held(consent)
    with pytest.raises(NotFound):
        world.secrets.get(consent.handle)
    assert len(world.vendor.server.revoked) == (2 if is_approved else 0)
    (decided,) = [record["public"] for record in world.records() if record["kind"] == "revocation"]
    assert (decided["effect"], decided["rules"]) == (("allow", []) if is_approved else ("deny", ["OAUTH-009"]))


def test_a_withdrawal_takes_both_tokens_back(world):
    consent = world.consent()
    access, refresh = stored(world, consent)[0][0], stored(world, consent)[0][4]
    assert world.runner.run(world.grants.withdrawn(consent, world.connector)) is True
    assert world.vendor.server.revoked == [refresh, access]
    assert world.runner.run(world.grants.withdrawn(consent, world.connector)) is None


def test_a_vendor_that_cannot_be_asked_does_not_keep_the_token_here(world):
    consent = world.consent()
    world.vendor.is_down = True
    assert world.runner.run(world.grants.withdrawn(consent, world.connector)) is False
    with pytest.raises(NotFound):
        world.secrets.get(consent.handle)


FOLLOWED = {
    "name": "follow",
    "method": "GET",
    "paths": ["/api/me/changes"],
    "scope": "Calendars.Read",
    "stream": "ndjson",
}


def test_a_withdrawal_ends_a_stream_that_is_under_way(make):
    from tests.consenting import CALENDAR

    fields = [{"pointer": ["**", "mail"], "class": "personal", "pii": "email"}]
    world = make(operations=[*CALENDAR["operations"], FOLLOWED], fields=fields)
    consent = world.consent()

    def changes():
        yield b'{"free": "monday"}\n'
        while world.grants.consents.get(consent.id).state == "given":
            time.sleep(0.01)
        yield b'{"free": "tuesday"}\n'

    world.vendor.double._answer = lambda asked: Reply(b"", "application/x-ndjson", pieces=changes())
    asked = {**CALL, "operation": "follow", "url": f"{ISSUER}/api/me/changes", "consent": consent.id}

    async def listen() -> list:
        heard = []
        async for part in world.broker.stream(DATES, "calendar", asked, entry_point="test", trace_id="ab" * 16):
            heard.append(part)
            if part.answer:
                world.grants.consents.withdraw(consent.id, "key:ada", utc_now())
        return heard

    begun, monday, last = world.runner.run(listen())
    assert (begun.refusal, monday.answer) == (None, [{"free": "monday"}])
    assert (rules(last), last.answer) == ({"OAUTH-007"}, None)
    kept = world.records()[-1]["public"]
    assert (kept["effect"], kept["decision_id"]) == ("deny", last.refusal.decision_id)


def test_a_withdrawal_between_decision_and_token_sends_nothing(world):
    consent = world.consent()
    decided = world.broker._admitted

    async def withdrawn_meanwhile(*asked):
        decision = await decided(*asked)
        world.grants.consents.withdraw(consent.id, "key:ada", utc_now())
        return decision

    world.broker._admitted = withdrawn_meanwhile
    world.vendor.double.asked.clear()
    with pytest.raises(GovernanceError, match="not in force"):
        world.call(consent)
    assert (world.vendor.double.asked, world.records()[-1]["kind"]) == ([], "refused")


def test_a_withdrawal_while_the_vendor_answers_keeps_the_answer_back(world):
    consent = world.consent()

    def answer(_asked):
        world.grants.consents.withdraw(consent.id, "key:ada", utc_now())
        return Reply(b'{"value": []}')

    world.vendor.double._answer = answer
    called = world.call(consent)
    assert (called.call.is_allowed, rules(called), called.answer) == (True, {"OAUTH-007"}, None)


def test_a_proof_is_sent_once_even_where_the_call_could_be_repeated(make):
    world = make(oauth={**_oauth(), "dpop": True})
    world.vendor.server.dpop = True
    consent = world.consent()
    world.vendor.double.asked.clear()
    world.vendor.double._answer = lambda asked: Reply(b"{}", status=503)
    assert world.call(consent).status == 503
    assert len(world.vendor.double.asked) == 1


def test_an_asked_consent_that_was_withdrawn_is_never_given(world):
    consent = world.new_consent()
    world.grants.consents.ask(consent, "")
    world.grants.consents.withdraw(consent.id, "key:ada", utc_now())
    with pytest.raises(CallerError, match="in the meantime"):
        world.grants.in_force(consent)
    assert world.grants.consents.get(consent.id).state == "withdrawn"


def test_a_question_is_old_after_ten_minutes(tmp_path, world):
    now = [1_800_000_000.0]
    consents = SqliteConsents(tmp_path / "other", lambda: now[0])
    consents.ask(world.new_consent(), "digest")
    now[0] += 600
    assert consents.answered("digest") is None


def test_a_store_that_cannot_be_read_refuses(world):
    consent = world.consent()
    path = world.folder / "home" / "consents.db"
    path.unlink()
    path.mkdir()
    assert "REQ-007" in rules(world.call(consent))


def test_a_bound_token_goes_out_with_a_proof_for_this_request(make):
    world = make(oauth={**_oauth(), "dpop": True})
    world.vendor.server.dpop = True
    consent = world.consent()
    assert stored(world, consent)[0][1] == "DPoP"
    called = world.call(consent)
    assert (called.refusal, called.status) == (None, 200)
    assert "dpop-nonce" not in called.headers
    sent = world.vendor.double.asked[-1].headers
    assert sent["authorization"].startswith("DPoP ")
    world.late = 3580
    assert world.call(consent).status == 200
    assert len([one for one in world.vendor.double.asked if b"grant_type=refresh_token" in one.body]) == 2


def test_a_stream_answers_a_vendor_s_nonce_as_well_and_sends_twice_only_for_it(make):
    world = make(oauth={**_oauth(), "dpop": True})
    world.vendor.server.dpop = True
    consent = world.consent()
    world.vendor.double.asked.clear()
    (called,) = world.stream(consent)
    assert (called.refusal, called.status) == (None, 200)
    assert "dpop-nonce" not in called.headers
    assert [one.path for one in world.vendor.double.asked] == ["/api/me/events"] * 2
    (refused,) = world.stream()
    assert rules(refused) == {"OAUTH-007"}
    assert len(world.vendor.double.asked) == 2


def test_a_bound_token_is_worth_nothing_with_another_key(make):
    world = make(oauth={**_oauth(), "dpop": True})
    world.vendor.server.dpop = True
    consent = world.consent()
    from governance.platform.oauth.dpop import ProofKey

    tokens, *_ = stored(world, consent)
    world.secrets.rotate(consent.handle, json.dumps([tokens, ProofKey.made()]))
    assert world.call(consent).status == 401


def test_a_vendor_that_gives_a_bearer_token_where_a_bound_one_was_asked_for_is_not_believed(make):
    world = make(oauth={**_oauth(), "dpop": True})
    with pytest.raises(SendFailed, match="no token that can be used"):
        world.consent()


def test_an_id_token_has_to_answer_this_question(world):
    from tests.consenting import manifest

    world.decide("deploy", manifest("Calendars.Read", "openid"))
    with pytest.raises(SendFailed, match="ID token"):
        world.consent("Calendars.Read", "openid")


def test_what_a_vendor_wants_beside_the_standard_takes_the_place_of_nothing(make):
    world = make(
        oauth={**_oauth(), "parameters": {"prompt": "consent", "state": "fixed", "code_challenge_method": "plain"}}
    )
    assert world.call(world.consent()).status == 200
    (asked,) = [one for one in world.vendor.double.asked if one.path == "/authorize"]
    said = world.said(asked.target)
    assert (said["prompt"], said["code_challenge_method"]) == (["consent"], ["S256"])
    assert said["state"] != ["fixed"]


def test_a_device_flow_waits_slows_down_and_ends_in_a_consent(world):
    consent = world.new_consent()
    pauses = []

    async def flow():
        begun = await world.grants.device(consent, world.connector)
        real = asyncio.sleep

        async def sleep(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                world.vendor.server.device_answers[begun.user_code] = True
            await real(0)

        asyncio.sleep = sleep
        try:
            return await world.grants.device_given(consent, world.connector, begun)
        finally:
            asyncio.sleep = real

    given = world.runner.run(flow())
    world.grants.in_force(given)
    assert pauses == [1, 6, 6]
    assert world.call(given).status == 200


DEVICE = {
    "device_code": "d-1", "user_code": "ABCD", "verification_uri": f"{ISSUER}/activate", "expires_in": 600, "interval": 5,
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"verification_uri": "http://login.vendor.example/activate"}, {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": ""}, {"verification_uri": "https://login.vendor.example/\u0430ctivate"},
        {"verification_uri": "https://login.vendor.example/\x1b]0;x"}, {"user_code": "AB\nCD"}, {"user_code": ""},
        {"user_code": "\u202eDCBA"}, {"device_code": ""}, {"expires_in": "soon"}, {"expires_in": float("inf")},
    ],
)  # fmt: skip
def test_what_no_person_should_be_shown_begins_no_device_flow(world, change):
    said = json.dumps({**DEVICE, **change}).replace("Infinity", "1e999")
    world.vendor.double._answer = lambda asked: Reply(said.encode())
    with pytest.raises(SendFailed):
        world.runner.run(world.grants.device(world.new_consent(), world.connector))
    assert world.grants.consents.all() == []


def test_a_device_flow_does_not_stay_open_for_as_long_as_a_vendor_likes(world):
    said = json.dumps({**DEVICE, "expires_in": 10**9, "interval": 10**9})
    world.vendor.double._answer = lambda asked: Reply(said.encode())
    begun = world.runner.run(world.grants.device(world.new_consent(), world.connector))
    assert (begun.expires_in_s, begun.interval_s) == (1800, 60)


def id_token(**claims) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


ID = {"aud": "broker-1", "nonce": "n", "iss": ISSUER, "exp": 2_000_000_000}


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "other"}, {"aud": ["broker-1", "other"]}, {"aud": []}, {"nonce": "m"}, {"nonce": None}, {"iss": f"{ISSUER}/"},
        {"iss": "https://evil.example"}, {"exp": 1_000_000_000}, {"exp": float("nan")}, {"exp": "2000000000"},
    ],
)  # fmt: skip
def test_an_id_token_of_another_server_time_or_question_is_none(change):
    wanted = {"aud": "broker-1", "nonce": "n", "iss": ISSUER}
    _check_id_token(id_token(**ID), wanted, 1_800_000_000)
    with pytest.raises(SendFailed):
        _check_id_token(id_token(**{**ID, **change}), wanted, 1_800_000_000)


def test_a_no_at_the_device_s_page_is_a_no(world):
    consent = world.new_consent()

    async def flow():
        begun = await world.grants.device(consent, world.connector)
        world.vendor.server.device_answers[begun.user_code] = False
        return await world.grants.device_given(consent, world.connector, begun)

    with pytest.raises(TokenRefused, match="access_denied"):
        world.runner.run(flow())
    assert world.grants.consents.get(consent.id).state == "asked"


def _oauth():
    from tests.consenting import CALENDAR

    return CALENDAR["oauth"]


EXCHANGE = {"scheme": "token_exchange", "token_url": f"{ISSUER}/token", "audience": ISSUER}


def test_an_app_token_is_exchanged_for_one_of_the_vendor_s_and_no_secret_lies_here(make):
    world = make(auth=EXCHANGE)
    world.secrets.drop("marketing/calendar")
    called = world.call()
    assert (called.refusal, called.status) == (None, 200)
    form = world.vendor.double.asked[-2].body.decode()
    assert "client_secret" not in form
    assert "authorization" not in world.vendor.double.asked[-2].headers
    before = len(world.vendor.double.asked)
    assert world.call().status == 200
    assert len(world.vendor.double.asked) == before + 1


def test_an_exchange_asks_for_one_place_and_no_more_scopes_than_the_call_has(make):
    world = make(auth=EXCHANGE)
    for more in ({"audience": "https://payroll.example"}, {"resource": "https://payroll.example"}):
        with pytest.raises(CallerError, match="not a member of a call"):
            world.call(**more)
    assert "OAUTH-006" in rules(world.call(scopes=["Calendars.Read", "Calendars.Shared"]))
    assert world.vendor.double.asked == []
    assert world.call().status == 200
    form = dict(parse_qsl(world.vendor.double.asked[0].body.decode()))
    assert (form["audience"], form["scope"]) == (ISSUER, "Calendars.Read")
    claims = json.loads(base64.urlsafe_b64decode(form["subject_token"].split(".")[1] + "=="))
    assert (claims["aud"], claims["exp"] - claims["iat"]) == (ISSUER, 60)


def test_keys_that_the_vendor_does_not_trust_are_exchanged_for_nothing(make):
    world = make(auth=EXCHANGE)
    world.vendor.server.trusted = lambda: {"keys": []}
    with pytest.raises(TokenRefused, match="invalid_grant"):
        world.call()


def test_a_token_for_the_vendor_is_none_for_the_broker(make):
    world = make(auth=EXCHANGE)
    tokens = world.broker._parts.credentials._issuers.app_tokens
    with pytest.raises(GovernanceError):
        tokens.verify(tokens.issue(DATES, 60, ISSUER))


def test_a_wrong_client_is_refused_and_its_secret_not_shown(world):
    world.secrets.rotate("marketing/calendar", "broker-1:another-secret")
    with pytest.raises(TokenRefused) as caught:
        world.consent()
    assert "another-secret" not in str(caught.value)


def test_nothing_that_holds_a_token_shows_it():
    held = Tokens("access-1", "Bearer", 0.0, (), "refresh-1")
    assert "access-1" not in repr(held)
    assert "refresh-1" not in repr(held)
    assert CLIENT_SECRET not in repr(Client("broker-1", CLIENT_SECRET))


def test_a_secret_store_that_does_not_open_refuses(world):
    consent = world.consent()
    (world.folder / "home" / "secrets.key").unlink()
    with pytest.raises(DependencyError):
        world.call(consent)
    assert world.records()[-1]["kind"] == "refused"


def test_a_guest_whose_time_is_over_ends_no_consent(world, tmp_path):
    """The vendor rotated and answers late: the new token is stored, whatever became of the call."""
    consent, reached, late, answer = world.consent(), threading.Event(), threading.Event(), world.vendor.double._answer

    def slow(asked):
        answered = answer(asked)
        reached.set()
        late.wait(60)
        return answered

    async def guest() -> bytes:
        store = Store(tmp_path, DATES, 1000)
        ask = broker_for(DATES, world.broker, asyncio.get_running_loop(), store, "cd" * 16)
        call = {"op": "connector.call", "connector": "calendar", **CALL, "consent": consent.id}
        # A busy host may need longer to come as far as the vendor, who holds its answer back until the time is over.
        for seconds in (0.5, 4, 30):
            heard = await asyncio.to_thread(ask, json.dumps(call).encode(), seconds)
            if reached.is_set():
                break
        late.set()
        return heard

    before, world.late, world.vendor.double._answer = stored(world, consent), 3580, slow
    heard = world.runner.run(guest())
    world.runner.run(world.grants.settled())
    assert json.loads(heard)["error"]["code"] == "timeout"
    assert stored(world, consent) != before
    assert world.call(consent).refusal is None
    told = [(r["kind"], r["public"].get("error")) for r in world.records() if r["public"].get("trace_id") == "cd" * 16]
    assert told[-2:] == [("connector_call", None), ("refused", "given_up")]
