"""From a published event to who subscribed: decided, masked, checked and recorded at both ends."""

from __future__ import annotations

import asyncio
import json
import threading

import pytest

from governance.errors import CallerError
from governance.model.request import Source
from governance.platform.broker.doubles import Reply
from governance.platform.broker.events.message import Event
from governance.platform.broker.events.outbox_rows import UNBOUND
from governance.platform.broker.events.publishing import Conflict
from governance.platform.broker.events.signatures import verified
from tests.unit.events.conftest import HOST, KEY, PUSHED, SCHEMA, TYPE, manifest, publisher, subscriber


@pytest.fixture
def fetched(world):
    world.deployed(publisher())
    world.deployed(subscriber())
    return world


@pytest.fixture
def pushed(world):
    world.deployed(publisher())
    world.deployed(subscriber(**PUSHED))
    return world


def rules_of(decision) -> set[str]:
    return {violation.rule for violation in decision.violations}


def test_an_event_reaches_its_subscriber_once_it_says_so(fetched):
    said = fetched.publish(data={"group": "campaigns", "n": 3})
    assert (said.is_accepted, said.deliveries) == (True, 1)
    [handed] = fetched.fetch()
    assert handed.event["data"] == {"group": "campaigns", "n": 3}
    assert (handed.event["type"], handed.event["source"], handed.event["tenantid"]) == (
        TYPE,
        "/apps/where2eat",
        "marketing",
    )
    assert fetched.fetch() == []
    assert fetched.settle(handed.delivery)
    assert not fetched.settle(handed.delivery)
    assert fetched.outbox.counts() == {"waiting": 0, "dead": 0}


def test_both_ways_of_an_event_are_records_of_one_trace(fetched):
    fetched.publish()
    fetched.fetch()
    flows = [record for record in fetched.records() if record["kind"] == "data_flow"]
    destinations = [record["opened"]["input"]["resource"]["destination"] for record in flows]
    assert destinations == [{"topic": TYPE}, {"app": "canteen", "subscription": "on-lunch"}]
    assert {record["public"]["trace_id"] for record in flows} == {"ab" * 16}
    assert {record["public"]["effect"] for record in flows} == {"allow"}


def test_what_a_lease_held_comes_again_when_it_ends(fetched):
    fetched.publish()
    [first] = fetched.fetch()
    fetched.now += 61
    [second] = fetched.fetch()
    assert (first.event["id"], second.attempt) == (second.event["id"], 2)
    assert not fetched.settle(first.delivery)
    assert fetched.settle(second.delivery)


def test_an_app_settles_its_own_deliveries_only(fetched):
    fetched.publish()
    [handed] = fetched.fetch()
    assert not fetched.settle(handed.delivery, app="where2eat")
    assert not fetched.settle(f"{handed.delivery.partition('.')[0]}.{'0' * 24}")
    with pytest.raises(CallerError):
        fetched.settle("../1")
    assert fetched.settle(handed.delivery)


def test_what_a_subscriber_never_manages_is_a_dead_letter_and_can_try_again(fetched):
    fetched.publish()
    for pause in (1, 2, 0):
        [handed] = fetched.fetch()
        assert fetched.settle(handed.delivery, is_done=False)
        assert fetched.fetch() == []
        fetched.now += pause
    [letter] = fetched.outbox.dead(10)
    assert (letter.app, letter.attempts) == ("canteen", 3)
    [record] = [record for record in fetched.records() if record["kind"] == "refused"]
    assert record["public"]["actor"] == "subscription:canteen/on-lunch"
    assert f"delivery {letter.number} was given up after 3 attempts" in json.dumps(record)
    fetched.outbox.retry(letter.number, fetched.now)
    [handed] = fetched.fetch()
    assert (handed.attempt, handed.event["id"]) == (1, "1")


def test_what_kills_whoever_fetches_it_is_given_up_in_the_end(fetched):
    fetched.publish()
    for _ in range(3):
        assert len(fetched.fetch()) == 1
        fetched.now += 61
    assert fetched.fetch() == []
    assert "did not live" in fetched.outbox.dead(10)[0].reason
    assert "did not live" in json.dumps([record for record in fetched.records() if record["kind"] == "refused"])


