"""MicroVMs: QEMU's `microvm` machine without a network card, one serial line to the broker, everything in memory.

With KVM where a guest really boots on it, by emulation elsewhere; the boundary says which (`vm-kvm`, `vm-tcg`). That
`/dev/kvm` is there proves nothing: on some hosts a kernel hangs on it, so the probe boots one and waits for its word.

The artifact is the same archive that the container adapter takes. It is unpacked into the guest's memory; nothing of the
host's disk is attached, and nothing the guest writes outlives it. From its first word on a guest runs at its share of
processor time (`cpu`). A machine ends with the thread that booted it; one that did not is ended by the next adapter.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import threading
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from runtime_adapters import cpu, engines, processes
from runtime_adapters.engines import Program
from runtime_adapters.guest_log import GuestLog, withheld
from runtime_adapters.microvm_image import (
    Sealed,
    app_archive,
    boot_id,
    image_in,
    sealed_copy,
    sealed_in,
)
from runtime_adapters.owners import Owner
from runtime_adapters.pipe import Talk
from runtime_adapters.port import (
    Artifact,
    Attestation,
    NotAvailable,
    Outcome,
    Probe,
    RuntimeRefusal,
    Usage,
)

if TYPE_CHECKING:
    from pathlib import Path

    from runtime_adapters.engines import Engine
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker, Mask

QEMU = "qemu-system-x86_64"
BOOT_S = 60.0
_KVM_BOOT_S = 15.0
_LOOK_S = 0.05
# The oldest that this adapter was tried on.
_VERSION, _LEAST = r"version (\d+)\.(\d+)", (7, 2)
# What the kernel and the base of the file system take before the app has anything.
_KERNEL_MIB = 96
_MACHINE = "microvm,isa-serial=on,pit=on,pic=on,rtc=off,acpi=off,x-option-roms=off"
_KERNEL_LINE = "quiet loglevel=0 no_timer_check tsc=reliable reboot=t panic=-1"
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class MicrovmAdapter:
    """Boots apps as virtual machines. `folder` holds the image that `governance runtime build-image` made."""

    name = "microvm"

    def __init__(self, folder: Path, control: cpu.Control | None = None, mask: Mask = withheld) -> None:
        """`control` holds the cap on processor time; left out: the strongest that works here. `mask`: as for modules."""
        self._folder = folder
        self._running = folder / "running"
        self._running.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._control, self._mask = control, mask
        self._program = Program(QEMU, "qemu-system-x86", _VERSION, _LEAST)
        self._probed: tuple[Engine, Probe] | None = None
        self._sealed: Sealed | None = None
        self._owner = Owner(folder / "owners")
        self.clean()

    def probe(self) -> Probe:
        """Boot the image without an app, with KVM and then without; what was found is kept until the host restarts."""
        try:
            return self._probe(self._program.now())
        except RuntimeRefusal as error:
            return Probe(False, "vm", str(error), "")

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedMachine:
        """Compare the digest and make the app's part of the file system. Raises RuntimeRefusal."""
        if plan.runtime_class != "microvm":
            raise RuntimeRefusal(
                f"the decision asks for the class {plan.runtime_class!r}; this adapter is microvm only"
            )
        engine = self._program.now()
        probe = self._probe(engine)
        if not probe.is_available:
            raise NotAvailable(f"no virtual machine starts here: {probe.reason}")
        self._sealed = sealed_in(self._folder, self._sealed)
        place = self._place(engine)
        return PreparedMachine(place, plan, artifact, self._sealed, app_archive(artifact), probe)

    def clean(self) -> int:
        """End the machines of adapters that are gone, and remove what is left of them; how many."""
        stale = [path for path in self._running.iterdir() if self._owner.is_gone(path.name)]
        for path in stale:
            processes.kill(processes.named(path.name))
            self._held_by().remove(path.name)
            path.unlink(missing_ok=True)
        self._owner.forget_the_gone()
        return len(stale)

    def _held_by(self) -> cpu.Control:
        return self._control or cpu.control()

    def _place(self, engine: Engine) -> Place:
        return Place(engine.path, self._running, self._owner, self._held_by(), self._mask)

    def _probe(self, engine: Engine) -> Probe:
        if self._probed is None or self._probed[0] != engine:
            self._probed = engine, self._kept(engine) or self._boot(engine)
        probe = self._probed[1]
        if not probe.is_available:
            return probe
        return probe._replace(reason=f"{probe.reason}; cpu is held by {self._held_by().kind}")

    def _boot(self, engine: Engine) -> Probe:
        try:
            image = self._sealed = sealed_in(self._folder, self._sealed)
        except NotAvailable as error:
            return Probe(False, "vm", str(error), engine.said)
        reasons = []
        for accelerator, seconds in (("kvm", _KVM_BOOT_S), ("tcg", BOOT_S)):
            try:
                with _Machine(self._place(engine), image, b"", accelerator, 160) as machine:
                    took = machine.wait_until_ready(seconds)
            except RuntimeRefusal as error:
                reasons.append(f"{accelerator}: {error}")
                continue
            probe = Probe(True, f"vm-{accelerator}", f"a kernel booted in {took:.1f} s", engine.said)
            self._keep(probe, engine)
            return probe
        return Probe(False, "vm", "; ".join(reasons), engine.said)

    def _kept(self, engine: Engine) -> Probe | None:
        # What another version of this adapter kept counts as nothing.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads((self._folder / "probe.json").read_text())
            if kept.pop("seen_with") == self._seen_with(engine):
                return Probe(**kept)
        return None

    def _keep(self, probe: Probe, engine: Engine) -> None:
        about = {**probe._asdict(), "seen_with": self._seen_with(engine)}
        (self._folder / "probe.json").write_text(json.dumps(about))

    def _seen_with(self, engine: Engine) -> dict[str, object]:
        """Another program, another image or another start of the host: what was seen then says nothing now."""
        return {"boot_id": boot_id(), "image": image_in(self._folder).digests(), "engine": [engine.path, engine.stamp]}


