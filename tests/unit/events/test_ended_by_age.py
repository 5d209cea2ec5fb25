"""What age ends in the outbox is in the log first; without a record nothing ends."""

from __future__ import annotations

import pytest

from audit.log import AuditLog
from audit.store import Filter
from governance.errors import DependencyError
from governance.events_wiring import outbox_of, tidy
from governance.log_wiring import open_reader
from governance.platform.broker.events.outbox_rows import Accepted, Target
from governance.settings import from_environment

NOW, MONTH = 1_700_000_000.0, 31 * 86_400.0


@pytest.fixture
def settings(tmp_path):
    return from_environment({"GOVERNANCE_HOME": str(tmp_path)})


@pytest.fixture
def outbox(settings):
    outbox = outbox_of(settings)
    event = Accepted("/apps/a", "order-1 of anna@example.com", "sha256:1", "decision", "", "{}")
    outbox.add(event, [Target("canteen", "s", is_pushed=False)], NOW)
    yield outbox
    outbox.close()


def test_giving_up_and_forgetting_are_records_that_hold_no_personal_data_in_clear(settings, outbox):
    tidy(settings, outbox, NOW + MONTH)
    tidy(settings, outbox, NOW + 3 * MONTH)
    assert outbox.counts() == {"waiting": 0, "dead": 0}
    reader = open_reader(settings)
    records = [reader.record(index) for index in reader.search(Filter(kind="event_ended"), newest_first=False)]
    reader.close()
    assert [(one["public"]["change"], one["public"]["app"]) for one in records] == [
        ("given_up", "canteen"),
        ("deleted", "canteen"),
    ]
    assert [one["opened"]["reason"] for one in records] == ["nobody fetched it"] * 2
    assert "anna@example.com" not in str(records)


def test_where_the_log_takes_nothing_the_delivery_stays(settings, outbox):
    with (
        AuditLog(settings.home, origin=settings.text("log_origin")),
        pytest.raises(DependencyError, match="nothing old"),
    ):
        tidy(settings, outbox, NOW + MONTH)
    assert outbox.counts() == {"waiting": 1, "dead": 0}
