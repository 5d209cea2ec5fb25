"""The worker's side of the shared writer: the same promise as the log itself, over a Unix socket."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from audit.errors import AuditError, NotDurable, RecordTooLarge, refusal
from audit.flight import FlightSlot
from audit.record import Receipt, text_of
from audit.writer import LONGEST_LINE, SOCKET

if TYPE_CHECKING:
    from pathlib import Path

    from audit.record import Entry


# Pruning or erasing a lot takes its time.
_LONGEST_ACT_S = 180.0
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class Client:
    """Belongs to one event loop. Reconnects on the next append after the writer went away."""

    def __init__(self, home: Path, slot: str, timeout_s: float) -> None:
        """`slot`: name of this worker's flight slot."""
        folder = home / "audit"
        self._socket = folder / SOCKET
        self._timeout_s = timeout_s
        self.flight = FlightSlot(folder / f"flight-{slot}")
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._outbox: list[bytes] = []
        self._number = 0
        self._connecting = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    def append(self, entry: Entry) -> Receipt:
        """Never: this client lives on an event loop, and waiting here would stop it."""
        raise NotDurable(f"the record of {entry.kind} was asked for without awaiting it")

    async def aappend(self, entry: Entry) -> Receipt:
        """Return once the entry is durable. Raises NotDurable when the writer is gone, slow or refuses."""
        self._number += 1
        number = self._number
        line = _line(number, entry)
        try:
            async with asyncio.timeout(self._timeout_s):
                return Receipt(*await self._asked(number, line))
        except TimeoutError as error:
            raise NotDurable(f"the audit writer did not answer within {self._timeout_s:g} s") from error
        except ConnectionError as error:
            raise NotDurable(f"the audit writer went away: {error}") from error
        except NotDurable:
            raise
        except AuditError as error:  # whatever it was: to whoever asked, the record is not there
            raise NotDurable(f"{error.code}: {error}") from error

    async def act(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Have the writer carry out a verb of `audit.custody`; raises AuditError with what it said against it."""
        self._number += 1
        line = _ENCODER.encode(["act", self._number, verb, arguments]).encode("utf-8", "surrogatepass") + b"\n"
        try:
            async with asyncio.timeout(_LONGEST_ACT_S):
                return dict(await self._asked(self._number, line))
        except (TimeoutError, ConnectionError) as error:
            raise NotDurable(
                f"the audit writer did not answer: {error}; whether it was done, `audit list` says"
            ) from error

    async def _asked(self, number: int, line: bytes) -> Any:
        writer = await self._connected()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self._send(writer, line)
            return await future
        finally:
            self._waiting.pop(number, None)

    async def is_reachable(self) -> bool:
        """Whether the writer takes connections."""
        try:
            await self._connected()
        except NotDurable:
            return False
        return True

    async def trouble(self) -> str:
        """Why no record would be taken now, without what was found; empty where one would."""
        self._number += 1
        line = _ENCODER.encode(["trusted", self._number]).encode() + b"\n"
        try:
            async with asyncio.timeout(self._timeout_s):
                is_trusted = (await self._asked(self._number, line))["trusted"]
        except (TimeoutError, ConnectionError, AuditError):
            return "the audit log cannot be reached"
        if is_trusted:
            return ""
        return "the audit log is not what it was, and takes nothing any more: the service's log says why"

    async def close(self) -> None:
        """Drop the connection and the slot, in good order."""
        self.flight.close()
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            self._reading.cancel()

    def _send(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        """Lines of one turn of the loop go out together: the writer commits together what arrives together."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush, writer)
        self._outbox.append(line)

    def _flush(self, writer: asyncio.StreamWriter) -> None:
        lines = b"".join(self._outbox)
        self._outbox.clear()
        if writer is self._writer and not writer.is_closing():
            writer.write(lines)
        # Else the connection went away, and with it everybody who waited was told so.

    async def _connected(self) -> asyncio.StreamWriter:
        if self._writer is not None and not self._writer.is_closing():
            return self._writer
        async with self._connecting:
            if self._writer is not None and not self._writer.is_closing():
                return self._writer
            try:
                reader, writer = await asyncio.open_unix_connection(self._socket, limit=LONGEST_LINE)
            except OSError as error:
                raise NotDurable(f"the audit writer cannot be reached: {error.strerror or error}") from error
            writer.write(json.dumps(["slot", str(self.flight.path)]).encode() + b"\n")
            self._writer = writer
            self._reading = asyncio.create_task(self._read(reader, writer))
            return writer

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for line in reader:
                self._settle(json.loads(line))
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()
            if self._writer is writer:
                self._writer = None
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(NotDurable("the audit writer went away before the record was durable"))

    def _settle(self, answer: list[Any]) -> None:
        future = self._waiting.get(answer[0])
        if future is None or future.done():
            return
        if isinstance(answer[1], str):
            future.set_exception(refusal(answer[1], answer[2]))
        else:
            future.set_result(answer[1] if isinstance(answer[1], dict) else answer[1:])


def _line(number: int, entry: Entry) -> bytes:
    """What the writer reads; refused here when it could not, since there it would cost everybody's connection.

    The sealed texts stand behind the line as they are: written as JSON in JSON, each of their quotes would be escaped here
    and unescaped there.
    """
    try:
        texts = [(name, text_of(value).encode("utf-8", "surrogatepass")) for name, value in entry.sealed.items()]
        lengths = [(name, len(text)) for name, text in texts]
        head = _ENCODER.encode([number, entry.kind, entry.time, entry.public, lengths, entry.subject])
    except (ValueError, TypeError, RecursionError) as error:
        raise NotDurable(f"not JSON: {error}") from error
    line = b"".join((head.encode("utf-8", "surrogatepass"), b"\n", *(text for _, text in texts)))
    if len(line) > LONGEST_LINE:
        raise RecordTooLarge(f"a record of {len(line)} bytes; the writer takes at most {LONGEST_LINE}")
    return line
