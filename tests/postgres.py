"""A real PostgreSQL server for the tests: the machine's own binaries, a folder under /tmp, a Unix socket and no port.

PostgreSQL refuses to run as root, so there it runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from audit.postgres import Database

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
needs_postgres = pytest.mark.skipif(not FOUND, reason="no PostgreSQL server here: apt-get install postgresql")


class Server:
    def __init__(self, preload: str = "") -> None:
        """`preload`: C source of a library that the server runs under; `folder` is one that it may read."""
        self.folder = self._folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._bin, self._databases = FOUND[-1].parent, 0
        self._as: list[str] = []
        if os.getuid() == 0:
            self._as = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
            shutil.chown(self._folder, "nobody", "nogroup")
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"
        )
        self._environment = {**os.environ, **(self._built(preload) if preload else {})}
        self.start()

    def _built(self, source: str) -> dict[str, str]:
        compiler = shutil.which("cc")
        if compiler is None:
            shutil.rmtree(self._folder)
            pytest.skip("no C compiler: the library that makes the server's disk fail cannot be built")
        (self._folder / "shim.c").write_text(source)
        library = self._folder / "shim.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, self._folder / "shim.c"], check=True)
        library.chmod(0o755)
        return {"LD_PRELOAD": str(library), "FAULTS": str(self._folder)}

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self._bin / program), *arguments], cwd="/tmp", capture_output=True, check=False
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*self._as, str(self._bin / "postgres"), "-D", self._data, "-k", str(self._folder),
             "-c", "listen_addresses=", "-c", "max_connections=300", "-c", "shared_buffers=16MB"],
            cwd="/tmp", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self._environment,
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            assert self._process.poll() is None, "PostgreSQL ended at start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            self._connected("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """SIGQUIT is an immediate stop: as if the machine had failed, but for the page cache."""
        self._process.send_signal(number)
        self._process.wait(60)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    def _connected(self, name: str):
        import psycopg

        return psycopg.connect(self._url(name), autocommit=True, connect_timeout=5)

    def _url(self, name: str) -> str:
        return f"postgresql:///{name}?host={self._folder}&user=postgres"

    def database(self) -> Database:
        """A new, empty one."""
        self._databases += 1
        name = f"log{self._databases}"
        with contextlib.closing(self._connected("postgres")) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return Database(self._url(name))
