"""The cluster gets the same state in the words of Gateway API and Envoy Gateway, or nothing of an app at all."""

from __future__ import annotations

import json

import yaml

from runtime_adapters.gateway.kubernetes import manifests
from runtime_adapters.gateway.state import (
    AppRoute,
    Backend,
    Cohort,
    DecisionService,
    Endpoint,
    GatewayState,
    Grant,
    JwtProvider,
    Listener,
    RateLimit,
    Tls,
)

JWKS = json.dumps({"keys": [{"kty": "EC"}]})


def app(**changes) -> AppRoute:
    backends = (
        Backend("stable", (Endpoint("10.0.0.1", 8080),), 95), Backend("canary", (Endpoint("10.0.0.2", 8080),), 5),
    )  # fmt: skip
    plain = AppRoute("lunch", "marketing", "d-1", ("lunch.example.com",), backends, ("eu",),
                     grants=(Grant(("citizen",), ("marketing",), ("GET",)),), rate=RateLimit(600, 60),
                     cohorts=(Cohort("x-cohort", "early", "canary"),), asks=False)  # fmt: skip
    return plain._replace(**changes)


def state(*apps: AppRoute, **provider) -> GatewayState:
    issuer = JwtProvider("staff", "https://idp.example.com", ("apps",), JWKS, **provider)
    return GatewayState((Listener("eu", "127.0.0.1", 8443, "eu"),), apps or (app(),), (), (issuer,))


def test_an_app_becomes_a_route_and_two_policies():
    route, security, traffic = yaml.safe_load_all(manifests(state()))
    assert {one["metadata"]["namespace"] for one in (route, security, traffic)} == {"marketing"}
    cohort, everybody = route["spec"]["rules"]
    assert cohort["backendRefs"] == [{"name": "lunch-canary", "port": 8080}]
    assert [one["weight"] for one in everybody["backendRefs"]] == [95, 5]
    assert security["spec"]["authorization"] == {
        "defaultAction": "Deny",
        "rules": [
            {
                "name": "grant-0-staff",
                "action": "Allow",
                "principal": {
                    "jwt": {
                        "provider": "staff",
                        "claims": [
                            {"name": "role", "valueType": "String", "values": ["citizen"]},
                            {"name": "tenant", "valueType": "String", "values": ["marketing"]},
                        ],
                    }
                },
                "operation": {"methods": ["GET"]},
            }
        ],
    }
    assert traffic["spec"]["rateLimit"]["local"]["rules"] == [{"limit": {"requests": 600, "unit": "Minute"}}]


def test_an_issuer_of_another_tenant_opens_nothing():
    _, security, _ = yaml.safe_load_all(manifests(state(tenant="sales")))
    assert security["spec"]["authorization"] == {"defaultAction": "Deny", "rules": []}


def test_what_these_kinds_cannot_say_leaves_the_app_out_by_name():
    for changes in ({"redact": ("email",)}, {"regions": ("us",)}, {"grants": (Grant(("citizen",), ("*",)),)}):
        text = manifests(state(app(**changes)))
        assert text.startswith("# app lunch is left out: ")
        assert list(yaml.safe_load_all(text)) in ([], [None])


def test_the_same_state_gives_the_same_text():
    assert manifests(state()) == manifests(state())


SERVICE = DecisionService(Endpoint("127.0.0.1", 8181), "gk_ab_1")


def asking(*, tls: Tls | None = None, **changes) -> list[dict]:
    made = state(app(asks=True, redact=("email",), grants=(Grant(("citizen",), ("*",)),), **changes))
    listeners = (Listener("eu", "127.0.0.1", 8443, "eu", tls), Listener("us", "127.0.0.1", 8444, "us"))
    return list(yaml.safe_load_all(manifests(made._replace(service=SERVICE, listeners=listeners))))


def test_an_app_that_asks_is_reached_through_the_gateway_and_not_beside_it():
    service, route, network = asking()
    assert (service["kind"], service["metadata"]["name"]) == ("Service", "gateway-eu")
    assert route["metadata"]["namespace"] == service["metadata"]["namespace"] == "microapp-gateway"
    (rule,) = route["spec"]["rules"]
    assert rule["backendRefs"] == [{"name": "gateway-eu", "port": 8443}]
    assert [one["sectionName"] for one in route["spec"]["parentRefs"]] == ["eu"]
    assert (network["kind"], network["metadata"]["namespace"]) == ("NetworkPolicy", "marketing")
    (way,) = network["spec"]["ingress"]
    assert way["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "microapp-gateway"}}}]
    assert [one["port"] for one in way["ports"]] == [8080]


def test_the_key_for_the_decision_service_stands_in_no_manifest():
    assert "gk_ab_1" not in json.dumps(asking())


def test_a_gateway_that_speaks_tls_is_known_by_its_certificate():
    _, policy, *_ = asking(tls=Tls("/c", "/k"))
    assert policy["kind"] == "BackendTLSPolicy"
    assert policy["spec"]["validation"]["hostname"] == "gateway-eu.microapp-gateway.svc"


def test_an_app_that_asks_is_left_out_where_the_gateway_cannot_be_reached_or_the_app_is_no_service():
    left_out = [
        {"tls": Tls("/c", "/k", client_ca="/ca")},
        {"regions": ("asia",)},
        {"backends": (Backend("stable", (Endpoint("unix:/apps.sock", 0),)),), "cohorts": ()},
    ]
    for changes in left_out:
        assert asking(**changes) in ([], [None])
