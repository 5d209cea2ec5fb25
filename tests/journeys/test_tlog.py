"""An outside C2SP client (golang.org/x/mod/sumdb) reads the whole log over HTTP and verifies it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from audit.log import AuditLog
from audit.record import Entry
from tests.journeys.service import Service, governance

CLIENT = Path(__file__).parents[1] / "tlog"
ORIGIN = "governance.local/audit"


@pytest.fixture(scope="module")
def outside_client(tmp_path_factory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: the outside C2SP client cannot be built")
    binary = tmp_path_factory.mktemp("tlog") / "tlogclient"
    built = subprocess.run(["go", "build", "-o", binary, "."], cwd=CLIENT, capture_output=True, text=True, check=False)
    if "dial tcp" in built.stderr or "no such host" in built.stderr or "connection refused" in built.stderr:
        pytest.skip(f"golang.org/x/mod cannot be fetched here: {built.stderr[:200]}")
    assert built.returncode == 0, built.stderr
    return binary


@pytest.fixture(scope="module")
def long_log(tmp_path_factory):
    """A service over a log of several tiles, with a partial one at its end."""
    home = tmp_path_factory.mktemp("long") / "home"
    with AuditLog(home, origin=ORIGIN) as log:
        public = {"app": "a", "effect": "deny", "rules": []}
        entries = (Entry("deploy", "2026-03-01T10:00:00Z", {**public, "n": n}, {}) for n in range(700))
        for done in [log.submit(entry) for entry in entries]:
            done.result(30)
    service = Service(home).start()
    yield service
    service.stop()


def verify(binary: Path, service: Service, *more: str, key: str = "") -> subprocess.CompletedProcess[str]:
    vkey = key or governance("audit", "key", home=service.home).stdout.decode().strip()
    return subprocess.run(
        [binary, service.url, vkey, *more], capture_output=True, text=True, check=False,
        env={**os.environ, "TLOG_KEY": service.key("auditor")},
    )  # fmt: skip


def test_it_verifies_every_entry_and_that_the_log_only_grew(outside_client, long_log, tmp_path):
    older = tmp_path / "checkpoint"
    with long_log.client("auditor") as auditor:
        older.write_text(auditor.get("/checkpoint").text)
        auditor.get("/v1/audit/records")
    done = verify(outside_client, long_log, str(older))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("verified 70")
    assert "consistent with the 70" in done.stdout


def test_it_refuses_the_log_under_another_key(outside_client, long_log, tmp_path):
    with AuditLog(tmp_path, origin=ORIGIN) as other:
        done = verify(outside_client, long_log, key=other.reader.verifier_key)
    assert done.returncode == 1
    assert "NOT VERIFIED" in done.stderr


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "size"),
        [
            ("0/000", 8192),
            ("0/001", 8192),
            ("0/002.p/100", 3200),
            ("1/000.p/2", 64),
            ("0/001.p/7", 224),
            ("1/000.p/1", 32),
        ],
    )
    def test_a_tile_holds_as_many_hashes_as_its_path_says_and_never_changes(self, long_log, path, size):
        with long_log.client("auditor") as auditor:
            answer = auditor.get(f"/tile/{path}")
        assert (answer.status_code, len(answer.content)) == (200, size)
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"

    @pytest.mark.parametrize(
        "path",
        [
            "0/003", "1/000", "2/000.p/1", "1/000.p/3", "0/000.p/0", "0/000.p/256", "00/000", "64/000", "0/0", "0/x000/000",
            "0/1000", "0/000.p/01", "0/000/", "entries/003", "entries/x000/000", "-1/000", "0/000.p/9999", "0/x001/000",
        ],
    )  # fmt: skip
    def test_what_is_not_there_or_is_spelled_otherwise_is_not_found(self, long_log, path):
        with long_log.client("auditor") as auditor:
            assert auditor.get(f"/tile/{path}").status_code == 404

    def test_entries_of_all_tenants_are_not_for_a_key_of_one(self, long_log):
        with long_log.client("auditor", tenant="finance") as auditor:
            assert auditor.get("/tile/entries/000").status_code == 403
            assert auditor.get("/tile/0/000").status_code == 200

    def test_reading_entries_is_a_record_and_following_them_does_not_grow_the_log_for_ever(self, long_log):
        with long_log.client("compliance") as reader:
            for _ in range(3):
                assert reader.get("/tile/entries/000").status_code == 200
        reads = [r for r in long_log.records(kind="audit_read") if r["public"].get("asked_for") == "entry bundles"]
        assert len({r["public"]["actor"] for r in reads}) == len(reads)
        assert reads

    def test_the_checkpoint_is_not_to_be_kept_by_caches(self, long_log):
        with long_log.client("auditor") as auditor:
            answer = auditor.get("/checkpoint")
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"


def test_where_the_setting_opens_them_clients_need_no_key(tmp_path):
    import httpx

    service = Service(tmp_path / "home", GOVERNANCE_TILES="open").start()
    try:
        with service.client("auditor") as auditor:
            auditor.get("/v1/audit/records")
        assert httpx.get(f"{service.url}/checkpoint", timeout=60).status_code == 200
        answer = httpx.get(f"{service.url}/tile/entries/000.p/1", timeout=60)
        assert answer.status_code == 200
        assert answer.headers["cache-control"].startswith("public")
        assert httpx.get(f"{service.url}/v1/audit/records", timeout=60).status_code == 401
    finally:
        service.stop()
