"""A small cluster's worth of Gatekeeper: three templates, and a way to ask what the line says about an object."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml

from governance.model.facts import Facts
from governance.model.request import Source as Asker
from governance.normalise.requests import normalise_document
from governance.policy.active import Extra, load_active
from governance.policy.decide import Moment, decide
from governance.policy.gatekeeper.bundle import Source, bundle_files, import_documents

NOW = "2027-03-01T12:00:00Z"

NEEDS_LABELS = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: needslabels, annotations: {description: "Objects carry\\n# METADATA labels."}}
spec:
  crd:
    spec:
      names: {kind: NeedsLabels}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            labels: {type: array, minItems: 1, default: [owner], items: {type: string, pattern: "^[a-z]+$"}}
            note: {type: string, default: please}
  targets:
  - target: admission.k8s.gatekeeper.sh
    libs:
    - |
      package lib.labels
      missing(object, wanted) = m { m := {l | l := wanted[_]; not object.metadata.labels[l]} }
    rego: |
      package needslabels
      import data.lib.labels
      violation[{"msg": msg, "details": {"missing": m}}] {
        m := labels.missing(input.review.object, input.parameters.labels)
        count(m) > 0
        msg := sprintf("labels %v are missing, %v", [m, input.parameters.note])
      }
"""
UNIQUE_HOST = """
apiVersion: templates.gatekeeper.sh/v1beta1
kind: ConstraintTemplate
metadata: {name: uniquehost}
spec:
  crd: {spec: {names: {kind: UniqueHost}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source: {validations: [{expression: "true"}]}
    - engine: Rego
      source:
        version: v1
        rego: |
          package uniquehost
          import rego.v1
          violation contains {"msg": "the host is taken"} if {
            some name, other in data.inventory.namespace[_][_].Route
            other.spec.host == input.review.object.spec.host
            name != input.review.object.metadata.name
          }
"""
SLOPPY = """
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: sloppy}
spec:
  crd: {spec: {names: {kind: Sloppy}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package sloppy
      violation[{"msg": msg}] {
        to_number(input.review.object.spec.replicas) > 5
        msg := "too many"
      }
      violation[{"msg": msg}] {
        input.review.object.spec.host == "bad"
        msg := sprintf("%v is no host for %v: %d", [input.review.object.spec.host, input.review.object.kind])
      }
      violation[{"text": "no msg"}] { input.review.object.spec.host == "mute" }
"""

OWN = """# METADATA
# title: t
# description: d
# custom:
#   id: OWN-001
#   severity: high
#   applies_to: [deploy, lifecycle]
#   controls: ["X:1"]
#   remediation: r
package platform.rules.own.rule

deny contains {"path": ["resource"], "message": "no"} if input.resource.bad
"""


def template(text: str = NEEDS_LABELS, **changes: Any) -> dict:
    """A template, with members of its one target or its spec replaced."""
    document = yaml.safe_load(text)
    target = document["spec"]["targets"][0]
    for name, value in changes.items():
        (target if name in {"rego", "libs", "code", "target"} else document["spec"])[name] = value
    return document


def constraint(kind: str = "NeedsLabels", name: str = "all", **spec: Any) -> dict:
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"parameters": {}, **spec},
    }


def imported(*documents: dict, inventory: list[dict] | None = None):
    known = None if inventory is None else [Source(value, "inventory.yaml") for value in inventory]
    return import_documents(
        [Source(copy.deepcopy(value), f"file-{i}.yaml") for i, value in enumerate(documents)], known
    )


class World:
    """A rule pack of one rule beside which an import serves."""

    def __init__(self, folder):
        (folder / "main").mkdir()
        (folder / "main" / "rule.rego").write_text(OWN)
        self._folder = folder
        self._active = None

    def load(self, *documents: dict, inventory: list[dict] | None = None):
        found = imported(*documents, inventory=[] if inventory is None else inventory)
        assert found.refused == ()
        for name, raw in bundle_files(found).items():
            file = self._folder / "imported" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(raw)
        self._active = load_active(str(self._folder / "main"), [Extra(str(self._folder / "imported"))], cache="")
        return self._active

    def decide(self, resource: dict, *, kind: str = "workload", **request: Any):
        document = {"kind": kind, "resource": resource, **request}
        asked = normalise_document(document, Asker("test", "test", ("service",)))
        return decide(self._active, asked, Facts({}, "sha256:0", "{}"), Moment(NOW, "id")).decision


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)
