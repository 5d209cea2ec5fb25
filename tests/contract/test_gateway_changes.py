"""A change of the gateway takes effect at once or not at all, and the last good one outlives everything."""

from __future__ import annotations

import os
import signal
import ssl
import threading
import time

import httpx
import pytest

from runtime_adapters.gateway.applying import GatewayFolder
from runtime_adapters.gateway.configuration import KEYS, LISTENERS, one_of_each, render, routes_file
from runtime_adapters.gateway.process import Envoy, write_private
from runtime_adapters.gateway.state import (
    Backend,
    Cohort,
    Cors,
    DecisionService,
    Endpoint,
    GatewayRefusal,
    Grant,
    JwtProvider,
    Listener,
    RateLimit,
    Tls,
)
from tests.contract.gateways import HOST, Upstream, key, presented
from tests.ports import free_port


@pytest.fixture(autouse=True)
def _plain(gateway):
    gateway.apply()
    gateway.upstream.calls.clear()


def files(gateway) -> dict[str, str]:
    return {path.name: path.read_text() for path in gateway.folder.glob("*.json")}


def other_app(gateway, **changes):
    plain = gateway.app(app="dinner", tenant="sales", hosts=("dinner.example.com",))
    return plain._replace(**changes)


WRONG = {
    "the same host": ({"hosts": (HOST,)}, "app 'dinner': host 'lunch.example.com' belongs to app 'lunch'"),
    "the same name": ({"app": "lunch"}, "app 'lunch' is there twice"),
    "no backend": ({"backends": ()}, "app 'dinner' has no backend"),
    "an unknown cohort": ({"cohorts": (Cohort("x-a", "b", "canary"),)}, "app 'dinner': there is no backend 'canary'"),
    "an unknown mirror": ({"mirror": "next"}, "app 'dinner': there is no backend 'next'"),
    "an unknown kind": ({"redact": ("passport",)}, "app 'dinner': nothing can cut out 'passport'"),
    "nobody to ask": ({"asks": True}, "app 'dinner' asks the decision service"),
    "every host": ({"hosts": ("*",)}, "app 'dinner': '*' is no host"),
    "a line in a host": ({"hosts": ("a\nb",)}, "app 'dinner'"),
    "dots in a prefix": ({"prefix": "/a/../b"}, "app 'dinner'"),
    "a script in a name": ({"app": "]] os.exit() [["}, "is no name"),
    "every role": ({"grants": (Grant(("*",), ("sales",)),)}, "a grant names its roles"),
    "every origin": ({"cors": Cors(("*",))}, "app 'dinner': '*' is no origin"),
    "no port": ({"backends": (Backend("stable", (Endpoint("127.0.0.1", 0),)),)}, "app 'dinner': port 0 is none"),
    "an empty bucket": ({"rate": RateLimit(0, 1)}, "app 'dinner': a rate"),
    "no weight": ({"backends": (Backend("stable", (Endpoint("127.0.0.1", 1),), 0),)}, "app 'dinner': no backend"),
}  # fmt: skip