class Place(NamedTuple):
    """What boots machines, where they are noted, in whose name, who holds their share, and what no log may show."""

    program: str
    running: Path
    owner: Owner
    control: cpu.Control
    mask: Mask


class PreparedMachine:
    """One app's file system, ready to boot under one plan."""

    def __init__(
        self, place: Place, plan: RuntimePlan, artifact: Artifact, image: Sealed, app: bytes, probe: Probe
    ) -> None:
        self._place, self._plan, self._artifact, self._image, self._app, self._probe = (
            place, plan, artifact, image, app, probe,
        )  # fmt: skip

    def start(self, broker: Broker) -> MicrovmInstance:
        """Boot; takes a second or two by emulation. Raises NotAvailable where a cap cannot be held."""
        accelerator = self._probe.boundary.removeprefix("vm-")
        caps = self._plan.caps
        memory_mib = caps.memory_mib + _KERNEL_MIB
        machine = _Machine(self._place, self._image, self._app, accelerator, memory_mib, caps.storage_mib, caps.cpu)
        try:
            machine.wait_until_ready(BOOT_S)
            machine.hold()
        except RuntimeRefusal:
            machine.close()
            raise
        return MicrovmInstance(machine, self._plan, broker, GuestLog(self._place.mask))

    def attest(self) -> Attestation:
        """Kernel, base and app, each as it was measured before it was handed to the machine."""
        plan = self._plan
        digests = {**self._image.digests, "rootfs": f"sha256:{self._artifact.sha256.removeprefix('sha256:')}"}
        return Attestation(
            "microvm", self._probe.boundary, self._probe.engine, plan.decision_id, plan.app, plan.tenant,
            digests, dict(plan.caps._asdict()), plan.egress_allow, self._place.control.kind,
        )  # fmt: skip


class Machine(Protocol):
    """A booted machine and its serial line, whoever runs it."""

    engine: str
    popen: subprocess.Popen[bytes]
    process: int
    to_guest: int
    from_guest: int
    is_held: bool

    def kill(self) -> None:
        """End it at once."""

    def close(self) -> None:
        """End it and leave nothing behind; may be called twice."""


