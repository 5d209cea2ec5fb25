"""The net under the webhook: which rules get into it, and how they read there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from governance.entrypoints.cli.rules_vap import manifest
from governance.errors import RuleError

ROOT = Path(__file__).parents[3]
LATER = """# METADATA
# title: A rule that comes later
# custom:
#   id: NEW-001
#   severity: high
#   effect: {effect}
#   applies_to: [{kind}]
#   controls: ["X:1"]
#   remediation: Comply.
package platform.rules.later.rule

deny contains {{"path": [], "message": "no"}} if not input.app.name
"""


@pytest.fixture
def rules(tmp_path):
    folder = tmp_path / "rules"
    shutil.copytree(ROOT / "rules", folder, ignore=shutil.ignore_patterns("tests", "extras"))
    return folder


def add(rules: Path, row: dict, *, kind: str = "deploy", effect: str = "deny") -> None:
    (rules / "later").mkdir()
    (rules / "later" / "rule.rego").write_text(LATER.format(kind=kind, effect=effect))
    table = rules / "data" / "platform" / "cel.yaml"
    table.write_text(yaml.safe_dump({"rules": {**yaml.safe_load(table.read_text())["rules"], "NEW-001": row}}))


def validations(rules: Path, *without: str) -> dict[str, dict[str, str]]:
    """Expressions by rule id, by policy."""
    text, _ = manifest(str(rules), without)
    return {
        document["metadata"]["name"]: {v["message"][:7]: v["expression"] for v in document["spec"]["validations"]}
        for document in yaml.safe_load_all(text)
        if document["kind"] == "ValidatingAdmissionPolicy"
    }


def test_a_rule_that_comes_later_gets_in_with_data_as_literals(rules):
    add(rules, {"holds": "object.spec.tenant in {{platform.runtime.preference}}"})
    found = validations(rules)["microapp-governance-apps"]
    assert found["NEW-001"] == 'object.spec.tenant in ["wasm", "microvm", "container"]'
    assert "RUN-002" in found


def test_a_rule_about_workloads_is_asked_where_its_profile_is(rules):
    add(rules, {"holds": "true", "profiles": ["baseline", "restricted"]}, kind="workload")
    policies = {name for name, found in validations(rules).items() if "NEW-001" in found}
    stem = "microapp-governance-workloads"
    assert policies == {stem, f"{stem}-baseline", f"{stem}-restricted"}


def test_a_rule_of_the_platform_s_own_is_asked_where_no_profile_is_named(rules):
    add(rules, {"holds": "true"}, kind="workload")
    assert {n for n, found in validations(rules).items() if "NEW-001" in found} == {"microapp-governance-workloads"}


def test_every_policy_fails_closed_and_is_bound_to_deny(rules):
    documents = list(yaml.safe_load_all(manifest(str(rules))[0]))
    policies = [d for d in documents if d["kind"] == "ValidatingAdmissionPolicy"]
    bindings = [d["spec"] for d in documents if d["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert policies
    assert {d["spec"]["failurePolicy"] for d in policies} == {"Fail"}
    assert [d["metadata"]["name"] for d in policies] == [b["policyName"] for b in bindings]
    assert all("Deny" in b["validationActions"] for b in bindings)


@pytest.mark.parametrize("effect", ["warn", "require_approval"])
def test_what_would_not_be_denied_stays_out(rules, effect):
    add(rules, {"holds": "true"}, effect=effect)
    assert "NEW-001" not in validations(rules)["microapp-governance-apps"]
    assert effect in manifest(str(rules))[1]["NEW-001"]


def test_what_is_not_enforced_for_everybody_or_is_waived_stays_out(rules):
    (rules / "data" / "platform" / "modes.yaml").write_text("rules: {RUN-002: {tenants: {hr: shadow}}}\n")
    found = validations(rules, "RUN-003")["microapp-governance-apps"]
    assert not {"RUN-002", "RUN-003"} & set(found)
    assert "RUN-004" in found


@pytest.mark.parametrize(
    ("row", "said"), [({"holds": "x in {{platform.absent.list}}"}, "platform.absent.list"), ({}, "no expression")]
)
def test_what_cannot_be_said_is_an_error(rules, row, said):
    add(rules, row)
    with pytest.raises(RuleError, match=said):
        manifest(str(rules))
