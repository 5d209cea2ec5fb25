"""Policy from the network: staged beside the workers, swapped between requests, and kept out when it must not serve."""

from __future__ import annotations

import threading

import httpx
import pytest

from tests.journeys.bundle_server import BundleServer
from tests.journeys.service import Service, governance

# One service and one server for all of them.


def pack(folder, colour, *, rule="APP-001"):
    """A bundle of one rule: the app has to be of a colour."""
    root = folder / f"pack-{colour}"
    (root / "app").mkdir(parents=True)
    (root / "platform").mkdir()
    (root / "platform" / "data.json").write_text(f'{{"colour": "{colour}"}}')
    (root / "app" / "colour.rego").write_text(
        "# METADATA\n# title: The colour is ours.\n# description: One colour.\n# custom:\n"
        f"#   id: {rule}\n#   severity: high\n#   applies_to: [lifecycle]\n#   controls: [ISO-27001:A.5.15]\n"
        "#   remediation: Paint it.\npackage platform.rules.app.colour\n\ndeny contains v if {\n"
        '\tobject.get(input, ["resource", "colour"], "") != data.platform.colour\n'
        '\tv := {"path": ["resource", "colour"], "message": "The colour is not ours."}\n}\n'
    )
    return root


def built(folder, colour, key, **other):
    path = folder / f"{colour}.tar.gz"
    if path.exists():
        return path
    argv = [
        "bundle",
        "build",
        str(pack(folder, colour, **other)),
        "-o",
        str(path),
        "--revision",
        colour,
        "--key",
        str(key),
    ]
    done = governance(*argv, home=folder / "build-home")
    assert done.returncode == 0, done.stderr
    return path


