"""Exports over HTTP: asked for once, looked at, fetched, verified; who may, and what is written down about it."""

from __future__ import annotations

import io
import json
import os
import signal
import zipfile

import httpx
import pytest
import yaml

from tests.journeys.service import EXAMPLES, governance

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())


@pytest.fixture(scope="module")
def auditor(service):
    with service.client("auditor") as client:
        yield client


@pytest.fixture(scope="module", autouse=True)
def some_decisions(service):
    with service.client("service") as client:
        for _ in range(3):
            client.post("/v1/decisions", json=CALL)


def finished(service, client, path: str) -> dict:
    service.wait_until(lambda: client.get(path).json()["state"] in {"done", "failed"})
    return client.get(path).json()


def exports_on_record(service) -> list[dict]:
    return [r["public"] for r in service.records() if r["kind"] == "export"]


def test_an_export_is_a_job_whose_package_verifies_and_whose_every_step_is_on_record(service, auditor, tmp_path):
    asked = {"app": "where2eat", "formats": ["csv", "ocsf"], "with_bundles": True}
    answer = auditor.post("/v1/audit/exports", json=asked)
    assert answer.status_code == 202
    state = finished(service, auditor, answer.headers["location"])
    assert (state["state"], state["asked"]["filter"]) == ("done", {"app": "where2eat"})
    package = auditor.get(state["package"])
    assert package.headers["content-type"] == "application/zip"
    assert len(package.content) == state["bytes"]
    (tmp_path / "package.zip").write_bytes(package.content)
    key = governance("audit", "key", home=service.home).stdout.decode().strip()
    done = governance("audit", "verify", str(tmp_path / "package.zip"), "--key", key, "--re-evaluate", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"VERIFIED: " in done.stdout
    assert b"RE-EVALUATED: " in done.stdout
    assert exports_on_record(service)[0]["export"] == state["id"]
    reads = [r["public"] for r in service.records() if r["kind"] == "audit_read" and r["public"].get("export")]
    assert reads[0]["export"] == state["id"]


def test_the_same_key_is_the_same_export_and_another_question_under_it_is_refused(service, auditor):
    headers = {"Idempotency-Key": "q1"}
    first, again = (auditor.post("/v1/audit/exports", json={}, headers=headers).json() for _ in range(2))
    assert first["id"] == again["id"]
    other = auditor.post("/v1/audit/exports", json={"app": "other"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert finished(service, auditor, f"/v1/audit/exports/{first['id']}")["state"] == "done"
    assert auditor.post("/v1/audit/exports", json={}).json()["id"] != first["id"]


def test_a_control_narrows_an_export_as_it_does_a_list_and_the_terminal(service, auditor, tmp_path):
    denied = next(r for r in service.records() if r["public"]["effect"] == "deny" and r["public"]["rules"])
    control = denied["opened"]["answer"]["violations"][0]["controls"][0]
    listed = auditor.get("/v1/audit/records", params={"control": control, "limit": "100"}).json()["records"]
    answer = auditor.post("/v1/audit/exports", json={"control": control})
    state = finished(service, auditor, answer.headers["location"])
    assert state["records"] == len(listed) < len(service.records())
    done = governance("audit", "export", "--control", control, "--out", str(tmp_path / "typed"), home=service.home)
    assert (done.returncode, f"{len(listed)} records in".encode() in done.stdout + done.stderr) == (0, True)
    assert auditor.post("/v1/audit/exports", json={"control": "NO:1"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"what": 1},
        {"app": 1},
        {"formats": "csv"},
        {"formats": ["xml"]},
        {"since": "soon"},
        {"with_bundles": "yes"},
        {"pinned": ["x"]},
        {"pinned": ["x"] * 21},
    ],
)
def test_a_bad_question_is_refused_at_once(auditor, body):
    answer = auditor.post("/v1/audit/exports", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_who_may_not_read_may_not_export(service):
    for role, status in (("citizen", 403), ("service", 403)):
        with service.client(role) as client:
            assert client.post("/v1/audit/exports", json={}).status_code == status
    assert httpx.post(f"{service.url}/v1/audit/exports", json={}, timeout=60).status_code == 401


def test_a_key_of_one_tenant_exports_that_one_only_and_sees_no_other_s_job(service, auditor):
    with service.client("auditor", "hr") as bound:
        assert bound.post("/v1/audit/exports", json={"tenant": "marketing"}).status_code == 403
        mine = bound.post("/v1/audit/exports", json={})
        assert mine.status_code == 202
        state = finished(service, bound, mine.headers["location"])
        assert state["asked"]["filter"] == {"tenant": "hr"}
        packed = zipfile.ZipFile(io.BytesIO(bound.get(state["package"]).content)).read("records.jsonl")
        assert [json.loads(line)["public"]["tenant"] for line in packed.splitlines()] == ["hr"] * state["records"]
        assert state["records"] >= 1  # the record of this very question
        others = auditor.post("/v1/audit/exports", json={}).headers["location"]
        finished(service, auditor, others)
        assert bound.get(others).status_code == 404
        assert bound.get(f"{others}/package").status_code == 404


@pytest.mark.parametrize("path", ["0" * 32, "..%2f..%2fkeys.json", "x", "0" * 32 + "/package"])
def test_an_export_that_is_not_there(auditor, path):
    assert auditor.get(f"/v1/audit/exports/{path}").status_code == 404


def test_a_job_whose_process_was_killed_goes_on_when_somebody_asks(service, auditor):
    place = auditor.post("/v1/audit/exports", json={"formats": ["pdf", "xlsx"]}).headers["location"]
    for process in service.children("export_main"):
        os.kill(process, signal.SIGKILL)
    assert finished(service, auditor, place)["state"] == "done"


class TestScores:
    def test_the_score_says_its_rule_set_how_each_app_stands_and_what_moved_it(self, service, auditor):
        manifest = (EXAMPLES / "app.yaml").read_text()
        with service.client("service") as client:
            body = {"kind": "deploy", "resource": yaml.safe_load(manifest)}
            assert client.post("/v1/decisions", json=body).json()["effect"] == "deny"
        today = auditor.get("/v1/scores").json()["at"][:10]
        answer = auditor.get("/v1/scores", params={"app": "where2eat", "since": today})
        assert answer.status_code == 200
        body = answer.json()
        assert (body["score"], body["apps"], body["open_findings"]) == (0.0, 1, 1)
        assert body["rule_set"]["revision"] == auditor.get("/readyz").json()["revision"]
        assert "DATA-007" in body["rule_set"]["rules"]
        assert "DATA-007" in body["standings"][0]["open"]
        assert [day["day"] for day in body["trend"]] == [today]
        reads = [r["public"] for r in service.records() if r["kind"] == "audit_read" and "scores" in r["public"]]
        assert reads[0]["scores"] == 1

    def test_who_asks_badly_or_may_not_ask_is_refused(self, service, auditor):
        for params in ({"what": "1"}, {"since": "soon"}, {"since": "1999-01-01"}):
            assert auditor.get("/v1/scores", params=params).status_code == 400
        assert auditor.get("/v1/scores?app=a&app=b").status_code == 400
        with service.client("citizen") as citizen:
            assert citizen.get("/v1/scores").status_code == 403
        with service.client("auditor", "hr") as bound:
            assert bound.get("/v1/scores", params={"tenant": "marketing"}).status_code == 403
            assert bound.get("/v1/scores").json()["apps"] == 0


def test_what_looks_like_personal_data_is_looked_for_and_written_down_nowhere(service, auditor):
    card, key = "4111 1111 1111 1111", "AKIAIOSFODNN7EXAMPLE"
    assert auditor.get("/v1/audit/records", params={"app": card, "connector": key}).status_code == 200
    assert auditor.get("/v1/audit/who-allowed", params={"app": card}).status_code == 200
    asked = {"app": card, "tenant": key, "text": card, "subject": "ann@example.com"}
    place = auditor.post("/v1/audit/exports", json=asked).headers["location"]
    assert finished(service, auditor, place)["asked"]["filter"]["app"] == "[CREDIT_CARD]"
    (read,) = [r for r in service.records(kind="audit_read") if "connector" in r["public"].get("filter", {})]
    assert read["public"]["filter"] == {"app": "[CREDIT_CARD]", "connector": "[AWS_ACCESS_KEY]"}
    export = next(r for r in service.records(kind="export") if r["public"]["app"])
    told = {"app": "[CREDIT_CARD]", "tenant": "[AWS_ACCESS_KEY]", "subject": "given", "text": "given"}
    assert export["public"]["filter"] == told
    assert export["opened"]["subject"] == "ann@example.com"
    for path in (path for path in service.home.rglob("*") if path.is_file()):
        raw = path.read_bytes()
        assert card.encode() not in raw, path
        assert key.encode() not in raw, path


class TestProofs:
    def test_a_record_and_the_growth_are_proved_and_the_asking_is_on_record(self, service, auditor, tmp_path):
        (record,) = service.records(kind="connector_call", limit="1")
        key = governance("audit", "key", home=service.home).stdout.decode().strip()
        (tmp_path / "kept").write_text(auditor.get("/checkpoint").text)
        size = int((tmp_path / "kept").read_text().split("\n")[1])
        asked = [{"id": record["public"]["decision_id"]}, {"index": record["index"], "size": size}, {"since": size}]
        for params, said in zip(
            asked, ("unchanged", f"of {size}, unchanged", "continues your checkpoint"), strict=True
        ):
            answer = auditor.get("/v1/audit/proof", params=params)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
            (tmp_path / "proof").write_text(answer.text)
            pinned = ["--pinned", str(tmp_path / "kept")] if "since" in params else []
            done = governance("audit", "verify", str(tmp_path / "proof"), "--key", key, *pinned, home=tmp_path)
            assert (done.returncode, said in done.stdout.decode()) == (0, True), done
        reads = [one["public"] for one in service.records(kind="audit_read", limit="3")]
        assert [one["asked_for"] for one in reads] == [
            f"proof that it grew from {size}", *[f"proof of record {record['index']}"] * 2
        ]  # fmt: skip
        assert {(one["app"], one["tenant"]) for one in reads[1:]} == {("where2eat", "marketing")}

    @pytest.mark.parametrize(
        ("params", "status"),
        [
            ({}, 400), ({"id": "a", "index": "1"}, 400), ({"index": "-1"}, 400), ({"index": "9" * 15}, 404),
            ({"id": "nope"}, 404), ({"since": "0"}, 400), ({"since": "9" * 15}, 400), ({"index": "1", "size": "1"}, 400),
        ],
    )  # fmt: skip
    def test_what_is_asked_wrongly_is_said(self, auditor, params, status):
        answer = auditor.get("/v1/audit/proof", params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")

    def test_a_record_of_another_tenant_is_not_there_and_others_may_not_ask(self, service):
        (record,) = service.records(kind="connector_call", limit="1")
        with service.client("auditor", "hr") as bound:
            assert bound.get("/v1/audit/proof", params={"index": record["index"]}).status_code == 404
            assert bound.get("/v1/audit/proof", params={"since": 1}).status_code == 200
        with service.client("citizen") as citizen:
            assert citizen.get("/v1/audit/proof", params={"index": record["index"]}).status_code == 403
        assert httpx.get(f"{service.url}/v1/audit/proof", params={"index": 1}).status_code == 401


def test_a_time_that_is_none_is_the_caller_s_mistake(auditor):
    answer = auditor.get("/v1/audit/records", params={"since": "soon"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
