"""One QEMU process: booted until its guest parks, or brought back as it was when it parked; then handed an app.

The guest's memory is a file in memory. A machine that boots shares it, so that it can be kept as a snapshot; one that
comes back has a private view of a sealed one, so that a hundred copies share what none of them changed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
import time
import uuid
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from runtime_adapters import microvm_guest, processes
from runtime_adapters.microvm_guest import PARKED, READY
from runtime_adapters.microvm_image import sealed_copy
from runtime_adapters.port import NotAvailable, RuntimeRefusal
from runtime_adapters.qmp import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runtime_adapters import cpu
    from runtime_adapters.microvm_image import Sealed
    from runtime_adapters.owners import Owner

QEMU = "qemu-system-x86_64"
# What the kernel and the base of the file system take before the app has anything.
_KERNEL_MIB = 96
_MACHINE = "microvm,isa-serial=on,pit=on,pic=on,rtc=off,acpi=off,x-option-roms=off,memory-backend=ram"
_KERNEL_LINE = "quiet loglevel=0 no_timer_check tsc=reliable reboot=t panic=-1"
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
# The memory stays in its file and only devices and processor are written: QEMU 7.2, `x-ignore-shared`.
_MEMORY_STAYS = [{"capability": "x-ignore-shared", "state": True}]


class Place(NamedTuple):
    """What boots machines, where they are noted, in whose name, and who holds their share of processor time."""

    program: str
    running: Path
    owner: Owner
    control: cpu.Control


class Shape(NamedTuple):
    """What has to be the same for a machine to come back from a snapshot."""

    accelerator: str
    """kvm | tcg"""
    memory_mib: int
    """For the app."""
    region_mib: int
    """For its archive."""

    @property
    def total_mib(self) -> int:
        """All of the guest's memory."""
        return self.memory_mib + _KERNEL_MIB + self.region_mib

    def options(self) -> list[str]:
        """Of QEMU's: the parts of the machine."""
        return [
            "-M", _MACHINE, "-accel", self.accelerator, "-cpu", "host" if self.accelerator == "kvm" else "max",
            "-m", str(self.total_mib), "-smp", "1", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line", "-sandbox", _SANDBOX,
        ]  # fmt: skip

    def kernel_line(self) -> str:
        """Of the guest's."""
        return f"{_KERNEL_LINE} {microvm_guest.kernel_words(self.region_mib)}"


