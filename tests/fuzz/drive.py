"""Sends requests to a running webhook over kept connections and judges each answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from tests.fuzz.reviews import UID, Sent

_LONGEST_S = 60.0


class Told(NamedTuple):
    """What came back."""

    counts: Counter[str]
    allowed: list[str]
    """Decision ids of the answers that were a yes."""
    wrong: list[str]
    """Answers that no review may have, each with the request that got it."""


def drive(port: int, requests: Iterator[Sent], connections: int = 16) -> Told:
    """Send every request once."""
    told = Told(Counter(), [], [])
    asyncio.run(_drive(port, requests, connections, told))
    return told


async def _drive(port: int, requests: Iterator[Sent], connections: int, told: Told) -> None:
    await asyncio.gather(*(_connection(port, requests, told) for _ in range(connections)))


async def _connection(port: int, requests: Iterator[Sent], told: Told) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for sent in requests:
        try:
            async with asyncio.timeout(_LONGEST_S):
                status, body, is_kept = await _exchange(reader, writer, sent)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            told.wrong.append(f"no answer ({type(error).__name__}): {_quoted(sent)}")
            is_kept = False
        else:
            _judge(sent, status, body, told)
        if not is_kept:
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: Sent) -> tuple[int, bytes, bool]:
    rows = [f"POST {sent.path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    rows += [f"{name}: {value}" for name, value in sent.headers] + [f"content-length: {len(sent.body)}"]
    writer.write(("\r\n".join(rows) + "\r\n\r\n").encode() + sent.body)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(int(row.split(":")[1]) for row in head.split("\r\n") if row.startswith("content-length:"))
    return int(head.split()[1]), await reader.readexactly(length), "connection: close" not in head


def _judge(sent: Sent, status: int, body: bytes, told: Told) -> None:
    told.counts[str(status)] += 1
    answer = json.loads(body)
    if status != 200:
        # 503 says that there was no time for a decision; 500 that something broke.
        if not (400 <= status < 500 or status == 503) or '"allowed":true' in body.decode().replace(" ", ""):
            told.wrong.append(f"{status}: {_quoted(sent)}")
        return
    response = answer["response"]
    told.counts["allowed" if response["allowed"] else "refused"] += 1
    if response["uid"] != UID and json.dumps(response["uid"]) not in sent.body.decode("utf-8", "replace"):
        told.wrong.append(f"uid {response['uid']!r}: {_quoted(sent)}")
    if response["allowed"] is True:
        told.allowed.append(response["auditAnnotations"]["decision-id"])
    elif response["allowed"] is not False or not response["status"]["message"]:
        told.wrong.append(f"no reason: {_quoted(sent)}")


def _quoted(sent: Sent) -> str:
    return f"{sent.path} {sent.body[:300]!r}"
