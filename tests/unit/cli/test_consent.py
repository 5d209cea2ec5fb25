"""Consents from a terminal: the terms, a yes, the device flow, a call, the end."""

from __future__ import annotations

import json

import pytest

from governance.platform.broker.doubles import write_pins
from governance.settings import from_environment
from tests.consenting import CALL, PURPOSE, agreed, manifest, registry, template
from tests.oauth_server import CLIENT_ID, CLIENT_SECRET, Vendor
from tests.unit.broker.conftest import engines_stay_in_their_thread  # noqa: F401  threads of doubles as there


class Everybody(dict):
    """What people answer at the device's page."""

    def get(self, _code, _default=None):
        return True


@pytest.fixture
def ask(cli, tmp_path):
    vendor = Vendor(tmp_path / "tls")
    vendor.server.device_answers = Everybody()
    env = {
        "GOVERNANCE_REGISTRY": str(registry(tmp_path / "registry")),
        "GOVERNANCE_CONNECTOR_PINS": str(write_pins(tmp_path / "pins.json", vendor.double)),
    }

    agreed(from_environment({**env, "GOVERNANCE_HOME": str(tmp_path / "home")}))

    def run(*argv, stdin=b""):
        return cli(*argv, stdin=stdin, **env)

    run("secret", "put", "marketing/calendar", stdin=f"{CLIENT_ID}:{CLIENT_SECRET}\n".encode())
    for kind, document in (("template", template()), ("deploy", manifest())):
        done = run("decide", "-", stdin=json.dumps({"kind": kind, "resource": document}).encode())
        assert done.code == 0, done.out + done.err
    run.vendor = vendor
    yield run
    vendor.stop()


def call(ask, *more):
    return ask("connector", "call", "calendar", CALL["url"], "--app", "dates", "--scope", "Calendars.Read", *more)


def test_the_terms_are_shown_a_yes_gives_a_consent_and_its_end_ends_the_calls(ask):
    asked = ask("consent", "ask", "dates", "calendar", stdin=b"yes\n")
    assert asked.code == 0, asked.err
    for words in ("See when you are busy", PURPOSE, "30 days", "Go to https://login.vendor.example/device and type "):
        assert words in asked.out
    (row,) = json.loads(ask("consent", "list", "--format", "json").out)
    assert (row["state"], row["app"], row["scopes"]) == ("given", "dates", ["Calendars.Read"])
    assert call(ask).code == 1
    assert call(ask, "--consent", row["id"]).code == 0
    ended = ask("consent", "withdraw", row["id"])
    assert "the vendor took its token back" in ended.out
    refused = call(ask, "--consent", row["id"])
    assert refused.code == 1
    assert "OAUTH-007" in refused.out
    kinds = [json.loads(line)["kind"] for line in ask("audit", "list", "--format", "json").out.splitlines()]
    assert {"consent", "consent_given", "consent_withdrawn"} <= set(kinds)


@pytest.mark.parametrize("said", [b"", b"no\n", b"y\n", b"YES\n"])
def test_anything_but_a_yes_is_a_no_and_on_record(ask, said):
    before = len(ask.vendor.double.asked)
    assert ask("consent", "ask", "dates", "calendar", stdin=said).code == 1
    assert len(ask.vendor.double.asked) == before
    assert ask("consent", "list").out == ""
    assert "consent_refused" in ask("audit", "list", "--format", "json").out


def test_what_policy_refuses_is_not_asked_of_the_vendor(ask):
    done = ask("consent", "ask", "dates", "calendar", "--days", "91", stdin=b"yes\n")
    assert (done.code, "OAUTH-008" in done.err) == (1, True)
    done = ask("consent", "ask", "dates", "calendar", "--scope", "Calendars.Shared", stdin=b"yes\n")
    assert (done.code, "OAUTH-006" in done.err) == (1, True)
    assert ask.vendor.double.asked == []


@pytest.mark.parametrize(
    "argv",
    [
        ("ask", "lunch", "calendar"),
        ("ask", "dates", "hris"),
        ("ask", "dates", "nothing"),
        ("ask", "dates", "calendar", "--scope", "admin"),
        ("withdraw", "0199-made-up"),
    ],
)
def test_what_is_not_there_is_said(ask, argv):
    assert ask("consent", *argv, stdin=b"yes\n").code == 2


@pytest.mark.parametrize("is_exchanged", [False, True])
@pytest.mark.parametrize("way", ["withdraw", "erase"])
def test_a_token_goes_back_to_an_approved_document_s_vendor_only(ask, tmp_path, way, is_exchanged):
    """The consent ends here in any case; where its document was exchanged, nothing leaves for the addresses in it."""
    assert ask("consent", "ask", "dates", "calendar", stdin=b"yes\n").code == 0
    (row,) = json.loads(ask("consent", "list", "--format", "json").out)
    if is_exchanged:
        file = tmp_path / "registry" / "connectors" / "calendar.yaml"
        file.write_text(file.read_text().replace("/revoke", "/other-revoke"))
    before = len(ask.vendor.double.asked)
    if way == "withdraw":
        done = ask("consent", "withdraw", row["id"])
        assert ("THE VENDOR DID NOT" in done.out, "OAUTH-009" in done.err) == (is_exchanged, is_exchanged)
    else:
        done = ask("audit", "erase", row["person"], "--reason", "They left.")
        assert ("their vendors did not take back" in done.out) is is_exchanged
    assert done.code == 0, done.err
    assert [one.path for one in ask.vendor.double.asked[before:]] == ([] if is_exchanged else ["/revoke", "/revoke"])
    assert "OAUTH-007" in call(ask, "--consent", row["id"]).out
    revocations = ask("audit", "list", "--kind", "revocation", "--format", "json").out.splitlines()
    assert [json.loads(line)["public"]["effect"] for line in revocations] == ["deny" if is_exchanged else "allow"]
