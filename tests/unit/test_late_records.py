"""A decision whose record arrives late: whoever asked was told no, nothing was done, and the record stands where it belongs."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from audit.log import Amendment, AuditLog
from audit.store import Filter
from governance.errors import RecordNotDurable
from governance.log_wiring import LogRecorder
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.settings import Settings
from governance.wiring import active_of, directory_of, parts_for

MANIFEST = Path(__file__).parents[2] / "deploy" / "examples" / "where2eat" / "app-fixed.yaml"
IN_TIME, TOO_SHORT_S = 60.0, 0.05


def deploy():
    document = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return normalise_document({"kind": "deploy", "resource": document}, Source("test", "lead"))


@pytest.fixture
def log(tmp_path):
    with closing(AuditLog(tmp_path / "home", origin="late.example/audit")) as opened:
        yield opened


def test_a_late_record_allows_nothing_and_is_found_where_its_decision_was_made(tmp_path, log):
    settings = Settings({"home": str(tmp_path / "home")})
    active = active_of(settings)

    def line(patience_s: float) -> Pipeline:
        parts = parts_for(settings, lambda: active)
        return Pipeline(parts._replace(recorder=LogRecorder(log, patience_s), waivers=lambda: ()))

    held, is_holding = threading.Event(), threading.Event()

    def busy(*_: object) -> Amendment:
        is_holding.set()
        assert held.wait(60)
        return Amendment([])

    log.amend(busy)
    assert is_holding.wait(60)
    with pytest.raises(RecordNotDurable):
        line(TOO_SHORT_S).decide(deploy())
    assert directory_of(settings).app("where2eat") is None
    held.set()

    again = line(IN_TIME).decide(deploy())
    late, newer = (log.reader.record(index) for index in log.reader.search(Filter(kind="deploy"), newest_first=False))
    assert (late["public"]["effect"], newer["public"]["decision_id"]) == ("allow", again.decision_id)
    assert late["public"]["decision_id"] != again.decision_id
    assert directory_of(settings).app("where2eat")["decision_id"] == again.decision_id
    # By the time of the decision, not of its arrival; and in its place among the app's own records.
    assert log.reader.search(Filter(kind="deploy", until=again.decided_at)) == [late["index"]]
    assert (late["time"] < again.decided_at, log.reader.verify_self()) == (True, log.reader.size())
