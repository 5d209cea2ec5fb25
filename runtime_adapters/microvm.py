"""MicroVMs: QEMU's `microvm` machine without a network card, one serial line to the broker, everything in memory.

With KVM where a guest really boots on it, by emulation elsewhere; the boundary says which (`vm-kvm`, `vm-tcg`). That
`/dev/kvm` is there proves nothing: on some hosts a kernel hangs on it, so the probe boots one and waits for its word.

The artifact is the same archive that the container adapter takes. It is unpacked into the guest's memory; nothing of the
host's disk is attached, and nothing the guest writes outlives it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Self

from runtime_adapters import gvisor
from runtime_adapters.microvm_image import (
    LARGEST_CONTENT,
    Sealed,
    archive_of,
    boot_id,
    image_in,
    sealed_copy,
    sealed_in,
)
from runtime_adapters.pipe import Talk
from runtime_adapters.port import (
    Artifact,
    Attestation,
    BadArtifact,
    NotAvailable,
    NotWhatWasDecided,
    Outcome,
    Probe,
    RuntimeRefusal,
    Usage,
)
from runtime_adapters.rootfs import regular

if TYPE_CHECKING:
    from pathlib import Path

    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker

QEMU = "qemu-system-x86_64"
BOOT_S = 60.0
_KVM_BOOT_S = 15.0
# What the kernel and the base of the file system take before the app has anything.
_KERNEL_MIB = 96
_MACHINE = "microvm,isa-serial=on,pit=on,pic=on,rtc=off,acpi=off,x-option-roms=off"
_KERNEL_LINE = "quiet loglevel=0 no_timer_check tsc=reliable reboot=t panic=-1"
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


class MicrovmAdapter:
    """Boots apps as virtual machines. `folder` holds the image that `governance runtime build-image` made."""

    name = "microvm"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._probed: Probe | None = None
        self._sealed: Sealed | None = None

    def probe(self) -> Probe:
        """Boot the image without an app, with KVM and then without; what was found is kept until the host restarts."""
        if self._probed is None:
            self._probed = self._kept() or self._boot()
        return self._probed

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedMachine:
        """Compare the digest and make the app's part of the file system. Raises RuntimeRefusal."""
        if plan.runtime_class != "microvm":
            raise RuntimeRefusal(
                f"the decision asks for the class {plan.runtime_class!r}; this adapter is microvm only"
            )
        probe = self.probe()
        if not probe.is_available:
            raise NotAvailable(f"no virtual machine starts here: {probe.reason}")
        self._sealed = sealed_in(self._folder, self._sealed)
        return PreparedMachine(plan, artifact, self._sealed, _app_archive(artifact), probe)

    def _boot(self) -> Probe:
        if shutil.which(QEMU) is None:
            return Probe(False, "vm", f"there is no {QEMU} (Debian: apt-get install qemu-system-x86)", "")
        try:
            image = self._sealed = sealed_in(self._folder, self._sealed)
        except NotAvailable as error:
            return Probe(False, "vm", str(error), "")
        engine = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
        reasons = []
        for accelerator, seconds in (("kvm", _KVM_BOOT_S), ("tcg", BOOT_S)):
            try:
                with _Machine(image, b"", accelerator, 160) as machine:
                    took = machine.wait_until_ready(seconds)
            except RuntimeRefusal as error:
                reasons.append(f"{accelerator}: {error}")
                continue
            probe = Probe(True, f"vm-{accelerator}", f"a kernel booted in {took:.1f} s", engine)
            self._keep(probe)
            return probe
        return Probe(False, "vm", "; ".join(reasons), engine)

    def _kept(self) -> Probe | None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = json.loads((self._folder / "probe.json").read_text())
            if kept.pop("boot_id") == boot_id() and image_in(self._folder).digests() == kept.pop("image"):
                return Probe(**kept)
        return None

    def _keep(self, probe: Probe) -> None:
        about = {**probe._asdict(), "boot_id": boot_id(), "image": image_in(self._folder).digests()}
        (self._folder / "probe.json").write_text(json.dumps(about))


