"""The manifests under `deploy/` say what the code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from governance.enrich.schema import SCHEMAS
from governance.entrypoints.cli.crd import crd, structural
from governance.entrypoints.cli.rules_vap import manifest
from governance.settings import TABLE

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"


@pytest.mark.parametrize("kind", ["MicroApp", "Connector", "Tenant", "Waiver", "PolicyMode"])
def test_the_definitions_are_those_of_the_published_schemas(kind):
    written = yaml.safe_load((KUBERNETES / "crds" / f"{kind.lower()}.yaml").read_text())
    assert written == crd(kind, json.loads((Path(SCHEMAS) / f"{kind}.json").read_text()))


def test_a_keyword_without_a_structural_form_is_refused():
    with pytest.raises(ValueError, match="oneOf"):
        structural({"type": "object", "oneOf": []})


def test_every_manifest_is_named_in_the_kustomization_and_reads():
    named = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text())["resources"]
    present = {str(p.relative_to(KUBERNETES)) for p in KUBERNETES.rglob("*.yaml")} - {"kustomization.yaml"}
    assert set(named) == present
    for name in named:
        assert all(document["kind"] for document in yaml.safe_load_all((KUBERNETES / name).read_text()))


def test_webhooks_fail_closed_and_leave_out_their_own_namespace():
    for document in yaml.safe_load_all((KUBERNETES / "webhook.yaml").read_text()):
        for hook in document["webhooks"]:
            assert hook["failurePolicy"] == "Fail"
            assert hook["admissionReviewVersions"] == ["v1"]
            assert hook["sideEffects"] == "NoneOnDryRun"
            expression = hook["namespaceSelector"]["matchExpressions"][0]
            assert (expression["key"], expression["operator"]) == ("kubernetes.io/metadata.name", "NotIn")
            assert {"microapp-governance", "kube-system", "cert-manager"} <= set(expression["values"])


def test_every_namespace_has_exactly_one_webhook_for_workloads():
    """A profile's own where one is named; the platform's where none is, or one that does not exist."""
    hooks = next(yaml.safe_load_all((KUBERNETES / "webhook.yaml").read_text()))["webhooks"]
    on_pods = [hook for hook in hooks if any("pods" in rule["resources"] for rule in hook["rules"])]
    for profile in (None, "privileged", "baseline", "restricted", "unheard-of"):
        paths = [h["clientConfig"]["service"]["path"] for h in on_pods if _selects(h["namespaceSelector"], profile)]
        named = profile in {"privileged", "baseline", "restricted"}
        assert paths == [f"/admission/validate/{profile}" if named else "/admission/validate"]


def _selects(selector: dict, profile: str | None) -> bool:
    (expression,) = [e for e in selector["matchExpressions"] if e["key"] == "pod-security.kubernetes.io/enforce"]
    return (profile in expression["values"]) == (expression["operator"] == "In")


def test_the_net_under_the_webhook_is_what_the_rules_say():
    """After a change: `governance rules vap > deploy/kubernetes/policy.yaml`."""
    assert (KUBERNETES / "policy.yaml").read_text() == manifest()[0]


def test_settings_in_manifests_exist():
    known = {row.variable for row in TABLE}
    (deployment,) = [
        d for d in yaml.safe_load_all((KUBERNETES / "service.yaml").read_text()) if d["kind"] == "Deployment"
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    named = {entry["name"] for entry in container["env"] if entry["name"].startswith("GOVERNANCE_")}
    assert named <= known
