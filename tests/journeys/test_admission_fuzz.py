"""A few hundred broken reviews in the ordinary tests; `make fuzz` sends 100,000."""

from __future__ import annotations

from governance.log_wiring import open_reader
from governance.settings import Settings
from tests.fuzz.drive import drive
from tests.fuzz.reviews import reviews
from tests.journeys.service import Service


def test_no_broken_review_ends_a_worker_or_is_admitted_without_a_decision_on_record(tmp_path):
    env = {"GOVERNANCE_ADMISSION": "open", "GOVERNANCE_BUDGET_MS": "20000"}
    service = Service(tmp_path / "home", **env).start()
    try:
        before = service.children("")
        told = drive(int(service.url.rpartition(":")[2]), reviews(seed=7, count=300), connections=8)
        assert service.children("") == before
    finally:
        service.stop()
    assert told.wrong == []
    assert told.allowed
    reader = open_reader(Settings({"home": str(service.home)}))
    for decision_id in told.allowed:
        record = reader.record(reader.find(decision_id))
        assert record["public"]["effect"] in {"allow", "warn"}
