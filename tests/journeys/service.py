"""A real service: `governance serve` as its own processes, asked over real HTTP."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "deploy" / "examples" / "where2eat"
_PEOPLE = itertools.count()
MAIN = "from governance.entrypoints.cli.main import main; main()"


def governance(*argv: str, home: Path, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    """One command, as a user types it."""
    return subprocess.run(
        [sys.executable, "-c", MAIN, *argv], input=stdin, capture_output=True, check=False, cwd=ROOT,
        env=environment(home, **env),
    )  # fmt: skip


def environment(home: Path, **env: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GOVERNANCE_")}
    return {**plain, "GOVERNANCE_HOME": str(home), **env}


class Service:
    """One running service with a key for every role."""

    def __init__(self, home: Path, *options: str, **env: str) -> None:
        self.home = home
        self.options = options
        self.env = env
        self.url = ""
        self.is_tls = "--tls-cert" in options
        self._process: subprocess.Popen[bytes] | None = None
        self._keys: dict[tuple[str, str, str], str] = {}
        self.log = home.parent / f"{home.name}.log"

    def start(self, *, ready: bool = True) -> Service:
        port = free_port()
        self.url = f"http{'s' * self.is_tls}://127.0.0.1:{port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "serve", "--port", str(port), *self.options],
                env=environment(self.home, **self.env), cwd=ROOT, stderr=log, stdout=log, start_new_session=True,
            )  # fmt: skip
        if ready:
            self.wait_until(self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, f"the service ended and said:\n{self.log.read_text()[-3000:]}"
        return httpx.get(f"{self.url}/readyz", verify=False).status_code == 200

    def wait_until(self, holds, seconds: float = 150.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                if holds():
                    return
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s; the service said:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        return self._process.pid

    def children(self, word: str) -> list[int]:
        """Processes of the service whose command line holds `word`."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
                if group == self.pid and word.encode() in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return sorted(found)

    def key(self, role: str, tenant: str = "", expires: str = "", team: str = "", *, person: str = "") -> str:
        """Each key is another person's, where none is named."""
        whose = person or f"{role}.{next(_PEOPLE)}"
        argv = [
            "key",
            "create",
            "--role",
            role,
            "--tenant",
            tenant,
            "--expires",
            expires,
            "--team",
            team,
            "--person",
            whose,
        ]
        done = governance(*argv, home=self.home, **self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode().strip()

    def client(self, role: str = "", tenant: str = "", team: str = "") -> httpx.Client:
        """Somebody of a role, and the same each time: a key of its own costs a process. `key` makes another person."""
        who = (role, tenant, team)
        if role and who not in self._keys:
            self._keys[who] = self.key(role, tenant, team=team)
        headers = {"authorization": f"Bearer {self._keys[who]}"} if role else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, verify=False)

    def records(self, **filters: str) -> list[dict]:
        with self.client("auditor") as auditor:
            answer = auditor.get("/v1/audit/records", params={"limit": "100", **filters})
            assert answer.status_code == 200, answer.text
            return answer.json()["records"]


def soon(seconds: float) -> str:
    """RFC 3339 of a moment that many seconds ahead."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
