"""Hot swap under load: a bundle of 1,000 rules (in 250 files) is replaced while requests run: failures, and the longest wait.

The longest wait is told beside the longest of as long a time without a swap: what the machine does on its own is in both.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks import load

CONNECTIONS = 8
# One file is one rule id; the fast executor takes at most 255 files, so each holds four of the rules.
_IN_A_FILE = 4
_HEAD = """# METADATA
# title: t
# description: d
# custom:
#   id: BULK-{number:03d}
#   severity: low
#   applies_to: [lifecycle]
#   controls: [A.1]
#   remediation: r
package platform.rules.bulk.r{number}
"""
_RULE = """
deny contains v if {{
\tobject.get(input, ["resource", "number"], -1) == {number}
\tv := {{"path": ["resource", "number"], "message": "{text}"}}
}}
"""
_CASE = "- description: d\n  input: {kind: lifecycle, resource: {app: a, number: 7}}\n  expect: []\n"


class Swap(NamedTuple):
    """One measurement; seconds."""

    requests: int
    failed: int
    longest: float
    longest_quiet: float
    noticed_after: float


def write_pack(folder: Path, count: int, text: str) -> None:
    """A bundle of `count` rules whose messages say `text`."""
    (folder / "bulk").mkdir(parents=True, exist_ok=True)
    (folder / "tests" / "cases").mkdir(parents=True, exist_ok=True)
    (folder / "tests" / "cases" / "bulk.yaml").write_text(_CASE)
    for file in range(count // _IN_A_FILE):
        rules = (_RULE.format(number=file + count * part, text=text) for part in range(_IN_A_FILE))
        (folder / "bulk" / f"r{file}.rego").write_text(_HEAD.format(number=file) + "".join(rules))


def measure(port: int, pack: Path, home: Path, count: int, quiet_s: float) -> Swap:
    """Load the service on `port`, which serves `pack`, and replace the pack meanwhile."""
    return asyncio.run(_measure(port, pack, home, count, quiet_s))


async def _measure(port: int, pack: Path, home: Path, count: int, quiet_s: float) -> Swap:
    body = json.dumps({"kind": "lifecycle", "resource": {"app": "a", "number": 7}, "tenant": "hr"}).encode()
    request = load.request_bytes("/v1/decisions", body, {})
    waits: list[tuple[float, float, bool, bool]] = []
    stopped = asyncio.Event()
    runners = [asyncio.create_task(_ask(port, request, stopped, waits)) for _ in range(CONNECTIONS)]
    await asyncio.sleep(quiet_s)
    swapped_at = time.perf_counter()
    await asyncio.to_thread(write_pack, pack, count, "new")
    (home / "bundles" / "rebuild").write_text(str(os.getpid()))
    while not any(is_new for *_, is_new in waits[-CONNECTIONS:]):
        await asyncio.sleep(0.05)
        if time.perf_counter() - swapped_at > 600:
            break
    noticed = time.perf_counter() - swapped_at
    await asyncio.sleep(2)
    stopped.set()
    await asyncio.gather(*runners)
    quiet = [wait for at, wait, _, _ in waits if at < swapped_at]
    busy = [wait for at, wait, _, _ in waits if at >= swapped_at]
    return Swap(len(waits), sum(not ok for _, _, ok, _ in waits), max(busy), max(quiet), noticed)


async def _ask(port: int, request: bytes, stopped: asyncio.Event, waits: list[tuple[float, float, bool, bool]]) -> None:
    while not stopped.is_set():
        began = time.perf_counter()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await _keep_asking(reader, writer, request, stopped, waits)
        except (OSError, asyncio.IncompleteReadError):
            waits.append((began, time.perf_counter() - began, False, False))


async def _keep_asking(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    stopped: asyncio.Event,
    waits: list[tuple[float, float, bool, bool]],
) -> None:
    while not stopped.is_set():
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(row for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:"))
        answer = await reader.readexactly(int(length.split(b":")[1]))
        ok = head.startswith(b"HTTP/1.1 200") and b'"error":null' in answer and b"BULK-007" in answer
        waits.append((began, time.perf_counter() - began, ok, b'"new"' in answer))
        await asyncio.sleep(0.002)
    writer.close()
