"""A design whose review is missing: the service answers at once, has it reviewed beside, and the next decision reads that."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.journeys.models import answer, finding, serving
from tests.journeys.service import EXAMPLES, Service


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with serving() as model:
        home = tmp_path_factory.mktemp("reviewing") / "home"
        service = Service(
            home, GOVERNANCE_REVIEW_MODEL="m", GOVERNANCE_REVIEW_API_BASE=model.url, GOVERNANCE_REVIEW_TIMEOUT_MS="20000",
        ).start()  # fmt: skip
        try:
            yield service, model
        finally:
            service.stop()


def deploy(name: str, **more):
    manifest = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
    manifest["spec"]["config"]["greeting"] = name
    return {"kind": "deploy", "tenant": "marketing", "resource": manifest, **more}


def reviews_of(service: Service, phase: str) -> list[dict]:
    return [r["public"] for r in service.records(kind="review") if r["public"]["phase"] == phase]


def asked_again(client, request, service: Service) -> dict:
    """The decision once the review is there."""
    said = {}

    def is_reviewed() -> bool:
        said.update(client.post("/v1/decisions", json=request).json())
        return "REV-001" not in {v["rule"] for v in said["violations"]}

    service.wait_until(is_reviewed, 60)
    return said


def test_the_first_answer_asks_for_a_person_and_the_next_one_reads_what_the_model_found(world):
    service, model = world
    model.content = answer(finding(severity="high", pointer="/spec/egress", title="Too open"))
    with service.client("citizen") as client:
        first = client.post("/v1/decisions", json=deploy("one")).json()
        assert (first["effect"], [v["rule"] for v in first["violations"]]) == ("require_approval", ["REV-001"])
        second = asked_again(client, deploy("one"), service)
    assert (second["effect"], [v["rule"] for v in second["violations"]]) == ("require_approval", ["REV-002"])
    assert len(model.asked) == 1
    assert [r["outcome"] for r in reviews_of(service, "answered")] == ["done"]


def test_a_model_that_finds_nothing_leaves_the_verdict_of_the_checklist(world):
    service, model = world
    model.content = answer()
    with service.client("citizen") as client:
        assert client.post("/v1/decisions", json=deploy("two")).json()["effect"] == "require_approval"
        assert asked_again(client, deploy("two"), service)["effect"] == "allow"


def test_a_model_that_fails_is_on_record_and_not_asked_again_at_once(world):
    service, model = world
    model.mode = "prose"
    before = len(model.asked)
    with service.client("citizen") as client:
        client.post("/v1/decisions", json=deploy("three"))
        service.wait_until(lambda: "unavailable" in [r["outcome"] for r in reviews_of(service, "answered")], 60)
        again = client.post("/v1/decisions", json=deploy("three")).json()
    model.mode = "content"
    assert [v["rule"] for v in again["violations"]] == ["REV-001"]
    assert not list((service.home / "reviews" / "wanted").glob("*.json"))
    assert len(model.asked) == before + 1


def test_neither_a_denied_design_nor_a_dry_run_is_shown_to_a_model(world):
    service, model = world
    before = len(model.asked)
    denied = yaml.safe_load((EXAMPLES / "app.yaml").read_text())
    with service.client("citizen") as client:
        assert client.post("/v1/decisions", json={**deploy("x"), "resource": denied}).json()["effect"] == "deny"
        client.post("/v1/decisions", json=deploy("four", dry_run=True))
        # The queue is worked off in order: once a later design was reviewed, an earlier one would have been.
        client.post("/v1/decisions", json=deploy("five"))
        asked_again(client, deploy("five"), service)
    assert len(model.asked) == before + 1
    assert "five" in json.dumps(model.asked[-1])
