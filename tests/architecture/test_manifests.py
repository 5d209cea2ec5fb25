"""The manifests under `deploy/` say what the code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from governance.enrich.schema import SCHEMAS
from governance.entrypoints.cli.crd import crd, structural
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
            (expression,) = hook["namespaceSelector"]["matchExpressions"]
            assert expression["operator"] == "NotIn"
            assert "microapp-governance" in expression["values"]


def test_settings_in_manifests_exist():
    known = {row.variable for row in TABLE}
    (deployment,) = [
        d for d in yaml.safe_load_all((KUBERNETES / "service.yaml").read_text()) if d["kind"] == "Deployment"
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    named = {entry["name"] for entry in container["env"] if entry["name"].startswith("GOVERNANCE_")}
    assert named <= known
