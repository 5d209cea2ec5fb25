"""Deciding again: what was recorded comes out the same, a change shows, and what cannot be compared is never called equal."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from audit.exports.package import Doing, Wanted, export
from audit.keys import SigningKey
from audit.store import Filter
from governance.errors import CallerError, RecordNotDurable
from governance.log_wiring import open_reader
from governance.model.request import Source
from governance.normalise.requests import normalise_native
from governance.platform.re_evaluation import re_evaluate
from governance.policy.kept import active_from, document_of, file_name, kept
from governance.settings import from_environment
from governance.wiring import active_of, for_cli, policies_of
from tests.journeys.service import soon
from tests.unit.audit.packages_made import signed_again

FLOW = {
    "kind": "data_flow",
    "tenant": "marketing",
    "resource": {
        "app": "where2eat", "source": "app", "destination": {"connector": "recommender"}, "purpose": "canteen",
        "content_type": "application/json", "payload": {"n": 1},
    },
}  # fmt: skip
MASKED = {**FLOW, "resource": {**FLOW["resource"], "payload": {"mail": "erika.mustermann@example.com"}}}
WAIVER = f"""kind: Waiver
metadata: {{name: not-yet-deployed}}
spec: {{rule: REQ-004, subject: "app:where2eat", owner: a, approver: b, reason: trial, expires: "{soon(86_400)}"}}
"""
ORIGIN = "governance.local/audit"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(home, export with policies, without)."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "waivers").mkdir()
    (folder / "waivers" / "w.yaml").write_text(WAIVER)
    settings = from_environment(
        {"GOVERNANCE_HOME": str(folder / "home"), "GOVERNANCE_WAIVERS": str(folder / "waivers")}
    )
    with for_cli(settings) as line:
        for body in (FLOW, MASKED, {**FLOW, "tenant": "nobody"}, {**FLOW, "resource": {"app": 7}}):
            line.decide(normalise_native(json.dumps(body).encode(), Source("cli.decide", "os:tester")))
    log = open_reader(settings)
    for name, beside in (("with", policies_of(settings)), ("without", lambda _: {})):
        export(log, Wanted(Filter()), folder / name, created="2027-01-01T00:00:00Z", doing=Doing(beside=beside))
    log.close()
    return folder


@pytest.fixture
def key(made):
    return SigningKey(ORIGIN, (made / "home" / "audit" / "key").read_bytes())


def changed(made, tmp_path, name: str, old: bytes, new: bytes, key):
    """What the log's operator could do to a package: change a file and sign everything again."""
    package = shutil.copytree(made / "with", tmp_path / "package")
    (file,) = package.glob(name)
    raw = file.read_bytes()
    assert old in raw
    file.write_bytes(raw.replace(old, new, 1))
    signed_again(package, key)
    return package


def test_every_decision_comes_out_as_it_was_recorded_waived_ones_too(made):
    report = re_evaluate(str(made / "with"))
    assert (report.equal, report.differing, report.missing) == (4, (), ())
    assert report.not_comparable == {"masked": 1, "waiver_added (no decision)": 1}
    assert b"not-yet-deployed" in (made / "with" / "openings.jsonl").read_bytes()


def test_without_the_policy_it_is_named_and_with_it_at_hand_decided(made):
    report = re_evaluate(str(made / "without"))
    assert (report.equal, len(report.missing)) == (0, 1)
    assert ": 4 decisions" in report.missing[0]
    (policy,) = (made / "home" / "policies").iterdir()
    assert re_evaluate(str(made / "without"), str(policy)).equal == 4


def test_a_policy_that_decides_otherwise_shows_with_what(made, tmp_path, key):
    package = changed(made, tmp_path, "policy-*.json", b"has no allowed deploy", b"was never deployed", key)
    report = re_evaluate(str(package))
    assert report.differing
    assert all("(decision " in line and " was " in line for line in report.differing)


def test_openings_that_may_not_be_read_are_not_comparable(made, tmp_path):
    settings = from_environment({"GOVERNANCE_HOME": str(made / "home")})
    log = open_reader(settings)
    wanted = Wanted(Filter(), fields=["answer"])
    export(log, wanted, tmp_path / "p", created="2027-01-01T00:00:00Z", doing=Doing(beside=policies_of(settings)))
    log.close()
    assert re_evaluate(str(tmp_path / "p")).not_comparable == {"not readable": 5, "waiver_added (no decision)": 1}


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"format": "governance-policy/1"}', b"[" * 100_000, b"\xff"])
def test_a_file_that_is_no_policy_is_refused(made, tmp_path, raw):
    (tmp_path / "policy.json").write_bytes(raw)
    with pytest.raises(CallerError, match="not a kept policy"):
        re_evaluate(str(made / "without"), str(tmp_path / "policy.json"))
    with pytest.raises(CallerError, match="cannot be read"):
        re_evaluate(str(made / "without"), str(tmp_path / "absent"))


class TestKept:
    def test_a_policy_reads_back_as_it_was_and_its_name_says_its_revision(self, made):
        active = active_of(from_environment({"GOVERNANCE_HOME": str(made / "home")}))
        raw = document_of(active)
        again = active_from(raw)
        assert (again.revision, again.rules, again.obligations) == (active.revision, active.rules, active.obligations)
        assert document_of(again) == raw
        assert kept(str(made / "home"), [active.revision]) == {file_name(active.revision, raw): raw}
        assert kept(str(made / "home"), ["another"]) == kept(str(made / "home"), []) == {}

    def test_a_decision_whose_policy_cannot_be_kept_permits_nothing(self, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "policies").write_text("a file, where a folder has to be")
        settings = from_environment({"GOVERNANCE_HOME": str(tmp_path / "home")})
        request = normalise_native(json.dumps(FLOW).encode(), Source("cli.decide", "os:tester"))
        with for_cli(settings) as line, pytest.raises(RecordNotDurable):
            line.decide(request)
        assert os.listdir(tmp_path / "home" / "audit")
