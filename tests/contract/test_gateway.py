"""The gateway is a real Envoy: who comes in, what reaches the app, what leaves, and what a bad change cannot break."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from runtime_adapters.gateway.state import (
    Backend,
    Cohort,
    Collector,
    Cors,
    Ejection,
    Grant,
    JwtProvider,
    Limits,
    Listener,
    RateLimit,
)
from tests.contract.gateways import HOST, SECRETS, WIDE, Running, Upstream, key, presented
from tests.ports import free_port


class _Waiting:
    """What an app says once it is let to."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    def __iter__(self):
        self._gate.wait(30)
        return iter((200, {"content-type": "text/plain"}, b"late"))


@pytest.fixture(autouse=True)
def _plain(gateway):
    """Each test begins with the plain state."""
    gateway.upstream.says = None
    gateway.apply()
    gateway.upstream.calls.clear()
    gateway.other.calls.clear()


class TestKeys:
    def test_a_known_key_reaches_the_app_which_hears_who_calls_but_not_the_key(self, gateway):
        heard = gateway.get("/menu?day=1").json()
        assert heard["path"] == "/menu?day=1"
        about = {name: heard["headers"].get(name) for name in ("x-subject", "x-role", "x-tenant", "x-app")}
        assert about == {"x-subject": "key:ab", "x-role": "service", "x-tenant": "marketing", "x-app": "lunch"}
        assert "x-api-key" not in heard["headers"]

    @pytest.mark.parametrize(
        "wrong",
        [
            "",
            "gk_ab_",
            "gk_ab_" + "9" * 64,
            "gk_cd_" + SECRETS["ab"],
            "ab_" + SECRETS["ab"],
            presented("ab") + "0",
            "x",
        ],
    )
    def test_any_other_key_reaches_nothing(self, gateway, wrong):
        answer = gateway.get(key_id="", x_api_key=wrong)
        assert answer.status_code == 401
        assert not gateway.upstream.calls

    def test_no_key_and_two_keys_reach_nothing(self, gateway):
        assert gateway.get(key_id="").json()["code"] == "no_credential"
        sent = [("host", HOST), ("x-api-key", presented("ab")), ("x-api-key", presented("ab"))]
        assert httpx.get(gateway.url, headers=sent, timeout=60).json()["code"] == "several_credentials"
        assert not gateway.upstream.calls

    def test_a_key_stops_at_its_end(self, gateway):
        gateway.apply(keys=(key("ab", expires_at=int(time.time()) - 1), key("cd", expires_at=int(time.time()) + 900)))
        assert gateway.get().status_code == 401
        assert gateway.get(key_id="cd").status_code == 200

    def test_a_revoked_key_stops_on_a_connection_that_is_open(self, gateway):
        with httpx.Client(headers={"host": HOST, "x-api-key": presented("ab")}, timeout=60) as client:
            assert client.get(gateway.url).status_code == 200
            applied = gateway.apply(keys=())
            assert applied.files == ("keys.json",)
            assert client.get(gateway.url).status_code == 401

    def test_a_key_of_one_app_opens_no_other(self, gateway):
        dinner = gateway.app(app="dinner", hosts=("dinner.example.com",))
        gateway.apply(gateway.app(), dinner, keys=(key("ab", apps=("lunch",)),))
        assert gateway.get().status_code == 200
        assert gateway.get(host="dinner.example.com").json()["code"] == "key_of_another_app"

    def test_an_unknown_host_says_nothing_about_which_apps_there_are(self, gateway):
        assert gateway.get(host="nobody.example.com").status_code in {403, 404}
        assert gateway.get(host="nobody.example.com", key_id="").status_code in {401, 404}
        assert not gateway.upstream.calls


