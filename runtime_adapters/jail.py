"""One Firecracker in its jail: the jailer's `chroot`, an account of its own, namespaces, and a look at what really holds.

The jailer changes its account, and with that the kernel forgets that it was to die with us. So a shell of root's is the
first process of a process namespace: it dies with us, and the kernel ends whatever lives in a namespace without its first.
What the jail holds is a copy that was measured. Formats: Firecracker `docs/jailer.md`; proc(5) for what is looked at.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runtime_adapters import processes, seccomp
from runtime_adapters.firecracker_api import SOCKET, Api
from runtime_adapters.port import NotAvailable, RuntimeRefusal

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRECRACKER, JAILER = "firecracker", "jailer"
# The jailer takes no longer one.
_LONGEST_NAME = 64
# 1879048192 to 2147483647: nobody's by the conventions of Linux distributions (systemd, "Users, Groups, UIDs and GIDs").
_FIRST_ACCOUNT, _ACCOUNTS = 0x70000000, 0x10000000
# A file of the engine's that grows beyond this ends it: what a guest does can make its log grow.
_LARGEST_FILE = 1 << 20
_MOST_FILES = 64
# Address space that the engine takes beside its guest's memory.
_ENGINE_MIB = 128
_LONGEST_LOG = 4096
_GONE_S = 5.0
# Firecracker's own end after a system call that its filter refused (`FcExitCode::BadSyscall`).
_BAD_SYSCALL = 148


class Programs(NamedTuple):
    """Our own copies of both programs, measured when they were made."""

    firecracker: Path
    jailer: Path


class Jail:
    """A jailed engine that has started no guest yet."""

    def __init__(self, jails: Path, name: str, programs: Programs, files: Mapping[str, bytes], memory_mib: int) -> None:
        """`files` are what its account may read there by name, `memory_mib` the guest's memory. Raises NotAvailable."""
        self.name, self.account = name, _FIRST_ACCOUNT + secrets.randbelow(_ACCOUNTS)
        self._place, self._is_there = place(jails, name), True
        root = self._place / "root"
        try:
            root.mkdir(mode=0o700, parents=True)
            # The account may read and never write them; its folder becomes its own, but only the guest brings in what would.
            for file, raw in files.items():
                (root / file).write_bytes(raw)
                (root / file).chmod(0o444)
            self.root = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.popen = self._begun(_command(jails, name, programs, self.account, memory_mib + _ENGINE_MIB))
        except OSError as error:
            remove(self._place)
            raise NotAvailable(f"no jail can be made in {jails}: {error.strerror or error}") from error
        stdin, stdout = self.popen.stdin, self.popen.stdout
        if stdin is None or stdout is None:  # cannot be: both are pipes
            raise RuntimeRefusal("the machine has no serial line")
        self.to_guest, self.from_guest = stdin.fileno(), stdout.fileno()

    def api(self) -> Api:
        """Once the engine listens. Raises NotAvailable."""
        return Api(self.root, lambda: self.ended() if self.popen.poll() is not None else "")

    def process(self) -> int:
        """The engine itself, among those that carry the name. Raises NotAvailable."""
        for process in processes.named(self.name):
            with contextlib.suppress(OSError):
                if Path(f"/proc/{process}/comm").read_text().strip() == FIRECRACKER:
                    return process
        raise NotAvailable("Firecracker is gone")

    def hold(self, process: int) -> None:
        """Whether account, capabilities, filter, root and network are what they have to be. Raises NotAvailable."""
        try:
            wrong = [found for thread in _threads(process) if (found := _wrong_about(thread, self.account))]
            if wrong:
                raise NotAvailable(f"Firecracker is not jailed: {wrong[0]}")
            ours, theirs = os.fstat(self.root), os.stat(f"/proc/{process}/root/")
            if (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino):
                raise NotAvailable("Firecracker is not jailed: its root is not the jail")
            for kind in ("net", "pid", "mnt", "ipc"):
                if os.stat(f"/proc/{process}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino:
                    raise NotAvailable(f"Firecracker is not jailed: it shares the host's namespace {kind!r}")
        except OSError as error:
            raise NotAvailable(f"Firecracker's jail cannot be looked at: {error.strerror or error}") from error

    def filter_is_one(self, process: int) -> None:
        """Whether the filters of its threads refuse anything. Raises NotAvailable."""
        for thread in _threads(process):
            if (thread / "comm").read_text().startswith((FIRECRACKER, "fc_")):
                allowed = seccomp.allowed_by(seccomp.filters_of(int(thread.name)))
                if allowed:
                    raise NotAvailable(
                        f"this Firecracker's system call filter allows {', '.join(allowed)}: use the project's release,"
                        " a build for another C library has none"
                    )

    def drop(self, *files: str) -> None:
        """What the guest has in its memory by now need not lie here as well."""
        for file in files:
            with contextlib.suppress(OSError):
                os.unlink(file, dir_fd=self.root)

    def ended(self) -> str:
        """Why the engine is gone, in its own words where it left any; one line."""
        code = self.popen.wait()
        said = self.popen.stderr.read() if self.popen.stderr is not None else b""
        words = " ".join((said + log_of(self.root)).decode("utf-8", "replace").split())[-300:]
        if code == _BAD_SYSCALL:
            return f"its filter refused a system call: {words}"
        return words or f"it ended with {code}"

    def kill(self) -> None:
        """End it at once: the first process of the namespace, and with it all others."""
        processes.kill([], self.popen.pid)

    def remove(self) -> None:
        """End everything of the jail and take it away; may be called twice."""
        if not self._is_there:
            return
        self._is_there = False
        self.kill()
        remove(self._place)
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()
        os.close(self.root)

    def _begun(self, command: list[str]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                start_new_session=True, env={"PATH": os.defpath},
            )  # fmt: skip
        except OSError:
            os.close(self.root)
            raise


def log_of(root: int) -> bytes:
    """The end of the log in a jail. Who got out of the guest could have put anything in its place: only a file is read."""
    with contextlib.suppress(OSError):
        log = os.open("log", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=root)
        try:
            about = os.fstat(log)
            if stat.S_ISREG(about.st_mode):
                return os.pread(log, _LONGEST_LOG, max(0, about.st_size - _LONGEST_LOG))
        finally:
            os.close(log)
    return b""


def name_of(owned: str) -> str:
    """A name that the jailer takes, of the owner's."""
    return owned[:_LONGEST_NAME]


def place(jails: Path, name: str) -> Path:
    """Where the jailer makes a jail; below it, `root`."""
    return jails / FIRECRACKER / name


def remove(jail: Path) -> None:
    """End everything that carries the name of a jail, then take it away."""
    deadline = time.monotonic() + _GONE_S
    while (left := processes.named(jail.name)) and time.monotonic() < deadline:
        processes.kill(left)
        time.sleep(0.01)
    shutil.rmtree(jail, ignore_errors=True)


def lacking() -> str:
    """What this host or account lacks for a jail, or nothing."""
    if os.geteuid() != 0:
        return "the jailer has to be started by root"
    missing = [tool for tool in ("setpriv", "unshare") if shutil.which(tool) is None]
    return f"there is no {missing[0]} on the path (Debian: apt-get install util-linux)" if missing else ""


def _command(jails: Path, name: str, programs: Programs, account: int, most_mib: int) -> list[str]:
    spaces = ["unshare", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child=KILL", "--"]
    # Not `exec`: the shell has to stay, as the first of its namespace.
    first = ["/bin/sh", "-c", f'ulimit -v {most_mib << 10} && "$@"; exit $?', "sh"]
    # No `--cgroup`: the jailer then makes and joins none; the share of processor time is held as for every adapter.
    jailer = [
        str(programs.jailer), "--id", name, "--exec-file", str(programs.firecracker), "--chroot-base-dir", str(jails),
        "--uid", str(account), "--gid", str(account),
        "--resource-limit", f"fsize={_LARGEST_FILE}", "--resource-limit", f"no-file={_MOST_FILES}",
    ]  # fmt: skip
    engine = ["--api-sock", f"/{SOCKET}", "--log-path", "/log", "--level", "Warning"]
    return [*processes.dying_with_us(), *spaces, *first, *jailer, "--", *engine]


def _threads(process: int) -> list[Path]:
    return sorted(Path(f"/proc/{process}/task").iterdir())


def _wrong_about(thread: Path, account: int) -> str:
    """From `status` (proc(5)): real, effective, saved and file system account each have to be the jail's."""
    try:
        lines = (thread / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it ended meanwhile, and with it whatever it could do
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    wanted = {
        "Uid": [str(account)] * 4, "Gid": [str(account)] * 4, "Groups": [], "CapPrm": ["0" * 16], "CapEff": ["0" * 16],
        "Seccomp": ["2"], "NoNewPrivs": ["1"],
    }  # fmt: skip
    wrong = [name for name, value in wanted.items() if fields.get(name) != value]
    return ", ".join(f"{name} is {' '.join(fields.get(name, ['missing']))}" for name in wrong)
