"""The candidate follows the log, counts what it would change, and starts over when another release is in force."""

from __future__ import annotations

import shutil

import pytest

from audit.log import AuditLog
from audit.reader import LogReader
from governance.log_wiring import LogRecorder
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.pipeline import Pipeline
from governance.platform.candidate import Candidate, candidate_metrics, candidate_status, is_sampled
from governance.platform.impact.analysis import job_of, sides_from
from governance.policy.active import activated
from governance.policy.build import build
from governance.settings import Settings
from governance.wiring import parts_for

ORIGIN = "test/audit"
RULE = """# METADATA
# title: t
# description: d
# custom:
#   id: LIFE-001
#   severity: high
#   applies_to: [lifecycle]
#   controls: [A.1]
#   remediation: r
package platform.rules.lifecycle.state

deny contains v if {
	object.get(input, ["resource", "state"], "") != data.platform.state
	v := {"path": ["resource"], "message": "m"}
}
"""


@pytest.fixture
def packs(tmp_path):
    for name, state in (("base", "idle"), ("candidate", "gone")):
        (tmp_path / name / "data" / "platform").mkdir(parents=True)
        (tmp_path / name / "state.rego").write_text(RULE)
        (tmp_path / name / "data" / "platform" / "state.yaml").write_text(f"{state}\n")
    return tmp_path


def test_it_counts_what_it_would_change_and_changes_nothing(packs):
    home, base = packs / "home", build(str(packs / "base"), [])
    active, source, release = activated(base), Source("t", "ann", ("service",)), [1]

    def sides():
        return sides_from(job_of(base, str(packs / "candidate"), [], b"", home=home, origin=ORIGIN, full=False))

    with AuditLog(home, origin=ORIGIN) as log:
        line = Pipeline(
            parts_for(Settings({"home": str(home)}), lambda: active)._replace(recorder=LogRecorder(log, 30))
        )

        def decide(state):
            resource = {"app": "lunch", "state": state}
            return line.decide(
                normalise_document({"kind": "lifecycle", "resource": resource, "tenant": "hr"}, source)
            ).effect

        assert decide("idle") == "allow"
        reader = LogReader(home, origin=ORIGIN)
        assert candidate_status(home) == {"state": "NOT_READY"}
        candidate = Candidate(reader, home, 100, sides, lambda: release[0])
        assert [decide(state) for state in ("idle", "gone", "other")] == ["allow", "deny", "deny"]
        assert candidate.step() == 3
        assert candidate.step() == 0
        found = candidate_status(home)
        assert found["counts"] == {"newly_denied": 1, "newly_allowed": 1, "same": 1}
        assert found["by"]["rule"] == {"newly_denied": {"LIFE-001": 1}, "newly_allowed": {"LIFE-001": 1}}
        assert 'governance_candidate_decisions_total{outcome="newly_denied"} 1' in candidate_metrics(home)
        release[0] = 2
        assert candidate.step() == 0
        assert candidate_status(home)["counts"] == {}
        reader.close()


def test_the_sample_is_as_large_as_it_says():
    ids = [f"decision-{number}" for number in range(4000)]
    assert not any(is_sampled(name, 0) for name in ids)
    assert all(is_sampled(name, 100) for name in ids)
    share = [name for name in ids if is_sampled(name, 25)]
    assert 850 < len(share) < 1150
    assert set(share) < {name for name in ids if is_sampled(name, 50)}


def test_a_folder_that_is_gone_tells_nothing(tmp_path):
    shutil.rmtree(tmp_path)
    assert candidate_metrics(tmp_path) == ""
