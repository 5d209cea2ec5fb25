"""`governance rules import-gatekeeper`: files in, a bundle and a verdict on suites out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from governance.policy.bundle import load_bundle
from tests.unit.policy.gatekeeper.conftest import NEEDS_LABELS, UNIQUE_HOST, constraint, template

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"owner": "me"}}}
BARE = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
UPDATE = {
    "apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview",
    "request": {"operation": "UPDATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": BARE, "oldObject": POD},
}  # fmt: skip
SUITE = """
kind: Suite
apiVersion: test.gatekeeper.sh/v1alpha1
tests:
- name: labels
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: good, object: good.yaml, assertions: [{violations: no}, {violations: 0}]}
  - name: bad
    object: bad.yaml
    assertions: [{violations: yes}, {violations: 1}, {message: "labels .*owner"}, {message: nope, violations: 0}]
  - {name: update, object: update.yaml, assertions: [{violations: yes}]}
  - {name: later, object: none.yaml, skip: true}
- name: wrong parameters
  template: template.yaml
  constraint: wrong.yaml
  invalid: true
"""


@pytest.fixture
def library(tmp_path) -> Path:
    folder = tmp_path / "library"
    folder.mkdir()
    files = {
        "template.yaml": template(), "constraint.yaml": constraint(), "good.yaml": POD, "bad.yaml": BARE, "update.yaml": UPDATE,
    }  # fmt: skip
    for name, document in files.items():
        (folder / name).write_text(yaml.safe_dump(document))
    (folder / "suite.yaml").write_text(SUITE)
    return folder


def wrong(library: Path) -> None:
    (library / "wrong.yaml").write_text(yaml.safe_dump(constraint(name="wrong", parameters={"labels": 7})))


def test_a_folder_becomes_a_bundle_that_loads(cli, library):
    done = cli("rules", "import-gatekeeper", "library", "--out", "out")
    assert done.code == 0, done.err
    assert "NeedsLabels/all (enforce)" in done.out
    assert {module.path.split("/")[0] for module in load_bundle("out").modules} == {"gatekeeper"}


def test_a_suite_passes_and_says_how_many(cli, library):
    wrong(library)
    done = cli("rules", "import-gatekeeper", "--suite", "library")
    assert (done.code, done.out) == (0, "1 suites, 5 cases: 4 pass, 0 fail, 1 skip\n")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("object: good.yaml", "object: bad.yaml", "1 violations, no expected"),
        ("{violations: 1}", "{violations: 2}", "1 violations, 2 expected"),
        ("labels .*owner", "^owner", "with '^owner'"),
        ("object: bad.yaml", "object: gone.yaml", "gone.yaml"),
        ("[{violations: yes}]}", "[]}", "asserts nothing"),
        ("[{violations: yes}]}", "[{violation: yes}]}", "no member 'violation'"),
        ("[{violations: yes}]}", "[{violations: perhaps}]}", "neither yes, no nor a number"),
        ("constraint: wrong.yaml", "constraint: constraint.yaml", "was accepted"),
    ],
)
def test_a_case_that_does_not_hold_fails_with_its_reason(cli, library, old, new, reason):
    wrong(library)
    assert old in SUITE
    (library / "suite.yaml").write_text(SUITE.replace(old, new, 1))
    done = cli("rules", "import-gatekeeper", "--suite", "library/suite.yaml")
    assert done.code == 1
    assert "FAIL" in done.out
    assert reason in done.out


@pytest.mark.parametrize("text", ["tests: []", "test: 1", "[]", "{", "tests: [{nome: x}]"])
def test_a_suite_that_is_none_is_wrong_use(cli, library, text):
    (library / "suite.yaml").write_text(text)
    assert cli("rules", "import-gatekeeper", "--suite", "library").code == 2


def test_nothing_is_written_when_something_is_refused_unless_that_is_wanted(cli, library):
    wrong(library)
    done = cli("rules", "import-gatekeeper", "library", "--out", "out")
    assert done.code == 1
    assert "not imported: library/wrong.yaml: parameters/labels" in done.out
    assert not Path("out").exists()
    done = cli("rules", "import-gatekeeper", "library", "--out", "out", "--partial", "--format", "json")
    body = json.loads(done.out)
    assert (done.code, body["written"], [row["id"] for row in body["imported"]]) == (1, "out", ["NeedsLabels/all"])
    assert len(body["refused"]) == 1


def test_an_earlier_import_is_replaced_and_nothing_else_is(cli, library):
    Path("out").mkdir()
    assert cli("rules", "import-gatekeeper", "library", "--out", "out").code == 0
    (Path("out") / "gatekeeper" / "stale.rego").write_text("package stale")
    assert cli("rules", "import-gatekeeper", "library", "--out", "out").code == 0
    assert not (Path("out") / "gatekeeper" / "stale.rego").exists()
    done = cli("rules", "import-gatekeeper", "library", "--out", "library")
    assert done.code == 2
    assert (library / "template.yaml").exists()


def test_an_inventory_is_read_from_files(cli, library):
    (library / "template.yaml").write_text(UNIQUE_HOST)
    (library / "constraint.yaml").write_text(yaml.safe_dump(constraint("UniqueHost")))
    assert "--inventory" in cli("rules", "import-gatekeeper", "library").out
    done = cli("rules", "import-gatekeeper", "library", "--inventory", "library/good.yaml", "--out", "out")
    assert done.code == 0, done.out
    data = json.loads((Path("out") / "gatekeeper" / "data.json").read_text())
    assert data["inventory"]["cluster"]["v1"]["Pod"]["p"] == POD


@pytest.mark.parametrize(
    "text",
    [
        "kind: ConstraintTemplate\nname: !!python/none x",
        NEEDS_LABELS.replace("needslabels,", "other,"),
        "spec: {",
        "a: no",
    ],
)
def test_a_file_that_was_named_is_never_passed_over(cli, text):
    Path("named.yaml").write_text(text)
    assert cli("rules", "import-gatekeeper", "named.yaml").code in {1, 2}


@pytest.mark.parametrize("argv", [[], ["gone.yaml"], ["--suite", "."], ["--frob"]])
def test_wrong_use(cli, argv):
    assert cli("rules", "import-gatekeeper", *argv).code == 2
