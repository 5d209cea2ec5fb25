"""kubectl with ordinary workloads: refused with rule, reason and remedy; or mutated and stored."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kube.workloads import BAD_DEPLOYMENT, GOOD_DEPLOYMENT, needs_workload_rules

pytestmark = [pytest.mark.kube, needs_workload_rules]


def named(obj: dict, name: str, namespace: str = "apps") -> dict:
    return {**obj, "metadata": {**obj["metadata"], "name": name, "namespace": namespace}}


def pod(name: str, namespace: str = "apps") -> dict:
    """The good deployment's pod, alone."""
    template = GOOD_DEPLOYMENT["spec"]["template"]
    labels = {**GOOD_DEPLOYMENT["metadata"]["labels"], **template["metadata"]["labels"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": template["spec"],
    }


def stored(cluster, kind: str, name: str, namespace: str = "apps") -> dict:
    return json.loads(cluster.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout)


def test_a_bad_deployment_is_refused_with_rules_reasons_and_remedies(cluster, webhook):
    done = cluster.apply(named(BAD_DEPLOYMENT, "bad"))
    assert done.returncode != 0
    for rule in ("KUB-002", "KUB-003", "PSS-004", "PSS-005"):
        assert rule in done.stderr
    assert "The container" in done.stderr
    assert "Remove securityContext.privileged or set it to false." in done.stderr
    assert "/spec/template/spec/containers/0/securityContext/privileged" in done.stderr
    assert "NotFound" in cluster.kubectl("get", "deployment", "bad", "-n", "apps").stderr


def test_a_good_deployment_is_completed_and_stored_and_applied_again_unchanged(cluster, webhook):
    done = cluster.apply(named(GOOD_DEPLOYMENT, "good"))
    assert done.returncode == 0, done.stderr
    first = stored(cluster, "deployment", "good")
    template = first["spec"]["template"]
    assert template["spec"]["runtimeClassName"] == "gvisor"
    assert template["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert template["metadata"]["labels"]["microapps.internal/tenant"] == "marketing"
    again = cluster.apply(named(GOOD_DEPLOYMENT, "good"))
    assert again.returncode == 0, again.stderr
    assert stored(cluster, "deployment", "good")["metadata"]["generation"] == first["metadata"]["generation"]


def test_a_pod_is_completed_once_and_may_be_labelled_later(cluster, webhook):
    done = cluster.apply(pod("single"))
    assert done.returncode == 0, done.stderr
    assert stored(cluster, "pod", "single")["spec"]["runtimeClassName"] == "gvisor"
    labelled = cluster.kubectl("label", "pod", "single", "-n", "apps", "note=x")
    assert labelled.returncode == 0, labelled.stderr


def test_a_namespace_s_profile_decides_for_it(cluster, webhook):
    """Baseline takes an image from anywhere, and no privileged container."""
    loose = pod("loose", "labelled")
    loose["spec"] = {"containers": [{"name": "a", "image": "nginx"}]}
    done = cluster.apply(loose)
    assert done.returncode == 0, done.stderr
    assert "runtimeClassName" not in stored(cluster, "pod", "loose", "labelled")["spec"]
    refused = cluster.apply(named(BAD_DEPLOYMENT, "bad", "labelled"))
    assert refused.returncode != 0
    assert "violates" in refused.stderr
    assert {"PSS-004", "PSS-005"} <= set(refused.stderr.replace(",", " ").split())


def test_an_ephemeral_container_is_held_to_the_same_rules(cluster, webhook):
    assert cluster.apply(pod("debugged")).returncode == 0
    container = {"name": "debug", "image": "busybox", "securityContext": {"privileged": True}}
    answer = cluster.api(
        "PATCH",
        "/api/v1/namespaces/apps/pods/debugged/ephemeralcontainers",
        headers={"content-type": "application/strategic-merge-patch+json"},
        json={"spec": {"ephemeralContainers": [container]}},
    )
    assert answer.status_code == 403
    assert "PSS-005" in answer.text
    assert "ephemeralContainers" not in stored(cluster, "pod", "debugged")["spec"]


def test_going_into_a_pod_is_decided_and_on_record(cluster, webhook):
    assert cluster.apply(pod("entered")).returncode == 0
    done = cluster.kubectl("exec", "entered", "-n", "apps", "--", "ls")
    assert done.returncode != 0  # there is no node here, so nothing runs
    records = [r for r in webhook.records() if r["public"].get("action") == "connect"]
    assert any(r["opened"]["input"]["context"]["sub_resource"] == "exec" for r in records), done.stderr


def test_a_dry_run_leaves_nothing(cluster, webhook):
    assert cluster.apply(named(GOOD_DEPLOYMENT, "tried"), flags=("--dry-run=server",)).returncode == 0
    assert cluster.apply(named(BAD_DEPLOYMENT, "tried"), flags=("--dry-run=server",)).returncode != 0
    assert "NotFound" in cluster.kubectl("get", "deployment", "tried", "-n", "apps").stderr


def test_a_pod_of_sixty_containers_is_decided(cluster, webhook):
    large = pod("large")
    (container,) = large["spec"]["containers"]
    large["spec"] = {**large["spec"], "containers": [{**container, "name": f"c{n}"} for n in range(60)]}
    done = cluster.apply(large)
    assert done.returncode == 0, done.stderr
    assert all(c["resources"]["limits"] for c in stored(cluster, "pod", "large")["spec"]["containers"])


def test_two_hundred_applies_at_once(cluster, webhook):
    workloads = [named(GOOD_DEPLOYMENT if n % 2 else BAD_DEPLOYMENT, f"many-{n}") for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda chunk: cluster.apply(*chunk), [workloads[i : i + 10] for i in range(0, 200, 10)]))
    assert all(result.returncode != 0 for result in done)
    items = json.loads(cluster.kubectl("get", "deployments", "-n", "apps", "-o", "json").stdout)["items"]
    names = {item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith("many-")}
    assert names == {f"many-{n}" for n in range(1, 200, 2)}
