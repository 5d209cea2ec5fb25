"""Webhooks as their senders sign them; vectors are computed here by the published recipes, not by our own code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from governance.errors import DependencyError
from governance.platform.broker.events.signatures import BadSignature, standard_headers, verified

# A loaded machine is no finding.
PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
NOW = 1_700_000_000
BODY = b'{"action":"opened"}'
HOOK, ADDRESS = "where2eat.jwt", "https://governance.example.com/v1/hooks/where2eat.jwt"
SECRET = "a-shared-secret-of-more-than-32-letters"
RAW = bytes(range(32))
STANDARD = "whsec_" + base64.b64encode(RAW).decode()


def mac(key: bytes, signed: bytes) -> bytes:
    return hmac.new(key, signed, hashlib.sha256).digest()


def github(at=NOW, body=BODY):
    return {b"x-hub-signature-256": b"sha256=" + mac(SECRET.encode(), body).hex().encode()}


def slack(at=NOW, body=BODY):
    proof = mac(SECRET.encode(), f"v0:{at}:".encode() + body).hex()
    return {b"x-slack-request-timestamp": str(at).encode(), b"x-slack-signature": f"v0={proof}".encode()}


def stripe(at=NOW, body=BODY):
    proof = mac(SECRET.encode(), f"{at}.".encode() + body).hex()
    return {b"stripe-signature": f"t={at},v1={'0' * 64},v1={proof},v0=x".encode()}


def standard(at=NOW, body=BODY):
    proof = base64.b64encode(mac(RAW, f"msg_1.{at}.".encode() + body)).decode()
    return {
        b"webhook-id": b"msg_1", b"webhook-timestamp": str(at).encode(),
        b"webhook-signature": f"v1,AAAA v1a,xx v1,{proof}".encode(),
    }  # fmt: skip


def token(at=NOW, body=BODY, key=None, alg="HS256", **claims):
    said = {"iat": at, "request_body_sha256": hashlib.sha256(body).hexdigest(), **claims}
    said = {name: value for name, value in said.items() if value is not None}
    return {
        b"authorization": b"Bearer "
        + jwt.encode({"alg": alg}, said, key or OctKey.import_key(SECRET), algorithms=[alg]).encode()
    }


SCHEMES = {"github": github, "slack": slack, "stripe": stripe, "standard": standard, "jwt": token}
TIMED = [name for name in SCHEMES if name != "github"]


def secret_of(scheme: str) -> str:
    return STANDARD if scheme == "standard" else SECRET


def check(scheme: str, headers, body=BODY, secret="", window_s=300):
    return verified(scheme, secret or secret_of(scheme), headers, body, NOW, window_s, (HOOK, ADDRESS))


def test_github_s_own_example():
    """docs.github.com, "Validating webhook deliveries", "Testing the webhook payload validation"."""
    proof = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert verified("github", "It's a Secret to Everybody", {b"x-hub-signature-256": proof}, b"Hello, World!", NOW, 300)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_good_signature_names_its_message(scheme):
    assert check(scheme, SCHEMES[scheme]()) == check(scheme, SCHEMES[scheme]())
    other = check(scheme, SCHEMES[scheme](body=b"{}"), b"{}")
    # Standard Webhooks: one id is one message, whatever it says.
    assert (other != check(scheme, SCHEMES[scheme]())) == (scheme != "standard")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("body", [b"", BODY + b" ", BODY[:-1], b"{}"])
def test_another_body_does_not_fit(scheme, body):
    with pytest.raises(BadSignature):
        check(scheme, SCHEMES[scheme](), body)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_another_secret_or_no_signature_does_not_fit(scheme):
    other = "whsec_" + base64.b64encode(bytes(32)).decode() if scheme == "standard" else "b" * 40
    with pytest.raises(BadSignature):
        check(scheme, SCHEMES[scheme](), secret=other)
    with pytest.raises(BadSignature):
        check(scheme, {})


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(("offset", "is_good"), [(0, True), (-300, True), (300, True), (-301, False), (301, False)])
def test_a_signature_of_another_time_is_refused_both_ways(scheme, offset, is_good):
    headers = SCHEMES[scheme](at=NOW + offset)
    if is_good:
        assert check(scheme, headers)
    else:
        with pytest.raises(BadSignature):
            check(scheme, headers)


@pytest.mark.parametrize("scheme", ["slack", "stripe", "standard"])
@pytest.mark.parametrize("at", ["", "abc", "-1", "1e9", "٣", "9" * 40])
def test_a_time_that_is_none_is_refused(scheme, at):
    headers = SCHEMES[scheme](at=at)
    with pytest.raises(BadSignature):
        check(scheme, headers)


@PATIENT
@given(
    st.dictionaries(st.sampled_from([name for scheme in SCHEMES.values() for name in scheme()]), st.binary(max_size=80))
)
def test_whatever_stands_in_the_headers_it_is_refused_and_nothing_breaks(headers):
    for scheme in SCHEMES:
        with pytest.raises(BadSignature):
            check(scheme, headers)


@pytest.mark.parametrize(
    "claims",
    [
        {"request_body_sha256": None}, {"iat": None}, {"iat": "now"}, {"iat": True}, {"exp": NOW - 301}, {"nbf": NOW + 301},
        {"exp": "x"}, {"request_body_sha256": 3}, {"iat": float("nan")}, {"exp": float("nan")}, {"nbf": float("nan")},
        {"exp": float("-inf")}, {"iat": float("inf")}, {"iat": [NOW]},
        {"aud": "https://governance.example.com/v1/hooks/payroll.jwt"}, {"aud": "where2eat.jwt2"}, {"aud": []}, {"aud": 7},
        {"aud": "https://evil.example/v1/hooks/where2eat.jwt"},
        {"aud": None, "request_body_sha256": hashlib.sha256(b"").hexdigest()},
    ],
)  # fmt: skip
def test_a_token_that_does_not_bind_the_body_and_its_time_is_refused(claims):
    with pytest.raises(BadSignature):
        check("jwt", token(**claims))


@pytest.mark.parametrize("aud", [HOOK, ADDRESS, ["else", HOOK]])
def test_a_token_that_is_for_this_hook_is_taken(aud):
    assert check("jwt", token(aud=aud))
    with pytest.raises(BadSignature, match="somebody else"):
        verified("jwt", SECRET, token(aud=aud), BODY, NOW, 300, ("payroll.jwt",))
    with pytest.raises(BadSignature, match="somebody else"):
        verified("jwt", SECRET, token(aud=aud), BODY, NOW, 300)


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "hs256"}, {"alg": "HS512"}, {"alg": ["HS256"]}, {"alg": "HS256", "crit": ["exp"], "exp": 1},
        {"alg": "HS256", "crit": ["b64"], "b64": False}, {"alg": "HS256", "b64": False}, {"alg": "none"}, {},
    ],
)  # fmt: skip
def test_a_header_that_asks_for_another_way_of_reading_is_refused(header):
    """Signed with the right key over exactly what is sent."""
    claims = {"iat": NOW, "request_body_sha256": hashlib.sha256(BODY).hexdigest()}
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    proof = base64.urlsafe_b64encode(mac(SECRET.encode(), signed)).rstrip(b"=")
    with pytest.raises(BadSignature):
        check("jwt", {b"authorization": b"Bearer " + signed + b"." + proof})


@pytest.mark.parametrize("claims", [b"[" * 2500, b"[1]", b"7", b"{", b'"x"'])
def test_claims_that_are_none_are_refused(claims):
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    signed = head + b"." + base64.urlsafe_b64encode(claims).rstrip(b"=")
    proof = base64.urlsafe_b64encode(mac(SECRET.encode(), signed)).rstrip(b"=")
    with pytest.raises(BadSignature):
        check("jwt", {b"authorization": b"Bearer " + signed + b"." + proof})


def test_what_was_signed_is_not_parted_in_another_place():
    """`msg_1.1700000000.1700000001.25` was sent as a body of 1700000001.25; read as one of 25 it would be another message."""
    proof = base64.b64encode(mac(RAW, f"msg_1.{NOW}.1700000001.25".encode())).decode()
    said = {
        b"webhook-id": b"msg_1",
        b"webhook-timestamp": str(NOW).encode(),
        b"webhook-signature": f"v1,{proof}".encode(),
    }
    assert check("standard", said, b"1700000001.25")
    other = {**said, b"webhook-id": f"msg_1.{NOW}".encode(), b"webhook-timestamp": b"1700000001"}
    with pytest.raises(BadSignature, match="full stop"):
        check("standard", other, b"25")


@pytest.mark.parametrize(
    ("scheme", "change"),
    [
        ("stripe", lambda value: value + b",t=%d" % NOW), ("stripe", lambda value: value.replace(b"t=", b"T=")),
        ("stripe", lambda value: value.replace(b"v1=", b"v0=")), ("stripe", lambda value: value.replace(b"t=", b"t=0")[:-9]),
        ("stripe", lambda value: b"t=%d," % NOW + b",".join([b"v1=0"] * 10) + value[value.rindex(b",v1"):]),
        ("github", bytes.upper), ("github", lambda value: value[7:]), ("github", lambda value: b"sha1=" + value[7:]),
        ("github", lambda value: b"sha256=0, " + value), ("slack", lambda value: value.replace(b"v0=", b"v1=")),
        ("slack", lambda value: value + b",v0=0"), ("standard", lambda value: value.replace(b"v1,", b"v2,")),
        ("standard", lambda value: value.replace(b" ", b",")), ("standard", lambda value: value.replace(b"v1,", b"v1a,")),
        ("standard", lambda value: b" ".join([b"v1,AAAA"] * 10) + b" " + value),
    ],
)  # fmt: skip
def test_a_signature_in_another_form_is_none(scheme, change):
    headers = SCHEMES[scheme]()
    name = next(name for name in headers if b"signature" in name)
    assert check(scheme, headers)
    with pytest.raises(BadSignature):
        check(scheme, {**headers, name: change(headers[name])})


def test_a_token_without_a_signature_or_with_a_public_key_as_its_secret_is_refused():
    key = ECKey.generate_key("P-256")
    public = json.dumps(key.as_dict(private=False))
    assert check("jwt", token(key=key, alg="ES256"), secret=public)
    with pytest.raises(BadSignature):
        check("jwt", token(key=OctKey.import_key(public)), secret=public)
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    body = token()[b"authorization"].split(b".")[1]
    with pytest.raises(BadSignature):
        check("jwt", {b"authorization": b"Bearer " + head + b"." + body + b"."})


def test_a_second_signature_that_anybody_can_make_of_the_first_names_the_same_message():
    """An ECDSA signature (r, s) holds as (r, n - s) as well; n is the order of P-256 (NIST SP 800-186, 3.2.1.3)."""
    key = ECKey.generate_key("P-256")
    public = json.dumps(key.as_dict(private=False))
    heard = token(key=key, alg="ES256")
    signed, _, signature = heard[b"authorization"].rpartition(b".")
    raw = base64.urlsafe_b64decode(signature + b"==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    turned = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    made = {b"authorization": signed + b"." + base64.urlsafe_b64encode(turned).rstrip(b"=")}
    assert made != heard
    assert check("jwt", made, secret=public) == check("jwt", heard, secret=public)


@pytest.mark.parametrize(
    ("scheme", "secret"),
    [
        ("standard", "whsec_!!"),
        ("standard", "whsec_AAAA"),
        ("jwt", "short"),
        ("jwt", "{}"),
        ("jwt", "-----BEGIN PUBLIC KEY----- MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE -----END PUBLIC KEY-----"),
        ("none", SECRET),
    ],
)
def test_a_secret_that_fits_no_scheme_is_our_own_fault(scheme, secret):
    with pytest.raises(DependencyError):
        check(scheme, standard(), secret=secret)


def test_what_we_sign_anybody_can_verify_by_the_recipe():
    made = standard_headers(STANDARD, "evt_7", NOW, BODY)
    proof = base64.b64encode(mac(RAW, f"evt_7.{NOW}.".encode() + BODY)).decode()
    assert made == {"webhook-id": "evt_7", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,{proof}"}
