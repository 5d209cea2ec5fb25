"""kubectl against a real API server: a bad app is refused at the door, a good one is mutated and stored."""

from __future__ import annotations

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from tests.journeys.service import EXAMPLES

pytestmark = [pytest.mark.kube]

GOOD = yaml.safe_load((EXAMPLES / "app-fixed.yaml").read_text())
BAD = yaml.safe_load((EXAMPLES / "app.yaml").read_text())


def named(app: dict, name: str) -> dict:
    return {**app, "metadata": {"name": name, "namespace": "apps"}}


def test_a_bad_app_is_refused_with_its_rules(cluster, webhook):
    done = cluster.apply(named(BAD, "bad"))
    assert done.returncode != 0
    for rule in ("DATA-007", "EGR-004", "OAUTH-002", "RUN-002"):
        assert rule in done.stderr
    assert "NotFound" in cluster.kubectl("get", "microapp", "bad", "-n", "apps").stderr


def test_a_good_app_is_stored_with_its_obligations_and_applied_again_unchanged(cluster, webhook):
    assert cluster.apply(named(GOOD, "good")).returncode == 0
    stored = json.loads(cluster.kubectl("get", "microapp", "good", "-n", "apps", "-o", "json").stdout)
    assert json.loads(stored["metadata"]["annotations"]["microapps.internal/runtime-class"]) == ["wasm"]
    again = cluster.apply(named(GOOD, "good"))
    assert again.returncode == 0, again.stderr
    later = json.loads(cluster.kubectl("get", "microapp", "good", "-n", "apps", "-o", "json").stdout)
    assert later["metadata"]["generation"] == stored["metadata"]["generation"]


def test_the_schema_of_the_definition_refuses_what_is_none(cluster, webhook):
    broken = named({**GOOD, "spec": {**GOOD["spec"], "connectors": "all"}}, "broken")
    assert cluster.apply(broken).returncode != 0


def test_a_dry_run_is_decided_and_leaves_nothing(cluster, webhook):
    assert cluster.apply(named(GOOD, "tried"), flags=("--dry-run=server",)).returncode == 0
    assert cluster.apply(named(BAD, "tried"), flags=("--dry-run=server",)).returncode != 0
    assert not (webhook.home / "apps" / "tried.json").exists()
    assert any(r["public"]["dry_run"] and r["public"]["app"] == "tried" for r in webhook.records(app="tried"))


def test_deleting_needs_what_policy_demands(cluster, webhook):
    cluster.apply(named(GOOD, "kept"))
    done = cluster.kubectl("delete", "microapp", "kept", "-n", "apps", "--wait=false")
    assert done.returncode != 0
    assert "LIFE" in done.stderr


def test_the_own_namespace_is_left_out_so_that_nobody_is_locked_out(cluster, webhook):
    cluster.kubectl("create", "namespace", "microapp-governance")
    outside = {**BAD, "metadata": {"name": "own", "namespace": "microapp-governance"}}
    assert cluster.apply(outside).returncode == 0


def test_two_hundred_applies_at_once_are_each_decided_and_on_record(cluster, webhook):
    apps = [named(GOOD if number % 2 else BAD, f"many-{number}") for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda chunk: cluster.apply(*chunk), [apps[i : i + 10] for i in range(0, 200, 10)]))
    assert all(result.returncode != 0 for result in done)  # half of each ten is refused
    stored = json.loads(cluster.kubectl("get", "microapps", "-n", "apps", "-o", "json").stdout)["items"]
    names = {item["metadata"]["name"] for item in stored if item["metadata"]["name"].startswith("many-")}
    assert names == {f"many-{number}" for number in range(1, 200, 2)}
    for number in (0, 1, 198, 199):
        effects = {r["public"]["effect"] for r in webhook.records(app=f"many-{number}")}
        assert effects == {"allow" if number % 2 else "deny"}


def test_while_nobody_can_decide_nothing_is_stored(cluster, webhook):
    pids = [pid for pid in webhook.children("") if pid != webhook.pid]
    for pid in [webhook.pid, *pids]:
        os.kill(pid, signal.SIGSTOP)
    try:
        done = cluster.apply(named(GOOD, "blind"), flags=("--request-timeout=60s",))
        assert done.returncode != 0
    finally:
        for pid in [webhook.pid, *pids]:
            os.kill(pid, signal.SIGCONT)
    webhook.wait_until(lambda: cluster.apply(named(GOOD, "seeing")).returncode == 0, 60)
