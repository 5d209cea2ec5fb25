"""`runsc` by its command line: bundles (OCI runtime specification 1.0), the processes of a sandbox, their end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNSC = "runsc"
_MOST_FILES, _MOST_PROCESSES = 256, 64


def command(folder: Path, bundle_: Path) -> list[str]:
    """Start a bundle and stay in front of it. The ptrace platform is the one that every host has."""
    return [*_runsc(folder), "run", "--bundle", str(bundle_), bundle_.name]


def bundle(folder: Path, root: Path, args: Sequence[str], *, memory_mib: int, storage_mib: int) -> Path:
    """A new bundle; its name is the sandbox's id and begins with the process that owns it."""
    path = folder / "bundles" / f"{os.getpid()}-{uuid.uuid4().hex}"
    path.mkdir(mode=0o700)
    (path / "config.json").write_text(json.dumps(_configuration(root, args, memory_mib, storage_mib)))
    return path


def delete(folder: Path, name: str) -> None:
    """Forget a sandbox: whatever of it still runs is killed."""
    subprocess.run([*_runsc(folder), "delete", "--force", name], capture_output=True, check=False, timeout=20)
    shutil.rmtree(folder / "bundles" / name, ignore_errors=True)


def kill(name: str, leader: int) -> None:
    """End every process of a sandbox at once; there is nothing in it that deserves a warning."""
    for process in processes(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def processes(name: str) -> list[int]:
    """Processes whose command line names the sandbox: runsc, its kernel, its file server."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if name.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def resident_mib(process: int) -> float:
    """Memory of a process; an app's memory is shared memory of its sandbox's kernel."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        pages = Path(f"/proc/{process}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return 0.0


def cpu_ms(process: int) -> float:
    """Processor time of a process so far."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def is_alive(name: str) -> bool:
    """Whether the process that made this bundle still runs."""
    owner = name.partition("-")[0]
    return owner.isdigit() and Path(f"/proc/{owner}").exists()


def _runsc(folder: Path) -> list[str]:
    return [
        RUNSC,
        "--root",
        str(folder / "state"),
        "--rootless",
        "--ignore-cgroups",
        "--network=none",
        "--platform=ptrace",
    ]


def _configuration(root: Path, args: Sequence[str], memory_mib: int, storage_mib: int) -> dict[str, object]:
    memory = memory_mib << 20
    limits = {"RLIMIT_AS": memory, "RLIMIT_NOFILE": _MOST_FILES, "RLIMIT_NPROC": _MOST_PROCESSES, "RLIMIT_CORE": 0}
    tmp = ["nosuid", "nodev", "noexec", f"size={storage_mib}m"]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(args),
            "env": ["PATH=/usr/bin:/bin", "HOME=/tmp"],
            "cwd": "/",
            "capabilities": {name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")},
            "rlimits": [{"type": name, "hard": value, "soft": value} for name, value in limits.items()],
            "noNewPrivileges": True,
        },
        "root": {"path": str(root), "readonly": True},
        "hostname": "app",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": tmp},
        ],
        "linux": {"namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")]},
    }
