"""The admission webhook as the API server speaks to it: reviews in, reviews out, and a no for whatever went wrong."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket

import httpx
import pytest
import yaml

from governance.model.patch import patched
from tests.journeys.service import EXAMPLES, Service

GOOD = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
BAD = yaml.safe_load((EXAMPLES / "app.yaml").read_text())
# One rule that objects to forty places, in as many words as fit on no line.
MANY = """# METADATA
# title: Nothing is right
# description: It has something to say about everything.
# custom:
#   id: OWN-001
#   severity: low
#   applies_to: [deploy]
#   controls: ["SOC2:CC6.1"]
#   remediation: There is none.
package platform.rules.own.many

deny contains v if {
	some number in numbers.range(1, 40)
	v := {"path": ["app", "name"], "message": sprintf("%d\\n%s", [number, concat("", ["x" | some _ in numbers.range(1, 200)])])}
}
"""


def review(obj, operation: str = "CREATE", **request) -> dict:
    body = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": operation, "object": obj, "oldObject": None,
        "kind": {"group": "microapps.internal", "version": "v1alpha1", "kind": "MicroApp"}, "namespace": "apps",
        "name": "where2eat", "userInfo": {"username": "dev@example.com", "groups": ["devs"]}, "dryRun": False,
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**body, **request}}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    # A machine that does much else must not run into the budget of one evaluation.
    home = tmp_path_factory.mktemp("admission") / "home"
    running = Service(home, GOVERNANCE_ADMISSION="open", GOVERNANCE_BUDGET_MS="20000").start()
    yield running
    running.stop()


def ask(service: Service, body: object, path: str = "validate", **params: str) -> dict:
    answer = httpx.post(f"{service.url}/admission/{path}", json=body, params=params, timeout=60)
    assert answer.status_code == 200, answer.text
    whole = answer.json()
    assert (whole["apiVersion"], whole["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert whole["response"]["uid"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    return whole["response"]


def test_a_bad_app_is_refused_with_rules_places_and_remedies(service):
    response = ask(service, review(BAD))
    assert response["allowed"] is False
    assert response["status"]["code"] == 403
    for rule in ("DATA-007", "EGR-004", "OAUTH-002", "RUN-002"):
        assert rule in response["status"]["message"]
    assert "/spec/runtime/caps/memoryMiB" in response["status"]["message"]
    assert response["auditAnnotations"]["decision-id"] in response["status"]["message"]


def test_every_rule_that_is_violated_is_named_also_where_the_reasons_do_not_fit(service):
    connectors = [{"name": f"unknown-{number}", "scopes": ["a:read"], "purpose": "x" * 60} for number in range(30)]
    response = ask(service, review({**BAD, "spec": {**BAD["spec"], "connectors": connectors}}))
    named = response["status"]["message"].splitlines()[0]
    assert len(response["status"]["message"]) <= 4000
    assert response["auditAnnotations"]["decision-id"] in response["status"]["message"]
    rules = set(response["auditAnnotations"]["rules"].split(","))
    assert {"CONN-001", "RUN-002"} <= rules
    assert set(named.removeprefix("violates ").split(", ")) == rules


def test_warnings_are_short_and_not_too_many(tmp_path):
    (tmp_path / "rules" / "data" / "platform").mkdir(parents=True)
    (tmp_path / "rules" / "many.rego").write_text(MANY)
    (tmp_path / "rules" / "data" / "platform" / "modes.yaml").write_text("rules: {OWN-001: {mode: warn}}\n")
    env = {"GOVERNANCE_ADMISSION": "open", "GOVERNANCE_BUNDLE": str(tmp_path / "rules")}
    lenient = Service(tmp_path / "home", **env).start()
    try:
        response = ask(lenient, review(BAD))
    finally:
        lenient.stop()
    assert response["allowed"] is True
    assert len(response["warnings"]) == 31
    assert all(0 < len(warning) <= 120 and "\n" not in warning for warning in response["warnings"])
    assert "more warnings" in response["warnings"][-1]


def test_a_good_app_is_admitted_and_on_record_under_the_user_who_asked(service):
    response = ask(service, review(GOOD))
    assert response["allowed"] is True
    assert "patch" not in response
    decision_id = response["auditAnnotations"]["decision-id"]
    record = next(r for r in service.records() if r["public"]["decision_id"] == decision_id)
    assert record["public"]["entry_point"] == "webhook.validate"
    assert record["public"]["actor"] == "kube-apiserver"
    assert record["opened"]["input"]["subject"]["id"] == "dev@example.com"


def test_an_app_comes_from_a_namespace_of_its_tenant_alone(service):
    """The manifest says marketing; the namespace, which Kubernetes answers for, is somebody else's."""
    mallory = {"username": "system:serviceaccount:hr-space:bot", "groups": ["system:serviceaccounts:hr-space"]}
    theirs = {**GOOD, "spec": {**GOOD["spec"], "owner": "mallory@hr.example.com"}}
    labelled = {**theirs, "metadata": {**GOOD["metadata"], "labels": {"microapps.internal/tenant": "marketing"}}}
    for namespace in ("hr-space", "hr", "", None):
        asked = {"namespace": namespace, "userInfo": mallory}
        for path in ("validate", "mutate"):
            response = ask(service, review(theirs, **asked), path)
            assert (response["allowed"], response["auditAnnotations"]["rules"]) == (False, "KUB-010")
        response = ask(service, review(None, "DELETE", oldObject=labelled, **asked))
        assert "KUB-010" in response["auditAnnotations"]["rules"]
        changed = ask(service, review(theirs, "UPDATE", oldObject=GOOD, **asked))
        assert changed["auditAnnotations"]["rules"] == "KUB-010"
    stored = json.loads((service.home / "apps" / "where2eat.json").read_text())
    assert stored["spec"]["owner"] == GOOD["spec"]["owner"]


