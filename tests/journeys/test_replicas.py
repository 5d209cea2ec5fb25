"""Two services on one PostgreSQL: what one decides the other reads, and without the database nobody is allowed anything."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time

import pytest

from governance.events_wiring import outbox_of
from governance.platform.broker.events.outbox_rows import Accepted, Target
from governance.settings import from_environment
from tests.journeys.service import EXAMPLES, Service, governance, soon
from tests.postgres import Server, needs_postgres

CALL = json.loads((EXAMPLES / "hr-call.json").read_text())

pytestmark = needs_postgres


def shared_state(first: Service, second: Service) -> None:
    """Keys, apps and waivers made through one replica count at the other, and end there when they end here."""
    text = first.key("service")
    headers = {"authorization": f"Bearer {text}"}
    with second.client() as there, first.client("compliance") as ann, second.client("platform") as bob:
        assert there.post("/v1/decisions", json=CALL, headers=headers).status_code == 200

        def archived(client) -> dict:
            asked = {
                "kind": "lifecycle",
                "resource": {"app": "where2eat", "change": {"from": "active", "to": "archived"}},
            }
            return client.post("/v1/decisions", json=asked, headers=headers).json()

        def rules(client) -> dict[str, str | None]:
            return {v["rule"]: v.get("waived_by") for v in archived(client)["violations"]}

        assert "REQ-004" in rules(there), "nobody deployed it yet"
        spec = {"rule": "REQ-004", "subject": "app:where2eat", "reason": "by hand", "expires": soon(86_400)}
        assert ann.post("/v1/waivers", json={"name": "by-hand", "spec": spec}).status_code == 201
        second.wait_until(lambda: bob.post("/v1/waivers/by-hand/approval").status_code == 200, 20)
        second.wait_until(lambda: rules(there).get("REQ-004") == "by-hand", 20)
        assert ann.delete("/v1/waivers/by-hand").status_code == 200
        ended = time.monotonic()
        while True:
            began = time.monotonic()
            if rules(there)["REQ-004"] is None:
                break
            assert began - ended <= 1.0, "it excused what was asked more than a second after it ended"
        done = governance("decide", "--kind", "deploy", str(EXAMPLES / "app-fixed.yaml"), home=first.home, **first.env)
        assert done.returncode == 0, done.stderr
        second.wait_until(lambda: "REQ-004" not in rules(there), 20)
        revoked = governance("key", "revoke", text.split("_")[1], home=first.home, **first.env)
        assert revoked.returncode == 0, revoked.stderr
        ended = time.monotonic()
        while True:
            began = time.monotonic()
            if there.post("/v1/decisions", json=CALL, headers=headers).status_code == 401:
                break
            assert began - ended <= 1.0


@pytest.mark.slow
def test_replicas_share_one_log_outlive_each_other_s_writer_and_deny_without_their_database(tmp_path):
    server = Server()
    env = {"GOVERNANCE_DATABASE": server.database().url, "GOVERNANCE_RECORD_TIMEOUT_MS": "15000"}
    first = Service(tmp_path / "one", "--workers", "1", **env)
    second = Service(tmp_path / "two", "--workers", "1", **env)
    try:
        first.start()
        (second.home / "audit").mkdir(parents=True, mode=0o700)
        shutil.copy(first.home / "audit" / "key", second.home / "audit" / "key")
        second.start()
        with first.client("platform") as one, second.client("platform") as two:
            here, there = one.post("/v1/decisions", json=CALL).json(), two.post("/v1/decisions", json=CALL).json()
            assert one.get(f"/v1/decisions/{there['decision_id']}").json()["public"]["effect"] == "deny"
            assert two.get(f"/v1/decisions/{here['decision_id']}").json()["public"]["effect"] == "deny"
            # The writer that was elected first is killed: the other replica's entries are still taken.
            for process in first.children("writer_main"):
                os.kill(process, signal.SIGKILL)
            third = two.post("/v1/decisions", json=CALL).json()
            assert third["violations"]
            checked = governance("audit", "check", home=second.home, **env)
            assert checked.returncode == 0, checked.stderr
            shown = governance("audit", "show", third["decision_id"], home=second.home, **env)
            assert json.loads(shown.stdout)["public"]["decision_id"] == third["decision_id"]
            shared_state(first, second)
            server.stop()
            refused = two.post("/v1/decisions", json=CALL)
            assert refused.status_code == 503, refused.text
            # Nobody can say any more whether this key was revoked.
            second.wait_until(lambda: two.get("/v1/waivers").status_code == 503, 20)
            assert "allow" not in refused.json().get("effect", "")
            server.start()
            second.wait_until(lambda: two.post("/v1/decisions", json=CALL).status_code == 200)
        assert not (first.home / "audit" / "log.db").exists()
    finally:
        first.stop()
        second.stop()
        server.remove()


def test_the_move_and_the_settings_as_a_user_types_them(tmp_path, postgres):
    home, url = tmp_path / "home", postgres.database().url
    asked = json.dumps(CALL).encode()
    made = governance("decide", "-", home=home, stdin=asked)
    key = governance("key", "create", "--role", "auditor", home=home).stdout.decode().strip()
    before = governance("audit", "checkpoint", home=home)
    assert before.returncode == 0, made.stderr
    with contextlib.closing(outbox_of(from_environment({"GOVERNANCE_HOME": str(home)}))) as outbox:
        outbox.add(Accepted("/apps/a", "1", "d", "d", "", "{}"), [Target("canteen", "s", is_pushed=False)], time.time())
    moved = governance("audit", "migrate", "--to", url, home=home)
    assert moved.returncode == 0, moved.stderr
    assert b"the root is the same" in moved.stdout
    assert b"1 deliveries of events" in moved.stdout
    assert b"1 deliveries wait" in governance("events", "status", home=home, GOVERNANCE_DATABASE=url).stdout
    assert key.split("_")[1].encode() in governance("key", "list", home=home, GOVERNANCE_DATABASE=url).stdout
    assert governance("audit", "checkpoint", home=home, GOVERNANCE_DATABASE=url).stdout == before.stdout
    assert governance("decide", "-", home=home, stdin=asked, GOVERNANCE_DATABASE=url).returncode == made.returncode
    erased = governance(
        "audit", "erase", "nobody-here", "--reason", "r", home=home, GOVERNANCE_DATABASE=url
    )  # fmt: skip
    assert b"nothing_there" in erased.stderr
    assert governance("audit", "check", home=home, GOVERNANCE_DATABASE=url).returncode == 0
    # Without the setting the home says that its log is elsewhere, and decides nothing.
    assert governance("decide", "-", home=home, stdin=asked).returncode not in {0, made.returncode}
    leaky = governance("settings", home=home, GOVERNANCE_DATABASE="postgresql://u:very-secret-word@h/d")
    assert b"very-secret-word" not in leaky.stdout + leaky.stderr
    refused = governance("audit", "check", home=home, GOVERNANCE_DATABASE="postgresql://u:very-secret-word@h/d")
    assert refused.returncode == 2
    assert b"PASSWORD_FILE" in refused.stderr
    assert b"very-secret-word" not in refused.stderr
