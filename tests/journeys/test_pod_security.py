"""Pod Security at every door: a profile in the webhook's path, and the same object as a native request."""

from __future__ import annotations

import copy

import httpx
import pytest

from tests.journeys.service import Service

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
SAFE = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "lunch"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "web", "image": "hub.example.org/lunch:latest", "securityContext": SAFE}],
    },
}
TEMPLATES = {
    "PodTemplate": ("v1", ["template"]),
    "ReplicationController": ("v1", ["spec", "template"]),
    "Deployment": ("apps/v1", ["spec", "template"]),
    "StatefulSet": ("apps/v1", ["spec", "template"]),
    "DaemonSet": ("apps/v1", ["spec", "template"]),
    "ReplicaSet": ("apps/v1", ["spec", "template"]),
    "Job": ("batch/v1", ["spec", "template"]),
    "CronJob": ("batch/v1", ["spec", "jobTemplate", "spec", "template"]),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("pod-security") / "home", GOVERNANCE_ADMISSION="open").start()
    yield running
    running.stop()


def changed(**security: object) -> dict:
    """The pod with members of its container's security context changed."""
    pod = copy.deepcopy(POD)
    pod["spec"]["containers"][0]["securityContext"].update(security)
    return pod


def within(kind: str, pod: dict) -> dict:
    """The pod in the template of an object of another kind."""
    version, place = TEMPLATES[kind]
    inner = {"metadata": pod["metadata"], "spec": pod["spec"]}
    for name in reversed(place):
        inner = {name: inner}
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "lunch"}, **inner}


def reviewed(service: Service, obj: object, profile: str = "", operation: str = "CREATE", **request: object) -> dict:
    params = request.pop("params", {})
    named = obj.get("kind") if isinstance(obj, dict) else None
    body = {
        "uid": UID, "operation": operation, "object": obj, "oldObject": None, "namespace": "apps", "name": "lunch",
        "kind": {"group": "", "version": "v1", "kind": named or "Pod"},
    }  # fmt: skip
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**body, **request}}
    path = f"{service.url}/admission/validate" + (f"/{profile}" if profile else "")
    answer = httpx.post(path, json=review, params=params, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"]["uid"] == UID
    return answer.json()["response"]


def asked(service: Service, **request: object) -> dict:
    with service.client("service") as client:
        answer = client.post("/v1/decisions", json=request)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_pod_of_the_profile_is_admitted_whatever_the_platforms_own_rules_say(service):
    response = reviewed(service, POD, "restricted")
    assert response["allowed"] is True
    assert any(warning.startswith("KUB-002") for warning in response["warnings"])


def test_a_violation_is_named_by_rule_place_and_container(service):
    response = reviewed(service, changed(privileged=True), "baseline")
    assert response["allowed"] is False
    message = response["status"]["message"]
    assert 'PSS-005 at /spec/containers/0/securityContext/privileged: The container "web" is privileged.' in message
    assert "PSS-005" in response["auditAnnotations"]["rules"]
    assert message.startswith("violates PSS-005; warned of KUB-")


def test_what_baseline_lets_be_restricted_refuses(service):
    pod = changed(allowPrivilegeEscalation=True)
    assert reviewed(service, pod, "privileged")["allowed"] is True
    assert reviewed(service, pod, "baseline")["allowed"] is True
    assert "PSS-017" in reviewed(service, pod, "restricted")["status"]["message"]


def test_the_version_of_the_standard_comes_from_the_query(service):
    pod = changed(allowPrivilegeEscalation=True)
    assert reviewed(service, pod, "restricted", params={"version": "v1.7"})["allowed"] is True
    assert reviewed(service, pod, "restricted", params={"version": "v1.8"})["allowed"] is False
    assert reviewed(service, pod, "restricted", params={"version": "latest", "timeout": "5s"})["allowed"] is False


@pytest.mark.parametrize("profile", ["Restricted", "none", "privileged%20", "baseline%00"])
def test_another_profile_is_refused(service, profile):
    response = reviewed(service, POD, profile)
    assert response["allowed"] is False
    assert "PSS-002" in response["status"]["message"]


@pytest.mark.parametrize("version", ["", "1.30", "v1", "v1.30.1", "newest"])
def test_another_version_is_refused(service, version):
    assert "PSS-002" in reviewed(service, POD, "privileged", params={"version": version})["status"]["message"]


def test_two_versions_are_none(service):
    response = reviewed(service, POD, "privileged", params=[("version", "v1.30"), ("version", "latest")])
    assert "PSS-002" in response["status"]["message"]


def test_without_a_profile_the_platforms_default_and_its_own_rules_count(service):
    response = reviewed(service, changed(privileged=True))
    assert response["allowed"] is False
    for rule in ("PSS-005", "KUB-002", "KUB-003", "KUB-004", "KUB-005", "KUB-006", "KUB-007", "KUB-008", "KUB-009"):
        assert rule in response["status"]["message"]


@pytest.mark.parametrize("kind", sorted(TEMPLATES))
def test_the_pod_in_a_template_is_judged(service, kind):
    assert reviewed(service, within(kind, POD), "restricted")["allowed"] is True
    response = reviewed(service, within(kind, changed(privileged=True)), "baseline")
    place = "/".join(["", *TEMPLATES[kind][1], "spec/containers/0/securityContext/privileged"])
    assert f"PSS-005 at {place}" in response["status"]["message"]


def test_ephemeral_containers_are_judged_as_they_are_added(service):
    pod = {**POD, "spec": {**POD["spec"], "ephemeralContainers": [{"name": "debug", "securityContext": {}}]}}
    response = reviewed(service, pod, "restricted", "UPDATE", subResource="ephemeralcontainers", oldObject=POD)
    assert response["allowed"] is False
    assert "/spec/ephemeralContainers/0/" in response["status"]["message"]


def test_what_goes_away_or_is_only_connected_to_is_not_judged(service):
    assert reviewed(service, None, "restricted", "DELETE", oldObject=changed(privileged=True))["allowed"] is True
    connect = {"subResource": "exec", "kind": {"group": "", "version": "v1", "kind": "PodExecOptions"}}
    assert reviewed(service, None, "restricted", "CONNECT", **connect)["allowed"] is True


def test_an_object_that_is_no_workload_passes(service):
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"hostNetwork": "true"}}
    assert reviewed(service, settings, "restricted")["allowed"] is True


