"""`runsc` by its command line: bundles (OCI runtime specification 1.0), their start and their removal."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RUNSC = "runsc"
_MOST_FILES, _MOST_PROCESSES = 256, 64
# Root of a sandbox may write below its /dev, which is memory that no storage cap holds and no mount option makes smaller.
_NOBODY = 65534


def command(folder: Path, bundle_: Path) -> list[str]:
    """Start a bundle and stay in front of it. The ptrace platform is the one that every host has."""
    return [*_runsc(folder), "run", "--bundle", str(bundle_), bundle_.name]


def bundle(path: Path, root: Path, args: Sequence[str], *, memory_mib: int, storage_mib: int) -> Path:
    """A new bundle at `path`, whose name becomes the sandbox's id."""
    path.mkdir(mode=0o700)
    (path / "config.json").write_text(json.dumps(_configuration(root, args, memory_mib, storage_mib)))
    return path


def delete(folder: Path, name: str) -> None:
    """Forget a sandbox: whatever of it still runs is killed."""
    # Without the program there is no sandbox either, only what describes one. One that does not answer leaves the bundle:
    # by it the next adapter finds the sandbox.
    try:
        subprocess.run([*_runsc(folder), "delete", "--force", name], capture_output=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return
    except FileNotFoundError:
        pass
    shutil.rmtree(folder / "bundles" / name, ignore_errors=True)


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
            "user": {"uid": _NOBODY, "gid": _NOBODY},
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
