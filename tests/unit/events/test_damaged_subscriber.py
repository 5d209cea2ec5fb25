"""A subscriber whose document is damaged misses nothing: it is delivered later, or its publisher is told to wait."""

from __future__ import annotations

import pytest

from governance.enrich.apps import AppDirectory
from governance.errors import Damaged
from governance.platform.broker.events.publishing import SubscribersUnknown
from governance.state.files import FileState
from tests.unit.events.conftest import PUSHED, publisher, subscriber

BROKEN = '{"spec": {"tena'


def damage(world, *names: str) -> None:
    for name in names:
        (world.settings.home / name).write_text(BROKEN, encoding="utf-8")


def test_what_is_published_meanwhile_is_fetched_once_the_app_is_deployed_anew(world):
    world.deployed(publisher())
    world.deployed(subscriber())
    damage(world, "apps/canteen.json")
    assert world.directory.damaged() == {"apps/canteen.json": True}
    assert world.publish("1").deliveries == 1
    with pytest.raises(Damaged, match="deploy the app anew"):
        world.fetch()
    world.deployed(subscriber())
    [handed] = world.fetch()
    assert (handed.event["id"], handed.attempt) == ("1", 1)


@pytest.mark.parametrize("text", [BROKEN, "[]", '{"spec": 7}'])
@pytest.mark.parametrize("whose", ["canteen", "where2eat"])
def test_what_has_to_be_sent_waits_for_either_app_and_holds_up_no_worker(world, whose, text):
    world.deployed(publisher())
    world.deployed(subscriber(**PUSHED))
    world.publish("1")
    path = world.settings.home / "apps" / f"{whose}.json"
    whole = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    assert world.work()
    assert (world.sent(), world.outbox.counts()) == ([], {"waiting": 1, "dead": 0})
    path.write_text(whole, encoding="utf-8")
    world.now += 60
    assert world.work()
    assert [one["id"] for one in world.sent()] == ["1"]


def test_where_nobody_knows_what_it_subscribed_to_publishing_is_refused_on_record_and_succeeds_later(world):
    world.deployed(publisher())
    world.deployed(subscriber())
    damage(world, "apps/canteen.json", "apps/kept/canteen.json")
    with pytest.raises(SubscribersUnknown, match=r"apps/canteen\.json"):
        world.publish("1")
    [record] = [record for record in world.records() if record["kind"] == "refused"]
    assert (record["public"]["error"], record["public"]["actor"]) == ("subscribers_unknown", "app:where2eat/1")
    assert world.outbox.counts() == {"waiting": 0, "dead": 0}
    (world.settings.home / "apps" / "canteen.json").unlink()
    world.deployed(subscriber())
    assert world.publish("1").deliveries == 1


def test_a_damaged_app_may_do_nothing_else(world):
    world.deployed(publisher())
    damage(world, "apps/where2eat.json")
    said = world.publish("1")
    assert not said.is_accepted
    assert "REQ-007" in {violation.rule for violation in said.decision.violations}


def test_an_app_that_an_older_version_deployed_gets_its_second_copy_and_no_newer_one_is_replaced(world):
    world.deployed(publisher())
    world.deployed(subscriber())
    kept = world.settings.home / "apps" / "kept"
    deployed = (kept / "canteen.json").read_bytes()
    (kept / "canteen.json").unlink()
    (kept / "where2eat.json").write_text(BROKEN, encoding="utf-8")
    assert world.directory.keep() == ["canteen", "where2eat"]
    assert world.directory.keep() == []
    assert (kept / "canteen.json").read_bytes() == deployed
    damage(world, "apps/canteen.json", "apps/where2eat.json")
    assert world.directory.damaged() == {"apps/canteen.json": True, "apps/where2eat.json": True}
    (kept / "canteen.json").unlink()
    assert world.directory.keep() == [], "of what is damaged there is nothing to copy"
    assert world.directory.damaged()["apps/canteen.json"] is False


def test_a_copy_that_a_deploy_wrote_meanwhile_stays(world):
    world.deployed(publisher())
    path = world.settings.home / "apps" / "kept" / "where2eat.json"
    path.unlink()
    newer = b'{"spec": {"of": "the deploy that came in between"}}'

    class Slow(FileState):
        def change(self, name, edit) -> None:
            path.write_bytes(newer)
            super().change(name, edit)

    AppDirectory(Slow(str(world.settings.home))).keep()
    assert path.read_bytes() == newer