def test_events_of_one_key_come_in_order_and_those_of_others_do_not_wait(fetched):
    for number, key in enumerate(("a", "a", "b", "", "")):
        fetched.publish(str(number), extensions={"partitionkey": key} if key else {})
    first = fetched.fetch()
    assert [one.event["id"] for one in first] == ["0", "2", "3", "4"]
    fetched.settle(first[0].delivery, is_done=False)
    assert fetched.fetch() == []
    fetched.now += 1
    [again] = fetched.fetch()
    assert again.event["id"] == "0"
    fetched.settle(again.delivery)
    assert [one.event["id"] for one in fetched.fetch()] == ["1"]


def test_the_same_event_twice_is_one_and_another_under_its_id_is_refused(fetched):
    first = fetched.publish("1", time="2026-11-24T09:00:00Z")
    again = fetched.publish("1", time="2026-11-24T09:00:05Z")
    assert (again.decision, again.decision_id) == (None, first.decision.decision_id)
    with pytest.raises(Conflict):
        fetched.publish("1", {"group": "other"})
    assert len(fetched.fetch()) == 1


@pytest.mark.parametrize(
    "source", ["/apps/canteen", "/apps/where2eat2", "/apps/where2eat/../canteen", "where2eat", "https://evil.example/"]
)
def test_an_app_publishes_in_its_own_name_only(fetched, source):
    event = Event("9", source, TYPE, {"group": "x"})
    with pytest.raises(CallerError, match="come from"):
        fetched.runner.run(fetched.publisher.publish("where2eat", event, Source("test", "app:where2eat/1")))


def test_an_event_that_does_not_follow_its_schema_is_refused(fetched):
    for data in ({}, {"group": 3}, ["group"], "group", [], 0):
        said = fetched.publish(data=data)
        assert (said.is_accepted, rules_of(said.decision)) == (False, {"EVT-006"})
    assert fetched.fetch() == []


def test_a_type_that_was_not_declared_is_refused(fetched):
    assert rules_of(fetched.publish(type="com.example.salary.changed").decision) == {"EVT-006"}


def test_personal_data_that_the_event_does_not_declare_is_masked_before_it_is_kept(fetched):
    assert fetched.publish(data={"group": "campaigns", "contact": "ada@example.com"}).is_accepted
    [handed] = fetched.fetch()
    assert handed.event["data"] == {"group": "campaigns", "contact": "***@*******.***"}
    [kept] = fetched.outbox.kept(UNBOUND, 10)
    assert "campaigns" in kept.body
    assert "ada@example.com" not in kept.body


def test_each_subscriber_sees_what_it_declares(world):
    data = {
        "classes": ["internal", "personal"],
        "pii": ["dietary_preference", "email"],
        "retention": "P30D",
        "residency": ["eu"],
    }
    shown = publisher(publishes=[{"type": TYPE, "classes": ["internal", "personal"], "schema": SCHEMA}], webhooks=[])
    shown["spec"]["data"] = data
    world.deployed(shown)
    world.deployed(subscriber())
    knows = subscriber()
    knows["metadata"]["name"], knows["spec"]["data"] = "knows", data
    world.deployed(knows)
    assert world.publish(data={"group": "x", "contact": "ada@example.com"}).deliveries == 2
    assert [one.event["data"]["contact"] for one in world.fetch()] == ["***@*******.***"]
    assert [one.event["data"]["contact"] for one in world.fetch(app="knows")] == ["ada@example.com"]


def test_confidential_events_reach_who_declared_that_class_and_nobody_else(world):
    made = publisher()
    classes = [*made["spec"]["data"]["classes"], "confidential"]
    confidential = {"data": {**made["spec"]["data"], "classes": classes}}
    world.deployed({**made, "spec": {**made["spec"], **confidential}})
    told = subscriber()
    world.deployed({**told, "spec": {**told["spec"], **confidential}})
    assert world.publish().decision.is_allowed
    [handed] = world.fetch()
    assert handed.event["data"] == {"group": "campaigns"}
    world.deployed(told)
    assert world.publish("2").decision.is_allowed
    assert world.fetch() == []
    assert "DATA-015" in world.outbox.dead(10)[0].reason


