"""A rule pack of two rules and one obligation, small enough to read, with everything that `rules lint` asks for."""

import json

import pytest

from governance.model.facts import Facts
from governance.model.request import Request, Source
from governance.policy.active import load_active
from governance.policy.decide import Moment, decide

NOW = "2027-03-01T12:00:00Z"


def metadata(rule_id, *, effect="", applies="[deploy]", **changed):
    rows = {
        "title": "A title.",
        "description": "What it asks for.",
        "custom": None,
        "  id": rule_id,
        "  severity": "high",
        "  applies_to": applies,
        "  controls": '["ISO-27001:A.5.15"]',
        "  remediation": "Do it otherwise.",
        **({"  effect": effect} if effect else {}),
    }
    rows.update({key: value for key, value in changed.items() if value is not None})
    left_out = {key for key, value in changed.items() if value is None}
    lines = [f"# {key}:{'' if value is None else ' ' + value}" for key, value in rows.items() if key not in left_out]
    return "\n".join(["# METADATA", *lines]) + "\n"


OWNER = """package platform.rules.app.owner

deny contains v if {
	not input.app.owner
	v := {
		"path": ["app", "owner"],
		"message": "The app has no owner.",
		"fix": [{"op": "add", "path": ["app", "owner"], "value": "somebody"}],
	}
}
"""
COLOUR = """package platform.rules.app.colour

deny contains v if {
	not input.app.colour in data.platform.colours.allowed
	v := {"path": ["app", "colour"], "message": "The colour is not one of ours."}
}
"""
LABEL = """package platform.obligations.label

oblige contains v if v := input.app.name
"""
TEST = """package tests.app.owner_test

import data.platform.rules.app.owner

test_an_owner_is_enough if {
	count(owner.deny) == 0 with input as {"app": {"owner": "o"}}
}

test_no_owner_is_refused if {
	count(owner.deny) == 1 with input as {"app": {}}
}
"""
COLOUR_TEST = """package tests.app.colour_test

import data.platform.rules.app.colour

test_red_is_ours if {
	count(colour.deny) == 0 with input as {"app": {"colour": "red"}}
}
"""
CASE = """- description: No owner.
  input: {kind: deploy, app: {name: a}}
  expect:
    - path: [app, owner]
      message_contains: no owner
"""
COLOUR_CASE = """- description: Ours.
  input: {kind: deploy, app: {name: a, colour: red}}
  expect: []
"""
FILES = {
    "app/owner.rego": metadata("APP-001") + OWNER,
    "app/colour.rego": metadata("APP-002", effect="require_approval") + COLOUR,
    "obligations/label.rego": "# METADATA\n# title: Label\n# custom:\n#   type: header\n#   applies_to: [deploy]\n"
    + LABEL,
    "data/platform/colours.yaml": "allowed: [red, blue]\n",
    "tests/app/owner_test.rego": TEST,
    "tests/app/colour_test.rego": COLOUR_TEST,
    "tests/cases/app/owner.yaml": CASE,
    "tests/cases/app/colour.yaml": COLOUR_CASE,
}


@pytest.fixture
def folder(tmp_path):
    """`folder(**{"a/b.rego": text})`: a folder with the pack, changed; a file given as None is left out."""
    made = []

    def make(files=None, *, base=FILES):
        root = tmp_path / f"pack{len(made)}"
        made.append(root)
        for name, text in {**base, **(files or {})}.items():
            if text is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
        return str(root)

    return make


@pytest.fixture
def active(folder):
    """`active(files)`: the pack compiled and ready, without a cache."""
    return lambda files=None, **others: load_active(folder(files), cache="", **others)


def deploy(resource=None, *, tenant="hr", kind="deploy", **app):
    spec = {"name": "lunch", **app}
    shown = resource if resource is not None else {"metadata": {"name": spec["name"]}, "spec": app}
    text = json.dumps(
        {"action": "", "context": {}, "dry_run": False, "kind": kind, "resource": shown, "tenant": tenant}
    )
    return Request(kind, "", tenant, {}, spec, shown, {}, False, Source("test", "somebody"), "sha256:1", text)


NO_FACTS = Facts({}, "sha256:2", "{}")


@pytest.fixture
def verdict():
    """`verdict(active, request, waivers)`: what `decide` says at NOW."""

    def ask(active, request, waivers=(), *, now=NOW, facts=NO_FACTS):
        return decide(active, request, facts, Moment(now, "decision-1"), waivers)

    return ask


@pytest.fixture
def request_for():
    return deploy


@pytest.fixture
def meta():
    return metadata
