"""What a yes changes, and that one which another decision overtook changes nothing, is never answered, and on record."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from audit.errors import AuditError
from audit.questions import who_allowed
from audit.record import Entry
from governance.errors import DependencyError, RecordNotDurable
from governance.log_wiring import open_custody, open_reader, open_recorder
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
def test_a_yes_that_cannot_be_carried_out_is_an_error_and_on_record_as_a_no(settings, recorder, line, is_async):
    def spoil() -> None:
        (settings.home / "apps").mkdir()
        (settings.home / "apps" / "kept").write_text("where a folder should be")

    spoiled, asked = beside(line, Meanwhile(recorder, spoil)), deploy("hr", "HR-10")
    with pytest.raises(DependencyError, match="could not be carried out"):
        asyncio.run(spoiled.adecide(asked)) if is_async else spoiled.decide(asked)
    recorded, correction = records(settings)
    assert (recorded["kind"], recorded["public"]["effect"]) == ("deploy", "allow")
    assert (correction["kind"], correction["public"]["effect"]) == ("not_carried_out", "deny")
    assert correction["public"]["corrects"] == recorded["public"]["decision_id"]
    reader = open_reader(settings)
    try:
        (told,) = who_allowed(reader, app="where2eat")
    finally:
        reader.close()
    assert (told["was_allowed"], told["was_carried_out"]) == (False, False)


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


def lifecycle(to: str, tenant: str = "marketing"):
    resource = {"app": "where2eat", "change": {"to": to}}
    return normalise_document({"kind": "lifecycle", "tenant": tenant, "resource": resource}, Source("test", "lead"))


def publish(audience, tenant: str = "marketing"):
    resource = {"app": "where2eat", "change": {"audience": audience}}
    return normalise_document({"kind": "publish", "tenant": tenant, "resource": resource}, Source("test", "lead"))


CALL = normalise_document(
    {
        "kind": "connector_call", "tenant": "marketing",
        "resource": {
            "app": "where2eat", "connector": "hris", "operation": "list employees", "method": "GET",
            "url": "https://api.hris.example.com/scim/v2/Users", "scopes": ["employees:read"],
        },
    },
    Source("test", "app:where2eat/1"),
)  # fmt: skip


PUBLIC = {
    "decision_id": "h", "app": "", "tenant": "", "actor": "a", "entry_point": "t", "effect": "allow", "rules": [],
}  # fmt: skip


class Life:
    """One home, on days of a made-up year."""

    def __init__(self, settings) -> None:
        self.settings, self.active, self.day = settings, active_of(settings), "2031-01-01"
        self.directory = directory_of(settings)

    def rules(self, request) -> set[str]:
        with open_recorder(self.settings) as recorder:
            parts = parts_for(self.settings, lambda: self.active)
            line = Pipeline(parts._replace(recorder=recorder, clock=lambda: f"{self.day}T12:00:00Z"))
            decision = line.decide(request)
        refused = {violation.rule for violation in decision.violations if violation.effect not in {"allow", "warn"}}
        assert decision.is_allowed is not bool(refused)
        return refused

    def hold(self, **scope: str) -> str:
        asked = {"time": f"{self.day}T12:00:00Z", "public": PUBLIC, "reason": "a lawsuit"}
        with open_custody(self.settings) as act:
            return act("hold", {**asked, "owner": "legal", "scope": scope})["hold"]

    def release(self, hold: str) -> None:
        asked = {"time": f"{self.day}T12:00:00Z", "public": PUBLIC, "reason": "it is over"}
        with open_custody(self.settings) as act:
            act("release", {**asked, "hold": hold})


@pytest.fixture
def life(settings):
    return Life(settings)


def test_an_archived_app_does_nothing_until_it_is_restored_and_is_gone_once_it_is_deleted(life):
    ours = deploy("marketing", "MK-42")
    assert life.rules(ours) == set()
    before = life.directory.app("where2eat")
    assert "REQ-005" not in life.rules(CALL)
    assert life.rules(lifecycle("archived")) == set()
    after = life.directory.app("where2eat")
    assert (after["state"], after["state_since"]) == ("archived", "2031-01-01T12:00:00Z")
    assert (after["spec"], after["decision_id"]) == (before["spec"], before["decision_id"])
    assert life.directory.last_good("where2eat") == after
    assert "REQ-005" in life.rules(CALL)
    assert "LIFE-003" in life.rules(ours)
    assert life.rules(lifecycle("idle")) == {"LIFE-001"}
    assert life.rules(lifecycle("active", "hr")) == {"REQ-003"}
    assert life.rules(lifecycle("active")) == set()
    assert "REQ-005" not in life.rules(CALL)
    assert life.rules(lifecycle("deleted")) == {"LIFE-001", "LIFE-002"}
    assert life.rules(lifecycle("archived")) == set()
    assert life.rules(lifecycle("deleted")) == {"LIFE-002"}, "it has not rested"
    life.day = "2031-02-05"
    for scope in ({"app": "where2eat"}, {"tenant": "marketing"}, {"app": "where2eat", "kind": "deploy"}):
        hold = life.hold(**scope)
        assert life.rules(lifecycle("deleted")) == {"LIFE-002"}, "a legal hold is on it"
        life.release(hold)
    life.hold(app="another", kind="deploy")
    assert life.rules(lifecycle("deleted")) == set()
    gone = life.directory.app("where2eat")
    assert (gone["state"], gone["spec"]) == ("deleted", {"tenant": "marketing"})
    assert "@" not in json.dumps(gone), "whose it was is all that is left of what it was"
    assert {"REQ-005", "CONN-008"} <= life.rules(CALL)
    assert life.rules(lifecycle("active")) == {"LIFE-001"}
    assert "LIFE-003" in life.rules(ours)
    assert {"REQ-008", "LIFE-003"} <= life.rules(deploy("hr", "HR-10"))


def test_a_hold_that_cannot_be_read_any_more_is_on_everything(life):
    assert life.rules(deploy("marketing", "MK-42")) == set()
    assert life.rules(lifecycle("archived")) == set()
    life.day = "2031-02-05"
    with open_recorder(life.settings) as recorder:
        recorder.append(Entry("hold", "2031-02-05T11:00:00Z", {**PUBLIC, "hold": "h1", "change": "add"}, {}))
    assert life.rules(lifecycle("deleted")) == {"LIFE-002"}


def test_a_published_audience_is_the_one_that_counts(life):
    assert life.rules(deploy("marketing", "MK-42")) == set()
    assert life.rules(publish("department")) == set()
    app = life.directory.app("where2eat")
    assert (app["spec"]["audience"], app["state"]) == ("department", "active")
    assert life.rules(publish("company")) == {"AUD-002"}
    assert life.rules(publish("everybody")) == {"AUD-001"}
    assert life.rules(publish("team", "hr")) == {"REQ-003"}
    assert life.directory.app("where2eat") == app
    assert life.rules(publish("team")) == set()
    assert life.directory.last_good("where2eat")["spec"]["audience"] == "team"


def test_who_asks_for_the_same_twice_at_once_has_it(settings, recorder, line):
    """As a cluster does: to mutate an app, and then to validate what came of it."""
    asked = deploy("marketing", "MK-42")
    slow = beside(line, Meanwhile(recorder, lambda: line.decide(asked)))
    assert slow.decide(asked).effect == "allow"
    assert [row["kind"] for row in records(settings)] == ["deploy", "deploy"]


def test_a_state_that_changed_meanwhile_is_not_changed_from_what_it_was(settings, recorder, line):
    line.decide(deploy("marketing", "MK-42"))
    slow = beside(line, Meanwhile(recorder, lambda: line.decide(lifecycle("archived"))))
    late = slow.decide(publish("department"))
    assert (late.effect, late.error) == ("deny", "overtaken")
    app = directory_of(settings).app("where2eat")
    assert (app["state"], app["spec"]["audience"]) == ("archived", "team")
