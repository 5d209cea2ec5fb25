"""Waivers over HTTP and by command: two people, one record each time, in force in every worker within a second."""

from __future__ import annotations

import json

import httpx
import pytest
import yaml

from audit.reader import LogReader
from tests.journeys.service import EXAMPLES, governance, soon

DEPLOY = EXAMPLES / "app-fixed.yaml"


@pytest.fixture(scope="module")
def people(service):
    with service.client("service") as asks, service.client("compliance") as ann, service.client("platform") as bob:
        yield asks, ann, bob


def call():
    """Refused by REQ-004: nobody deployed this app."""
    return {"kind": "lifecycle", "resource": {"app": "lunch", "change": {"from": "active", "to": "archived"}}}


def waived(asks):
    violations = asks.post("/v1/decisions", json=call()).json()["violations"]
    return {v["rule"]: v.get("waived_by") for v in violations}.get("REQ-004", "not violated")


def document(name, **changed):
    spec = {"rule": "REQ-004", "subject": "app:lunch", "reason": "moved by hand", "expires": soon(600), "ticket": "T-1"}
    spec = {key: value for key, value in {**spec, **changed}.items() if value is not None}
    return {"apiVersion": "microapps.internal/v1alpha1", "kind": "Waiver", "metadata": {"name": name}, "spec": spec}


def test_a_waiver_counts_when_somebody_else_approved_it_and_until_it_is_revoked(service, people):
    asks, ann, bob = people
    assert waived(asks) is None
    proposed = ann.post("/v1/waivers", json=document("by-hand"))
    assert (proposed.status_code, proposed.json()["state"]) == (201, "proposed")
    assert ann.post("/v1/waivers/by-hand/approval").status_code == 403, "nobody approves their own"
    author = proposed.json()["author"]
    [tried] = [row for row in service.records(kind="refused") if row["public"]["actor"] == author]
    assert "their own waiver" in tried["opened"]["answer"]["reason"]
    assert tried["public"]["error"] == "forbidden"
    assert waived(asks) is None
    approved = bob.post("/v1/waivers/by-hand/approval")
    assert approved.status_code == 200, approved.text
    service.wait_until(lambda: all(waived(asks) == "by-hand" for _ in range(8)), 20)
    assert [row["state"] for row in ann.get("/v1/waivers").json()["waivers"]] == ["in_force"]
    assert ann.post("/v1/waivers", json=document("by-hand")).status_code == 409
    assert bob.delete("/v1/waivers/by-hand").json()["state"] == "revoked"
    service.wait_until(lambda: all(waived(asks) is None for _ in range(8)), 20)
    kinds = {
        kind: service.records(kind=kind)[0]["public"]
        for kind in ("waiver_proposed", "waiver_approved", "waiver_revoked")
    }
    assert kinds["waiver_proposed"]["actor"] == kinds["waiver_approved"]["author"]
    assert kinds["waiver_approved"]["actor"] == kinds["waiver_approved"]["approver"]
    assert kinds["waiver_approved"]["actor"] != kinds["waiver_proposed"]["actor"]
    assert kinds["waiver_revoked"]["rules"] == ["REQ-004"]
    assert {row["public"]["ticket"] for row in service.records(kind="waiver_approved")} == {"T-1"}


def test_an_expired_one_stops_at_the_instant(service, people):
    """Told by the decisions' own times, so that a slow machine changes nothing: none after the instant is excused."""
    asks, ann, bob = people
    expires = soon(8)
    assert ann.post("/v1/waivers", json=document("short", expires=expires)).status_code == 201
    assert bob.post("/v1/waivers/short/approval").status_code == 200
    seen = []

    def is_over():
        decision = asks.post("/v1/decisions", json=call()).json()
        excused = any(v.get("waived_by") == "short" for v in decision["violations"])
        seen.append((decision["decided_at"][:19] >= expires[:19], excused))
        return seen[-1][0]

    service.wait_until(is_over, 60)
    is_over()
    assert (True, True) not in seen
    assert (False, True) in seen
    assert ann.get("/v1/waivers/short").json()["state"] == "expired"


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"rule": None}, "spec.rule"),
        ({"rule": "NOPE-001"}, "does not exist"),
        ({"rule": "*"}, "does not exist"),
        ({"subject": "app:*"}, "is not app"),
        ({"expires": "2020-01-01T00:00:00Z"}, "over already"),
        ({"expires": "tomorrow"}, "not an instant"),
        ({"reason": ""}, "spec.reason"),
        ({"approver": "bob"}, "whoever approves"),
        ({"more": 1}, "spec.more"),
    ],
)
def test_one_that_must_not_count_is_refused_and_says_why(people, changed, where):
    answer = people[1].post("/v1/waivers", json=document("bad", **changed))
    assert answer.status_code == 400
    assert where in answer.text
    assert people[1].get("/v1/waivers/bad").status_code == 404


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A", "x" * 64, ".hidden"])
def test_a_name_is_a_name_and_no_path(people, name):
    assert people[1].post("/v1/waivers", json=document(name)).status_code == 400