def test_a_secret_in_an_event_is_refused(fetched):
    said = fetched.publish(data={"group": "AKIAIOSFODNN7EXAMPLE"})
    assert "DATA-010" in rules_of(said.decision)


def test_personal_data_beside_the_data_is_refused(fetched):
    assert "DATA-008" in rules_of(fetched.publish(subject="ada@example.com").decision)


def test_a_subscription_is_decided_on_at_deploy(world):
    world.deployed(publisher())
    assert rules_of(world.deploy(subscriber(type="com.example.other.thing"))) == {"EVT-003"}
    assert rules_of(world.deploy(subscriber(app="nobody"))) == {"EVT-003"}


def test_a_subscription_that_was_taken_back_gets_nothing_more(fetched):
    fetched.publish()
    fetched.deployed(manifest("canteen", {"subscribes": []}))
    assert fetched.fetch() == []
    letter = fetched.outbox.dead(1)
    assert "EVT-007" in letter[0].reason


def test_a_transformation_gives_the_subscriber_its_own_shape(world):
    world.deployed(publisher())
    wanted = {
        "type": "object",
        "required": ["who"],
        "additionalProperties": False,
        "properties": {"who": {"type": "string"}},
    }
    world.deployed(subscriber(transform="{who: group}", schema=wanted))
    world.publish(data={"group": "campaigns", "n": 1})
    assert [one.event["data"] for one in world.fetch()] == [{"who": "campaigns"}]


@pytest.mark.parametrize(
    ("transform", "reason"),
    [("{who: n}", "schema"), ("sum(group)", "transformation"), ("|".join(["[@,@]"] * 40), "more work")],
)
def test_what_a_transformation_cannot_do_is_a_dead_letter_on_record(world, transform, reason):
    world.deployed(publisher())
    world.deployed(
        subscriber(transform=transform, schema={"type": "object", "properties": {"who": {"type": "string"}}})
    )
    world.publish(data={"group": "campaigns", "n": 1})
    assert world.fetch() == []
    assert reason in world.outbox.dead(1)[0].reason
    assert world.records()[-1]["kind"] == "refused"


@pytest.mark.parametrize("transform", ["[", "nope(@)", "(" * 900 + "a" + ")" * 900])
def test_a_transformation_that_never_works_is_not_deployed(world, transform):
    world.deployed(publisher())
    decision = world.deploy(subscriber(transform=transform))
    assert [(v.rule, v.path) for v in decision.violations] == [("EVT-001", "/spec/events/subscribes/0/transform")]


def test_an_event_is_sent_signed_to_the_address_of_a_connector(pushed):
    pushed.publish(data={"group": "campaigns"})
    assert pushed.work()
    [asked] = pushed.double.asked
    assert (asked.method, asked.target, asked.headers["content-type"]) == (
        "POST", "/v2/recommendations/lunch", "application/cloudevents+json",
    )  # fmt: skip
    assert json.loads(asked.body)["data"] == {"group": "campaigns"}
    headers = {name.encode(): value.encode() for name, value in asked.headers.items()}
    assert verified("standard", KEY, headers, asked.body, pushed.now, 5)
    assert not pushed.work()
    assert pushed.outbox.counts() == {"waiting": 0, "dead": 0}


def test_a_receiver_that_fails_is_tried_again_after_a_longer_pause_with_the_same_id(pushed):
    pushed.receiver = lambda asked: Reply(b"", status=500)
    pushed.publish()
    for pause in (1, 2):
        assert pushed.work()
        pushed.now += pause - 0.1
        assert not pushed.work()
        pushed.now += 0.2
    pushed.receiver = lambda asked: Reply(b"", status=204)
    assert pushed.work()
    assert len({asked.headers["webhook-id"] for asked in pushed.double.asked}) == 1
    assert len(pushed.double.asked) == 3
    assert pushed.outbox.counts() == {"waiting": 0, "dead": 0}
    kinds = [record["kind"] for record in pushed.records()]
    assert kinds.count("refused") == 2