class TestGrants:
    def test_only_the_granted_roles_tenants_and_methods_come_in(self, gateway):
        keys = (key("ab"), key("cd", role="auditor"), key("ef", tenant="sales"))
        gateway.apply(gateway.app(grants=(Grant(("service",), ("marketing",), ("GET",)),)), keys=keys)
        assert [gateway.get(key_id=one).status_code for one in ("ab", "cd", "ef")] == [200, 403, 403]
        assert gateway.call("POST", content=b"{}").status_code == 403
        assert len(gateway.upstream.calls) == 1

    def test_without_a_grant_nobody_comes_in(self, gateway):
        gateway.apply(gateway.app(grants=()))
        assert gateway.get().status_code == 403

    def test_every_tenant_is_not_a_caller_without_one(self, gateway):
        gateway.apply(gateway.app(grants=(Grant(("service",), ("*",)),)), keys=(key("ab", tenant=""), key("cd")))
        assert [gateway.get(key_id=one).status_code for one in ("ab", "cd")] == [403, 200]

    def test_a_public_app_lets_in_who_shows_nothing_but_not_who_shows_something_wrong(self, gateway):
        gateway.apply(gateway.app(is_public=True, grants=()))
        answer = gateway.get(key_id="", x_role="platform", x_subject="root")
        assert answer.status_code == 200
        assert not {"x-role", "x-subject"} & set(answer.json()["headers"])
        assert gateway.get(key_id="", x_api_key="gk_ab_00").status_code == 401


class TestLimits:
    def test_the_bucket_of_an_app_runs_dry_and_is_no_other_app_s(self, gateway):
        dinner = gateway.app(app="dinner", hosts=("dinner.example.com",))
        gateway.apply(gateway.app(rate=RateLimit(3, 3600)), dinner)
        assert [gateway.get().status_code for _ in range(5)] == [200, 200, 200, 429, 429]
        assert gateway.get(host="dinner.example.com").status_code == 200
        # A change of keys fills no bucket.
        gateway.apply(gateway.app(rate=RateLimit(3, 3600)), dinner, keys=(key("ab"), key("cd")))
        assert gateway.get().status_code == 429

    def test_a_body_over_the_limit_does_not_arrive(self, gateway):
        gateway.apply(gateway.app(limits=Limits(request_bytes=100)))
        assert gateway.call("POST", content=b"x" * 100).status_code == 200
        assert gateway.call("POST", content=b"x" * 101).status_code == 413
        assert gateway.call("POST", content=iter([b"x" * 60, b"y" * 60])).status_code == 413
        assert len(gateway.upstream.calls) == 1

    def test_an_answer_over_the_limit_does_not_leave(self, gateway):
        gateway.apply(gateway.app(limits=Limits(response_bytes=10)))
        gateway.upstream.says = (200, {"content-type": "text/plain"}, b"0123456789")
        assert gateway.get().text == "0123456789"
        gateway.upstream.says = (200, {"content-type": "text/plain"}, b"0123456789a")
        assert (gateway.get().status_code, gateway.get().json()["code"]) == (502, "answer_too_large")

    def test_cross_origin_calls_are_allowed_by_name(self, gateway):
        gateway.apply(gateway.app(cors=Cors(("https://intranet.example.com",), ("GET", "PUT"))))
        asked = {"origin": "https://intranet.example.com", "access_control_request_method": "PUT"}
        allowed = gateway.call("OPTIONS", key_id="", **asked)
        assert allowed.headers["access-control-allow-origin"] == "https://intranet.example.com"
        refused = gateway.call("OPTIONS", key_id="", **{**asked, "origin": "https://evil.example"})
        assert "access-control-allow-origin" not in refused.headers


