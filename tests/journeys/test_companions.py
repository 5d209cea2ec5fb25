"""What works beside the workers, in a running service: decisions leave for a collector, a candidate is compared."""

from __future__ import annotations

import shutil

import pytest

from tests.journeys.service import ROOT, Service
from tests.unit.platform.test_upload import Sink


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("companions")
    main, candidate = folder / "main", folder / "candidate"
    # One rule of the pack and its data: comparing is the same with one as with all.
    for file in ("request/app_named.rego", "data/platform/requests.yaml"):
        (main / file).parent.mkdir(parents=True)
        shutil.copy(ROOT / "rules" / file, main / file)
    shutil.copytree(main, candidate)
    rule = candidate / "request" / "app_named.rego"
    more = 'deny contains {"path": [], "message": "Nothing any more."} if input.kind == "lifecycle"\n\n'
    rule.write_text(rule.read_text().replace("deny contains", more + "deny contains", 1))
    sink = Sink()
    service = Service(
        folder / "home", GOVERNANCE_DECISION_LOG_URL=sink.url, GOVERNANCE_CANDIDATE_BUNDLE=str(candidate),
        GOVERNANCE_CANDIDATE_PERCENT="100", GOVERNANCE_BUNDLE=str(main),
    ).start()  # fmt: skip
    yield service, sink
    service.stop()
    sink.stop()


def test_a_decision_is_answered_uploaded_and_compared(world):
    service, sink = world
    call = {"kind": "lifecycle", "resource": {"app": "lunch", "change": {"from": "active", "to": "archived"}}}
    with service.client("service") as asks, service.client("platform") as platform:

        def plugins():
            return platform.get("/v1/status").json()["result"]["plugins"]

        service.wait_until(lambda: plugins()["candidate"]["state"] == "OK", 120)
        decision = asks.post("/v1/decisions", json=call).json()
        assert all(violation["message"] != "Nothing any more." for violation in decision["violations"])
        service.wait_until(lambda: any(e["decision_id"] == decision["decision_id"] for e in sink.taken), 60)
        service.wait_until(lambda: sum(plugins()["candidate"]["counts"].values()) >= 1, 60)
        assert plugins()["candidate"]["by"]["rule"] == {"newly_denied": {"REQ-002": 1}}
        assert 'governance_candidate_decisions_total{outcome="newly_denied"} 1' in platform.get("/metrics").text
        assert plugins()["decision_logs"]["state"] == "OK"
        sink.answers = [503] * 3
        asks.post("/v1/decisions", json=call)
        service.wait_until(lambda: sink.answers == [] and plugins()["decision_logs"]["code"] == "", 60)