def test_a_template_comes_from_a_namespace_of_the_tenant_that_its_label_names(service):
    template = yaml.safe_load((EXAMPLES / "template.yaml").read_text())
    template["metadata"] |= {"name": "from-a-cluster"}
    kind = {"group": "microapps.internal", "version": "v1alpha1", "kind": "AppTemplate"}
    for labels, namespace, rules in (
        ({}, "marketing", "KUB-010"),
        ({"microapps.internal/tenant": "marketing"}, "hr", "KUB-010"),
        ({"microapps.internal/tenant": "marketing"}, "marketing", ""),
        ({"microapps.internal/tenant": "hr"}, "hr", ""),  # word for word what is published
    ):
        template["metadata"]["labels"] = labels
        response = ask(service, review(template, "UPDATE", kind=kind, name="from-a-cluster", namespace=namespace))
        assert (response["auditAnnotations"]["rules"], response["allowed"]) == (rules, not rules)
    template["spec"]["summary"] = "Something else."
    response = ask(service, review(template, "UPDATE", kind=kind, name="from-a-cluster", namespace="hr"))
    assert response["auditAnnotations"]["rules"] == "TPL-004,TPL-005"


def test_what_the_api_server_adds_to_an_object_is_not_held_against_it(service):
    added = {
        "uid": "1",
        "generation": 1,
        "creationTimestamp": "2026-03-01T10:00:00Z",
        "namespace": "apps",
        "managedFields": [],
    }
    response = ask(service, review({**GOOD, "metadata": {**GOOD["metadata"], **added}, "status": {"phase": "new"}}))
    assert response["allowed"] is True


def test_mutation_writes_the_obligations_once(service):
    response = ask(service, review(GOOD), "mutate")
    assert (response["allowed"], response["patchType"]) == (True, "JSONPatch")
    changed = patched(GOOD, json.loads(base64.b64decode(response["patch"])))
    annotations = changed["metadata"]["annotations"]
    assert json.loads(annotations["microapps.internal/runtime-class"]) == ["wasm"]
    assert json.loads(annotations["microapps.internal/egress-allow"]) == [
        "api.hris.example.com",
        "api.recommender.example.com",
    ]
    assert changed["metadata"]["labels"]["microapps.internal/tenant"] == GOOD["spec"]["tenant"]
    assert "patch" not in ask(service, review(changed), "mutate")
    assert ask(service, review(changed))["allowed"] is True
    refused = ask(service, review(BAD), "mutate")
    assert refused["allowed"] is False
    assert "patch" not in refused


def test_a_dry_run_is_recorded_as_such_and_leaves_nothing_behind(service):
    app = {**GOOD, "metadata": {"name": "only-tried"}}
    response = ask(service, review(app, dryRun=True))
    assert response["allowed"] is True
    record = next(
        r for r in service.records() if r["public"]["decision_id"] == response["auditAnnotations"]["decision-id"]
    )
    assert record["public"]["dry_run"] is True
    assert not (service.home / "apps" / "only-tried.json").exists()


def test_deleting_an_app_is_a_lifecycle_step_that_policy_decides(service):
    ask(service, review(GOOD))
    response = ask(service, review(None, "DELETE", oldObject=GOOD))
    assert response["allowed"] is False
    rules = response["auditAnnotations"]["rules"].split(",")
    assert "LIFE-001" in rules
    assert "REQ-001" not in rules  # it is a question that policy knows


@pytest.mark.parametrize(
    "change",
    [
        {"object": {**GOOD, "kind": "Microapp"}},
        {"object": {**GOOD, "spec": None}},
        {"object": {**GOOD, "metadata": None}},
        {"object": {}},
        {"object": None},
        {"object": None, "oldObject": GOOD},
        {"object": {**GOOD, "apiVersion": "microapps.example/v1"}},
        {"object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}},
        {"operation": "CONNECT", "object": None},
        {"subResource": "status"},
        {"userInfo": None},
    ],
)
def test_an_odd_object_is_never_admitted_unevaluated(service, change):
    body = review(GOOD)
    body["request"].update(change)
    response = ask(service, body)
    if response["allowed"]:
        assert change == {"userInfo": None}
    else:
        assert response["status"]["message"]


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "EXPLODE"}, {"operation": None}, {"operation": ["CREATE"]}, {"object": [1]}, {"userInfo": "root"},
        {"object": None, "oldObject": "x"}, {"kind": None}, {"kind": "MicroApp"}, {"kind": {"kind": None}},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("path", ["validate", "mutate"])
