"""Schedules fire once, whoever looks, and never for a time before the app was deployed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.enrich.events.cron import BadSchedule, last_time, next_time, shortest_gap_s, zone
from governance.platform.broker.events.scheduling import Scheduler
from tests.unit.events.conftest import TYPE, publisher, subscriber

# A loaded machine is no finding.
PATIENT = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
EVERY_FIVE = {"name": "often", "type": TYPE, "cron": "*/5 * * * *", "data": {"group": "clock"}}


def scheduler(world) -> Scheduler:
    return Scheduler(world.publisher, world.outbox, world.directory.specs, world.directory.app, lambda text: None)


def tick(world, *schedulers: Scheduler) -> list[int]:
    async def together() -> list[int]:
        return await asyncio.gather(*(one.tick(world.now) for one in schedulers))

    return world.runner.run(together())


@pytest.fixture
def clocked(world):
    world.deployed(publisher(schedules=[EVERY_FIVE]))
    world.deployed(subscriber())
    world.now = (
        (datetime.fromtimestamp(world.now, UTC).replace(second=0) + timedelta(minutes=5)).timestamp() // 300 * 300
    )
    return world


def test_a_time_fires_once_across_replicas_and_again_at_the_next(clocked):
    one, other = scheduler(clocked), scheduler(clocked)
    assert sorted(tick(clocked, one, other)) == [0, 1]
    assert tick(clocked, one, other, scheduler(clocked)) == [0, 0, 0]
    clocked.now += 299
    assert tick(clocked, one, other) == [0, 0]
    clocked.now += 1
    assert sorted(tick(clocked, one, other)) == [0, 1]
    events = clocked.fetch()
    assert [one.event["data"] for one in events] == [{"group": "clock"}] * 2
    assert {one.event["source"] for one in events} == {"/apps/where2eat/schedules/often"}
    assert len({one.event["id"] for one in events}) == 2


def test_what_was_due_before_the_deploy_is_not_made_up_for(world):
    world.deployed(publisher(schedules=[{**EVERY_FIVE, "cron": "0 0 1 1 *"}]))
    assert tick(world, scheduler(world)) == [0]


def test_a_time_that_was_missed_is_made_up_for_within_the_hour_the_latest_only(clocked):
    looker = scheduler(clocked)
    clocked.now += 1800
    assert tick(clocked, looker) == [1]
    assert tick(clocked, scheduler(clocked)) == [0]


def test_a_replica_that_died_in_the_middle_is_replaced_once_its_lease_ends(clocked):
    assert clocked.outbox.fires("where2eat", "often", clocked.now, clocked.now, 60.0) == "mine"
    looker = scheduler(clocked)
    assert tick(clocked, looker) == [0]
    clocked.now += 59
    assert tick(clocked, looker) == [0]
    clocked.now += 2
    assert tick(clocked, looker) == [1]
    assert tick(clocked, looker) == [0]
    assert len(clocked.fetch()) == 1


def test_a_time_whose_record_could_not_be_written_is_tried_again(clocked):
    looker, parts = scheduler(clocked), clocked.line._parts
    clocked.line._parts = parts._replace(recorder=None)
    assert tick(clocked, looker) == [0]
    clocked.line._parts = parts
    clocked.now += 61
    assert tick(clocked, looker) == [1]
    assert len(clocked.fetch()) == 1


def test_a_schedule_that_comes_too_often_or_never_is_not_deployed(world):
    rules = {
        cron: {v.rule for v in world.deploy(publisher(schedules=[{**EVERY_FIVE, "cron": cron}])).violations}
        for cron in ("* * * * *", "*/5 * * * *", "0 0 31 2 *", "at noon today ok", "0 12 * * * *")
    }
    assert rules == {
        "* * * * *": {"EVT-002"}, "*/5 * * * *": set(), "0 0 31 2 *": {"EVT-001", "EVT-002"},
        "at noon today ok": {"EVT-001", "EVT-002"}, "0 12 * * * *": {"EVT-001", "EVT-002"},
    }  # fmt: skip


TOO_OFTEN = ["*/1 * * * *", "0-59 * * * *", "59,0 * * * *", "0/1 * * * *", "57,0,30 0,1 * * *"]
NEVER = [
    "@reboot", "@hourly", "* * * * * *", "0 0 30 2 *", "0 25 * * *", "*/0 * * * *", "0 0 1W * *", "H * * * *", "0 0 ? * *",
    "0 0 * * 8", "-1 0 * * *", "0 0 * * *\n* * * * *", "0\u00a00 * * *", "\u0660 0 * * *", "0 0 * * * ; *",
]  # fmt: skip


@pytest.mark.parametrize("cron", TOO_OFTEN)
def test_however_it_is_written_a_gap_is_its_shortest(cron):
    assert shortest_gap_s(cron) < 300


@pytest.mark.parametrize("cron", NEVER)
def test_what_other_readers_read_otherwise_or_never_comes_is_no_schedule(cron):
    with pytest.raises(BadSchedule):
        shortest_gap_s(cron)
        next_time(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/localtime", "UTC0", "", "Europe/../UTC", "EUROPE/BERLIN", "a\0b"]
)
def test_a_time_zone_is_one_that_has_a_name(name):
    with pytest.raises(BadSchedule):
        zone(name)


def test_data_that_the_event_s_schema_refuses_is_not_deployed(world):
    decision = world.deploy(publisher(schedules=[{**EVERY_FIVE, "data": {"group": 3}}]))
    assert [(v.rule, v.path) for v in decision.violations] == [("EVT-001", "/spec/events/schedules/0/data")]


def test_an_app_that_is_not_active_is_refused_on_record(clocked):
    path = clocked.settings.home / "apps" / "where2eat.json"
    path.write_text(path.read_text().replace('"state": "active"', '"state": "archived"'))
    assert tick(clocked, scheduler(clocked)) == [1]
    assert clocked.fetch() == []
    assert clocked.records()[-1]["public"]["rules"] == ["REQ-005"]


@PATIENT
@given(st.integers(0, 59), st.integers(0, 23), st.integers(1_700_000_000, 1_900_000_000))
def test_the_last_time_is_never_ahead_and_the_next_never_behind(minute, hour, moment):
    now = datetime.fromtimestamp(moment, UTC)
    cron = f"{minute} {hour} * * *"
    last, coming = last_time(cron, "UTC", now), next_time(cron, "UTC", now)
    assert last <= now < coming
    assert coming - last == timedelta(days=1)


@pytest.mark.parametrize(
    ("cron", "gap"),
    [("*/5 * * * *", 300), ("0 3 * * *", 86_400), ("0,1 5 * * *", 60), ("59 23,0 * * *", 3600), ("0 0 1 1 *", 86_400)],
)
def test_the_shortest_gap_counts_over_midnight(cron, gap):
    assert shortest_gap_s(cron) == gap


def test_a_time_zone_has_its_own_noon():
    now = datetime(2026, 7, 1, 10, 30, tzinfo=UTC)
    assert last_time("0 12 * * *", "Europe/Berlin", now) == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    with pytest.raises(BadSchedule):
        last_time("0 12 * * *", "Europe/../etc", now)