@pytest.mark.parametrize(
    "pod",
    [
        {}, {"kind": "Pod"}, {**POD, "spec": None}, {**POD, "spec": "x"}, {**POD, "spec": {}},
        {**POD, "spec": {"containers": {}}}, {**POD, "spec": {"containers": []}}, {**POD, "spec": {"containers": ["x"]}},
        {**POD, "metadata": {"annotations": "x"}}, {**POD, "spec": {**POD["spec"], "securityContext": "x"}},
        {**POD, "spec": {**POD["spec"], "volumes": {"name": "x"}}}, changed(privileged="true"), changed(capabilities="ALL"),
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": None}},
        {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": [POD]},
    ],
    ids=lambda pod: str(pod)[-60:],
)  # fmt: skip
def test_a_malformed_workload_is_refused_in_every_profile(service, pod):
    for profile in ("privileged", "baseline", "restricted"):
        response = reviewed(service, pod, profile)
        assert response["allowed"] is False
        assert "PSS-001" in response["status"]["message"]


def test_another_kind_than_the_api_server_announced_is_refused(service):
    announced = {"group": "", "version": "v1", "kind": "Pod"}
    response = reviewed(service, {**POD, "kind": "Shelf"}, "privileged", kind=announced)
    assert "PSS-001" in response["status"]["message"]


@pytest.mark.parametrize("bad", [0, 1, 59])
def test_sixty_containers_are_answered_and_the_bad_one_is_found(service, bad):
    pod = copy.deepcopy(POD)
    pod["spec"]["containers"] = [{"name": f"c{i}", "securityContext": copy.deepcopy(SAFE)} for i in range(60)]
    assert reviewed(service, pod, "restricted")["allowed"] is True
    pod["spec"]["containers"][bad]["securityContext"]["privileged"] = True
    assert f'The container "c{bad}" is privileged.' in reviewed(service, pod, "restricted")["status"]["message"]


@pytest.mark.parametrize("profile", ["privileged", "baseline", "restricted", ""])
@pytest.mark.parametrize("obj", [POD, changed(privileged=True), within("CronJob", changed(procMount="Unmasked"))])
def test_a_native_request_gets_the_webhooks_verdict(service, profile, obj):
    response = reviewed(service, obj, profile)
    context = {"profile": profile} if profile else {}
    for kind in ("deploy", "workload"):
        decision = asked(service, kind=kind, resource=obj, context=context)
        assert decision["kind"] == "workload"
        assert (decision["effect"] in {"allow", "warn"}) is response["allowed"]
        assert sorted({v["rule"] for v in decision["violations"]}) == response["auditAnnotations"]["rules"].split(",")


def test_a_manifest_of_ours_stays_a_deploy(service):
    manifest = {"apiVersion": "microapps.internal/v1alpha1", "kind": "MicroApp", "metadata": {"name": "a"}, "spec": {}}
    assert asked(service, kind="deploy", resource=manifest)["kind"] == "deploy"
    assert asked(service, kind="deploy", resource={"kind": "Pod", "spec": POD["spec"]})["effect"] == "deny"
    refused = asked(service, kind="workload", resource=manifest)
    assert "KUB-001" in {v["rule"] for v in refused["violations"]}
    assert refused["effect"] == "deny"


def test_a_workload_that_meets_every_rule_is_allowed_without_a_word(service):
    image = "registry.example.com/apps/lunch:1.4.0@sha256:" + "0123456789abcdef" * 4
    limits = {"limits": {"cpu": "500m", "memory": "256Mi"}}
    labels = {"tenant": "marketing", "app": "lunch", "cost-center": "MK-42"}
    pod = copy.deepcopy(POD)
    pod["metadata"]["labels"] = {f"microapps.internal/{name}": value for name, value in labels.items()}
    pod["spec"] |= {"automountServiceAccountToken": False, "runtimeClassName": "gvisor"}
    pod["spec"]["containers"][0] |= {"image": image, "resources": limits}
    assert asked(service, kind="deploy", resource=pod)["violations"] == []
    response = reviewed(service, pod)
    assert (response["allowed"], response.get("warnings")) == (True, None)
    assert asked(service, kind="deploy", resource=pod, tenant="hr")["effect"] == "deny"


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"context": {"profile": "privileged"}}, "/context/profile"),
        ({"context": {"pss_version": "v1.0"}}, "/context/pss_version"),
        ({"context": {"sub_resource": "status"}, "action": "update"}, "/context/sub_resource"),
        ({"context": {"namespace": "kube-system"}}, "/context/namespace"),
        ({"action": "delete"}, "/action"),
        ({"action": "connect"}, "/action"),
    ],
)
@pytest.mark.parametrize("kind", ["deploy", "workload"])
def test_nobody_chooses_by_which_rules_their_own_pod_is_judged(service, kind, more, where):
    bad = changed(privileged=True)
    with service.client("citizen") as citizen:
        answer = citizen.post("/v1/decisions", json={"kind": kind, "resource": bad, **more})
        assert (answer.status_code, answer.json()["effect"]) == (400, "deny")
        assert where in answer.json()["detail"]
        one_of_many = citizen.post("/v1/decisions/batch", json={"requests": [{"kind": kind, "resource": bad, **more}]})
        assert one_of_many.json()["decisions"][0]["effect"] == "deny"
        subject, resource = {"type": "user", "id": "me"}, {"type": kind, "id": "lunch", "properties": bad}
        question = {"subject": subject, "action": {"name": more.get("action", "create")}, "resource": resource}
        asked_in_authzen = {**question, "context": {**more.get("context", {}), "obligations": "*"}}
        assert citizen.post("/access/v1/evaluation", json=asked_in_authzen).json().get("decision") is not True
    (record,) = [
        r for r in service.records(kind="refused") if r["public"]["decision_id"] == answer.json()["decision_id"]
    ]
    assert where in record["opened"]["answer"]["reason"]