def memory_for(shape: Shape, archive: bytes = b"") -> IO[bytes]:
    """Memory for a machine that boots, with an app's archive where the guest will look for it."""
    memory = os.fdopen(os.memfd_create("ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b", buffering=0)
    os.ftruncate(memory.fileno(), shape.total_mib << 20)
    lay(memory, archive)
    return memory


def lay(memory: IO[bytes], archive: bytes) -> None:
    """Put an archive where the guest will look for it."""
    write_at(memory, archive, microvm_guest.REGION_START_MIB << 20)


def write_at(file: IO[bytes], content: bytes, at: int) -> None:
    """All of it. Raises OSError."""
    view = memoryview(content)
    while view:
        written = os.pwrite(file.fileno(), view, at)
        view, at = view[written:], at + written


class Machine:
    """A QEMU process; its standard input and output are the guest's serial line."""

    engine = QEMU

    def __init__(
        self, place: Place, shape: Shape, memory: IO[bytes], image: Sealed, *, cores: float = 1.0, is_copy: bool = False
    ) -> None:
        """`is_copy`: `memory` is a sealed snapshot's, and nothing boots until `come_back`."""
        ours, theirs = socket.socketpair()
        self.monitor = Monitor(ours)
        # All in memory and opened by us, so that QEMU needs no access to the folder; it opens them again as nobody.
        self._initrd = None if is_copy else sealed_copy("initrd", image.base)
        self._note = place.running / place.owner.new_name()
        self._note.touch(mode=0o600)  # before anything that would have to be found by it
        try:
            self._group = place.control.group(self._note.name, cores)
        except NotAvailable:
            self._note.unlink()
            raise
        self.is_held = self._group is not None
        boot = [image.kernel.fileno(), self._initrd.fileno()] if self._initrd is not None else []
        user, group = _account(shape.accelerator)
        qemu = [
            place.program, "-name", self._note.name, *shape.options(), *_memory(memory, shape, is_private=is_copy),
            "-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control",
            *(_kernel(boot, shape) if boot else ["-incoming", "defer"]),
        ]  # fmt: skip
        with theirs, self._undone():
            self.popen = subprocess.Popen(  # noqa: S603  the engine that the adapter is for, and files of our own
                [*processes.dying_with_us(), *qemu], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, bufsize=0, pass_fds=[memory.fileno(), theirs.fileno(), *boot],
                start_new_session=True, env={"PATH": os.defpath}, user=user, group=group,
                extra_groups=[] if user is not None else None,
            )  # fmt: skip
        stdin, stdout = self.popen.stdin, self.popen.stdout
        if stdin is None or stdout is None:  # cannot be: both are pipes
            raise RuntimeRefusal("the machine has no serial line")
        self.to_guest, self.from_guest = stdin.fileno(), stdout.fileno()
        self.process = self.popen.pid

    @contextlib.contextmanager
    def _undone(self) -> Iterator[None]:
        """Leaves nothing where no process could be started."""
        try:
            yield
        except OSError as error:
            if self._group is not None:
                self._group.remove()
            self._note.unlink(missing_ok=True)
            raise NotAvailable(f"no machine can be started: {error.strerror or error}") from error

    def hold(self) -> None:
        """From here on the machine runs at its share. Raises NotAvailable."""
        if self._group is not None:
            self._group.add(self.process)

    def park(self, seconds: float) -> float:
        """Seconds until a machine that boots had nothing left to do without an app. Raises NotAvailable."""
        return self._wait_for(PARKED, seconds)

    def save(self, state: IO[bytes]) -> None:
        """Write a parked machine's state and end it; what it had in memory is what its memory's file holds now."""
        self.monitor.say("migrate-set-capabilities", capabilities=_MEMORY_STAYS)
        self.monitor.say("stop")
        self.monitor.say("getfd", [state.fileno()], fdname="state")
        self.monitor.say("migrate", uri="fd:state")
        self.monitor.wait_for_migration()
        self.close()

    def come_back(self, state: IO[bytes]) -> None:
        """Go on where the machine of a snapshot had parked. Raises NotAvailable."""
        self.monitor.say("migrate-set-capabilities", capabilities=_MEMORY_STAYS)
        # Opened anew: copies read it at the same time, each from its beginning.
        with open(f"/proc/self/fd/{state.fileno()}", "rb") as own:
            self.monitor.say("getfd", [own.fileno()], fdname="state")
        self.monitor.say("migrate-incoming", uri="fd:state")
        self.monitor.wait_for_migration()
        self.monitor.say("cont")

    def hand_over(self, storage_mib: int, archive: int, seconds: float) -> float:
        """Fresh randomness, time, name and the app of so many bytes; seconds until it may be called. Raises NotAvailable."""
        self.monitor.close()  # whatever the app makes of its machine, it finds no monitor
        message = microvm_guest.renewal(time.time_ns())
        message += microvm_guest.words(uuid.uuid4().hex, storage_mib, archive)
        try:
            if os.write(self.to_guest, message) != len(message):
                raise NotAvailable("the guest's serial line is full")
        except OSError as error:
            raise NotAvailable(f"the machine is gone: {self._said()}") from error
        return self._wait_for(READY, seconds)

    def _wait_for(self, word: bytes, seconds: float) -> float:
        return microvm_guest.wait_for(word, self.from_guest, seconds, self._ended)

    def _ended(self) -> str:
        return "" if self.popen.poll() is None else f"QEMU ended: {self._said()}"

    def _said(self) -> str:
        self.kill()
        said = self.popen.stderr.read() if self.popen.stderr is not None else b""
        return " ".join(said.decode("utf-8", "replace").split())[-200:]

    def kill(self) -> None:
        """At once; there is no disk that would mind."""
        # Once it was waited for, its number may be somebody else's.
        if self.popen.poll() is None:
            processes.kill([], self.process)

    def close(self) -> None:
        """Kill it and leave nothing of it; may be called twice."""
        self.kill()
        self.popen.wait()
        self.monitor.close()
        if self._group is not None:
            self._group.remove()
        self._note.unlink(missing_ok=True)
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr, self._initrd):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _memory(memory: IO[bytes], shape: Shape, *, is_private: bool) -> list[str]:
    shared = "off" if is_private else "on"
    path = f"/proc/self/fd/{memory.fileno()}"
    return ["-object", f"memory-backend-file,id=ram,size={shape.total_mib}M,mem-path={path},share={shared}"]


def _kernel(boot: list[int], shape: Shape) -> list[str]:
    kernel, initrd = (f"/proc/self/fd/{number}" for number in boot)
    return ["-kernel", kernel, "-initrd", initrd, "-append", shape.kernel_line()]


def _account(accelerator: str) -> tuple[int | None, int | None]:
    """Who runs QEMU: nobody, where we are root and the guest needs no device of the host's."""
    if os.geteuid() != 0 or accelerator == "kvm":
        return None, None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
