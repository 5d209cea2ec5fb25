"""Processes of a sandbox as the host sees them in `/proc`: which they are, what they use, their end."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections import defaultdict
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def dying_with_us() -> list[str]:
    """Put before a command: the kernel kills it when the thread that started it ends, kill -9 of us included."""
    setpriv = shutil.which("setpriv")
    # Whoever lost us before the signal was asked for has another parent by now, and does not begin.
    alone = ["/bin/sh", "-c", 'test "$PPID" = "$0" && exec "$@"', str(os.getpid())]
    return [setpriv, "--pdeathsig", "KILL", "--", *alone] if setpriv else []


def named(name: str) -> list[int]:
    """Processes whose command line names the sandbox."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def with_descendants(processes: list[int]) -> list[int]:
    """These and all that they started: an app below gVisor runs in processes without a command line."""
    children = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields:
            children[int(fields[1])].append(int(entry.name))
    found, waiting = set[int](), list(processes)
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += children[process]
    return sorted(found)


def kill(processes: list[int], leader: int | None = None) -> None:
    """End them at once, and the group of `leader`; there is nothing in a sandbox that deserves a warning."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)
    if leader is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def resident_mib(process: int) -> float:
    """Memory of a process; an app's memory is shared memory of its sandbox's kernel."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return 0.0


def cpu_ms(processes: list[int]) -> float:
    """Processor time so far of processes and of the children that they have buried; -1.0 where none can be read."""
    read = [fields for fields in map(_stat, processes) if fields]
    return sum(1000 * sum(map(int, fields[11:15])) / _TICK for fields in read) if read else -1.0


def _stat(process: int) -> list[str]:
    """Fields of `/proc/PID/stat` from the state on (proc(5), field 3); empty for a process that is gone or hidden."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return []
