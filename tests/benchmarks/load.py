"""A load over HTTP/1.1 with kept connections, and the CPU time of whole process trees."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Seconds for one round."""

    wall: float
    cpu: float
    p99: float = 0.0
    """Of one request; 0 where requests were not timed one by one."""


def cpu_of(group: int) -> float:
    """CPU seconds of every process in a process group, those that have ended and were waited for included."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            total += sum(int(field) for field in fields[11:15])
    return total / _TICK


def request_bytes(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One POST request as it goes over the wire."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: 127.0.0.1",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def run(port: int, group: int, requests: list[bytes], connections: int) -> Spent:
    """Send every request once over `connections` kept connections; raises RuntimeError for any answer but 200."""
    before, started = cpu_of(group), time.perf_counter()
    times = sorted(asyncio.run(_run(port, requests, connections)))
    p99 = times[len(times) * 99 // 100] if times else 0.0
    return Spent(time.perf_counter() - started, cpu_of(group) - before, p99)


async def _run(port: int, requests: list[bytes], connections: int) -> list[float]:
    queue, times = iter(requests), list[float]()
    await asyncio.gather(*(_connection(port, queue, times) for _ in range(connections)))
    return times


async def _connection(port: int, queue, times: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in queue:
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.split(b"\r\n", 1)[0].decode())
        if b"chunked" in head.lower():
            while size := int(await reader.readline(), 16):
                await reader.readexactly(size + 2)
            await reader.readexactly(2)
        else:
            length = next(row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
        times.append(time.perf_counter() - began)
    writer.close()