class TestRefused:
    @pytest.mark.parametrize("what", WRONG)
    def test_a_wrong_app_is_named_and_nothing_is_written(self, gateway, what):
        changes, said = WRONG[what]
        before = files(gateway)
        with pytest.raises(GatewayRefusal) as refused:
            gateway.apply(gateway.app(), other_app(gateway, **changes))
        assert said in str(refused.value)
        assert files(gateway) == before
        assert gateway.get().status_code == 200

    def test_apps_that_share_a_host_need_places_of_their_own(self, gateway):
        def apply(first: str, second: str) -> None:
            apps = gateway.app(prefix=first), other_app(gateway, hosts=(HOST,), prefix=second)
            gateway.apply(*apps, shared_hosts=(HOST,))

        for first, second in (("/a", "/a"), ("/", "/a"), ("/a", "/a/b"), ("/a/b/c", "/a")):
            with pytest.raises(GatewayRefusal, match=r"belongs to|lies within"):
                apply(first, second)
        apply("/a", "/ab")
        assert gateway.get("/a/x").status_code == 200
        assert gateway.get("/ab").status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"keys": (key("ab")._replace(sha256="x"),)},
            {"keys": (key("ab")._replace(role="*"),)},
            {"keys": (key("ab")._replace(tenant="a b]]"),)},
            {"keys": (key("ab"), key("ab"))},
            {"providers": (JwtProvider("p", "https://i", ("a",), "{}"),)},
            {"providers": (JwtProvider("p", "https://i", ("a",), '{"keys":[{"kty":"oct","k":"AA"}]}'),)},
            {"providers": (JwtProvider("p", "https://i", (), '{"keys":[{"kty":"RSA"}]}'),)},
        ],
    )
    def test_wrong_keys_and_issuers_are_refused_before_anything_is_written(self, gateway, changes):
        before = files(gateway)
        with pytest.raises(GatewayRefusal):
            gateway.apply(**changes)
        assert files(gateway) == before

    def test_what_only_envoy_can_see_is_refused_before_anything_is_written(self, gateway):
        before = files(gateway)
        broken = Tls("/nowhere/cert.pem", "/nowhere/key.pem")
        listeners = (Listener("eu", "127.0.0.1", gateway.port, "eu", broken),)
        with pytest.raises(GatewayRefusal, match=r"Envoy refuses it: .*/nowhere"):
            gateway.apply(listeners=listeners)
        assert files(gateway) == before
        assert gateway.get().status_code == 200

    def test_what_a_running_gateway_refuses_is_taken_back(self, gateway):
        """A port that is taken passes every look before; only the gateway that should listen there can tell."""
        import socket

        before = files(gateway)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            more = Listener("us", "127.0.0.1", taken.getsockname()[1], "us")
            with pytest.raises(GatewayRefusal, match=r"refuses listeners\.json"):
                gateway.apply(listeners=(Listener("eu", "127.0.0.1", gateway.port, "eu"), more))
        assert {name: text for name, text in files(gateway).items() if name in before} == before
        assert gateway.get().status_code == 200

    def test_a_file_that_somebody_else_breaks_leaves_the_last_good_one_serving(self, gateway):
        good = (gateway.folder / KEYS).read_text()
        for text in (
            "",
            "{",
            '{"resources":[{"@type":"type.googleapis.com/nothing"}]}',
            good.replace("function", "fun"),
        ):
            write_private(gateway.folder / KEYS, text)
            assert gateway.get().status_code == 200
            assert gateway.get(key_id="cd").status_code == 401
        gateway.apply()
        assert (gateway.folder / KEYS).read_text() == good


