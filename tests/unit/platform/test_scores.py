"""Scores: an app counts when nothing is open, on the policy in force, within a day; and what moved a score is said."""

from __future__ import annotations

import pytest

from audit.log import AuditLog
from audit.record import Entry
from governance.errors import CallerError
from governance.platform.scores import days_between, score, score_json, trend, trend_json


def evaluated(app: str, time: str, *, rules=(), waived=(), revision: str = "r1", kind: str = "deploy", **more) -> Entry:
    violations = [{"rule": r, "mode": "enforce", "effect": "deny", "waived_by": None, "controls": []} for r in rules]
    violations += [{"rule": r, "mode": "enforce", "effect": "allow", "waived_by": "w", "controls": []} for r in waived]
    public = {
        "decision_id": f"{app}{time}", "app": app, "tenant": more.get("tenant", "hr"), "error": more.get("error"),
        "effect": more.get("effect", "deny" if rules else "allow"), "rules": sorted({*rules, *waived}), "revision": revision,
    }  # fmt: skip
    sealed = {"answer": {"violations": violations}, "input": {"resource": {"change": {"to": more.get("to", "")}}}}
    return Entry(kind, time, public, sealed, "s")


@pytest.fixture
def log(tmp_path):
    with AuditLog(tmp_path, origin="log.example/audit") as log:
        yield log


def statuses(found) -> dict:
    return {one.app: one.status for one in found.standings}


def test_a_finding_another_policy_and_age_each_cost_the_status(log):
    log.append(evaluated("fine", "2026-03-02T10:00:00Z"))
    log.append(evaluated("open", "2026-03-02T10:00:00Z", rules=["CONN-001"]))
    log.append(evaluated("waived", "2026-03-02T10:00:00Z", waived=["CONN-001"]))
    log.append(evaluated("old", "2026-03-01T10:59:59Z"))
    log.append(evaluated("edge", "2026-03-01T11:00:00Z"))
    log.append(evaluated("other", "2026-03-02T10:00:00Z", revision="r0"))
    log.append(evaluated("broken", "2026-03-02T10:00:00Z", effect="deny", error="no_answer"))
    found = score(log.reader, now="2026-03-02T11:00:00Z", revision="r1")
    assert statuses(found) == {
        "fine": "compliant", "open": "open_findings", "waived": "compliant", "old": "stale", "edge": "compliant",
        "other": "other_policy", "broken": "open_findings",
    }  # fmt: skip
    body = score_json(found, ["B-001", "A-001"])
    assert body["score"] == round(3 / 7, 4)
    assert body["rule_set"] == {"revision": "r1", "rules": ["A-001", "B-001"]}
    assert (body["apps"], body["compliant"], body["open_findings"], body["with_waivers"]) == (7, 3, 2, 1)


def test_only_the_last_evaluation_counts_and_calls_are_none(log):
    log.append(evaluated("lunch", "2026-03-02T09:00:00Z", rules=["CONN-001"]))
    log.append(evaluated("lunch", "2026-03-02T10:00:00Z"))
    log.append(evaluated("lunch", "2026-03-02T10:30:00Z", rules=["DATA-008"], kind="connector_call"))
    assert statuses(score(log.reader, now="2026-03-02T11:00:00Z", revision="r1")) == {"lunch": "compliant"}


def test_a_yes_that_another_overtook_is_no_evaluation(log):
    log.append(evaluated("lunch", "2026-03-02T09:00:00Z", rules=["CONN-001"]))
    log.append(evaluated("lunch", "2026-03-02T10:00:00Z"))
    public = {
        "decision_id": "c",
        "app": "lunch",
        "tenant": "hr",
        "effect": "deny",
        "corrects": "lunch2026-03-02T10:00:00Z",
    }
    log.append(Entry("not_carried_out", "2026-03-02T10:00:01Z", public, {}, "s"))
    assert statuses(score(log.reader, now="2026-03-02T11:00:00Z", revision="r1")) == {"lunch": "open_findings"}


def test_no_app_is_no_score(log):
    log.append(evaluated("lunch", "2026-03-02T09:00:00Z"))
    found = score(log.reader, now="2026-03-02T11:00:00Z", revision="r1", app="absent")
    assert score_json(found, [])["score"] is None


def test_a_scope_is_an_app_or_a_tenant_and_tenants_stand_apart(log):
    log.append(evaluated("a", "2026-03-02T09:00:00Z", tenant="hr"))
    log.append(evaluated("b", "2026-03-02T09:00:00Z", tenant="marketing", rules=["CONN-001"]))
    now = "2026-03-02T11:00:00Z"
    assert score(log.reader, now=now, revision="r1", tenant="hr").share() == 1.0
    assert score(log.reader, now=now, revision="r1", app="b").share() == 0.0
    assert score_json(score(log.reader, now=now, revision="r1"), [])["tenants"] == {
        "hr": {"score": 1.0, "apps": 1},
        "marketing": {"score": 0.0, "apps": 1},
    }


def test_an_app_that_left_counts_no_more_and_one_whose_leaving_was_refused_does(log):
    for app, effect in (("gone", "allow"), ("stays", "deny")):
        log.append(evaluated(app, "2026-03-02T09:00:00Z"))
        log.append(evaluated(app, "2026-03-02T09:30:00Z", kind="lifecycle", to="archived", effect=effect))
    assert set(statuses(score(log.reader, now="2026-03-02T11:00:00Z", revision="r1"))) == {"stays"}


def test_findings_that_nobody_can_read_any_more_stay_open(log, tmp_path):
    import sqlite3

    log.append(evaluated("lunch", "2026-03-02T10:00:00Z", rules=["CONN-001"]))
    with sqlite3.connect(tmp_path / "audit" / "log.db") as db:
        for table in ("subject_keys", "subjects"):
            if db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                db.execute(f"DELETE FROM {table}")  # noqa: S608  one of two names
    found = score(log.reader, now="2026-03-02T11:00:00Z", revision="r1")
    assert (found.standings[0].status, found.standings[0].open) == ("open_findings", ("CONN-001",))


def test_a_trend_says_each_day_what_moved_the_score(log):
    log.append(evaluated("a", "2026-03-01T10:00:00Z"))
    log.append(evaluated("b", "2026-03-01T12:00:00Z", rules=["CONN-001"]))
    log.append(evaluated("b", "2026-03-02T12:00:00Z"))
    log.append(evaluated("a", "2026-03-03T12:00:00Z", revision="r2"))
    now = "2026-03-04T09:00:00Z"
    days = trend(log.reader, days=days_between("2026-02-28", "2026-03-04"), now=now, revision="r2")
    assert [day.score.share() for day in days] == [None, 0.5, 0.5, 0.5, 0.5]
    assert [day.score.revision for day in days] == ["", "r1", "r1", "r2", "r2"]
    assert days[1].changes[1:] == ("hr/a is new: compliant", "hr/b is new: open on CONN-001")
    assert days[2].changes == (
        "hr/a was compliant, is not evaluated for a day (record 0)",
        "hr/b was open on CONN-001, is compliant (record 2)",
    )
    assert days[3].changes == (
        "the policy in force changed from r1 to r2",
        "hr/a was not evaluated for a day, is compliant (record 3)",
        "hr/b was compliant, is evaluated on another policy (record 2)",
    )
    assert days[4].changes == ()
    assert trend_json(days)[4]["at"] == now


@pytest.mark.parametrize("dates", [("soon", "2026-01-01"), ("2026-01-02", "2026-01-01"), ("2020-01-01", "2026-01-01")])
def test_days_that_cannot_be_asked_for(dates):
    with pytest.raises(CallerError):
        days_between(*dates)