class PreparedMachine:
    """One app's file system, ready to boot under one plan."""

    def __init__(self, plan: RuntimePlan, artifact: Artifact, image: Sealed, app: bytes, probe: Probe) -> None:
        self._plan, self._artifact, self._image, self._app, self._probe = plan, artifact, image, app, probe

    def start(self, broker: Broker) -> MicrovmInstance:
        """Boot; takes a second or two by emulation."""
        accelerator = self._probe.boundary.removeprefix("vm-")
        caps = self._plan.caps
        machine = _Machine(self._image, self._app, accelerator, caps.memory_mib + _KERNEL_MIB, caps.storage_mib)
        try:
            machine.wait_until_ready(BOOT_S)
        except RuntimeRefusal:
            machine.close()
            raise
        return MicrovmInstance(machine, self._plan, broker)

    def attest(self) -> Attestation:
        """Kernel, base and app, each as it was measured before it was handed to the machine."""
        plan = self._plan
        digests = {**self._image.digests, "rootfs": f"sha256:{self._artifact.sha256.removeprefix('sha256:')}"}
        return Attestation(
            "microvm", self._probe.boundary, self._probe.engine, plan.decision_id, plan.app, plan.tenant,
            digests, dict(plan.caps._asdict()), plan.egress_allow,
        )  # fmt: skip


class MicrovmInstance:
    """One running machine."""

    def __init__(self, machine: _Machine, plan: RuntimePlan, broker: Broker) -> None:
        self._machine, self._plan = machine, plan
        self._over = ""
        self._talk = Talk(machine.to_guest, machine.from_guest, broker, lambda: self._over)
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)

    def call(self, request: bytes) -> Outcome:
        """One call; a guest that did not come to its end in time is gone, and the machine with it."""
        if self._over:
            return Outcome("exit", b"", "", self._over)
        talked = self._talk.call(request, self._plan.caps.timeout_ms / 1000)
        used, process = self._usage, self._machine.process
        self._usage = Usage(
            used.calls + 1, 0, gvisor.cpu_ms(process), max(used.memory_peak_mib, gvisor.resident_mib(process)),
            used.egress_calls + talked.egress_calls, used.egress_bytes + talked.egress_bytes,
        )  # fmt: skip
        if talked.status != "done":
            self.stop()
        return Outcome(talked.status, talked.output, "", talked.detail)

    def observe(self) -> Usage:
        """Processor time and memory are the whole machine's."""
        return self._usage

    def stop(self) -> None:
        """Kill the machine; there is no disk that would mind."""
        self._over = self._over or "the instance was stopped"
        self._machine.close()


class _Machine:
    """A QEMU process; its standard input and output are the guest's serial line."""

    def __init__(self, image: Sealed, app: bytes, accelerator: str, memory_mib: int, storage_mib: int = 1) -> None:
        # In memory and opened by us, so that QEMU needs no access to the folder; it opens them again as nobody.
        self._initrd = sealed_copy("initrd", image.base + app)
        files = (image.kernel.fileno(), self._initrd.fileno())
        user, group = _account(accelerator)
        self._process = subprocess.Popen(
            _command(files, accelerator, memory_mib, storage_mib), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, pass_fds=files, start_new_session=True, env={"PATH": os.defpath},
            user=user, group=group, extra_groups=[] if user is not None else None,
        )  # fmt: skip
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:  # cannot be: both are pipes
            raise RuntimeRefusal("the machine has no serial line")
        self.to_guest, self.from_guest = stdin.fileno(), stdout.fileno()
        self.process = self._process.pid

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
            if self._process.poll() is not None:
                said = self._process.stderr.read() if self._process.stderr is not None else b""
                raise NotAvailable(f"QEMU ended: {' '.join(said.decode('utf-8', 'replace').split())[-200:]}")
            time.sleep(0.01)
        raise NotAvailable(f"no word from the guest within {seconds:g} s")

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr, self._initrd):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _command(files: tuple[int, int], accelerator: str, memory_mib: int, storage_mib: int) -> list[str]:
    kernel, initrd = files
    return [
        QEMU, "-M", _MACHINE, "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max",
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


def _app_archive(artifact: Artifact) -> bytes:
    wanted = artifact.sha256.removeprefix("sha256:")
    try:
        with open(artifact.path, "rb", opener=regular) as file:
            if os.fstat(file.fileno()).st_size > LARGEST_CONTENT:
                raise BadArtifact(f"{artifact.path}: larger than {LARGEST_CONTENT} bytes")
            raw = file.read(LARGEST_CONTENT + 1)
    except OSError as error:
        raise BadArtifact(f"{artifact.path}: {error.strerror or error}") from error
    # The very bytes that were compared are unpacked: nobody changes the file in between.
    found = hashlib.sha256(raw).hexdigest()
    if found != wanted:
        raise NotWhatWasDecided(f"{artifact.path} is sha256:{found}, the manifest says sha256:{wanted}")
    return gzip.compress(archive_of(io.BytesIO(raw)), 1, mtime=0)
