"""The shared writer keeps the promise of the log itself: for several processes, over a socket, with either side dying."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audit.client import Client
from audit.errors import NotDurable
from audit.log import AuditLog
from audit.reader import LogReader
from audit.record import Entry

ROOT = Path(__file__).parents[2]
ORIGIN = "governance.local/audit"


def entry(number: int, **public) -> Entry:
    fields = {"decision_id": f"d{number}", "app": "a", "effect": "deny", "rules": []}
    return Entry("deploy", "2026-03-01T10:00:00Z", {**fields, **public}, {"input": {"n": number}}, "s")


class WriterProcess:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.start()

    def start(self) -> None:
        (self.home / "audit" / "writer.sock").unlink(missing_ok=True)
        plain = {k: v for k, v in os.environ.items() if not k.startswith("GOVERNANCE_") or "SELF_AUDIT" in k}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "governance.entrypoints.http.writer_main"],
            cwd=ROOT, env={**plain, "GOVERNANCE_HOME": str(self.home)}, stderr=subprocess.PIPE,
        )  # fmt: skip
        deadline = time.monotonic() + 20
        while not (self.home / "audit" / "writer.sock").exists():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self.process.wait()
            self.process.stderr.close()


@pytest.fixture
def writer(tmp_path):
    running = WriterProcess(tmp_path)
    yield running
    if running.process.poll() is None:
        running.signal(signal.SIGKILL)


def client_of(home: Path, name: str = "worker-1", timeout_s: float = 10) -> Client:
    return Client(home, name, timeout_s)


def records(home: Path) -> list[dict]:
    reader = LogReader(home, origin=ORIGIN)
    found = [reader.record(i) for i in range(reader.size())]
    reader.close()
    return found


def test_clients_at_once_each_hear_of_their_own_record(writer):
    async def go() -> dict[str, int]:
        clients = [client_of(writer.home, f"worker-{os.getpid()}-{n}") for n in range(4)]
        rows = [(client, n * 100 + i) for n, client in enumerate(clients) for i in range(50)]
        receipts = await asyncio.gather(*(client.aappend(entry(number)) for client, number in rows))
        for client in clients:
            await client.close()
        return {f"d{number}": receipt.index for (_, number), receipt in zip(rows, receipts, strict=True)}

    placed = asyncio.run(go())
    kept = {record["public"]["decision_id"]: record["index"] for record in records(writer.home)}
    assert kept == placed


def test_it_is_durable_when_it_is_answered(writer):
    async def go() -> int:
        client = client_of(writer.home)
        index = (await client.aappend(entry(1))).index
        writer.signal(signal.SIGKILL)
        await client.close()
        return index

    index = asyncio.run(go())
    with AuditLog(writer.home, origin=ORIGIN) as log:
        assert log.reader.record(index)["public"]["decision_id"] == "d1"


def test_without_a_writer_nothing_is_acknowledged_and_with_a_new_one_it_goes_on(writer):
    async def go() -> None:
        client = client_of(writer.home)
        await client.aappend(entry(1))
        writer.signal(signal.SIGKILL)
        for number in range(2, 5):
            with pytest.raises(NotDurable):
                await client.aappend(entry(number))
        assert not await client.is_reachable()
        writer.start()
        receipt = await client.aappend(entry(5))
        assert receipt.app_sequence == 2
        await client.close()

    asyncio.run(go())
    assert [r["public"]["decision_id"] for r in records(writer.home)] == ["d1", "d5"]


def test_a_writer_that_says_nothing_is_not_waited_for_for_ever(writer):
    async def go() -> None:
        client = client_of(writer.home, timeout_s=0.3)
        await client.aappend(entry(1))
        writer.signal(signal.SIGSTOP)
        with pytest.raises(NotDurable, match=r"0\.3 s"):
            await client.aappend(entry(2))
        writer.signal(signal.SIGCONT)
        await client.close()

    asyncio.run(go())


def test_a_log_that_is_not_trusted_any_more_is_trouble_before_anybody_decides(tmp_path, monkeypatch):
    monkeypatch.setenv("GOVERNANCE_SELF_AUDIT_S", "1")

    async def go(writer: WriterProcess) -> None:
        client = client_of(writer.home)
        for number in range(3):
            await client.aappend(entry(number))
        assert await client.trouble() == ""
        with contextlib.closing(sqlite3.connect(tmp_path / "audit" / "log.db")) as db, db:
            db.execute("UPDATE leaves SET leaf = CAST(replace(leaf, 'deny', 'alow') AS BLOB) WHERE idx = 1")
        for _ in range(1200):
            if await client.trouble():
                break
            await asyncio.sleep(0.05)
        assert "takes nothing any more" in await client.trouble()
        writer.signal(signal.SIGKILL)
        assert "cannot be reached" in await client.trouble()
        await client.close()

    asyncio.run(go(WriterProcess(tmp_path)))


def test_what_the_log_refuses_the_client_hears(writer):
    async def go() -> None:
        client = client_of(writer.home)
        with pytest.raises(NotDurable, match="record_too_large"):
            await client.aappend(entry(1, x="y" * 70_000))
        assert (await client.aappend(entry(2))).index == 0
        await client.close()

    asyncio.run(go())


WORKER = """
import asyncio, os, sys
from pathlib import Path
from audit.client import Client

