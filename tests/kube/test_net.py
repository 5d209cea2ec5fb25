"""The net under the webhook: Kubernetes itself refuses what its policies can say, and nothing that the webhook would admit."""

from __future__ import annotations

import copy
import os
import re
import signal

import httpx
import pytest
import yaml

from governance.model.patch import patched
from tests.journeys.service import EXAMPLES
from tests.kube.conftest import MANIFESTS, install, let_go_on
from tests.kube.workloads import BAD_DEPLOYMENT, GOOD_DEPLOYMENT, needs_workload_rules, review

pytestmark = [pytest.mark.kube]

APP = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
BAD_APP = yaml.safe_load((EXAMPLES / "app.yaml").read_text())
IN_NET = re.compile(r"ValidatingAdmissionPolicy '[\w-]+'.* denied request: ([A-Z]+-\d{3})")
CONTAINER = "/spec/template/spec/containers/0"
POD = "/spec/template/spec"


def step(path: str, value: object = None, op: str = "add") -> list[dict]:
    return [{"op": op, "path": path, **({} if op == "remove" else {"value": value})}]


APP_CHANGES = [
    [],
    step("/spec/audience", "everybody"),
    step("/spec/audience", op="remove"),
    step("/spec/egress", op="remove"),
    step("/spec/egress", ["*.example.com"]),
    step("/spec/egress", ["api.hris.example.com", "db.svc"]),
    step("/spec/egress", ["10.0.0.1"]),
    step("/spec/runtime/caps/memoryMiB", 4096),
    step("/spec/runtime/caps/memoryMiB", 0),
    step("/spec/runtime/caps/cpu", op="remove"),
    step("/spec/runtime/caps", op="remove"),
    step("/spec/runtime/class", "microvm"),
    step("/spec/runtime/class", "container"),
    step("/spec/runtime/module/sha256", "f" * 63),
    step("/spec/runtime/module", op="remove"),
    step(
        "/spec/runtime",
        {"class": "microvm", "image": "registry.example.com/a:1", "caps": APP["spec"]["runtime"]["caps"]},
    ),
    step(
        "/spec/runtime",
        {"class": "microvm", "image": f"docker.io/a@sha256:{'a' * 64}", "caps": APP["spec"]["runtime"]["caps"]},
    ),
    step(
        "/spec/runtime",
        {
            "class": "microvm",
            "image": f"registry.example.com/a@sha256:{'a' * 64}",
            "caps": APP["spec"]["runtime"]["caps"],
        },
    ),
]
POD_CHANGES = [
    [],
    step(f"{CONTAINER}/image", "nginx"),
    step(f"{CONTAINER}/image", "registry.example.com/nginx:1.25"),
    step(f"{CONTAINER}/image", f"docker.io/nginx@sha256:{'a' * 64}"),
    step(f"{CONTAINER}/securityContext/privileged", value=False),
    step(f"{CONTAINER}/securityContext/allowPrivilegeEscalation", op="remove"),
    step(f"{CONTAINER}/securityContext/capabilities", {"drop": ["NET_RAW"]}),
    step(f"{CONTAINER}/ports", [{"containerPort": 80, "hostPort": 80}]),
    step(f"{CONTAINER}/ports", [{"containerPort": 80}]),
    step(f"{CONTAINER}/resources", {"limits": {"cpu": "1"}}),
    step(f"{POD}/initContainers", [{"name": "init", "image": "busybox"}]),
    step(f"{POD}/hostPID", value=True),
    step(f"{POD}/hostNetwork", value=True),
    step(f"{POD}/volumes", [{"name": "v", "hostPath": {"path": "/"}}]),
    step(f"{POD}/volumes", [{"name": "v", "emptyDir": {}}]),
    step(f"{POD}/volumes", [{"name": "v", "nfs": {"server": "nfs.example.com", "path": "/"}}]),
    step(f"{POD}/volumes", [{"name": "v", "image": {"reference": "docker.io/library/tools:1"}}]),
    step(f"{POD}/volumes", [{"name": "v", "image": {"reference": f"docker.io/tools@sha256:{'a' * 64}"}}]),
    step(f"{POD}/volumes", [{"name": "v", "image": {"reference": f"registry.example.com/tools@sha256:{'a' * 64}"}}]),
    step(f"{POD}/automountServiceAccountToken", value=True),
    step(f"{POD}/volumes", [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}]),
    step(f"{POD}/volumes", [{"name": "v", "projected": {"sources": [{"configMap": {"name": "c"}}]}}]),
]


@pytest.fixture(scope="module")
def alone(platform, webhook, certificate_files):
    """The cluster without webhook configurations."""
    kinds = ("validatingwebhookconfiguration", "mutatingwebhookconfiguration")
    for kind in kinds:
        assert platform.kubectl("delete", kind, "microapp-governance").returncode == 0
    yield platform
    install(platform, webhook, certificate_files[0])


def names_in(text: str) -> set[str]:
    return set(re.findall(r"[A-Z]{3,5}-\d{3}", text))


