"""Webhooks from outside become events of the app that declared the hook; everybody else gets a 401 and a record."""

from __future__ import annotations

import json

import pytest

from governance.errors import CallerError, DependencyError
from governance.platform.broker.events.hooks import Delivered
from governance.platform.broker.events.signatures import BadSignature
from tests.unit.events import test_signatures as signing
from tests.unit.events.conftest import KEY, TYPE, publisher, subscriber

BODY = json.dumps({"group": "campaigns"}).encode()
JSON = {b"content-type": b"application/json"}


@pytest.fixture
def hooked(world):
    for scheme in signing.SCHEMES:
        world.secrets.put(f"marketing/{scheme}-hook", signing.STANDARD if scheme == "standard" else signing.SECRET)
    world.deployed(publisher())
    world.deployed(subscriber())
    return world


def receive(world, scheme, headers, body=BODY, name=""):
    delivered = Delivered({**JSON, **headers}, body, "cd" * 16, "sha256:00")
    return world.runner.run(world.exchange.hooks.receive(name or f"where2eat.{scheme}", delivered))


def signed(world, scheme, body=BODY, **how):
    return signing.SCHEMES[scheme](at=int(world.now), body=body, **how)


def refusals(world) -> list[dict]:
    return [record for record in world.records() if record["kind"] == "refused"]


def test_a_signed_message_is_an_event_for_who_subscribed(hooked):
    for scheme in signing.SCHEMES:
        assert receive(hooked, scheme, signed(hooked, scheme)).published.is_accepted
        [handed] = hooked.fetch()
        assert handed.event["data"] == {"group": "campaigns"}
        assert (handed.event["type"], handed.event["source"]) == (TYPE, f"/apps/where2eat/hooks/{scheme}")


def test_a_message_that_is_sent_again_is_taken_once(hooked):
    sent = {scheme: signed(hooked, scheme) for scheme in signing.SCHEMES}
    for scheme, headers in sent.items():
        receive(hooked, scheme, headers)
    hooked.now += 200
    for scheme, headers in sent.items():
        assert receive(hooked, scheme, headers).published.decision is None, scheme
    assert len(hooked.fetch()) == len(sent)


def test_another_attempt_at_one_message_is_known_by_its_id(hooked):
    receive(hooked, "standard", signed(hooked, "standard"))
    hooked.now += 5
    assert receive(hooked, "standard", signed(hooked, "standard")).published.decision is None


def test_a_message_that_is_replayed_too_late_is_refused_on_record(hooked):
    sent = {scheme: signed(hooked, scheme) for scheme in signing.TIMED}
    hooked.now += 301
    for scheme, headers in sent.items():
        with pytest.raises(BadSignature):
            receive(hooked, scheme, headers)
    found = [(record["public"]["error"], record["public"]["actor"]) for record in refusals(hooked)]
    assert found == [("bad_signature", f"hook:where2eat/{scheme}") for scheme in sent]
    assert hooked.fetch() == []


def test_a_forged_message_is_refused_on_record_and_a_flood_of_them_by_number(hooked):
    for _ in range(45):
        with pytest.raises(BadSignature):
            receive(hooked, "github", signing.github(body=b"other"))
    assert len(refusals(hooked)) == 30
    hooked.now += 61
    with pytest.raises(BadSignature):
        receive(hooked, "github", {})
    assert "15 before it" in refusals(hooked)[-1]["opened"]["answer"]["reason"]
    assert receive(hooked, "github", signed(hooked, "github")).published.is_accepted


def test_a_hook_that_nobody_declared_says_no_more_than_a_bad_signature(hooked):
    for name in ("where2eat.nope", "nobody.github", "github", ".", "../x.github", "where2eat.github.x"):
        with pytest.raises(BadSignature):
            receive(hooked, "github", signed(hooked, "github"), name=name)
    assert refusals(hooked) == []


def test_a_signature_of_one_scheme_does_not_open_another(hooked):
    for scheme in signing.SCHEMES:
        with pytest.raises(BadSignature):
            receive(hooked, scheme, signed(hooked, "slack" if scheme != "slack" else "stripe"))


def test_a_body_that_does_not_follow_the_event_s_schema_is_refused_by_policy(hooked):
    said = receive(hooked, "github", signed(hooked, "github", b"{}"), b"{}")
    assert [violation.rule for violation in said.published.decision.violations] == ["EVT-006"]


def test_slack_s_question_is_answered_once_it_is_signed(hooked):
    body = b'{"type":"url_verification","challenge":"3eZbrw1aB"}'
    assert receive(hooked, "slack", signed(hooked, "slack", body), body).challenge == "3eZbrw1aB"
    with pytest.raises(BadSignature):
        receive(hooked, "slack", {}, body)
    assert receive(hooked, "github", signed(hooked, "github", body), body).published is not None


def test_a_form_is_an_object(hooked):
    body = b"group=campaigns&n=1&n=2"
    headers = {**signed(hooked, "slack", body), b"content-type": b"application/x-www-form-urlencoded"}
    said = receive(hooked, "slack", headers, body)
    assert [v.path for v in said.published.decision.violations] == [
        "/payload"
    ]  # n is a list, the schema wants a number
    body = b"group=campaigns"
    headers = {**signed(hooked, "slack", body), b"content-type": b"application/x-www-form-urlencoded"}
    assert receive(hooked, "slack", headers, body).published.is_accepted


def test_a_body_that_cannot_be_read_is_refused(hooked):
    bad = [(b"text/plain", b"x"), (b"application/json", b"{"), (b"application/json", b'{"a":1,"a":2}'), (b"", b"{}")]
    for kind, body in [*bad, (b"application/json", b"\xff")]:
        with pytest.raises(CallerError):
            receive(hooked, "github", {**signed(hooked, "github", body), b"content-type": kind}, body)
    assert len(refusals(hooked)) == 5


def test_a_secret_that_is_missing_is_not_named_to_the_outside(world):
    world.deployed(publisher())
    with pytest.raises(DependencyError) as caught:
        receive(world, "github", signing.github())
    assert "github-hook" not in str(caught.value)


def test_no_credential_stands_in_a_record(hooked):
    receive(hooked, "jwt", signed(hooked, "jwt"))
    with pytest.raises(BadSignature):
        receive(hooked, "jwt", signed(hooked, "jwt"), b"{}")
    shown = json.dumps(hooked.records())
    assert signing.SECRET not in shown
    assert KEY not in shown
    assert signed(hooked, "jwt")[b"authorization"].decode().split(".")[-1] not in shown
