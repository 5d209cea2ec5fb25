"""Workloads for the cluster tests, and reviews of them as the API server writes them."""

from __future__ import annotations

import pytest
import yaml

from governance.policy.active import load_active
from tests.journeys.service import ROOT

FOLDER = ROOT / "deploy" / "examples" / "kubernetes"
GOOD_DEPLOYMENT = yaml.safe_load((FOLDER / "deployment-good.yaml").read_text())
BAD_DEPLOYMENT = yaml.safe_load((FOLDER / "deployment-bad.yaml").read_text())

needs_workload_rules = pytest.mark.skipif(
    not load_active().rules_for("workload"), reason="the pack has no rule about workloads, so it admits none"
)


def review(obj: dict, operation: str = "CREATE", **request) -> dict:
    group, _, version = obj["apiVersion"].rpartition("/")
    body = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "operation": operation, "object": obj, "oldObject": None,
        "kind": {"group": group, "version": version, "kind": obj["kind"]}, "name": obj["metadata"]["name"],
        "namespace": obj["metadata"].get("namespace", "apps"), "userInfo": {"username": "dev@example.com"},
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {**body, **request}}