def test_a_broken_review_is_refused_to_the_one_who_asked(service, change, path):
    response = ask(service, review(GOOD, **change), path)
    assert (response["allowed"], response["status"]["code"]) == (False, 422)
    assert "/request/" in response["status"]["message"]
    recorded = {r["public"]["decision_id"]: r["public"] for r in service.records()}
    assert recorded[response["auditAnnotations"]["decision-id"]]["effect"] == "deny"


def test_another_version_is_refused_in_its_own_words(service):
    """What reads v1beta1 would not understand v1; and what is not read here is not admitted."""
    body = {**review(GOOD), "apiVersion": "admission.k8s.io/v1beta1"}
    whole = httpx.post(f"{service.url}/admission/validate", json=body, timeout=60).json()
    assert whole["apiVersion"] == "admission.k8s.io/v1beta1"
    assert (whole["response"]["uid"], whole["response"]["allowed"]) == (body["request"]["uid"], False)
    assert "admissionReviewVersions: [v1]" in whole["response"]["status"]["message"]


def test_an_update_may_bring_two_objects_as_large_as_kubernetes_stores_them(service):
    large = {**GOOD, "metadata": {"name": "large", "annotations": {f"a{i}": "x" * 1000 for i in range(1400)}}}
    response = ask(service, review(large, "UPDATE", oldObject=large))
    assert response["auditAnnotations"]["decision-id"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"kind": "AdmissionReview"}', b"\xff",
        json.dumps({**review(GOOD), "apiVersion": "admission.k8s.io/v2"}).encode(),
        json.dumps(review(GOOD, uid="")).encode(), json.dumps(review(GOOD, uid=None)).encode(),
        json.dumps(review(GOOD, uid="x" * 300)).encode(),
        json.dumps(review(GOOD)).encode()[:-40], b'{"kind":"AdmissionReview","kind":"AdmissionReview"}',
        json.dumps(review({"a": "x" * (5 << 20)})).encode(), b"[" * 5000,
    ],
    ids=lambda body: body[:20].decode("latin-1") + str(len(body)),
)  # fmt: skip
def test_what_is_no_review_is_an_error_that_the_api_server_s_failure_policy_handles(service, body):
    answer = httpx.post(
        f"{service.url}/admission/validate", content=body, headers={"content-type": "application/json"}, timeout=60
    )
    assert 400 <= answer.status_code < 500
    assert answer.json()["effect"] == "deny"
    assert '"allowed":true' not in answer.text.replace(" ", "")


def test_without_the_setting_a_service_key_is_needed(tmp_path):
    closed = Service(tmp_path / "home").start()
    try:
        assert httpx.post(f"{closed.url}/admission/validate", json=review(GOOD), timeout=60).status_code == 401
        with closed.client("citizen") as citizen:
            assert citizen.post("/admission/validate", json=review(GOOD)).status_code == 403
        with closed.client("service") as server:
            assert server.post("/admission/validate", json=review(GOOD)).json()["response"]["allowed"] is True
        with closed.client("service", tenant="hr") as bound:  # the app is marketing's
            for path in ("validate", "mutate"):
                response = bound.post(f"/admission/{path}", json=review(GOOD)).json()["response"]
                assert (response["allowed"], response["status"]["reason"]) == (False, "forbidden")
    finally:
        closed.stop()


def test_without_a_durable_record_nothing_is_admitted(tmp_path):
    service = Service(tmp_path / "home", GOVERNANCE_ADMISSION="open", GOVERNANCE_RECORD_TIMEOUT_MS="1000").start()
    try:
        (writer,) = service.children("writer_main")
        os.kill(writer, signal.SIGSTOP)
        response = ask(service, review(GOOD), timeout="5s")
        assert response["allowed"] is False
        assert response["status"]["reason"] == "record_not_durable"
        quick = ask(service, review(GOOD), timeout="1s")
        assert (quick["allowed"], quick["status"]["reason"]) == (False, "no_answer")
        os.kill(writer, signal.SIGCONT)
        service.wait_until(lambda: ask(service, review(GOOD))["allowed"], 20)
    finally:
        service.stop()


def test_a_review_that_arrives_too_late_is_refused_on_record(service):
    host, _, port = service.url.removeprefix("http://").partition(":")
    head = b"POST /admission/validate?timeout=1s HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as slow:
        slow.sendall(head + b'{"kind": "AdmissionReview"')
        answer = slow.recv(4096)
    assert b" 408 " in answer.partition(b"\r\n")[0]
    (record,) = [r for r in service.records(kind="refused") if r["public"]["error"] == "slow_body"]
    assert record["public"]["effect"] == "deny"
    assert record["public"]["entry_point"] == "webhook.validate"
    assert "timeout: the review did not arrive" in record["opened"]["answer"]["reason"]
