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


def signed(tokens, header: dict, claims) -> str:
    """With the real key, which nobody but us has: what it never signs is not taken from it either."""
    from joserfc import jws

    kid, key = list(tokens._keys.items())[-1]
    head = {"alg": "Ed25519", "kid": kid, "typ": "app+jwt", **header}
    return jws.serialize_compact(
        {name: value for name, value in head.items() if value is not None}, json.dumps(claims), key, ["Ed25519"]
    )


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"}, {"typ": None}, {"typ": "APP+JWT"}, {"kid": "../../etc/passwd"}, {"kid": "' OR 1=1 --"}, {"kid": None},
        {"kid": ""}, {"jku": "https://evil.example/jwks.json", "kid": "x"}, {"x5u": "https://evil.example/x", "kid": "x"},
    ],
)  # fmt: skip
def test_a_header_that_we_do_not_write_names_no_key(tokens, header):
    claims = json.loads(base64.urlsafe_b64decode(tokens.issue(LUNCH).split(".")[1] + "=="))
    assert tokens.verify(signed(tokens, {}, claims)) == LUNCH
    with pytest.raises(NotSignedIn):
        tokens.verify(signed(tokens, header, claims))


NOW = int(Clock.now)


@pytest.mark.parametrize(
    "change",
    [
        {"aud": ["connectors"]}, {"aud": ["connectors", "events"]}, {"aud": "CONNECTORS"}, {"aud": None}, {"iss": "somebody"},
        {"exp": str(NOW + 60)}, {"exp": float("inf")}, {"exp": NOW + 60.5}, {"exp": True}, {"exp": NOW + LONGEST_S + 1},
        {"exp": NOW}, {"nbf": NOW + 6}, {"nbf": False}, {"nbf": float("nan")}, {"iat": None}, {"iat": NOW - LONGEST_S},
        {"sub": ""}, {"sub": ["lunch"]}, {"instance": ""}, {"instance": {"a": 1}}, {"tenant": 7}, {"jti": None},
    ],
)  # fmt: skip
def test_claims_of_another_form_or_time_are_none(tokens, change):
    claims = json.loads(base64.urlsafe_b64decode(tokens.issue(LUNCH).split(".")[1] + "=="))
    with pytest.raises(NotSignedIn):
        tokens.verify(signed(tokens, {}, {**claims, **change}))


def test_a_second_key_of_somebody_s_own_signs_nothing(tokens):
    """Also where its header brings that key along, by itself, by an address or as a certificate."""
    from joserfc import jws
    from joserfc.jwk import OctKey, OKPKey

    head, claims, _ = tokens.issue(LUNCH).split(".")
    kid = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    said = base64.urlsafe_b64decode(claims + "==")
    own, public = OKPKey.generate_key("Ed25519"), tokens.jwks()["keys"][0]
    for header in ({"jwk": own.as_dict(private=False)}, {"jku": "https://evil.example/jwks"}, {"x5c": ["MIIB"]}, {}):
        forged = jws.serialize_compact(
            {"alg": "Ed25519", "kid": kid, "typ": "app+jwt", **header}, said, own, ["Ed25519"]
        )
        with pytest.raises(NotSignedIn):
            tokens.verify(forged)
    for secret in (public["x"], base64.urlsafe_b64decode(public["x"] + "=="), json.dumps(public)):
        key = OctKey.import_key(secret)
        with pytest.raises(NotSignedIn):
            tokens.verify(jws.serialize_compact({"alg": "HS256", "kid": kid, "typ": "app+jwt"}, said, key, ["HS256"]))


@pytest.mark.parametrize("where", [0, 1])
def test_a_token_that_is_nested_without_end_breaks_nothing(tokens, where):
    parts = tokens.issue(LUNCH).split(".")
    parts[where] = base64.urlsafe_b64encode(b"[" * 2500).decode().rstrip("=")
    with pytest.raises(NotSignedIn):
        tokens.verify(".".join(parts))


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