async def go():
    client = Client(Path(sys.argv[1]), f"worker-{os.getpid()}", 5)
    assert await client.is_reachable()
    client.flight.take_off({"decision_id": "in-flight", "app": "a", "actor": "key:1"}, "2026-03-01T10:00:00Z")
    if sys.argv[2] == "landed":
        client.flight.land()
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(go())
"""


def worker(home: Path, state: str) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(home), state], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout.readline() == b"ready\n"
    return process


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    process.stdout.close()


def wait_for_a_record(home: Path) -> list[dict]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = records(home)
        if found:
            return found
        time.sleep(0.02)
    return []


def test_a_worker_that_dies_while_it_decides_leaves_a_deny(writer):
    end(worker(writer.home, "flying"))
    (record,) = wait_for_a_record(writer.home)
    assert (record["public"]["decision_id"], record["public"]["effect"]) == ("in-flight", "deny")
    assert record["public"]["error"] == "worker_died"


def test_a_worker_that_dies_between_decisions_leaves_nothing(writer):
    end(worker(writer.home, "landed"))

    async def go() -> None:
        client = client_of(writer.home)
        await client.aappend(entry(1))
        await client.close()

    asyncio.run(go())
    assert [r["public"]["decision_id"] for r in records(writer.home)] == ["d1"]


def test_a_worker_that_dies_while_there_is_no_writer_is_recorded_by_the_next_one(writer):
    flying = worker(writer.home, "flying")
    writer.signal(signal.SIGKILL)
    end(flying)
    writer.start()
    (record,) = wait_for_a_record(writer.home)
    assert record["public"]["error"] == "worker_died"
    assert not list((writer.home / "audit").glob("flight-*"))


def test_noise_on_the_socket_harms_nobody(writer):
    async def go() -> None:
        for noise in (
            b"{\n",
            b"[]\n",
            b"[1]\n",
            b'["x", 2]\n',
            b"\xff\xfe\n",
            b"x" * 100_000,
            b"[1, 2, 3, 4, 5, 6]\n",
            b'[1, "deploy", "t", {}, [["input", -1]], "s"]\n',
            b'[1, "deploy", "t", {}, [["input", 99999999999]], "s"]\n',
            b'[1, "deploy", "t", {}, [["input", 40]], "s"]\n{"cut',
            b'[1, "deploy", "t", {}, [["input", 2]], "s"]\n\xff\xff',
        ):
            _, stream = await asyncio.open_unix_connection(writer.home / "audit" / "writer.sock")
            stream.write(noise)
            await stream.drain()
            stream.close()
        client = client_of(writer.home)
        assert (await client.aappend(entry(1))).index == 0
        await client.close()

    asyncio.run(go())


def test_texts_arrive_as_they_were_sent_whatever_stands_in_them(writer):
    said = {"quotes": '"\\"', "lines": "a\nb\r\x00", "wide": "\U0001f600é\u2028", "half": "\ud800", "": []}

    async def go() -> None:
        client = client_of(writer.home)
        sealed = {"input": said, "facts": {"n": 1}, "answer": ""}
        await client.aappend(entry(1)._replace(sealed=sealed))
        await client.aappend(entry(2)._replace(sealed={}))
        await client.close()

    asyncio.run(go())
    first, second = records(writer.home)
    assert first["opened"] == {"input": said, "facts": {"n": 1}, "answer": ""}
    assert second["public"]["decision_id"] == "d2"


def test_the_socket_is_for_this_account_alone(writer):
    assert (writer.home / "audit" / "writer.sock").stat().st_mode & 0o077 == 0