def asks(colour):
    return {"kind": "lifecycle", "resource": {"app": "lunch", "colour": colour}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    key = folder / "secret"
    key.write_text("0123456789abcdef" * 4)
    token = folder / "token"
    token.write_text("bundle-token")
    server = BundleServer("bundle-token")
    server.publish(built(folder, "red", key))
    service = Service(
        folder / "home", "--workers", "2",
        GOVERNANCE_BUNDLE=server.url, GOVERNANCE_BUNDLE_KEY=str(key), GOVERNANCE_BUNDLE_TOKEN_FILE=str(token),
        GOVERNANCE_BUNDLE_POLL_S="1", GOVERNANCE_BUNDLE_LONG_POLL_S="2", GOVERNANCE_BUNDLE_TIMEOUT_S="2",
    )  # fmt: skip
    service.start()
    yield folder, key, server, service
    service.stop()
    server.stop()


@pytest.fixture(scope="module")
def client(world):
    with world[3].client("service") as asking:
        yield asking


@pytest.fixture(scope="module")
def platform(world):
    with world[3].client("platform") as asking:
        yield asking


@pytest.fixture
def blue(world, client):
    """Blue is in force, after red was: whatever ran before."""
    folder, key, server, service = world
    server.publish(built(folder, "blue", key))
    service.wait_until(lambda: all(effect(client, "blue") == "allow" for _ in range(8)), 60)


def effect(client, colour):
    return client.post("/v1/decisions", json=asks(colour)).json()["effect"]


def status(platform):
    return platform.get("/v1/status").json()["result"]["bundles"]["main"]


def test_a_signed_bundle_from_a_server_decides(client, platform):
    assert (effect(client, "red"), effect(client, "blue")) == ("allow", "deny")
    row = status(platform)
    assert (row["active_revision"], row["code"]) == ("red", "")
    assert row["http_code"] in {200, 304}, "it came, or has been asked for again since"
    assert row["last_successful_activation"]
    listing = platform.get("/v1/bundles").json()
    assert listing["active"]["revision"] == "red"
    assert {row["rules"] for row in listing["releases"]} == {1}
    shown = platform.get("/v1/bundles/red").json()
    assert shown["is_active"]
    assert [rule["id"] for rule in shown["rule_list"]] == ["APP-001"]
    assert platform.get("/v1/bundles/mauve").status_code == 404


def test_a_new_one_is_swapped_in_while_requests_run_and_none_fails(world, client, platform):
    folder, key, server, service = world
    failed, stop = [], threading.Event()

    def ask():
        with httpx.Client(base_url=service.url, headers=client.headers, timeout=30) as mine:
            while not stop.is_set():
                answer = mine.post("/v1/decisions", json=asks("red"))
                if answer.status_code != 200 or answer.json()["error"]:
                    failed.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        server.publish(built(folder, "blue", key))
        service.wait_until(lambda: all(effect(client, "blue") == "allow" for _ in range(8)), 60)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    change = service.records(kind="bundle_activated")[0]["public"]
    assert (change["from"], change["to"], change["actor"]) == ("red", "blue", "service:bundle-keeper")


@pytest.mark.parametrize(
    "mode",
    ["500", "garbage", pytest.param("hang", marks=pytest.mark.slow), pytest.param("truncated", marks=pytest.mark.slow)],
)
def test_whatever_the_server_does_the_last_good_one_serves(world, client, platform, blue, mode):
    _, _, server, service = world
    server.mode = mode
    try:
        service.wait_until(lambda: status(platform)["code"] != "", 30)
        assert status(platform)["message"]
        assert (effect(client, "blue"), effect(client, "red")) == ("allow", "deny")
        assert platform.get("/readyz").json()["revision"] == "blue"
        assert platform.get("/health?bundles").status_code == 200
    finally:
        server.mode = "ok"
        server.released.set()
        server.released.clear()
    service.wait_until(lambda: status(platform)["code"] == "", 30)


def test_one_that_is_signed_by_somebody_else_is_not_served(world, client, platform, blue):
    folder, _key, server, service = world
    good, other = server.content, folder / "other-secret"
    other.write_text("fedcba9876543210" * 4)
    server.publish(built(folder, "mauve", other))
    try:
        service.wait_until(lambda: status(platform)["code"] == "bad_bundle", 30)
        assert "signature" in status(platform)["message"]
        assert (effect(client, "blue"), effect(client, "mauve")) == ("allow", "deny")
    finally:
        server.content = good


def test_an_operator_goes_back_and_the_sources_wait_until_they_are_followed_again(world, client, platform, blue):
    folder, key, server, service = world
    env = {name: value for name, value in service.env.items() if name.startswith("GOVERNANCE_")}
    done = governance("bundle", "activate", "red", "--reason", "ticket 7", home=service.home, **env)
    assert done.returncode == 0, done.stderr
    service.wait_until(lambda: all(effect(client, "red") == "allow" for _ in range(8)), 30)
    change = service.records(kind="bundle_activated")[0]["public"]
    assert (change["from"], change["to"], change["why"], change["pinned"]) == ("blue", "red", "ticket 7", True)
    assert change["actor"].startswith("os-uid:")
    server.publish(built(folder, "green", key))
    service.wait_until(lambda: platform.get("/v1/bundles/green").status_code == 200, 30)
    assert effect(client, "green") == "deny"
    assert governance("bundle", "activate", "latest", home=service.home, **env).returncode == 0
    service.wait_until(lambda: all(effect(client, "green") == "allow" for _ in range(8)), 30)
    listed = governance("bundle", "list", home=service.home, **env).stdout.decode()
    assert "green" in next(line for line in listed.splitlines() if " active " in line)
    assert governance("bundle", "activate", "never-made", home=service.home, **env).returncode == 2


def test_without_its_source_a_start_serves_what_was_good_last_and_never_nothing(world, tmp_path):
    folder, key, server, _ = world
    server.publish(built(folder, "green", key))
    env = {
        "GOVERNANCE_BUNDLE": server.url, "GOVERNANCE_BUNDLE_KEY": str(key), "GOVERNANCE_BUNDLE_POLL_S": "1",
        "GOVERNANCE_BUNDLE_TOKEN_FILE": str(folder / "token"), "GOVERNANCE_BUNDLE_TIMEOUT_S": "1",
    }  # fmt: skip
    server.mode = "500"
    fresh = Service(tmp_path / "home", **env)
    try:
        fresh.start(ready=False)
        fresh.wait_until(lambda: httpx.get(f"{fresh.url}/healthz").status_code == 200)
        waiting = httpx.get(f"{fresh.url}/readyz", timeout=60)
        assert waiting.status_code == 503
        assert "main" in waiting.json()["detail"]
        assert httpx.get(f"{fresh.url}/health?bundles", timeout=60).status_code == 500
        with fresh.client("service") as client:
            refused = client.post("/v1/decisions", json=asks("green")).json()
            assert (refused["effect"], refused["error"]) == ("deny", "no_answer")
            assert client.get(f"/v1/decisions/{refused['decision_id']}").status_code == 200, "it is on record"
            server.mode = "ok"
            fresh.wait_until(lambda: effect(client, "green") == "allow", 60)
            assert httpx.get(f"{fresh.url}/readyz", timeout=60).status_code == 200
        fresh.stop()
        server.mode = "500"
        fresh.start()
        with fresh.client("service") as client:
            assert (effect(client, "green"), effect(client, "red")) == ("allow", "deny")
        fresh.stop()
        fresh.env = {**env, "GOVERNANCE_BUNDLE_MAX_AGE_S": "1"}
        fresh.start(ready=False)
        fresh.wait_until(lambda: httpx.get(f"{fresh.url}/readyz").status_code == 503)
        with fresh.client("service") as client:
            fresh.wait_until(lambda: effect(client, "green") == "deny", 30)
            assert "was not fetched" in client.post("/v1/decisions", json=asks("green")).json()["reason"]
    finally:
        server.mode = "ok"
        fresh.stop()
