"""A service and a witness as processes of their own: cosigned checkpoints are served, a rolled-back home does not start."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time

import httpx
import pytest

from audit.cosignature import cosignatures
from audit.notes import COSIGNATURE, opened, parse_checkpoint, parse_verifier_key
from tests.journeys.service import MAIN, ROOT, Service, environment, governance
from tests.ports import free_port


class WitnessProcess:
    def __init__(self, folder, log_key: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._argv = ["witness", "serve", "--home", str(folder), "--name", "w.example/1", "--log", log_key]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *self._argv, "--port", str(self.port)],
            env=environment(self.folder), cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while True:
            try:
                self.key = httpx.get(f"{self.url}/healthz").text.strip()
            except httpx.TransportError:
                assert time.monotonic() < deadline, "the witness does not answer"
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        import os

        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def parts(tmp_path):
    home = tmp_path / "home"
    governance("decide", home=home, stdin=b"{}")  # a refusal is a record: the log and its key are made
    log_key = governance("audit", "key", home=home).stdout.decode().strip()
    witness = WitnessProcess(tmp_path / "witness", log_key)
    service = Service(
        home, GOVERNANCE_WITNESSES=f"{witness.url} {witness.key}", GOVERNANCE_WITNESSES_NEEDED="1"
    ).start()
    yield service, witness, log_key
    service.stop()
    witness.kill()


def cosigned_size(service: Service, witness: WitnessProcess, log_key: str) -> int:
    with service.client("auditor") as auditor:
        note = auditor.get("/checkpoint").text
    assert cosignatures(note, [parse_verifier_key(witness.key, COSIGNATURE)]).keys() == {"w.example/1"}
    return parse_checkpoint(opened(note, parse_verifier_key(log_key))).size


def test_served_checkpoints_are_cosigned_and_a_home_that_was_rolled_back_does_not_start(parts, tmp_path):
    service, witness, log_key = parts
    first = cosigned_size(service, witness, log_key)
    shutil.copytree(service.home, tmp_path / "old", ignore=shutil.ignore_patterns("*.sock", "flight-*"))
    with service.client("auditor") as auditor:
        for _ in range(5):
            auditor.get("/v1/audit/records")
    service.wait_until(lambda: cosigned_size(service, witness, log_key) >= first + 5)

    witness.kill()  # a witness that dies loses nothing it said, and the log goes on without it
    with service.client("auditor") as auditor:
        assert auditor.get("/v1/audit/records").status_code == 200
    witness.start()
    service.wait_until(lambda: cosigned_size(service, witness, log_key) >= first + 6)
    said = governance("audit", "witness", home=service.home).stdout.decode()
    assert "w.example/1" in said
    assert "1 witnesses are needed" in said

    service.stop()
    env = {"GOVERNANCE_WITNESSES": f"{witness.url} {witness.key}"}
    done = governance("serve", "--port", "1", home=tmp_path / "old", **env)
    assert done.returncode == 3
    assert b"witness w.example/1: saw" in done.stderr
    assert b"log_rolled_back" in done.stderr or b"an older copy" in done.stderr


def test_where_the_witness_that_is_needed_does_not_answer_the_service_does_not_start(parts, tmp_path):
    service, witness, _ = parts
    service.stop()
    witness.kill()
    env = {"GOVERNANCE_WITNESSES": f"{witness.url} {witness.key}", "GOVERNANCE_WITNESSES_NEEDED": "1"}
    done = governance("serve", "--port", "1", home=service.home, **env)
    assert done.returncode == 3
    assert b"0 of the 1 witnesses" in done.stderr
    witness.start()