class MicrovmInstance:
    """One running machine."""

    def __init__(self, machine: Machine, plan: RuntimePlan, broker: Broker, log: GuestLog) -> None:
        self._machine, self._plan, self._log = machine, plan, log
        self._over = ""
        self._talk = Talk(machine.to_guest, machine.from_guest, broker, lambda: self._over, log)
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        if not machine.is_held:
            # What the boot took is not the app's.
            booted_s = max(0.0, processes.cpu_ms([machine.process])) / 1000
            self._budget = cpu.budget_of(plan.caps, booted_s)
            threading.Thread(target=self._watch, daemon=True).start()

    def call(self, request: bytes) -> Outcome:
        """One call; a guest that did not come to its end in time is gone, and the machine with it."""
        if self._over:
            return Outcome("exit", b"", self._log.taken(), self._over.partition(":")[2].strip())
        talked = self._talk.call(request, self._plan.caps.timeout_ms / 1000)
        if talked.status == "exit":
            talked = engines.killed_or(talked, self._machine.popen, self._machine.engine)
        used, process = self._usage, self._machine.process
        self._usage = Usage(
            used.calls + 1, 0, max(used.cpu_ms, processes.cpu_ms([process])),
            max(used.memory_peak_mib, processes.resident_mib(process)),
            used.egress_calls + talked.egress_calls, used.egress_bytes + talked.egress_bytes,
        )  # fmt: skip
        if talked.status != "done":
            self.stop()
        return Outcome(talked.status, talked.output, self._log.taken(is_over=bool(self._over)), talked.detail)

    def observe(self) -> Usage:
        """Processor time and memory are the whole machine's."""
        return self._usage

    def stop(self) -> None:
        """Kill the machine; there is no disk that would mind."""
        self._over = self._over or "exit: the instance was stopped"
        self._machine.close()

    def _watch(self) -> None:
        """Between calls as well: a guest may spin without being asked anything."""
        while not self._over and self._machine.popen.poll() is None:
            over = cpu.overdrawn(self._budget, [self._machine.process], self._plan.caps)
            if over and self._machine.popen.poll() is None:
                self._over = self._over or over
                self._machine.kill()
                return
            time.sleep(_LOOK_S)


class _Machine:
    """A QEMU process; its standard input and output are the guest's serial line."""

    engine = QEMU

    def __init__(
        self, place: Place, image: Sealed, app: bytes, accelerator: str, memory_mib: int, storage_mib: int = 1,
        cores: float = 1.0,
    ) -> None:  # fmt: skip
        self._note = place.running / place.owner.new_name()
        self._note.touch(mode=0o600)  # before anything that would have to be found by it
        try:
            self._group = place.control.group(self._note.name, cores)
        except NotAvailable:
            self._note.unlink()
            raise
        self.is_held = self._group is not None
        # In memory and opened by us, so that QEMU needs no access to the folder; it opens them again as nobody.
        self._initrd = sealed_copy("initrd", image.base + app)
        files = (image.kernel.fileno(), self._initrd.fileno())
        user, group = _account(accelerator)
        qemu = [place.program, "-name", self._note.name, *_options(files, accelerator, memory_mib, storage_mib)]
        self.popen = subprocess.Popen(
            [*processes.dying_with_us(), *qemu], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, pass_fds=files, start_new_session=True, env={"PATH": os.defpath},
            user=user, group=group, extra_groups=[] if user is not None else None,
        )  # fmt: skip
        stdin, stdout = self.popen.stdin, self.popen.stdout
        if stdin is None or stdout is None:  # cannot be: both are pipes
            raise RuntimeRefusal("the machine has no serial line")
        self.to_guest, self.from_guest = stdin.fileno(), stdout.fileno()
        self.process = self.popen.pid

    def hold(self) -> None:
        """From here on the machine runs at its share. Raises NotAvailable."""
        if self._group is not None:
            self._group.add(self.process)

    def wait_until_ready(self, seconds: float) -> float:
        """Seconds until the guest's first program spoke. Raises NotAvailable."""
        started = time.monotonic()
        heard = b""
        os.set_blocking(self.from_guest, False)
        while time.monotonic() - started < seconds:
            with contextlib.suppress(BlockingIOError):
                heard += os.read(self.from_guest, 4096)
            if heard.endswith(b"READY\n"):
                return time.monotonic() - started
            if self.popen.poll() is not None:
                said = self.popen.stderr.read() if self.popen.stderr is not None else b""
                raise NotAvailable(f"QEMU ended: {' '.join(said.decode('utf-8', 'replace').split())[-200:]}")
            time.sleep(0.01)
        raise NotAvailable(f"no word from the guest within {seconds:g} s")

    def kill(self) -> None:
        processes.kill([], self.process)

    def close(self) -> None:
        self.kill()
        self.popen.wait()
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


def _options(files: tuple[int, int], accelerator: str, memory_mib: int, storage_mib: int) -> list[str]:
    kernel, initrd = files
    return [
        "-M", _MACHINE, "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max",
        "-m", str(memory_mib), "-smp", "1", "-kernel", f"/proc/self/fd/{kernel}", "-initrd", f"/proc/self/fd/{initrd}",
        "-append", f"{_KERNEL_LINE} storage={storage_mib}m", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line", "-sandbox", _SANDBOX,
    ]  # fmt: skip


def _account(accelerator: str) -> tuple[int | None, int | None]:
    """Who runs QEMU: nobody, where we are root and the guest needs no device of the host's."""
    if os.geteuid() != 0 or accelerator == "kvm":
        return None, None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
