"""Each way a connector takes its credential; tokens are bought once, used until shortly before they end, and never more."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import pytest

from governance.errors import GovernanceError
from governance.platform.broker.credentials import Credentials, Use
from governance.platform.broker.doubles import Reply
from tests.unit.broker.conftest import HOST, LUNCH

CLIENT = "client-1:pass word&1"


class Bank:
    """An authorization server's token endpoint (RFC 6749, section 4.4) at the double's host."""

    def __init__(self, **said) -> None:
        self.said = said
        self.bought: list[dict] = []

    def __call__(self, asked) -> Reply:
        if asked.path != "/oauth/token":
            return Reply(b"{}")
        user = base64.b64decode(asked.headers["authorization"].removeprefix("Basic ")).decode()
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if user != "client-1:pass+word%261" or form["grant_type"] != "client_credentials":
            return Reply(b'{"error": "invalid_client"}', status=401)
        self.bought.append(form)
        token = {"access_token": f"bought-{len(self.bought)}", "token_type": "Bearer", "expires_in": 300}
        return Reply(json.dumps({**token, **self.said}).encode())


def connector(**auth):
    return {"name": "hris", "auth": auth}


@pytest.fixture
def credential(world):
    """`credential(connector, value, scopes)` gives what goes onto the request."""
    now = [1_800_000_000.0]
    known_issuers = world.broker._parts.credentials._issuers
    kept = Credentials(world.secrets, world.broker._parts.sender, known_issuers, lambda: now[0])

    def of(known, value=None, scopes=("employees:read",)):
        if value is not None:
            world.secrets.rotate("marketing/hris", value)
        return world.runner.run(kept.of(Use(LUNCH, known, tuple(scopes))))

    of.now = now
    return of


BUYING = connector(scheme="client_credentials", token_url=f"https://{HOST}/oauth/token")


@pytest.mark.parametrize(
    ("known", "value", "headers"),
    [
        (connector(scheme="none"), None, {}),
        (connector(scheme="bearer"), "abc-123-xyz", {"Authorization": "Bearer abc-123-xyz"}),
        ({"name": "hris"}, "abc-123-xyz", {"Authorization": "Bearer abc-123-xyz"}),
        (connector(scheme="header", name="X-Api-Key"), "abc-123-xyz", {"X-Api-Key": "abc-123-xyz"}),
        (connector(scheme="basic"), "user:pass", {"Authorization": "Basic dXNlcjpwYXNz"}),
    ],
)
def test_it_is_put_on_as_the_registry_says(credential, known, value, headers):
    found = credential(known, value)
    assert found.headers == headers
    assert value is None or value not in repr(found)


def test_a_token_is_bought_for_the_scopes_of_the_call_and_used_until_shortly_before_its_end(world, credential):
    world.vendor = bank = Bank()
    assert credential(BUYING, CLIENT).headers == {"Authorization": "Bearer bought-1"}
    assert credential(BUYING).headers == {"Authorization": "Bearer bought-1"}
    assert credential(BUYING, scopes=("other",)).headers == {"Authorization": "Bearer bought-2"}
    credential.now[0] += 271
    assert credential(BUYING).headers == {"Authorization": "Bearer bought-3"}
    assert [form["scope"] for form in bank.bought] == ["employees:read", "other", "employees:read"]


def test_after_a_rotation_a_token_of_the_old_client_is_not_used(world, credential):
    world.vendor = Bank()
    assert credential(BUYING, CLIENT).headers == {"Authorization": "Bearer bought-1"}
    assert credential(BUYING, CLIENT).headers == {"Authorization": "Bearer bought-2"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"scope": "employees:read employees:write"}, "more scopes"),
        ({"token_type": "mac"}, "no token"),
        ({"access_token": 7}, "no token"),
        ({"access_token": "a\r\nb"}, "no token"),
        ({"expires_in": "soon"}, "no token"),
        ({"scope": 7}, "no token"),
    ],
)
def test_an_answer_that_is_no_token_for_these_scopes_is_refused(world, credential, said, words):
    world.vendor = Bank(**said)
    with pytest.raises(GovernanceError, match=words):
        credential(BUYING, CLIENT)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000, b"", b"null", b"[]", b'"x"', b"\xff", b'{"access_token": "", "token_type": "Bearer"}',
        b'{"access_token": "a b", "token_type": "Bearer"}', b'{"access_token": "a\\r\\nHost: x", "token_type": "Bearer"}',
        b'{"access_token": "a\\u00e9", "token_type": "Bearer"}', b'{"access_token": ["a"], "token_type": "Bearer"}',
        b'{"access_token": "a", "token_type": "Bearer", "expires_in": 1e999}',
        b'{"access_token": "a", "token_type": "Bearer", "scope": ["employees:write"]}',
        b'{"access_token": "a", "token_type": "N_A"}', b'{"access_token": "a", "token_type": "mac"}',
        b'{"access_token": "a", "token_type": "Bearer", "refresh_token": "b\\nc"}',
        b'{"access_token": "a", "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}',
        b'{"access_token": "a", "token_type": "Bearer", "issued_token_type": {"a": 1}}',
    ],
)  # fmt: skip
def test_what_an_authorization_server_says_otherwise_is_no_token(world, credential, raw):
    world.vendor = lambda asked: Reply(raw)
    with pytest.raises(GovernanceError, match="no token"):
        credential(BUYING, CLIENT)


def test_a_wrong_client_is_said_without_being_shown(world, credential):
    world.vendor = Bank()
    with pytest.raises(GovernanceError, match="status 401") as caught:
        credential(BUYING, "client-1:another-password")
    assert "another-password" not in str(caught.value)


def test_the_fact_says_whether_there_is_one_and_how_old(world):
    kept = world.broker._parts.credentials
    assert kept.fact("marketing", connector(scheme="bearer"), "2999-01-01T00:00:00.000000Z")["age_days"] > 300_000
    assert kept.fact("hr", connector(scheme="bearer"), "2999-01-01T00:00:00.000000Z") == {"known": False}
    assert kept.fact("hr", connector(scheme="none"), "2999-01-01T00:00:00.000000Z") == {"known": True}
