"""The cluster gets the same state in the words of Gateway API and Envoy Gateway, or nothing of an app at all."""

from __future__ import annotations

import json

import pytest
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


@pytest.mark.parametrize("key", ["", "gk_ab_1"])
def test_an_app_that_asks_is_left_out_whatever_the_key(key):
    service = DecisionService(Endpoint("127.0.0.1", 8181), key)
    written = manifests(state(app(asks=True))._replace(service=service))
    assert written == "# app lunch is left out: the key for the decision service cannot be added to its question\n"