class TestInForce:
    def test_a_version_that_goes_is_missed_by_no_call(self, gateway):
        """The new routes are there before the old cluster is gone."""
        old, new = (Backend(name, (gateway.upstream.endpoint,)) for name in ("old", "new"))
        for backend in (old, new, old):
            gateway.apply(gateway.app(backends=(backend,)))
            assert gateway.get().status_code == 200

    def test_the_same_state_gives_the_same_bytes_and_no_change(self, gateway):
        assert render(gateway.state(), "/x") == render(gateway.state(), "/x")
        assert gateway.apply().files == ()

    def test_one_app_more_changes_nothing_but_routes_and_clusters(self, gateway):
        applied = gateway.apply(gateway.app(), other_app(gateway))
        assert set(applied.files) == {"clusters.json", routes_file("eu")}
        assert gateway.get(host="dinner.example.com").status_code == 200
        gateway.apply()
        assert gateway.get(host="dinner.example.com").status_code in {403, 404}

    def test_a_gateway_that_was_killed_comes_back_with_the_last_good_one(self, gateway):
        gateway.apply(keys=(key("cd"),))
        os.kill(gateway.envoy.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while gateway.envoy.is_running and time.monotonic() < deadline:
            time.sleep(0.01)
        gateway.envoy.start()
        assert gateway.get(key_id="cd").status_code == 200
        assert gateway.get(key_id="ab").status_code == 401

    def test_two_gateways_follow_one_folder(self, gateway, tmp_path):
        second = Envoy(gateway.program, gateway.folder, "second").start()
        try:
            both = [gateway.envoy.admin_socket, second.admin_socket]
            applied = gateway.gateway.apply(gateway.state(keys=()), both)
            assert applied.files == (KEYS,)
            for _ in range(10):
                assert (
                    httpx.get(gateway.url, headers={"host": HOST, "x-api-key": presented("ab")}, timeout=60).status_code
                    == 401
                )
        finally:
            second.stop()

    def test_nobody_else_reads_the_files(self, gateway):
        assert {path.stat().st_mode & 0o077 for path in gateway.folder.glob("*.json")} == {0}
        assert gateway.folder.stat().st_mode & 0o077 == 0

    def test_a_line_a_call_is_written_without_query_or_key(self, gateway):
        gateway.get("/menu?email=bob@example.com", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        deadline = time.monotonic() + 30
        while '"/menu"' not in gateway.access_log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        import json

        lines = [json.loads(line) for line in gateway.access_log.read_text().splitlines()]
        (line,) = [line for line in lines if line["path"] == "/menu"]
        about = {name: line[name] for name in ("app", "tenant", "deploy_decision", "caller", "status")}
        assert about == {
            "app": "lunch", "tenant": "marketing", "deploy_decision": "decision-1", "caller": "key:ab", "status": 200,
        }  # fmt: skip
        assert line["traceparent"].startswith("00-aaaa")
        assert "bob" not in json.dumps(line)
        assert presented("ab") not in gateway.access_log.read_text()


class TestAsked:
    """The decision service is asked about each call of an app that wants it; here something that answers like it."""

    def state(self, gateway, endpoint: Endpoint):
        return gateway.state(gateway.app(asks=True), other_app(gateway, grants=(Grant(("service",), ("marketing",)),)),
                             service=DecisionService(endpoint, "gateway-key"))  # fmt: skip

    def test_a_yes_goes_on_a_no_stops_and_silence_is_a_no(self, gateway):
        service = Upstream("service")
        # Connections that are open do not go round the question: this one is, since before there was one to ask.
        assert gateway.get().status_code == 200
        gateway.upstream.calls.clear()
        gateway.gateway.apply(self.state(gateway, service.endpoint), [gateway.envoy.admin_socket])
        service.says = (200, {"x-decision-id": "d-7", "x-role": "platform"}, b"")
        heard = gateway.call("POST", "/order", content=b"body").json()
        assert heard["headers"]["x-decision-id"] == "d-7"
        assert heard["headers"]["x-role"] == "service"
        (asked,) = service.calls
        assert (asked["path"], asked["body"], asked["headers"]["x-app"]) == ("/ext-authz/order", "body", "lunch")
        assert asked["headers"]["x-api-key"] == "gateway-key"
        service.says = (403, {"x-decision-id": "d-8"}, b"{}")
        refused = gateway.get()
        assert (refused.status_code, refused.headers["x-decision-id"]) == (403, "d-8")
        for status in (500, 302, 204):
            service.says = (status, {}, b"")
            assert gateway.get().status_code != 200, status
        calls = len(gateway.upstream.calls)
        service.stop()
        nobody = Endpoint("127.0.0.1", free_port())
        gateway.gateway.apply(self.state(gateway, nobody), [gateway.envoy.admin_socket])
        assert gateway.get().status_code in {403, 503}
        assert len(gateway.upstream.calls) == calls == 1
        # An app that asks nobody is not held up.
        assert gateway.get(host="dinner.example.com").status_code == 200


class TestTls:
    def test_old_versions_and_callers_without_a_certificate_are_turned_away(self, gateway, tmp_path):
        ca, server, client = certificates(tmp_path)
        port = free_port()
        tls = Tls(*server, client_ca=ca, mark="1")
        secure = Listener("secure", "127.0.0.1", port, "eu", tls)
        gateway.apply(listeners=(Listener("eu", "127.0.0.1", gateway.port, "eu"), secure))
        trusting = ssl.create_default_context(cafile=ca)
        url = f"https://localhost:{port}"
        sent = {"host": HOST, "x-api-key": presented("ab")}
        with pytest.raises(httpx.TransportError):
            httpx.get(url, headers=sent, verify=trusting, timeout=60)
        trusting.load_cert_chain(*client)
        answer = httpx.get(url, headers=sent, verify=trusting, timeout=60)
        assert answer.status_code == 200
        assert "max-age" in answer.headers["strict-transport-security"]
        trusting.minimum_version = ssl.TLSVersion.TLSv1
        trusting.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.TransportError):
            httpx.get(url, headers=sent, verify=trusting, timeout=60)
        applied = gateway.apply(
            listeners=(Listener("eu", "127.0.0.1", gateway.port, "eu"), secure._replace(tls=tls._replace(mark="2")))
        )
        assert applied.files == (LISTENERS,)


def certificates(folder) -> tuple[str, tuple[str, str], tuple[str, str]]:
    """A certificate authority, a server of it at localhost, and a client of it."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def made(name, issuer=None, issuer_key=None):
        private = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        built = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or subject).public_key(private.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(issuer_key or private, hashes.SHA256())
        )  # fmt: skip
        cert, key_file = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
        key_file.write_bytes(private.private_bytes(serialization.Encoding.PEM, plain[1], plain[0]))
        return (str(cert), str(key_file)), subject, private

    (ca, _), subject, private = made("ca")
    server, _, _ = made("localhost", subject, private)
    client, _, _ = made("client", subject, private)
    return ca, server, client


class TestOneOfEach:
    """Envoy looks at one app of every sort; what could make it refuse one has to be a sort of its own."""

    def test_apps_alike_are_one_sort_and_every_difference_that_envoy_sees_is_another(self, gateway):
        plain = gateway.app()
        alike = plain._replace(app="dinner", hosts=("dinner.example.com",), rate=None, decision_id="other")
        (backend,) = plain.backends
        others = [
            plain._replace(app=f"app-{at}", hosts=(f"app-{at}.example.com",), **changes)
            for at, changes in enumerate(
                [
                    {"rate": RateLimit(1, 1)},
                    {"is_public": True},
                    {"redact": ("email",)},
                    {"cors": Cors(("https://a.example",))},
                    {"backends": (backend, backend._replace(name="next"))},
                    {"backends": (backend._replace(endpoints=(Endpoint("app.example.com", 80),)),)},
                    {"backends": (backend._replace(ca_file="/one.pem", server_name="a.example"),)},
                    {"backends": (backend._replace(ca_file="/two.pem", server_name="a.example"),)},
                    {"backends": (backend._replace(endpoints=(Endpoint("unix:/tmp/a.sock", 0),)),)},
                    {"prefix": "/lunch"},
                    {"grants": (Grant(("service", "citizen"), ("*",)),)},
                    {"limits": plain.limits._replace(retries=0)},
                ]
            )
        ]
        shown = one_of_each(gateway.state(plain, alike, *others)).apps
        assert shown == (plain, *others)

    def test_a_file_that_only_the_last_of_many_apps_names_is_looked_for(self, gateway):
        (backend,) = gateway.app().backends
        many = [gateway.app(app=f"app-{at}", hosts=(f"app-{at}.example.com",)) for at in range(5)]
        broken = many[-1]._replace(backends=(backend._replace(ca_file="/nowhere/ca.pem", server_name="a.example"),))
        before = files(gateway)
        with pytest.raises(GatewayRefusal, match=r"Envoy refuses it: .*/nowhere"):
            gateway.apply(*many[:-1], broken)
        assert files(gateway) == before


@pytest.mark.slow
def test_a_gateway_that_is_busy_for_seconds_is_waited_for(gateway):
    os.kill(gateway.envoy.pid, signal.SIGSTOP)
    threading.Timer(7.0, os.kill, (gateway.envoy.pid, signal.SIGCONT)).start()
    applied = gateway.apply(keys=(key("cd"),))
    assert applied.files == (KEYS,)
    assert gateway.get(key_id="ab").status_code == 401


@pytest.mark.slow
def test_ten_thousand_apps_are_taken_and_a_key_is_gone_within_seconds(gateway):
    apps = [
        gateway.app(app=f"app-{number}", hosts=(f"app-{number}.example.com",), rate=RateLimit(100, 60))
        for number in range(10_000)
    ]
    gateway.gateway.apply(gateway.state(*apps), [gateway.envoy.admin_socket])
    assert gateway.get(host="app-9999.example.com").status_code == 200
    gateway.gateway.apply(gateway.state(*apps, keys=()), [gateway.envoy.admin_socket])
    assert gateway.get(host="app-9999.example.com").status_code == 401


def test_a_folder_is_private_and_an_empty_state_serves_nobody(tmp_path, gateway):
    folder = GatewayFolder(tmp_path / "xds", gateway.program)
    folder.apply(gateway.state()._replace(apps=(), keys=()))
    assert (tmp_path / "xds").stat().st_mode & 0o077 == 0