class TestVersions:
    def test_weights_split_cohorts_choose_and_a_mirror_hears(self, gateway):
        both = (
            Backend("stable", (gateway.upstream.endpoint,), 80), Backend("canary", (gateway.other.endpoint,), 20),
        )  # fmt: skip
        cohorts = (Cohort("x-cohort", "early", "canary"), Cohort("x-subject", "key:cd", "canary"))
        gateway.apply(gateway.app(backends=both, cohorts=cohorts), keys=(key("ab"), key("cd")))
        names = [gateway.get().json()["name"] for _ in range(200)]
        assert 10 <= names.count("canary") <= 80
        assert {gateway.get(x_cohort="early").json()["name"] for _ in range(10)} == {"canary"}
        assert {gateway.get(key_id="cd").json()["name"] for _ in range(10)} == {"canary"}
        # Nobody writes the gateway's own headers into another cohort.
        assert "stable" in {gateway.get(x_subject="key:cd").json()["name"] for _ in range(20)}

    def test_a_mirror_gets_every_call_and_answers_none(self, gateway):
        both = (Backend("stable", (gateway.upstream.endpoint,)), Backend("next", (gateway.other.endpoint,), 0))
        gateway.apply(gateway.app(backends=both, mirror="next"))
        assert gateway.get("/copied").json()["name"] == "stable"
        deadline = time.monotonic() + 20
        while not gateway.other.calls and time.monotonic() < deadline:
            time.sleep(0.01)
        assert gateway.other.calls[0]["path"] == "/copied"

    def test_a_version_that_fails_is_left_out_for_a_while(self, gateway):
        both = (Backend("stable", (gateway.upstream.endpoint, gateway.other.endpoint)),)
        gateway.other.says = (500, {}, b"broken")
        try:
            gateway.apply(gateway.app(backends=both, ejection=Ejection(consecutive_5xx=3, for_s=60)))
            statuses = [gateway.get().status_code for _ in range(40)]
        finally:
            gateway.other.says = None
        assert 3 <= statuses.count(500) <= 4, statuses
        assert set(statuses[-20:]) == {200}

    def test_more_calls_at_once_than_an_app_may_get_are_turned_away_and_reach_nothing(self, gateway):
        gate = threading.Event()
        gateway.upstream.says = _Waiting(gate)
        gateway.apply(gateway.app(limits=Limits(connections=1, pending=1, requests=1)))
        with ThreadPoolExecutor(6) as pool:
            running = [pool.submit(gateway.get) for _ in range(6)]
            deadline = time.monotonic() + 30
            while sum(one.done() for one in running) < 4 and time.monotonic() < deadline:
                time.sleep(0.01)
            gate.set()
            statuses = sorted(one.result().status_code for one in running)
        assert statuses.count(503) >= 4, statuses
        assert 200 in statuses
        assert len(gateway.upstream.calls) == statuses.count(200)

    def test_an_app_is_served_in_its_regions_alone(self, gateway):
        port = free_port()
        listeners = (Listener("eu", "127.0.0.1", gateway.port, "eu"), Listener("us", "127.0.0.1", port, "us"))
        roaming = gateway.app(app="roaming", hosts=("roaming.example.com",), regions=("us", "eu"))
        gateway.apply(gateway.app(), roaming, listeners=listeners)
        us = f"http://127.0.0.1:{port}"
        assert gateway.get().status_code == 200
        assert httpx.get(us, headers={"host": HOST, "x-api-key": presented("ab")}, timeout=60).status_code in {403, 404}
        sent = {"host": "roaming.example.com", "x-api-key": presented("ab")}
        assert httpx.get(us, headers=sent, timeout=60).status_code == 200
        gateway.apply()
        gateway.apply(gateway.app(regions=()))
        assert gateway.get().status_code in {403, 404}


class TestOnTheWay:
    def test_an_app_on_a_socket_of_this_host_is_reached(self, gateway, tmp_path):
        local = Upstream("local", str(tmp_path / "app.sock"))
        try:
            gateway.apply(gateway.app(backends=(Backend("stable", (local.endpoint,)),)))
            heard = gateway.get("/menu").json()
        finally:
            local.stop()
        assert (heard["name"], heard["path"]) == ("local", "/menu")

    def test_a_call_without_a_trace_begins_one_with_its_request_id_and_one_with_a_trace_keeps_it(self, gateway):
        answer = gateway.get()
        trace = answer.json()["headers"]["traceparent"].split("-")
        assert trace[1] == answer.headers["x-request-id"].replace("-", "")
        assert (trace[0], len(trace[2]), trace[3]) == ("00", 16, "00")
        named = f"00-{'ab' * 16}-{'cd' * 8}-01"
        assert gateway.get(traceparent=named).json()["headers"]["traceparent"] == named
        assert gateway.get(traceparent="made up").json()["headers"]["traceparent"] != "made up"

    def test_an_app_hears_in_which_region_it_is_called_from_the_gateway_alone(self, gateway):
        assert gateway.get(x_region="us").json()["headers"]["x-region"] == "eu"


class TestSpans:
    def test_a_call_s_span_reaches_the_collector_under_the_trace_that_the_app_hears(self, gateway):
        collector = Upstream("collector")
        collector.says = (200, {"content-type": "application/x-protobuf"}, b"")
        trace = "ab" * 16
        try:
            gateway.apply(collector=Collector(collector.endpoint))
            heard = gateway.get(traceparent=f"00-{trace}-{'cd' * 8}-01").json()
            assert heard["headers"]["traceparent"].split("-")[1] == trace
            deadline = time.monotonic() + 60
            while not collector.calls and time.monotonic() < deadline:
                gateway.get(traceparent=f"00-{trace}-{'cd' * 8}-01")
                time.sleep(0.1)
            (sent, *_) = collector.calls
        finally:
            gateway.apply()
            collector.stop()
        assert sent["path"] == "/v1/traces"
        assert bytes.fromhex(trace) in sent["body"].encode("latin-1")
        assert presented("ab") not in sent["body"]


