"""A yes that another decision overtook: never answered, nothing changed, and the log says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml

from audit.errors import AuditError
from governance.errors import RecordNotDurable
from governance.log_wiring import open_reader, open_recorder
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.decision_events import event_of
from governance.settings import Settings
from governance.wiring import active_of, directory_of, parts_for

APP = Path(__file__).parents[2] / "deploy" / "examples" / "where2eat" / "app-fixed.yaml"


def deploy(tenant: str, cost_center: str):
    document = yaml.safe_load(APP.read_text(encoding="utf-8"))
    spec = document["spec"]
    hris = [one for one in spec["connectors"] if one["name"] == "hris"]
    spec |= {"tenant": tenant, "costCenter": cost_center, "connectors": hris, "egress": hris[0]["hosts"]}
    return normalise_document({"kind": "deploy", "resource": document}, Source("test", f"lead-of-{tenant}"))


class Meanwhile:
    """The audit log, slow: before it takes the first record, something else happens."""

    def __init__(self, recorder, happens) -> None:
        self._recorder, self._happens = recorder, happens

    def append(self, entry):
        happens, self._happens = self._happens, lambda: None
        happens()
        return self._recorder.append(entry)

    async def aappend(self, entry):
        return self.append(entry)


class Full:
    """The audit log, which takes one record more."""

    def __init__(self, recorder) -> None:
        self._recorder, self._left = recorder, 1

    def append(self, entry):
        self._left -= 1
        if self._left < 0:
            raise AuditError("no space left on device")
        return self._recorder.append(entry)


@pytest.fixture
def settings(tmp_path):
    return Settings({"home": str(tmp_path)})


@pytest.fixture
def recorder(settings):
    with open_recorder(settings) as opened:
        yield opened


@pytest.fixture
def line(settings, recorder):
    active = active_of(settings)
    return Pipeline(parts_for(settings, lambda: active)._replace(recorder=recorder))


def beside(line, recorder) -> Pipeline:
    return Pipeline(line._parts._replace(recorder=recorder))


def records(settings) -> list[dict]:
    reader = open_reader(settings)
    try:
        return [reader.record(index) for index in range(reader.size())]
    finally:
        reader.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_of_two_tenants_one_gets_a_name_and_the_other_a_recorded_no(settings, recorder, line, is_async):
    first = []
    slow = beside(line, Meanwhile(recorder, lambda: first.append(line.decide(deploy("marketing", "MK-42")))))
    asked = deploy("hr", "HR-10")
    late = asyncio.run(slow.adecide(asked)) if is_async else slow.decide(asked)
    assert [one.effect for one in first] == ["allow"]
    assert (late.effect, late.error, late.is_allowed, late.obligations) == ("deny", "overtaken", False, ())
    assert directory_of(settings).spec_of("where2eat")["tenant"] == "marketing"
    _, recorded, correction = records(settings)
    assert (recorded["kind"], recorded["public"]["effect"]) == ("deploy", "allow")
    assert correction["kind"] == "not_carried_out"
    said = correction["public"]
    assert (said["corrects"], said["decision_id"]) == (recorded["public"]["decision_id"], late.decision_id)
    assert (said["effect"], said["error"], said["asked"]) == ("deny", "overtaken", "deploy")
    assert (said["app"], said["tenant"], said["actor"]) == ("where2eat", "hr", "lead-of-hr")
    assert "changed the app meanwhile" in correction["opened"]["answer"]["reason"]
    event = event_of(correction, {})
    assert (event["custom"]["effect"], event["error"]["code"]) == ("deny", "overtaken")
    again = line.decide(asked)
    assert (again.effect, {v.rule for v in again.violations}) == ("deny", {"REQ-008"})


def test_a_no_that_cannot_be_recorded_is_no_yes_either(settings, recorder, line):
    slow = beside(line, Meanwhile(Full(recorder), lambda: line.decide(deploy("marketing", "MK-42"))))
    with pytest.raises(RecordNotDurable):
        slow.decide(deploy("hr", "HR-10"))
    assert directory_of(settings).spec_of("where2eat")["tenant"] == "marketing"
