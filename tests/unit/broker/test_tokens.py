"""App tokens: bound, short, revocable, and verifiable across a rotation."""

from __future__ import annotations

import base64
import json

import pytest

from governance.errors import CallerError, DependencyError, NotSignedIn
from governance.platform.broker.tokens import LONGEST_S, AppTokens, Caller
from governance.state.files import FileState

LUNCH = Caller("lunch", "marketing", "lunch-1")


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(tmp_path, clock):
    return AppTokens(FileState(tmp_path), clock)


def test_a_token_says_who_holds_it_in_every_process(tokens, tmp_path, clock):
    assert AppTokens(FileState(tmp_path), clock).verify(tokens.issue(LUNCH)) == LUNCH


def test_a_token_ends_and_does_not_begin_early(tokens, clock):
    token = tokens.issue(LUNCH, 60)
    clock.now += 59
    assert tokens.verify(token) == LUNCH
    for change in (1, 1000, -1100):
        clock.now += change
        with pytest.raises(NotSignedIn):
            tokens.verify(token)


def test_a_machine_whose_clock_is_a_little_behind_still_verifies_and_one_far_behind_does_not(tokens, tmp_path, clock):
    token = tokens.issue(LUNCH, 60)
    for behind, is_good in ((5, True), (6, False)):
        slow = AppTokens(FileState(tmp_path), lambda late=behind: clock.now - late)
        if is_good:
            assert slow.verify(token) == LUNCH
        else:
            with pytest.raises(NotSignedIn):
                slow.verify(token)


@pytest.mark.parametrize("ttl_s", [0, -1, LONGEST_S + 1])
def test_no_token_lives_longer_than_a_quarter_of_an_hour(tokens, ttl_s):
    with pytest.raises(CallerError):
        tokens.issue(LUNCH, ttl_s)


def test_a_token_for_another_audience_is_none(tokens):
    with pytest.raises(NotSignedIn):
        tokens.verify(tokens.issue(LUNCH, audience="events"))


def test_a_token_of_another_installation_is_none(tokens, tmp_path, clock):
    foreign = AppTokens(FileState(tmp_path / "other"), clock).issue(LUNCH)
    tokens.issue(LUNCH)
    with pytest.raises(NotSignedIn):
        tokens.verify(foreign)


def part(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_that_was_changed_anywhere_is_none(tokens):
    head, claims, signature = tokens.issue(LUNCH).split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    public = json.dumps(tokens.jwks()["keys"][0])
    forged = [
        f"{head}.{part({**said, 'sub': 'payroll'})}.{signature}",
        f"{part({'alg': 'none', 'kid': kid, 'typ': 'app+jwt'})}.{claims}.",
        f"{part({'alg': 'HS256', 'kid': kid, 'typ': 'app+jwt'})}.{claims}.{signature}",
        f"{part({'alg': 'Ed25519', 'kid': 'x', 'typ': 'app+jwt'})}.{claims}.{signature}",
        f"{part({'alg': 'Ed25519', 'jwk': public, 'typ': 'app+jwt'})}.{claims}.{signature}",
        f"{head}.{claims}.{signature[:-2]}",
        f"{head}.{claims}",
        "",
        "a" * 10_000,
        f"{head}.{claims}.{signature}.x",
    ]
    for token in forged:
        with pytest.raises(NotSignedIn):
            tokens.verify(token)


def test_a_revoked_instance_is_out_at_once_and_its_neighbour_is_not(tokens, tmp_path, clock):
    token, other = tokens.issue(LUNCH), tokens.issue(LUNCH._replace(instance="lunch-2"))
    elsewhere = AppTokens(FileState(tmp_path), clock)
    assert elsewhere.verify(token) == LUNCH
    tokens.revoke(LUNCH.actor)
    with pytest.raises(NotSignedIn, match="revoked"):
        elsewhere.verify(token)
    assert elsewhere.verify(other).instance == "lunch-2"


def test_after_a_rotation_old_tokens_live_out_their_time_and_the_old_key_goes(tokens, clock):
    old = tokens.issue(LUNCH)
    new_key = tokens.rotate()
    assert tokens.verify(old) == LUNCH
    assert len(tokens.jwks()["keys"]) == 2
    clock.now += LONGEST_S + 10
    tokens.issue(LUNCH)
    assert [key["kid"] for key in tokens.jwks()["keys"]] == [new_key]
    assert all("d" not in key for key in tokens.jwks()["keys"])


def test_keys_that_cannot_be_read_let_nobody_in(tokens, tmp_path):
    token = tokens.issue(LUNCH)
    assert (tmp_path / "app-tokens.json").stat().st_mode & 0o077 == 0
    (tmp_path / "app-tokens.json").write_text("{")
    with pytest.raises(DependencyError):
        tokens.verify(token)
