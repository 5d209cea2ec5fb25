"""The audit log at work under a running service: searched, asked, held, erased, pruned, its key changed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from audit.certificate import check_certificate
from audit.notes import parse_verifier_key
from tests.journeys.service import EXAMPLES, Service, governance

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())
FLOW = json.loads((EXAMPLES / "suggestion-flow.json").read_text())
PERSON = "person-4711-Trillian"
MARK = "Magrathea-Sentence-0815"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("custody")
    (folder / "retention.yaml").write_text("classes:\n  - {kind: query, keep: PT0S}\n")
    running = Service(folder / "home", GOVERNANCE_RETENTION=str(folder / "retention.yaml")).start()
    yield running
    running.stop()


def audit(service: Service, *argv: str, code: int = 0) -> str:
    done = governance("audit", *argv, home=service.home, **service.env)
    assert done.returncode == code, done.stderr
    return (done.stdout if code == 0 else done.stderr).decode()


def exported(service: Service, *asked: dict) -> list[str]:
    """Where the export jobs are, once they are done."""
    with service.client("auditor") as auditor:
        places = [auditor.post("/v1/audit/exports", json=one).headers["location"] for one in asked]
        service.wait_until(lambda: {auditor.get(place).json()["state"] for place in places} == {"done"})
    return places


def wrapped_keys(service: Service) -> set[bytes]:
    with sqlite3.connect(service.home / "audit" / "log.db") as database:
        return {key for (key,) in database.execute("SELECT key FROM subjects")}


@pytest.fixture(scope="module")
def decided(service) -> dict[str, str]:
    """A call about one person, a flow, and a query; their decision ids."""
    with service.client("service") as client:
        call = {**CALL, "subject": {"id": PERSON}, "context": {"note": MARK}}
        ids = {
            "call": client.post(
                "/v1/decisions", json=call, headers={"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}
            ).json()
        }
        ids["flow"] = client.post("/v1/decisions", json=FLOW).json()
        ids["query"] = client.post("/v1/data/platform/caps", json={"input": {}}).json()
    return {name: answer["decision_id"] for name, answer in ids.items()}


class TestSearch:
    @pytest.mark.parametrize(
        "filters",
        [
            {"connector": CALL["resource"]["connector"]},
            {"trace_id": "ab" * 16},
            {"subject": PERSON, "kind": "connector_call"},
            {"text": MARK.lower()},
        ],
    )
    def test_the_same_filters_over_http_and_at_the_terminal(self, service, decided, filters):
        with service.client("auditor") as auditor:
            over_http = auditor.get("/v1/audit/records", params=filters).json()["records"]
        options = [part for name, value in filters.items() for part in (f"--{name.replace('_', '-')}", value)]
        typed = [json.loads(line) for line in audit(service, "list", "--format", "json", *options).splitlines()]
        kinds = {"connector_call"}
        assert [r["public"]["decision_id"] for r in over_http if r["kind"] in kinds] == [decided["call"]]
        assert [r["public"]["decision_id"] for r in typed if r["kind"] in kinds] == [decided["call"]]

    def test_by_a_control_through_the_rules_that_name_it(self, service, decided):
        record = next(r for r in service.records() if r["public"]["decision_id"] == decided["call"])
        control = record["opened"]["answer"]["violations"][0]["controls"][0]
        with service.client("auditor") as auditor:
            found = auditor.get("/v1/audit/records", params={"control": control}).json()["records"]
            assert decided["call"] in {r["public"]["decision_id"] for r in found}
            assert auditor.get("/v1/audit/records", params={"control": "NO:1"}).status_code == 400

    def test_what_was_looked_for_is_recorded_and_a_person_s_name_only_sealed(self, service, decided):
        with service.client("auditor") as auditor:
            auditor.get("/v1/audit/records", params={"subject": PERSON, "app": "nothing"})
        read = service.records(kind="audit_read", app="nothing")[0]
        assert read["public"]["filter"] == {"app": "nothing", "subject": "given"}
        assert read["public"]["records"] == 0
        assert read["opened"] == {"subject": PERSON}

    def test_reading_at_the_terminal_is_a_record(self, service, decided):
        audit(service, "list", "--kind", "data_flow", "--limit", "3")
        read = service.records(kind="audit_read", limit="1")[0]
        audit(service, "show", decided["flow"])
        shown = service.records(kind="audit_read")
        assert read["public"]["entry_point"] == "cli.audit"
        assert read["public"]["filter"] == {"kind": "data_flow"}
        assert any(r["public"].get("asked_for") == decided["flow"] for r in shown)

    def test_the_rules_that_came_into_force_are_a_record_from_before_the_first_decision(self, service, decided):
        (change,) = service.records(kind="bundle_activated")
        record = next(r for r in service.records() if r["public"]["decision_id"] == decided["call"])
        assert change["public"]["to"] == record["public"]["revision"]
        assert change["index"] < record["index"]


class TestQuestions:
    def test_who_allowed_a_decision_names_who_asked_and_what_it_broke(self, service, decided):
        answers = json.loads(audit(service, "ask", "who-allowed", decided["call"]))
        assert [(a["was_allowed"], a["kind"]) for a in answers] == [(False, "connector_call")]
        assert answers[0]["asked_for"]["id"] == PERSON
        with service.client("auditor") as auditor:
            assert auditor.get("/v1/audit/who-allowed", params={"id": decided["call"]}).json()["answers"] == answers

    def test_who_allowed_an_app(self, service):
        manifest = (EXAMPLES / "app-fixed.yaml").read_bytes()
        governance("decide", "--kind", "deploy", home=service.home, stdin=manifest)
        answers = json.loads(audit(service, "ask", "who-allowed", "--app", "where2eat"))
        assert {a["was_allowed"] for a in answers} == {True}

    def test_what_did_a_person_s_data_touch(self, service, decided):
        with service.client("compliance") as compliance:
            found = compliance.get("/v1/audit/data-of", params={"subject": PERSON}).json()
            assert compliance.get("/v1/audit/data-of").status_code == 400
        assert found["kinds"]["connector_call"] == 1
        assert found["connectors"] == {CALL["resource"]["connector"]: 1}
        assert decided["call"] in found["decisions"]

    def test_a_key_of_another_tenant_sees_nothing(self, service, decided):
        with service.client("auditor", tenant="elsewhere") as auditor:
            assert auditor.get("/v1/audit/data-of", params={"subject": PERSON}).json()["records"] == 0
            assert auditor.get("/v1/audit/who-allowed", params={"id": decided["call"]}).json()["answers"] == []
            assert auditor.get("/v1/audit/who-allowed", params={"app": "x", "tenant": "hr"}).status_code == 403


class TestCustody:
    def test_a_hold_then_an_erasure_then_no_byte_of_the_person_is_left_in_the_home(self, service, decided, tmp_path):
        hold = audit(service, "hold", "add", "--subject", PERSON, "--reason", "case 9", "--owner", "legal").split()[1]
        assert hold in audit(service, "hold", "list")
        said = audit(service, "erase", PERSON, "--reason", "request 17", code=1)
        assert ("held_back" in said, "not_durable" in said) == (True, False)
        audit(service, "hold", "release", hold, "--reason", "case closed")
        places = exported(service, {"subject": PERSON, "formats": ["csv"]}, {"formats": ["jsonl"]})
        before = wrapped_keys(service)
        audit(service, "erase", PERSON, "--reason", "request 17", "--out", str(tmp_path / "certificate"))
        (key,) = before - wrapped_keys(service)
        for path in service.home.rglob("*"):
            if path.is_file():
                raw = path.read_bytes()
                assert PERSON.encode() not in raw, path
                assert MARK.encode() not in raw, path
                assert key not in raw, path
        with service.client("auditor") as auditor:
            assert [auditor.get(place).status_code for place in places] == [404, 404]
            assert len(service.records(kind="export_withdrawn")) == 2
        vkey = parse_verifier_key(audit(service, "key").strip())
        assert check_certificate((tmp_path / "certificate").read_text(), vkey, PERSON).indexes
        package = tmp_path / "package"
        audit(service, "export", "--out", str(package))
        assert all(MARK.encode() not in path.read_bytes() for path in package.iterdir())
        assert "VERIFIED" in audit(service, "verify", str(package))
        assert "as it was written" in audit(service, "check")
        assert json.loads(audit(service, "ask", "data-of", PERSON))["records"] == 0

    def test_who_is_not_there_is_not_erased_and_wrong_use_is_said(self, service):
        assert "nothing_there" in audit(service, "erase", "nobody-at-all", "--reason", "x", code=2)
        audit(service, "erase", "nobody-at-all", code=2)
        audit(service, "hold", "release", "abc", "--reason", "x", code=2)

    def test_pruning_ends_what_its_class_says_and_nothing_else(self, service, decided):
        assert "would go" in audit(service, "prune", "--dry-run")
        with service.client("auditor") as auditor:

            def is_gone() -> bool:
                """Nothing is kept of queries; that they are over counts from the next second."""
                assert "went" in audit(service, "prune")
                return auditor.get(f"/v1/decisions/{decided['query']}").json()["opened"] == {}

            service.wait_until(is_gone)
            flow = auditor.get(f"/v1/decisions/{decided['flow']}").json()
        assert flow["opened"]["input"]
        assert "as it was written" in audit(service, "check")

    def test_the_key_is_changed_under_a_running_service(self, service):
        old = audit(service, "key").strip()
        new = audit(service, "rotate-key").splitlines()[-1]
        with service.client("auditor") as auditor:
            note = auditor.get("/checkpoint").text
            assert note.count("\u2014") == 2
            audit(service, "rotate-key", "--finish")
            auditor.get("/v1/audit/records")
            assert auditor.get("/checkpoint").text.count("\u2014") == 1
        assert audit(service, "key").strip() == new != old
        assert "as it was written" in audit(service, "check")


def test_masks_are_previewed_and_applied_to_what_is_recorded(tmp_path):
    example = Path(EXAMPLES).parent / "audit-mask"
    # Alone: what is recorded is masked alike, whatever was decided.
    service = Service(tmp_path / "home", GOVERNANCE_BUNDLE=str(example / "mask.rego")).start()
    try:
        asked = {**FLOW, "context": {"phone": "555-01234567"}}
        with service.client("platform") as platform:
            shown = platform.post("/v1/audit/mask-preview", json=asked).json()
            assert shown["erased_paths"] == ["/input/context/phone"]
            assert "555-01234567" not in json.dumps(shown)
            decision = platform.post("/v1/decisions", json=asked).json()
            record = platform.get(f"/v1/decisions/{decision['decision_id']}").json()
        assert record["public"]["erased_paths"] == ["/input/context/phone"]
        assert record["opened"] == shown["sealed"]
        with service.client("auditor") as auditor:
            assert auditor.post("/v1/audit/mask-preview", json=asked).status_code == 403
    finally:
        service.stop()
