"""The doubles answer as the registry says their vendors do, and a broker walks the same way to each."""

from __future__ import annotations

import base64
import json

import pytest

from connectors_registry.load import load_registry
from governance.broker_wiring import broker_of
from governance.enrich.operation_facts import OperationFacts
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.platform.broker.doubles import Asked, Double, write_pins
from governance.platform.broker.vendors import VENDORS, double_of
from tests.leaks import VENDOR_KEY as KEY
from tests.unit.broker.conftest import LUNCH

CONNECTORS = load_registry().connectors
OPERATIONS = [(name, one) for name in VENDORS for one in CONNECTORS[name]["operations"] if one["method"] != "PATCH"]


def ask(name: str, method: str, path: str, credential: str = KEY):
    vendor = VENDORS[name]
    return double_of(vendor, KEY)(Asked(method, vendor.host, path, {"authorization": f"Bearer {credential}"}, b""))


@pytest.mark.parametrize(
    ("name", "operation"), OPERATIONS, ids=lambda part: part if isinstance(part, str) else part["name"]
)
def test_every_registered_operation_is_answered_in_its_registered_shape(name, operation):
    assert VENDORS[name].host in CONNECTORS[name]["hosts"]
    path = operation["paths"][0].replace("{", "").replace("}", "")
    reply = ask(name, operation["method"], path)
    assert reply.status in {200, 202}
    if "response" not in operation:
        return
    pieces = [piece.decode().removeprefix("data: ") for piece in reply.pieces or ()]
    payload = [json.loads(piece) for piece in pieces if "[DONE]" not in piece] if pieces else json.loads(reply.body)
    flow = {"app": "a", "source": name, "destination": {"app": "a"}, "payload": payload}
    document = {"kind": "data_flow", "resource": flow, "context": {"operations": [operation["name"]]}}
    facts = OperationFacts(CONNECTORS).facts(normalise_document(document, Source("test", "t")))
    assert facts == {"shapes": {operation["name"]: []}}
    wrong = normalise_document({**document, "resource": {**flow, "payload": ["of another shape"]}}, Source("test", "t"))
    assert OperationFacts(CONNECTORS).facts(wrong)["shapes"][operation["name"]] != []


@pytest.mark.parametrize("name", VENDORS)
def test_each_says_no_in_its_vendor_s_own_way(name):
    refused, lost = ask(name, "GET", "/nowhere", "another"), ask(name, "GET", "/nowhere")
    assert (refused.status, lost.status) == ((200, 200) if name == "slack" else (401, 404))
    assert "ada" not in (refused.body + lost.body).decode().lower()


@pytest.fixture
def recommender(world):
    vendor = VENDORS["recommender"]
    double = Double(vendor.host, world.folder / "other", double_of(vendor, KEY)).start()
    write_pins(world.folder / "pins.json", world.double, double)
    world.secrets.put("marketing/recommender", "where2eat:" + "s" * 20)
    world.runner.run(world.broker.close())
    world.broker = broker_of(world.settings, world.line)
    yield double
    double.stop()


def test_recommendations_come_one_by_one_after_a_token_was_fetched(world, recommender):
    asked = {
        "method": "POST", "url": f"https://{recommender.host}/v1/recommendations/stream",
        "scopes": ["recommendations:read"], "body": {"preferences": ["vegan"]},
    }  # fmt: skip

    async def listen() -> list:
        return [
            p async for p in world.broker.stream(LUNCH, "recommender", asked, entry_point="test", trace_id="ab" * 16)
        ]

    begun, *parts = world.runner.run(listen())
    assert begun.refusal is None, begun.refusal
    assert [place["score"] for part in parts for place in part.answer] == [0.93, 0.81]
    assert [one.path for one in recommender.asked] == ["/oauth/token", "/v1/recommendations/stream"]
    kept = json.dumps(world.records())
    assert KEY not in kept


@pytest.mark.parametrize(
    "body", [{}, {"preferences": "vegan"}, {"preferences": [7]}, {"preferences": ["x"] * 101}, None, []]
)
def test_a_body_of_another_shape_is_not_sent(world, recommender, body):
    called = world.call(
        connector="recommender", operation="recommend", method="POST", url=f"https://{recommender.host}/v1/recommendations",
        scopes=["recommendations:read"], body=body,
    )  # fmt: skip
    assert "CONN-012" in {violation.rule for violation in called.refusal.violations}
    assert recommender.asked == []


B64 = base64.b64encode(b"mail: ada@example.com").decode()
DISGUISES = [
    {"body": {"preferences": ["ada@example.com"]}}, {"body": {"preferences": ["\\u0061da@example.com"]}},
    {"body": {"preferences": ["ada%40example.com"]}}, {"body": {"preferences": [B64]}},
    {"body": {"preferences": ["ada@exam", "ple.com"]}}, {"body": {"preferences": [], "ada@example.com": 1}},
    {"body": {"preferences": ["ada\u200b@example.com"]}}, {"body": {"preferences": ["ada\uff20example.com"]}},
    {"body": {"preferences": [], "limit": 4111111111111111}}, {"body": '{"preferences": ["\\u0061da@example.com"]}'},
    {"headers": {"prefer": "ada@example.com"}}, {"headers": {"if-none-match": "ada%40example.com"}},
    {"headers": {"Idempotency-Key": B64}}, {"headers": {"content-type": "application/json; x=ada@example.com"}},
    {"operation": "ada@example.com"}, {"consent": "ada@example.com"}, {"scopes": ["recommendations:read", "ada@example.com"]},
    *({"query": query} for query in ("?m=ada@example.com", "?m=ada%2540example.com", f"?m={B64}", "#ada@example.com")),
]  # fmt: skip


def test_what_a_connector_is_not_cleared_for_does_not_leave_in_any_disguise(world, recommender):
    for disguise in DISGUISES:
        more = dict(disguise)
        url = f"https://{recommender.host}/v1/recommendations{more.pop('query', '')}"
        said = {
            "scopes": ["recommendations:read"],
            "headers": {},
            "body": {"preferences": ["vegan"]},
            "operation": None,
        }
        called = world.call(connector="recommender", method="POST", url=url, **{**said, **more})
        assert "DATA-008" in {violation.rule for violation in called.refusal.violations}, disguise
    assert recommender.asked == []


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "application/xml", "application/json, a/b"]
)
def test_a_value_is_not_sent_as_something_that_reads_it_otherwise(world, recommender, content_type):
    called = world.call(
        connector="recommender", operation="recommend", method="POST", url=f"https://{recommender.host}/v1/recommendations",
        scopes=["recommendations:read"], body={"preferences": ["a&role=admin&b="]}, headers={"content-type": content_type},
    )  # fmt: skip
    assert "EGR-007" in {violation.rule for violation in called.refusal.violations}
    assert recommender.asked == []


def test_what_calls_cost_is_counted_to_the_month_of_app_and_tenant(world, recommender):
    world.call(
        connector="recommender", operation="recommend", method="POST", url=f"https://{recommender.host}/v1/recommendations",
        scopes=["recommendations:read"], body={"preferences": ["vegan"]}, headers=None,
    )  # fmt: skip
    world.answers({"Resources": []})
    world.call()
    world.call(method="DELETE")
    usage = [facts["usage"] for facts in _facts(world) if "usage" in facts]
    assert usage[-1]["app_microeur"] == usage[-1]["tenant_microeur"] == 700


def _facts(world):
    from contextlib import closing

    from governance.log_wiring import open_reader

    with closing(open_reader(world.settings)) as log:
        return [log.openings(index).get("facts", {"value": {}})["value"] for index in range(log.size())]