@pytest.mark.parametrize(
    ("reply", "reason"), [(Reply(b"", status=410), "gone for good"), (Reply(b"", status=500), "answered 500")]
)
def test_a_receiver_that_stays_away_leaves_a_dead_letter(pushed, reply, reason):
    pushed.receiver = lambda asked: reply
    pushed.publish()
    for _ in range(3):
        pushed.work()
        pushed.now += 10
    assert reason in pushed.outbox.dead(1)[0].reason


def test_a_receiver_that_is_slow_holds_up_nobody_else(world):
    world.deployed(publisher())
    world.deployed(subscriber(**PUSHED))
    other = subscriber(deliver={**PUSHED["deliver"], "url": f"https://{HOST}/v2/recommendations/other"})
    other["metadata"]["name"] = "other"
    world.deployed(other)
    released = threading.Event()

    def answers(asked) -> Reply:
        if asked.target.endswith("/lunch"):
            released.wait(100)
        return Reply(b"")

    world.receiver = answers
    for n in range(9):
        world.publish(str(n))

    async def until_the_other_has_all() -> None:
        while sum(asked.target.endswith("/other") for asked in world.double.asked) < 9:
            await world.exchange.deliverer.work(16)
        assert sum(asked.target.endswith("/lunch") for asked in world.double.asked) == 4
        released.set()
        await world.exchange.deliverer.drained()

    world.runner.run(asyncio.wait_for(until_the_other_has_all(), 100))
    while world.work():
        pass
    assert world.outbox.counts() == {"waiting": 0, "dead": 0}


def test_a_redirect_is_not_followed(pushed):
    pushed.receiver = lambda asked: Reply(b"", status=307, headers={"location": "https://evil.example/"})
    pushed.publish()
    pushed.work()
    assert len(pushed.double.asked) == 1
    assert pushed.outbox.counts()["waiting"] == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://collect.evil.example/in",
        "http://api.recommender.example.com/",
        "https://127.0.0.1/",
        "https://x@api.recommender.example.com/",
    ],
)
def test_an_address_that_belongs_to_no_connector_is_not_deployed(world, url):
    world.deployed(publisher())
    decision = world.deploy(subscriber(deliver={"url": url, "signedWith": "recommender-key"}))
    assert "EVT-005" in rules_of(decision)


def test_a_secret_that_is_not_stored_keeps_the_event_waiting(world):
    world.deployed(publisher())
    changed = subscriber(deliver={**PUSHED["deliver"], "signedWith": "other"})
    changed["spec"]["secrets"] = [{"name": "other", "ttl": "PT15M", "rotation": "P30D"}]
    world.deployed(changed)
    world.publish()
    world.work()
    assert world.double.asked == []
    assert world.outbox.counts() == {"waiting": 1, "dead": 0}


def test_a_subscription_that_changes_its_way_loses_nothing(fetched):
    fetched.publish()
    fetched.deployed(subscriber(**PUSHED))
    assert fetched.fetch() == []
    assert fetched.work()
    assert len(fetched.double.asked) == 1


def test_nothing_is_kept_of_an_event_that_is_through(pushed):
    pushed.publish(data={"group": "campaigns-are-here"})
    pushed.work()
    assert pushed.outbox.known("/apps/where2eat", "1") is not None
    pushed.outbox.close()
    assert b"campaigns-are-here" not in (pushed.settings.home / "events.db").read_bytes()


def test_old_events_are_forgotten_and_what_nobody_fetched_is_given_up_first(fetched):
    fetched.publish()
    day, ended = 86_400, []
    fetched.outbox.tidy(fetched.now + 2 * day, day, ended.append)
    assert fetched.outbox.counts() == {"waiting": 0, "dead": 1}
    fetched.outbox.tidy(fetched.now + 4 * day, day, ended.append)
    assert fetched.outbox.counts() == {"waiting": 0, "dead": 0}
    assert [one.change for one in ended] == ["given_up", "deleted"]
    assert fetched.outbox.known("/apps/where2eat", "1") is None