class TestHeadersAndPaths:
    def test_what_only_the_gateway_says_is_taken_off_every_call(self, gateway):
        claims = {
            "x-app": "payroll", "x-tenant": "hr", "x-role": "platform", "x-subject": "root", "x-decision-id": "made-up",
            "x-envoy-original-path": "/admin", "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx",
            "x-forwarded-client-cert": "By=me", "x-original-url": "/admin", "x-http-method-override": "DELETE",
        }  # fmt: skip
        sent = [(name.upper(), value) for name, value in claims.items()]
        sent += [("host", HOST), ("x-api-key", presented("ab")), ("x-role", "again")]
        heard = httpx.get(gateway.url, headers=sent, timeout=60).json()["headers"]
        assert heard["x-role"] == "service"
        assert not set(claims.values()) & set(heard.values()) - {"1"}
        assert "x-envoy-upstream-rq-timeout-ms" not in heard

    def test_names_with_underscores_are_refused(self, gateway):
        sent = [("host", HOST), ("x-api-key", presented("ab")), ("x_role", "platform")]
        assert httpx.get(gateway.url, headers=sent, timeout=60).status_code == 400

    @pytest.mark.parametrize(
        "path",
        ["/a%2fb", "/a%2Fb", "/a%5cb", "/a%00", "/a%252fb", "/a%0d%0a"],
    )
    def test_a_path_that_others_read_differently_is_refused(self, gateway, path):
        assert (
            raw_status(gateway, f"GET {path} HTTP/1.1\r\nhost: {HOST}\r\nx-api-key: {presented('ab')}\r\n\r\n") == 400
        )
        assert not gateway.upstream.calls

    def test_dots_and_slashes_are_resolved_before_an_app_is_chosen(self, gateway):
        gateway.apply(
            gateway.app(prefix="/lunch"),
            gateway.app(app="pay", prefix="/pay", grants=(), backends=(Backend("stable", (gateway.other.endpoint,)),)),
            shared_hosts=(HOST,),
        )
        wire = "GET {} HTTP/1.1\r\nhost: " + HOST + "\r\nx-api-key: " + presented("ab") + "\r\n\r\n"
        assert raw_status(gateway, wire.format("/lunch/x")) == 200
        for path in (
            "/lunch/../pay", "/lunch/%2e%2e/pay", "//pay", "/./pay/x", "/lunchbox", "/lunch/..;/pay",
            "/lunch/..;x=1/pay", "/lunch\\..\\pay",
        ):  # fmt: skip
            assert raw_status(gateway, wire.format(path)) in {403, 404}, path
        assert not gateway.other.calls
        assert raw_status(gateway, wire.format("/lunch//a/..;/b")) == 200
        assert gateway.upstream.calls[-1]["path"] == "/lunch/b"

    @pytest.mark.parametrize(
        "framing",
        [
            "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
            "transfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n",
            "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
            "content-length: +5\r\n\r\nhello",
            "x : y\r\n\r\n",
            "host: other.example.com\r\n\r\n",
        ],
    )
    def test_a_body_that_ends_in_two_places_is_refused(self, gateway, framing):
        wire = f"POST / HTTP/1.1\r\nhost: {HOST}\r\nx-api-key: {presented('ab')}\r\n{framing}"
        assert raw_status(gateway, wire) in {0, 400, 403, 404, 501}
        assert not gateway.upstream.calls

    def test_answers_are_hardened_and_say_little(self, gateway):
        gateway.upstream.says = (200, {"content-type": "text/plain", "x-powered-by": "PHP", "x-role": "platform"}, b"x")
        headers = gateway.get().headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["server"] == "gateway"
        assert not {"x-powered-by", "x-role", "x-envoy-upstream-service-time"} & set(headers)


