"""One bad manifest, six doors, the same rule ids: those of the pack and that of a constraint imported from Gatekeeper."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.journeys.service import EXAMPLES, ROOT, Service, environment, governance
from tests.unit.policy.gatekeeper.conftest import constraint, template

BAD = yaml.safe_load((EXAMPLES / "app.yaml").read_text())
GOOD = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
# The pack's own, and the imported constraint's.
REFUSED_BY = {"DATA-007", "EGR-004", "OAUTH-002", "OAUTH-003", "RUN-002", "NeedsLabels/owned"}
OBJECTS = [{"apiGroups": [""], "kinds": ["Pod"]}, {"apiGroups": ["microapps.internal"], "kinds": ["MicroApp"]}]


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> Path:
    """The bundle that `import-gatekeeper` writes from a template and a constraint."""
    folder = tmp_path_factory.mktemp("gatekeeper")
    (folder / "template.yaml").write_text(yaml.safe_dump(template()))
    (folder / "constraint.yaml").write_text(yaml.safe_dump(constraint(name="owned", match={"kinds": OBJECTS})))
    done = governance(
        "rules", "import-gatekeeper", str(folder / "template.yaml"), str(folder / "constraint.yaml"),
        "--out", str(folder / "bundle"), home=folder / "home",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder / "bundle"


@pytest.fixture(scope="module")
def service(tmp_path_factory, imported):
    running = Service(
        tmp_path_factory.mktemp("doors") / "home", "--bundle", str(imported), GOVERNANCE_ADMISSION="open"
    ).start()
    with running.client("service") as client:
        deploy = {"kind": "template", "resource": yaml.safe_load((EXAMPLES / "template.yaml").read_text())}
        assert client.post("/v1/decisions", json=deploy).json()["effect"] == "allow"
    yield running
    running.stop()


def labelled(manifest: dict) -> dict:
    return {**manifest, "metadata": {**manifest["metadata"], "labels": {"owner": "marketing"}}}


def through_the_pre_commit_hook(service: Service, imported: Path, manifest: dict, folder: Path) -> set[str]:
    """The hook as `.pre-commit-hooks.yaml` declares it, called with file names as pre-commit does."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    hook = next(row for row in hooks if row["id"] == "governance-check")
    (folder / "app.yaml").write_text(yaml.safe_dump(manifest))
    program, *rest = shlex.split(hook["entry"])
    beside = Path(sys.executable).parent / program
    argv = [str(beside) if beside.exists() else shutil.which(program), *rest, *hook.get("args", [])]
    done = subprocess.run(
        [*argv, "--bundle", str(imported), "app.yaml"], cwd=folder, capture_output=True, text=True, check=False,
        env=environment(service.home),
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr
    found = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("app.yaml:")}
    assert done.returncode == (1 if found else 0)
    return found


def through_check(service: Service, imported: Path, manifest: dict, folder: Path) -> set[str]:
    (folder / "app.yaml").write_text(yaml.safe_dump(manifest))
    done = governance(
        "check", "--bundle", str(imported), "--format", "json", str(folder / "app.yaml"), home=service.home
    )
    (result,) = json.loads(done.stdout)["results"]
    return denied_by(result)


def through_decisions(service: Service, _imported: Path, manifest: dict, _folder: Path) -> set[str]:
    with service.client("service") as client:
        return denied_by(
            client.post("/v1/decisions", json={"kind": "deploy", "resource": manifest, "dry_run": True}).json()
        )


def through_data(service: Service, _imported: Path, manifest: dict, _folder: Path) -> set[str]:
    with service.client("service") as client:
        body = {"input": {"kind": "deploy", "resource": manifest, "dry_run": True}}
        return denied_by(client.post("/v1/data/platform/decision", json=body).json()["result"])


def through_authzen(service: Service, _imported: Path, manifest: dict, _folder: Path) -> set[str]:
    body = {
        "subject": {"type": "user", "id": "dev@example.com"}, "action": {"name": "create"},
        "resource": {"type": "deploy", "id": manifest["metadata"]["name"], "properties": manifest},
        "context": {"obligations": "*"},
    }  # fmt: skip
    with service.client("service") as client:
        answer = client.post("/access/v1/evaluation", json=body).json()
    found = denied_by(answer["context"])
    assert answer["decision"] is (not found)
    return found


def through_the_webhook(service: Service, _imported: Path, manifest: dict, _folder: Path) -> set[str]:
    response = reviewed(service, manifest, {"group": "microapps.internal", "version": "v1alpha1", "kind": "MicroApp"})
    rules = set(filter(None, response["auditAnnotations"]["rules"].split(",")))
    assert response["allowed"] is (not rules)
    if rules:
        assert all(f"{rule} at " in response["status"]["message"] for rule in rules)
    return rules


def reviewed(service: Service, target: dict, kind: dict, namespace: str = "apps") -> dict:
    request = {
        "uid": "1", "operation": "CREATE", "object": target, "kind": kind, "namespace": namespace, "dryRun": True,
        "name": target["metadata"].get("name", ""), "userInfo": {"username": "dev@example.com"},
    }  # fmt: skip
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    with service.client() as client:
        return client.post("/admission/validate", json=body).json()["response"]


def denied_by(decision: dict) -> set[str]:
    return {violation["rule"] for violation in decision["violations"] if violation["effect"] == "deny"}


DOORS = [
    through_the_pre_commit_hook, through_check, through_decisions, through_data, through_authzen, through_the_webhook,
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_the_bad_manifest_is_refused_with_the_same_rule_ids(service, imported, tmp_path, door):
    assert door(service, imported, BAD, tmp_path) == REFUSED_BY


@pytest.mark.parametrize("door", DOORS)
def test_the_mended_one_passes(service, imported, tmp_path, door):
    assert door(service, imported, labelled(GOOD), tmp_path) == set()


def test_a_pod_is_refused_at_the_webhook_by_the_constraint_alone_and_admitted_once_it_complies(service):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "apps"}, "spec": {}}
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    refused = reviewed(service, pod, kind)
    assert refused["allowed"] is False
    assert "NeedsLabels/owned" in refused["auditAnnotations"]["rules"].split(",")
    assert 'labels {"owner"} are missing' in refused["status"]["message"]
    rules = reviewed(service, labelled(pod), kind)["auditAnnotations"]["rules"].split(",")
    assert "NeedsLabels/owned" not in rules


def test_the_explanation_of_the_line_names_every_rule_that_was_asked(service):
    body = {"input": {"kind": "deploy", "resource": BAD, "dry_run": True}}
    with service.client("service") as client:
        answer = client.post("/v1/data/platform/decision?explain=full", json=body).json()
    lines = answer["explanation"]
    assert {line.split()[0] for line in lines} == set(answer["result"]["rules_evaluated"])
    assert {line.split()[0] for line in lines if not line.endswith("does not object")} == REFUSED_BY