def test_only_those_who_may_change_rules_change_waivers(service, people):
    asks, ann, _ = people
    assert asks.post("/v1/waivers", json=document("not-mine")).status_code == 403
    with service.client("citizen") as citizen, service.client("compliance", "sales") as sales:
        assert citizen.post("/v1/waivers", json=document("not-mine")).status_code == 403
        assert sales.post("/v1/waivers", json=document("not-mine")).status_code == 403
        assert sales.post("/v1/waivers", json=document("mine", subject="tenant:sales")).status_code == 201
        assert sales.delete("/v1/waivers/mine").status_code == 200
    assert ann.delete("/v1/waivers/not-there").status_code == 404


def test_by_command_as_well(service, people):
    argv = [
        "waiver", "add", "by-command", "--rule", "REQ-004", "--subject", "app:lunch", "--owner", "ann", "--reason", "r",
        "--expires", "1d",
    ]  # fmt: skip
    assert governance(*argv, "--approver", "Ann", home=service.home).returncode == 2
    done = governance(*argv, "--approver", "bob", home=service.home)
    assert done.returncode == 0, done.stderr
    service.wait_until(lambda: all(waived(people[0]) == "by-command" for _ in range(8)), 20)
    assert b"by-command" in governance("waiver", "list", home=service.home).stdout
    assert governance("waiver", "revoke", "by-command", home=service.home).returncode == 0
    service.wait_until(lambda: all(waived(people[0]) is None for _ in range(8)), 20)
    assert service.records(kind="waiver_added")[0]["public"]["approver"] == "bob"


def test_a_file_that_is_no_waiver_holds_up_no_other_change(service, people):
    asks, ann, bob = people
    assert ann.post("/v1/waivers", json=document("good")).status_code == 201
    assert bob.post("/v1/waivers/good/approval").status_code == 200
    service.wait_until(lambda: all(waived(asks) == "good" for _ in range(8)), 20)
    broken = service.home / "waivers" / "a-broken.yaml"
    broken.write_text("kind: Waiver\nmetadata: {name: x}\nspec: {rule: GONE-001, subject: 'app:lunch'}\n")
    assert bob.delete("/v1/waivers/good").status_code == 200
    service.wait_until(lambda: all(waived(asks) is None for _ in range(8)), 20)
    states = {row["name"]: row["state"] for row in ann.get("/v1/waivers").json()["waivers"]}
    assert states["a-broken"] == "unreadable"
    broken.unlink()


@pytest.mark.parametrize(
    ("changed", "rule"),
    [({"expires": "2999-12-31T00:00:00Z"}, "REG-002"), ({"reason": "deploys with AKIAIOSFODNN7EXAMPLE"}, "SEC-001")],
)
def test_what_the_rules_refuse_excuses_nothing_by_whatever_door_it_comes(service, people, changed, rule):
    asks, ann, _ = people
    before = len(service.records(kind="registry_entry"))
    answer = ann.post("/v1/waivers", json=document("too-much", **changed))
    assert (answer.status_code, ann.get("/v1/waivers/too-much").status_code) == (403, 404), answer.text
    spec = {"rule": "REQ-004", "subject": "app:lunch", "reason": "r", "expires": "1d", **changed}
    argv = [part for name, value in spec.items() for part in (f"--{name}", value)]
    done = governance("waiver", "add", "by-hand-2", "--owner", "ann", "--approver", "bob", *argv, home=service.home)
    assert done.returncode == 2
    assert b"refuses this waiver" in done.stderr
    path = service.home / "waivers" / "too-much.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_file("too-much", **changed))
    # Each of the two workers asks once.
    service.wait_until(lambda: len(service.records(kind="registry_entry")) == before + 4, 20)
    assert all(waived(asks) is None for _ in range(8))
    decided = service.records(kind="registry_entry")[: -before or None]
    assert [(row["public"]["effect"], row["public"]["rules"]) for row in decided] == [("deny", [rule])] * 4
    assert {row["public"]["entry_point"] for row in decided} == {"http.waivers", "cli.waiver", "waivers.file"}
    path.write_text(as_file("too-much"))
    service.wait_until(lambda: all(waived(asks) == "too-much" for _ in range(8)), 20)
    ended = len(service.records(kind="waiver_revoked"))
    path.write_text(as_file("too-much", **changed))
    service.wait_until(lambda: len(service.records(kind="waiver_revoked")) == ended + 1, 20)
    assert service.records(kind="waiver_revoked")[0]["public"]["file"] == "home/too-much.yaml"
    path.unlink()
    service.wait_until(lambda: all(waived(asks) is None for _ in range(8)), 20)


