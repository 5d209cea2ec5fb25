"""Asked minus used, from the log: what a call was let through as counts, not what it held."""

from __future__ import annotations

from contextlib import closing

from governance.enrich.scope_facts import ScopeFacts
from governance.log_wiring import open_reader
from governance.model.request import Source
from governance.normalise.requests import normalise_document
from governance.platform.scope_use import scope_use
from governance.wiring import registry_of

READ, RECOMMEND = ("hris", "employees:read"), ("recommender", "recommendations:read")


def used(world, connectors=None) -> dict:
    with closing(open_reader(world.settings)) as log:
        known = registry_of(world.settings).connectors if connectors is None else connectors
        found = scope_use(log, known, "where2eat", "2020-01-01T00:00:00Z")
    assert found["looked_since"] == "2020-01-01T00:00:00Z"
    return {(row["connector"], row["scope"]): row for row in found["scopes"]}


def test_a_scope_counts_as_used_from_the_first_call_that_needed_it(world):
    world.answers({"Resources": []})
    before = used(world)
    assert set(before) == {READ, RECOMMEND}
    assert {row["last_used"] for row in before.values()} == {""}
    world.call(method="DELETE")
    assert used(world)[READ]["last_used"] == ""
    world.call()
    after = used(world)
    assert after[READ]["last_used"] > after[READ]["asked_since"]
    assert after[RECOMMEND]["last_used"] == ""


def test_a_scope_is_asked_for_since_the_first_of_its_deploys_without_a_break(world):
    first = used(world)[READ]["asked_since"]
    world.deploy()
    assert used(world)[READ]["asked_since"] == first
    world.deploy(lambda text: "".join(part for part in _without_recommender(text)))
    assert set(used(world)) == {READ}
    world.deploy()
    again = used(world)
    assert again[READ]["asked_since"] == first
    assert again[RECOMMEND]["asked_since"] > first


def _without_recommender(text: str) -> list[str]:
    head, rest = text.split("    - name: recommender", 1)
    return [head, "  runtime:", rest.split("  runtime:", 1)[1].replace("    - api.recommender.example.com\n", "")]


def test_only_a_later_deploy_is_asked_about():
    asked = []
    facts = ScopeFacts(lambda app: app == "old", lambda app: asked.append(app) or {"scopes": []})
    manifest = {"apiVersion": "microapps.internal/v1alpha1", "kind": "MicroApp", "spec": {}}
    for name in ("new", "old"):
        document = {"kind": "deploy", "resource": {**manifest, "metadata": {"name": name}}}
        facts.facts(normalise_document(document, Source("test", "lead")))
    assert asked == ["old"]


def test_the_next_deploy_knows_what_was_used(world):
    world.answers({"Resources": []})
    world.call()
    world.deploy()
    with closing(open_reader(world.settings)) as log:
        facts = log.openings(log.size() - 1)["facts"]["value"]
    rows = {(row["connector"], row["scope"]): bool(row["last_used"]) for row in facts["scope_use"]["scopes"]}
    assert rows == {READ: True, RECOMMEND: False}