def refused_by_net(cluster, objects: list[dict]) -> dict[str, str]:
    """The rule that each refused object was refused by; anything else that goes wrong fails the test."""
    done = cluster.apply(*objects, flags=("--dry-run=server",))
    found = {}
    for row in done.stderr.split("Error from server")[1:]:
        name = re.search(r"(many-\d+)", row)
        rule = IN_NET.search(row)
        assert name, row
        assert rule, row
        found[name[1]] = rule[1]
    return found


def agree(cluster, service, objects: list[dict], path: str = "validate") -> tuple[int, int]:
    """Hold both against each other; returns how many objects each side refused for a rule that is in the net."""
    net = names_in((MANIFESTS / "policy.yaml").read_text())
    by_net = refused_by_net(cluster, objects)
    by_webhook = 0
    for obj in objects:
        answer = httpx.post(f"{service.url}/admission/{path}", json=review(obj), verify=False).json()["response"]
        violated = set(answer["auditAnnotations"]["rules"].split(",")) if not answer["allowed"] else set()
        refused = by_net.get(obj["metadata"]["name"])
        assert (refused is not None) == bool(violated & net), (obj, refused, violated)
        assert refused is None or refused in violated
        by_webhook += bool(violated & net)
    return len(by_net), by_webhook


def many(base: dict, changes: list, namespace: str) -> list[dict]:
    made = [patched(copy.deepcopy(base), change) for change in changes]
    for number, obj in enumerate(made):
        obj["metadata"] = {**obj["metadata"], "name": f"many-{number}", "namespace": namespace}
    return made


def test_net_and_webhook_agree_on_apps(alone, webhook):
    by_net, by_webhook = agree(alone, webhook, many(APP, APP_CHANGES, "apps"))
    assert by_net == by_webhook >= 10


@needs_workload_rules
def test_net_and_webhook_agree_on_workloads(alone, webhook):
    # As the webhook's own patch leaves it: what is compared here is the verdict.
    base = copy.deepcopy(GOOD_DEPLOYMENT)
    base["spec"]["template"]["spec"]["runtimeClassName"] = "gvisor"
    base["spec"]["template"]["metadata"]["labels"]["microapps.internal/tenant"] = "marketing"
    limits = {"limits": {"cpu": "1", "memory": "512Mi"}}
    base["spec"]["template"]["spec"]["containers"][0]["resources"] = limits
    by_net, by_webhook = agree(alone, webhook, many(base, POD_CHANGES, "apps"))
    assert by_net == by_webhook >= 10


@needs_workload_rules
def test_net_and_webhook_agree_on_workloads_of_a_namespace_with_a_profile(alone, webhook):
    by_net, by_webhook = agree(alone, webhook, many(GOOD_DEPLOYMENT, POD_CHANGES, "labelled"), "validate/baseline")
    assert by_net == by_webhook >= 4


def test_with_the_webhook_killed_the_bad_one_is_still_refused(platform, webhook, certificate_files):
    """As it comes, nothing is stored then. Where an operator lets deploys go on (Ignore), the net still holds."""
    install(platform, webhook, certificate_files[0])
    bad = {**BAD_APP, "metadata": {"name": "orphan", "namespace": "apps"}}
    good = {**APP, "metadata": {"name": "orphan-good", "namespace": "apps"}}
    os.killpg(webhook.pid, signal.SIGKILL)
    try:
        nothing = platform.apply(good)
        assert nothing.returncode != 0
        assert "failed calling webhook" in nothing.stderr
        let_go_on(platform)
        webhook.wait_until(lambda: platform.apply(good, flags=("--dry-run=server",)).returncode == 0, 30)
        refused = platform.apply(bad)
        assert refused.returncode != 0
        assert IN_NET.search(refused.stderr)
        assert names_in(refused.stderr) <= {"AUD-001", "EGR-005", "EGR-006", "RUN-002", "RUN-003", "RUN-004"}
    finally:
        webhook.start()
        install(platform, webhook, certificate_files[0])
    webhook.wait_until(lambda: platform.apply(good).returncode == 0, 30)


@needs_workload_rules
def test_with_the_webhook_killed_a_bad_deployment_is_still_refused(platform, webhook, certificate_files):
    os.killpg(webhook.pid, signal.SIGKILL)
    try:
        let_go_on(platform)
        good = {**GOOD_DEPLOYMENT, "metadata": {**GOOD_DEPLOYMENT["metadata"], "namespace": "labelled"}}
        webhook.wait_until(lambda: platform.apply(good, flags=("--dry-run=server",)).returncode == 0, 30)
        for namespace in ("apps", "labelled"):
            bad = {**BAD_DEPLOYMENT, "metadata": {**BAD_DEPLOYMENT["metadata"], "namespace": namespace}}
            refused = platform.apply(bad)
            assert refused.returncode != 0
            assert IN_NET.search(refused.stderr)
    finally:
        webhook.start()
        install(platform, webhook, certificate_files[0])