def as_file(name="by-file", **changed):
    spec = {**document(name, **changed)["spec"], "owner": "ann@example.com", "approver": "bob"}
    return yaml.safe_dump({**document(name), "spec": spec})


def of_file(service, kind):
    return [r for r in service.records(kind=kind) if r["public"].get("file") == "home/by-file.yaml"]


def test_a_file_counts_once_it_is_on_record_and_each_change_is_one(service, people):
    asks = people[0]
    path = service.home / "waivers" / "by-file.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_file(reason="pay with 4111 1111 1111 1111", ticket="ann@example.com"))
    service.wait_until(lambda: all(waived(asks) == "by-file" for _ in range(8)), 20)
    (taken_up,) = of_file(service, "waiver_added")
    first = min(r["index"] for r in service.records(kind="lifecycle") if "by-file" in r["public"]["waivers"])
    assert taken_up["index"] < first, "no decision stands on a waiver that is not on record"
    public = taken_up["public"]
    assert (public["rules"], public["owner"], public["approver"]) == (["REQ-004"], "ann@example.com", "bob")
    assert (public["change"], public["app"], public["ticket"]) == ("taken up", "lunch", "[EMAIL_ADDRESS]")
    assert taken_up["opened"]["reason"] == "pay with [CREDIT_CARD]"
    used = next(r for r in service.records(kind="lifecycle") if "by-file" in r["public"]["waivers"])
    assert used["opened"]["answer"]["waivers"][0]["reason"] == "pay with [CREDIT_CARD]"
    path.write_text(as_file(reason="another"))
    service.wait_until(lambda: len(of_file(service, "waiver_added")) == 2, 20)
    service.wait_until(lambda: all(waived(asks) == "by-file" for _ in range(8)), 20)
    assert of_file(service, "waiver_added")[0]["public"]["replaces"] == public["digest"]
    path.unlink()
    service.wait_until(lambda: of_file(service, "waiver_revoked"), 20)
    service.wait_until(lambda: all(waived(asks) is None for _ in range(8)), 20)
    path.write_text(as_file(reason="another"))
    service.wait_until(lambda: all(waived(asks) == "by-file" for _ in range(8)), 20)
    path.unlink()
    service.wait_until(lambda: len(of_file(service, "waiver_revoked")) == 2, 20)
    assert len(of_file(service, "waiver_added")) == 3


def test_what_was_made_over_http_is_not_recorded_again_as_a_file(service, people):
    asks, ann, bob = people
    assert ann.post("/v1/waivers", json=document("twice")).status_code == 201
    assert bob.post("/v1/waivers/twice/approval").status_code == 200
    service.wait_until(lambda: all(waived(asks) == "twice" for _ in range(8)), 20)
    assert bob.delete("/v1/waivers/twice").status_code == 200
    service.wait_until(lambda: all(waived(asks) is None for _ in range(8)), 20)
    rows = [r for kind in ("waiver_added", "waiver_approved", "waiver_revoked") for r in service.records(kind=kind)]
    assert sorted(r["kind"] for r in rows if r["public"].get("file") == "home/twice.yaml") == [
        "waiver_approved",
        "waiver_revoked",
    ]


def test_one_decision_by_command_records_the_waiver_file_first_and_once(tmp_path):
    home = tmp_path / "home"
    (home / "waivers").mkdir(parents=True, mode=0o700)
    (home / "waivers" / "by-file.yaml").write_text(as_file())
    for _ in range(2):
        done = governance("decide", home=home, stdin=json.dumps(call()).encode())
        waived_by = {v["rule"]: v.get("waived_by") for v in json.loads(done.stdout)["violations"]}
        assert waived_by["REQ-004"] == "by-file", done.stderr
    log = LogReader(home, origin="governance.local/audit")
    records = [log.record(index) for index in range(log.size())]
    log.close()
    assert [r["kind"] for r in records] == ["registry_entry", "waiver_added", "lifecycle", "lifecycle"]
    assert records[1]["public"]["file"] == "home/by-file.yaml"


def test_two_keys_of_one_person_are_one_person(service):
    answers = []
    for way, body in (("", document("alone")), ("/alone/approval", None)):
        headers = {"authorization": f"Bearer {service.key('compliance', person='eve.r')}"}
        answers.append(httpx.post(f"{service.url}/v1/waivers{way}", json=body, headers=headers, timeout=30))
    assert [answer.status_code for answer in answers] == [201, 403]
    assert "nobody approves their own waiver" in answers[1].text
    assert httpx.delete(f"{service.url}/v1/waivers/alone", headers=headers, timeout=30).status_code == 200