def raw_status(gateway: Running, wire: str) -> int:
    """The status that these very bytes get; 0 where the connection was just closed."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        connection.sendall(wire.encode("latin-1"))
        first = connection.recv(65536)
    return int(first.split()[1]) if first else 0


ISSUER = "https://idp.example.com"


@pytest.fixture(scope="module")
def idp():
    return Issuer()


class Issuer:
    """Two signing keys, one in force and one to come."""

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._keys = {kid: ec.generate_private_key(ec.SECP256R1()) for kid in ("one", "two")}

    def jwks(self, *kids: str) -> str:
        return json.dumps({"keys": [self._public(kid) for kid in kids]})

    def _public(self, kid: str) -> dict[str, str]:
        numbers = self._keys[kid].public_key().public_numbers()
        point = {name: b64(getattr(numbers, name).to_bytes(32, "big")) for name in ("x", "y")}
        return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, **point}

    def token(self, kid: str = "one", *, header: dict | None = None, **claims) -> str:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        body = {"iss": ISSUER, "aud": "gateway", "sub": "anna", "role": "citizen", "tenant": "marketing"}
        body = {**body, "exp": int(time.time()) + 600, **claims}
        kept = {name: value for name, value in body.items() if value is not None}
        head = header or {"alg": "ES256", "kid": kid, "typ": "JWT"}
        signed = ".".join(b64(json.dumps(part).encode()) for part in (head, kept))
        r, s = decode_dss_signature(self._keys[kid].sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def provider(self, *kids: str, **more) -> JwtProvider:
        return JwtProvider("staff", ISSUER, ("gateway",), self.jwks(*(kids or ("one",))), **more)


def b64(raw: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_token(gateway, token: str, **headers: str) -> httpx.Response:
    return gateway.get(key_id="", authorization=f"Bearer {token}", **headers)


class TestTokens:
    def test_a_good_token_says_who_calls_and_goes_no_further(self, gateway, idp):
        gateway.apply(providers=(idp.provider(),))
        heard = with_token(gateway, idp.token()).json()["headers"]
        assert (heard["x-subject"], heard["x-role"], heard["x-tenant"]) == ("anna", "citizen", "marketing")
        assert "authorization" not in heard

    def test_any_other_token_reaches_nothing(self, gateway, idp):
        gateway.apply(gateway.app(is_public=True), providers=(idp.provider(),))
        good = idp.token()
        head, body, signature = good.split(".")
        unsigned = ".".join((b64(b'{"alg":"none"}'), body, ""))
        wrong = {
            "expired": idp.token(exp=int(time.time()) - 120),
            "without an end": idp.token(exp=None),
            "not yet": idp.token(nbf=int(time.time()) + 600),
            "for somebody else": idp.token(aud="payroll"),
            "of another issuer": idp.token(iss="https://evil.example"),
            "of a key that is not in force": idp.token("two"),
            "unsigned": unsigned,
            "none in capitals": ".".join((b64(b'{"alg":"None"}'), body, signature)),
            "hash with the public key": idp.token(header={"alg": "HS256", "kid": "one"}),
            "changed": ".".join((head, b64(b'{"iss":"https://idp.example.com","aud":"gateway"}'), signature)),
            "no token": "x.y.z",
        }
        statuses = {name: with_token(gateway, token).status_code for name, token in wrong.items()}
        assert set(statuses.values()) <= {401, 403}, statuses
        assert not gateway.upstream.calls
        assert with_token(gateway, good).status_code == 200

    def test_a_token_in_the_address_or_beside_a_key_does_not_count(self, gateway, idp):
        gateway.apply(providers=(idp.provider(),))
        assert gateway.get(f"/?access_token={idp.token()}", key_id="").status_code == 401
        assert gateway.get(authorization=f"Bearer {idp.token()}").json()["code"] == "several_credentials"
        assert not gateway.upstream.calls

    def test_a_role_or_tenant_that_is_no_text_is_none(self, gateway, idp):
        gateway.apply(providers=(idp.provider(),))
        for claims in (
            {"role": None},
            {"role": ["citizen"]},
            {"tenant": None},
            {"tenant": {"a": 1}},
            {"tenant": "sales"},
        ):
            assert with_token(gateway, idp.token(**claims)).status_code == 403, claims
        gateway.apply(providers=(idp.provider(tenant="sales"),))
        assert with_token(gateway, idp.token()).status_code == 403

    def test_keys_rotate_on_a_connection_that_is_open(self, gateway, idp):
        gateway.apply(providers=(idp.provider("one"),))
        old, new = idp.token("one"), idp.token("two")
        with httpx.Client(headers={"host": HOST}, timeout=60) as client:

            def statuses() -> list[int]:
                return [
                    client.get(gateway.url, headers={"authorization": f"Bearer {t}"}).status_code for t in (old, new)
                ]

            assert statuses() == [200, 401]
            assert gateway.apply(providers=(idp.provider("one", "two"),)).files == ("issuers.json",)
            assert statuses() == [200, 200]
            gateway.apply(providers=(idp.provider("two"),))
            assert statuses() == [401, 200]


FOUND = {
    "email": [
        "bob@example.com",
        "josé.b+x@mail.example.co",
        "a%40b.example.org",
        "very.long-name_x@sub.example.museum",
    ],
    "iban": ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "fr1420041010050500013m02606"],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "371449635398431", "6011111111111117"],
    "ssn": ["078-05-1120"],
    "phone": ["+49 30 901820", "+1 (212) 555-0100"],
}
REST = [
    "order 4111 1111 1111 1112",
    "2026-03-01",
    "a@b",
    "@handle",
    "DE89370400440532013001",
    "1.2.3.4",
    "100 %",
    "1-2-3",
]


class TestAnswers:
    @pytest.fixture(autouse=True)
    def _cut(self, gateway):
        gateway.apply(gateway.app(redact=tuple(FOUND)))

    def answer(self, gateway, body: bytes, content_type: str = "application/json", **headers: str) -> httpx.Response:
        gateway.upstream.says = (200, {"content-type": content_type, **headers}, body)
        return gateway.get()

    @pytest.mark.parametrize("escaped", [True, False])
    def test_what_was_found_is_gone_and_the_rest_is_as_it_was(self, gateway, escaped):
        found = [f"x {value}, y\n{value}" for values in FOUND.values() for value in values]
        body = {
            "found": found,
            "rest": REST,
            "number": 4111111111111111,
            "other": 42,
            "quote": 'a "b\\',
            "deep": [{}, None],
        }
        answer = self.answer(gateway, json.dumps(body, ensure_ascii=escaped).encode())
        read = answer.json()
        assert read["found"] == [f"x [{kind}], y\n[{kind}]" for kind, values in FOUND.items() for _ in values]
        assert {name: read[name] for name in ("rest", "other", "quote", "deep")} == {
            name: body[name] for name in ("rest", "other", "quote", "deep")
        }
        assert read["number"] == "[card]"

    def test_escapes_hide_nothing(self, gateway):
        raw = rb'{"a":"bob\u0040example.com","b":"\u0034111111111111111","c":"x\\u0040y.z","d":"\ud83d\ude00 bob@example.com"}'
        read = self.answer(gateway, raw).json()
        assert read == {"a": "[email]", "b": "[card]", "c": "x\\u0040y.z", "d": "\U0001f600 [email]"}

    @pytest.mark.parametrize("content_type", ["text/json", "text/plain", "application/javascript", "text/html"])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
    def test_escapes_hide_nothing_in_json_that_is_called_text(self, gateway, content_type, mark):
        raw = rb'["anna\u0040example.com", "\u002B49 30 901820", 4111111111111111, "a\/b \u003cscript\u003e"]'
        answer = self.answer(gateway, mark + raw, content_type)
        assert answer.content == mark + rb'["[email]", "[phone]", "[card]", "a/b \u003cscript\u003e"]'

    @pytest.mark.parametrize(
        ("raw", "left"),
        [
            (rb'call({"a": "anna\u0040example.com"});', b'call({"a": "[email]"});'),
            (rb"let a = 'anna\u0040example.com', b = '\u0027';", rb"let a = '[email]', b = '\u0027';"),
            (
                b'data: {"a": "x"}\n\ndata: {"a": "078\\u002D05\\u002d1120"}\n\n',
                b'data: {"a": "x"}\n\ndata: {"a": "[ssn]"}\n\n',
            ),
            (rb'a = "\u003cb\u003e anna\u0040example.com \u0026"', rb'a = "\u003cb\u003e [email] \u0026"'),
        ],
    )
    def test_escapes_of_a_script_or_a_stream_hide_nothing_and_none_that_guards_is_taken_off(self, gateway, raw, left):
        for content_type in ("application/javascript", "text/html", "text/event-stream"):
            assert self.answer(gateway, raw, content_type).content == left

    def test_after_a_line_of_json_that_is_broken_escapes_hide_nothing(self, gateway):
        raw = b'{"a": "x\n{"a": "anna\\u0040example.com"}\n'
        assert b"anna" not in self.answer(gateway, raw, "application/x-ndjson").content

    @pytest.mark.parametrize("content_type", ["text/plain", "application/javascript"])
    @pytest.mark.parametrize(
        "harmless",
        [
            rb'["C:\/temp", "\u0041\u00e9"]',
            rb'[x] "\u0041"',
            rb"/[a\u0040-\u00ff]+\/\u002B/",
            rb'{"a": "x\u0040y"}',
            rb'{"a": "x\\u002B49 30 901820"}',
        ],
    )
    def test_escapes_of_a_text_that_hide_nothing_stay(self, gateway, harmless, content_type):
        assert self.answer(gateway, harmless, content_type).content == harmless

    def test_text_is_looked_into_and_pictures_are_not(self, gateway):
        assert self.answer(gateway, b"mail bob@example.com.", "text/plain; charset=utf-8").text == "mail [email]."
        assert self.answer(gateway, b"\x89PNG bob@example.com", "image/png").content == b"\x89PNG bob@example.com"

    @pytest.mark.parametrize(
        ("content_type", "headers"),
        [
            ("application/pdf", {}),
            ("application/octet-stream", {}),
            ("application/grpc", {}),
            ("text/plain; charset=utf-16", {}),
            ("application/json", {"content-encoding": "gzip"}),
        ],
    )
    def test_what_cannot_be_looked_into_does_not_leave(self, gateway, content_type, headers):
        answer = self.answer(gateway, b"bob@example.com", content_type, **headers)
        assert answer.status_code == 502
        assert "bob" not in answer.text

    @pytest.mark.parametrize("content_type", ["application/json", "text/csv", "application/xml"])
    @pytest.mark.parametrize("code", WIDE)
    def test_what_has_more_than_a_byte_a_letter_does_not_leave_whatever_its_type_says(
        self, gateway, content_type, code
    ):
        answer = self.answer(gateway, '{"a": "bob@example.com"}'.encode(code), content_type)
        assert (answer.status_code, answer.json()["code"]) == (502, "answer_not_readable")

    def test_a_mark_of_utf_8_and_letters_of_latin_1_are_no_such_thing(self, gateway):
        assert self.answer(gateway, b'\xef\xbb\xbf{"a": "bob@example.com"}').content == b'\xef\xbb\xbf{"a": "[email]"}'
        for harmless in (b"caf\xe9", b"\xef\xbb\xbfa", b"a \xff\xfe", b"\xfe"):
            assert self.answer(gateway, harmless, "text/plain").content == harmless

    def test_parts_and_encodings_are_not_asked_for(self, gateway):
        heard = gateway.get(range="bytes=0-3", accept_encoding="gzip").json()["headers"]
        assert not {"range", "accept-encoding"} & set(heard)

    def test_broken_json_is_looked_into_as_text(self, gateway):
        assert "bob" not in self.answer(gateway, b'{"a": "x \\" bob@example.com').text
        assert "bob" not in self.answer(gateway, b"\xff \xfe bob@example.com").text

    @pytest.mark.parametrize("unit", [b"a.", b"1 ", b"@", b"a@", b"DE89", b"+1 ", b'"\\', b"%40", b"4111-", b"\\u00"])
    @pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
    def test_no_answer_takes_the_gateway_s_time(self, gateway, unit, content_type):
        """A megabyte of what patterns like least; a quadratic one would take minutes."""
        small, large = (
            self.seconds(gateway, unit * (size // len(unit)), content_type) for size in (100_000, 1_000_000)
        )
        assert large < 60 * max(small, 0.02)

    @pytest.mark.parametrize("shape", [(b"+1", b" ", b"1"), (b"a@", b"b.", b"-"), (b"1", b" ", b"1")])
    def test_no_one_long_value_takes_it_either(self, gateway, shape):
        """What a pattern goes over again from each of its bytes takes minutes at this length."""
        first, unit, last = shape
        assert self.seconds(gateway, first + unit * (400_000 // len(unit)) + last) < 20

    def seconds(self, gateway, body: bytes, content_type: str = "application/json") -> float:
        begun = time.monotonic()
        assert self.answer(gateway, body, content_type).status_code == 200
        return time.monotonic() - begun
