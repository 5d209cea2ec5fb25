"""Headers that hold values, or say who calls and from where: what leaves with an answer, what of a caller's is believed."""

from __future__ import annotations

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime_adapters.gateway.checks import check
from runtime_adapters.gateway.state import DecisionService, GatewayRefusal, Limits, Listener
from tests.contract.gateways import HOST, Upstream, presented
from tests.contract.test_gateway import FOUND, Issuer

KINDS = ("email", "iban", "card", "ssn", "phone")
VALUES = [(kind, value) for kind, values in FOUND.items() for value in values]
# No end of a text around a value that could be its beginning or more of it.
AROUND = st.text('abc .,;:!?\n"\\{}[]é€', max_size=40)


@pytest.fixture(autouse=True)
def _plain(gateway):
    gateway.upstream.says = None
    gateway.upstream.calls.clear()


class TestOfAnswers:
    @pytest.fixture(autouse=True)
    def _cut(self, gateway):
        gateway.apply(gateway.app(redact=KINDS))

    def answer(self, gateway, headers: dict[str, str], body: bytes = b"{}", status: int = 200) -> httpx.Response:
        gateway.upstream.says = (status, {"content-type": "application/json", **headers}, body)
        return gateway.get()

    @pytest.mark.parametrize(
        ("value", "left"),
        [
            ("bob@example.com", "[email]"),
            # What may stand in an address goes with it.
            ("a=1; mail=bob@example.com; Path=/", "a=1; [email]; Path=/"),
            ("/users/bob%40example.com/edit", "[email]/edit"),
            ("/users/b%6fb%40ex%61mple.com", None),
            ("/pay?card=4111+1111+1111+1111", None),
            ("/pay?card=%34111111111111111", None),
            ("4111 1111 1111 1111", "[card]"),
            ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[card]"),
            ("DE89 3704 0044 0532 0130 00", "[iban]"),
            ("fr1420041010050500013m02606", "[iban]"),
            ("078-05-1120", "[ssn]"),
            ("<tel:+49 30 901820>", "<tel:[phone]>"),
            ("+1 2 3 4 5 6 7 8", "[phone]"),
            ('W/"ab12-4111111111111112"', 'W/"ab12-4111111111111112"'),
            ("max-age=60, a+b, 100%", "max-age=60, a+b, 100%"),
            ("/menu?day=1&q=caf%C3%A9+x", "/menu?day=1&q=caf%C3%A9+x"),
        ],
    )
    def test_a_value_in_a_header_does_not_leave_and_the_rest_is_as_it_was(self, gateway, value, left):
        answer = self.answer(gateway, {"x-about": value, "x-other": "same"})
        assert (answer.headers.get("x-about"), answer.headers["x-other"]) == (left, "same")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(AROUND, st.sampled_from(VALUES), AROUND, st.booleans(), st.booleans())
    def test_the_only_value_of_an_answer_is_cut_out_wherever_it_stands(
        self, gateway, left, found, right, escaped, is_json
    ):
        """Whatever tells a text that holds nothing from another one must not take this for the first."""
        kind, value = found
        text = f"{left}; {value} ;{right}"
        raw = json.dumps([text], ensure_ascii=escaped) if is_json else text
        answer = self.answer(gateway, {"content-type": "application/json" if is_json else "text/plain"}, raw.encode())
        # A text that begins like JSON is kept such: what stands where a number may becomes a string.
        read = answer.json()[0] if is_json else answer.text.replace('"[card]"', "[card]")
        assert read == f"{left}; [{kind}] ;{right}"

    def test_of_several_of_one_name_each_is_looked_into(self, gateway):
        said = {"set-cookie": "a=bob@example.com", "Set-Cookie": "b=2", "SET-COOKIE": "c=%62ob%2540a.example%40b"}
        answer = self.answer(gateway, said)
        assert answer.headers.get_list("set-cookie") == ["[email]", "b=2"]

    def test_an_answer_without_a_body_and_one_that_nobody_reads_have_headers_too(self, gateway):
        redirected = self.answer(gateway, {"location": "/of?bob@example.com"}, b"", 303)
        assert (redirected.status_code, redirected.headers["location"]) == (303, "[email]")
        gateway.upstream.says = (
            200,
            {"content-type": "image/png", "x-by": "bob@example.com"},
            b"\x89PNG bob@example.com",
        )
        picture = gateway.get()
        assert (picture.headers["x-by"], picture.content) == ("[email]", b"\x89PNG bob@example.com")
        gateway.upstream.says = (200, {"content-type": "application/json", "x-by": "bob@example.com"}, b"")
        assert gateway.call("HEAD").headers["x-by"] == "[email]"

    def test_a_type_with_a_value_in_it_is_still_the_type(self, gateway):
        answer = self.answer(
            gateway, {"content-type": "application/json; bob@example.com"}, b'{"a": "bob\\u0040example.com"}'
        )
        assert (answer.headers["content-type"], answer.json()) == ("application/json; [email]", {"a": "[email]"})

    def test_no_header_of_an_answer_that_is_kept_back_leaves(self, gateway):
        answer = self.answer(
            gateway, {"content-type": "application/pdf", "x-by": "bob", "set-cookie": "a=bob"}, b"%PDF"
        )
        assert (answer.status_code, answer.json()["code"]) == (502, "answer_not_readable")
        assert not [value for value in answer.headers.values() if "bob" in value]
        assert answer.headers["x-content-type-options"] == "nosniff"
        gateway.apply(gateway.app(limits=Limits(response_bytes=10)))
        answer = self.answer(gateway, {"x-by": "bob"}, b'"0123456789"')
        assert (answer.json()["code"], answer.headers.get("x-by")) == ("answer_too_large", None)

    def test_an_app_whose_answers_are_not_looked_into_says_what_it_likes(self, gateway):
        gateway.apply()
        answer = self.answer(gateway, {"x-about": "bob@example.com"})
        assert answer.headers["x-about"] == "bob@example.com"
        assert "x-envoy-upstream-service-time" not in answer.headers

    def test_what_the_gateway_and_the_service_say_themselves_is_not_looked_into(self, gateway):
        service = Upstream("service")
        digest = {"decision_id": "d", "input_digest": "4111111111111111", "path": "bob@example.com"}
        body = str(digest).encode()
        try:
            gateway.apply(gateway.app(redact=KINDS, asks=True), service=DecisionService(service.endpoint, "k"))
            service.says = (403, {"x-decision-id": "4111-1111-1111-1111"}, body)
            refused = gateway.get()
            assert (refused.status_code, refused.content) == (403, body)
            assert refused.headers["x-decision-id"] == "4111-1111-1111-1111"
            service.says = (200, {}, b"")
            kept = self.answer(gateway, {"x-by": "bob@example.com"}, b'["bob@example.com"]')
            assert (kept.headers["x-by"], kept.json()) == ("[email]", ["[email]"])
            assert "x-envoy-upstream-service-time" not in kept.headers
        finally:
            gateway.apply()
            service.stop()


