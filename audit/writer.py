"""One writer for several worker processes: owns the log, takes entries over a Unix socket, answers when they are durable.

Frames both ways are one JSON array a line. A worker sends `[id, kind, time, public, [[name, length], …], subject]`, behind
its line the sealed members as canonical JSON texts of those many bytes, and hears
`[id, index, leaf_hash, app_sequence, size]` or `[id, code, message]`. `["act", id, verb, arguments]` is one of the verbs of
`custody.py`, answered by `[id, {…}]`. Before it evaluates, a worker notes in its flight
slot (a small file, written by memory copy, whose name ends in its process id) what it is about to decide; a worker that
dies in flight cannot record that any more, so the writer does when its connection drops, or at its own next start.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from audit.custody import Custody
from audit.errors import AuditError, LogUnusable
from audit.flight import read_slot
from audit.log import AuditLog
from audit.record import Canonical, Entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

    from audit.record import Receipt
    from audit.shared import SharedLog

SOCKET = "writer.sock"
# What `struct sockaddr_un` holds on Linux, less its end; other systems hold less and say so themselves.
LONGEST_PATH = 107
# A record is at most 64 KiB in public; the sealed part is bounded by the service's body limit.
LONGEST_LINE = 16 << 20


class _Answers:
    """What one worker is told: the answers of one turn of the loop go out together."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._outbox: list[bytes] = []
        self._done: deque[tuple[int, Future[Receipt]]] = deque()
        self._is_woken = False

    def add(self, number: int, done: Future[Receipt]) -> None:
        """From the log's thread. A batch is done at once: the loop is woken for the first of it, and finds the others."""
        self._done.append((number, done))
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._take)

    def queue(self, answer: list[Any]) -> None:
        """From the loop."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(json.dumps(answer).encode() + b"\n")

    def _take(self) -> None:
        # In this order: what is added behind the last look wakes the loop again.
        self._is_woken = False
        while self._done:
            self.queue(_answer(*self._done.popleft()))

    def _flush(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(b"".join(self._outbox))
        self._outbox.clear()


class Writer:
    """Serves one log on `home`/audit/writer.sock."""

    def __init__(self, log: AuditLog | SharedLog, home: Path) -> None:
        self._log = log
        self._carry_out = Custody(log).act if isinstance(log, AuditLog) else log.act
        self._path = home / "audit" / SOCKET
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; the folder is private to this account, and so is the socket."""
        if len(os.fsencode(self._path)) > LONGEST_PATH:
            raise LogUnusable(f"{self._path}: longer than the {LONGEST_PATH} bytes of a socket's path; move the home")
        self._path.unlink(missing_ok=True)
        self._record_orphans()
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LONGEST_LINE)
        finally:
            os.umask(mask)

    async def stop(self) -> None:
        """Stop listening; what was taken is still written by the log's own close."""
        if self._server is not None:
            self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = _Answers(writer)
        slot = ""
        has_worker_gone = True
        try:
            async for line in reader:
                message = json.loads(line)
                if message[0] == "slot":
                    slot = self._slot(message[1])
                    continue
                if message[0] == "trusted":
                    answers.queue([message[1], {"trusted": not self._log.distrusted}])
                    continue
                if message[0] == "act":
                    await self._act(message, answers.queue)
                    continue
                texts = await reader.readexactly(_length_of(message))
                self._take(message, texts, answers)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            # Not our protocol, or too long: this connection ends, the others do not notice. The worker lives, hears that
            # nothing of what it sent is recorded, and comes back: its slot stays.
            has_worker_gone = False
        finally:
            writer.close()
            if slot and has_worker_gone:
                self._record_lost_flight(slot)

    def _slot(self, named: object) -> str:
        """A file of ours that a worker may name: it is going to be read and removed."""
        name = os.path.basename(str(named))
        if not name.startswith("flight-"):
            raise ValueError(f"{name[:40]!r} is no flight slot")
        return str(self._path.parent / name)

    def _take(self, message: list[Any], texts: bytes, answers: _Answers) -> None:
        number, kind, time, public, lengths, subject = message
        sealed, start = {}, 0
        for name, length in lengths:
            sealed[name] = Canonical(texts[start : start + length].decode("utf-8", "surrogatepass"))
            start += length
        try:
            future = self._log.submit(Entry(kind, time, public, sealed, subject))
        except AuditError as error:
            answers.queue([number, error.code, str(error)])
            return
        future.add_done_callback(lambda done: answers.add(number, done))

    async def _act(self, message: list[Any], answer: Callable[[list[Any]], None]) -> None:
        """One after the other on a connection; others go on meanwhile."""
        _, number, verb, arguments = message
        try:
            result = await asyncio.get_running_loop().run_in_executor(None, self._carry_out, verb, arguments)
        except AuditError as error:
            answer([number, error.code, str(error)])
        except OSError as error:
            answer([number, "record_not_durable", str(error)])
        else:
            answer([number, result])

    def _record_orphans(self) -> None:
        """Slots of workers that ended while no writer ran: nobody else will ever look at them."""
        for slot in sorted(self._path.parent.glob("flight-*")):
            process = slot.name.rpartition("-")[2]
            if process.isdigit() and not _is_alive(int(process)):
                self._record_lost_flight(str(slot))

    def _record_lost_flight(self, slot: str) -> None:
        """A worker went away; if it was deciding, the record that it could not write is written here."""
        for public, time in read_slot(slot):
            lost = {**public, "effect": "deny", "error": "worker_died"}
            sealed = {"answer": {"reason": "worker_died: the worker was killed while it decided; nothing was allowed"}}
            try:
                self._log.submit(Entry("refused", time, lost, sealed, str(public.get("actor", ""))))
            except AuditError:
                return


def _length_of(message: list[Any]) -> int:
    """How many bytes stand behind a line. Raises ValueError or TypeError for lengths that are none."""
    lengths = [int(length) for _, length in message[4]]
    if min(lengths, default=0) < 0 or sum(lengths) > LONGEST_LINE:
        raise ValueError("no lengths of sealed texts")
    return sum(lengths)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _answer(number: int, done: Future[Receipt]) -> list[Any]:
    error = done.exception()
    if error is None:
        return [number, *done.result()]
    code = error.code if isinstance(error, AuditError) else "audit_error"
    return [number, code, str(error)]