class TestOfTheCaller:
    """`x-forwarded-for` behind proxies that a listener trusts."""

    def heard(self, gateway, hops: int, *said: tuple[str, str]) -> dict[str, str]:
        gateway.apply(listeners=(Listener("eu", "127.0.0.1", gateway.port, "eu", None, hops),))
        sent = [("host", HOST), ("x-api-key", presented("ab")), *said]
        return httpx.get(gateway.url, headers=sent, timeout=30).json()["headers"]

    @pytest.mark.parametrize(
        ("hops", "said", "address"),
        [
            (1, ["203.0.113.7"], "203.0.113.7"),
            (1, ["2001:db8::7"], "2001:db8::7"),
            # What a caller wrote stands before what the proxy added, on one line or on one of its own.
            (1, ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
            (1, ["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
            (1, ["6.6.6.6, 6.6.6.6, 6.6.6.6,203.0.113.7"], "203.0.113.7"),
            (1, ["x" * 5000 + ", 203.0.113.7"], "203.0.113.7"),
            # A proxy that says nothing readable vouches for nobody.
            (1, [], "127.0.0.1"),
            (1, [""], "127.0.0.1"),
            (1, ["6.6.6.6, unknown"], "127.0.0.1"),
            (1, ["6.6.6.6,"], "127.0.0.1"),
            (1, ["6.6.6.6 203.0.113.7"], "127.0.0.1"),
            (1, ["192.0.2.999"], "127.0.0.1"),
            (2, ["6.6.6.6, 203.0.113.7, 10.0.0.1"], "203.0.113.7"),
            (2, ["203.0.113.7, 10.0.0.1"], "203.0.113.7"),
            # Who calls past the first proxy has named one address too few.
            (2, ["6.6.6.6"], "127.0.0.1"),
            (2, ["junk, 10.0.0.1"], "127.0.0.1"),
        ],
    )
    def test_the_app_hears_the_one_address_that_the_trusted_proxies_vouch_for(self, gateway, hops, said, address):
        headers = self.heard(gateway, hops, *(("x-forwarded-for", value) for value in said))
        assert headers["x-forwarded-for"] == address

    def test_without_a_trusted_proxy_nobody_s_word_counts(self, gateway):
        assert "203.0.113.7" not in self.heard(gateway, 0, ("x-forwarded-for", "203.0.113.7"))["x-forwarded-for"]

    def test_a_trusted_proxy_s_word_counts_for_the_address_alone(self, gateway):
        names = (
            "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-forx",
            "x-forwarded-fo", "x-forwarded-", "x-forwarded-client-cert", "x-real-ip", "true-client-ip", "forwarded",
            "x-envoy-external-address", "x-envoy-internal",
        )  # fmt: skip
        headers = self.heard(gateway, 1, ("x-forwarded-for", "203.0.113.7"), *((name, "6.6.6.6") for name in names))
        assert headers["x-forwarded-for"] == "203.0.113.7"
        assert [name for name in headers if headers[name] == "6.6.6.6"] == []

    def test_hops_are_a_small_number(self, gateway):
        for hops in (-1, 10):
            with pytest.raises(GatewayRefusal, match="trusted hops"):
                check(gateway.state(listeners=(Listener("eu", "127.0.0.1", gateway.port, "eu", None, hops),)))


class TestOfTokens:
    """The claims of a verified token go from one filter to the next in a header; nobody else's counts."""

    def test_a_caller_that_sends_verified_claims_is_nobody(self, gateway):
        issuer = Issuer()
        token = issuer.token()
        gateway.apply(gateway.app(is_public=True), providers=(issuer.provider(),))
        good = gateway.get(key_id="", authorization=f"Bearer {token}").json()["headers"]
        assert (good["x-subject"], "x-governance-verified" in good) == ("anna", False)
        claims = token.split(".")[1]
        for value in (claims, claims + "=" * (-len(claims) % 4)):
            heard = gateway.get(key_id="", x_governance_verified=value).json()["headers"]
            assert not {"x-subject", "x-role", "x-tenant", "x-governance-verified"} & set(heard)
            basic = gateway.get(key_id="", authorization="Basic eA==", x_governance_verified=value).json()["headers"]
            assert not {"x-subject", "x-role", "x-tenant", "x-governance-verified"} & set(basic)
            heard = gateway.get(x_governance_verified=value).json()["headers"]
            assert heard["x-subject"] == "key:ab"

    def test_callers_by_turns_are_not_taken_for_each_other_and_a_token_goes_with_its_issuer(self, gateway):
        issuer = Issuer()
        gateway.apply(providers=(issuer.provider(),))
        tokens = {name: issuer.token(sub=name) for name in ("anna", "ben", "cleo")}
        for _ in range(3):
            for name, token in tokens.items():
                heard = gateway.get(key_id="", authorization=f"Bearer {token}").json()["headers"]
                assert heard["x-subject"] == name
        gateway.apply(providers=(Issuer().provider(),))
        for token in tokens.values():
            assert gateway.get(key_id="", authorization=f"Bearer {token}").status_code == 401
        gateway.apply()
        for token in tokens.values():
            assert gateway.get(key_id="", authorization=f"Bearer {token}").status_code == 401
