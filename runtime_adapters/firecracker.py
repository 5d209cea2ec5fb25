"""MicroVMs in Firecracker: its own account, `chroot`, namespaces and system call filter around each machine.

Firecracker needs KVM, and that `/dev/kvm` is there proves nothing: the probe boots the image and waits for its word. It is in
neither PyPI nor Debian, so it is used where somebody has put both of its programs on the path, and only together: without the
jailer nothing starts. The guest's image is the one that QEMU boots (`microvm_image`), and its line is the serial port again: no
network card, no disk, no socket of the host's. What is told to the engine is read back before the guest runs.

Snapshots are not supported yet: a machine of QEMU's is handed fresh randomness before its app (`microvm_guest`), and nobody has
seen Debian's kernel come up here to try the same.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from runtime_adapters import cpu, jail
from runtime_adapters.engines import Engine, Program
from runtime_adapters.guest_log import GuestLog, withheld
from runtime_adapters.microvm import MicrovmInstance
from runtime_adapters.microvm_guest import READY, wait_for
from runtime_adapters.microvm_image import Sealed, app_archive, boot_id, sealed_in
from runtime_adapters.owners import Owner
from runtime_adapters.port import Artifact, Attestation, NotAvailable, Probe, RuntimeRefusal, WrongEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime_adapters.jail import Programs
    from runtime_adapters.plan import Caps, RuntimePlan
    from runtime_adapters.port import Broker, Mask

BOOT_S = 15.0
BOUNDARY = "vm-kvm"
# The oldest that this adapter was tried on.
_FIRECRACKER_VERSION, _JAILER_VERSION, _LEAST = r"Firecracker v(\d+)\.(\d+)", r"Jailer v(\d+)\.(\d+)", (1, 16)
# What the kernel and the base of the file system take before the app has anything.
_KERNEL_MIB = 96
_PROBE_MIB = 64
_KERNEL_LINE = "quiet loglevel=0 reboot=t panic=-1"
_KEPT = "probe.json"


class FirecrackerAdapter:
    """Boots apps as virtual machines. `folder` holds the image that `governance runtime build-image` made."""

    name = "microvm"

    def __init__(self, folder: Path, control: cpu.Control | None = None, mask: Mask = withheld) -> None:
        """`control` holds the cap on processor time; left out: the strongest that works here. `mask`: as for modules."""
        self._image_folder, self._folder = folder, folder / "firecracker"
        for part in ("jails", "programs"):
            (self._folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._control, self._mask = control, mask
        self._firecracker = Program(jail.FIRECRACKER, "", _FIRECRACKER_VERSION, _LEAST)
        self._jailer = Program(jail.JAILER, "", _JAILER_VERSION, _LEAST)
        self._copied: tuple[tuple[str, ...], Measured] | None = None
        self._sealed: Sealed | None = None
        self._owner = Owner(self._folder / "owners")
        self.clean()

    def probe(self) -> Probe:
        """Boot the image without an app and look at the jail; a yes is kept until the host restarts, a no is tried again."""
        try:
            measured, image = self._measured(), self._image()
        except RuntimeRefusal as error:
            return Probe(False, BOUNDARY, str(error), "")
        kept = self._kept(measured, image)
        probe = kept if kept is not None and kept.is_available else self._boot(measured, image)
        if not probe.is_available:
            return probe
        return probe._replace(reason=f"{probe.reason}; cpu is held by {self._held_by().kind}")

    def booted(self) -> Probe:
        """What `probe` found on this start of the host with these programs and this image; boots nothing."""
        try:
            measured, image = self._measured(), self._image()
        except RuntimeRefusal as error:
            return Probe(False, BOUNDARY, str(error), "")
        return self._found(measured, image)

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedFirecracker:
        """Compare the digest and make the app's part of the file system. Raises RuntimeRefusal."""
        if plan.runtime_class != "microvm":
            raise RuntimeRefusal(
                f"the decision asks for the class {plan.runtime_class!r}; this adapter is microvm only"
            )
        if plan.clock != "real" or plan.randomness != "real":
            raise RuntimeRefusal("a virtual machine has its own clock and randomness; the decision asks for others")
        measured, image = self._measured(), self._image()
        probe = self._found(measured, image)
        if not probe.is_available:
            raise NotAvailable(f"no Firecracker starts here: {probe.reason}")
        place = Place(self._folder / "jails", self._owner, self._held_by(), self._mask)
        return PreparedFirecracker(
            place, measured, plan, artifact, image, gzip.compress(app_archive(artifact, self._folder), 1, mtime=0)
        )

    def clean(self) -> int:
        """End the machines of adapters that are gone, and remove their jails; how many."""
        jails = self._folder / "jails"
        stale = [path for path in jail.place(jails, "-").parent.glob("*-*") if self._owner.is_gone(path.name)]
        for path in stale:
            jail.remove(path)
            self._held_by().remove(path.name)
        self._owner.forget_the_gone()
        return len(stale)

    def _held_by(self) -> cpu.Control:
        return self._control or cpu.control()

    def _image(self) -> Sealed:
        self._sealed = sealed_in(self._image_folder, self._sealed)
        return self._sealed

    def _measured(self) -> Measured:
        """Both programs as copies of our own. Raises NotAvailable, WrongEngine."""
        if platform.machine() != "x86_64":
            raise NotAvailable(f"the image and the checks are for x86-64, this host is {platform.machine()}")
        engine, jailer = self._firecracker.now(), self._jailer.now()
        if lacking := jail.lacking():
            raise NotAvailable(lacking)
        if engine.said.split()[-1] != jailer.said.split()[-1]:
            raise WrongEngine(
                f"{engine.path} is {engine.said}, {jailer.path} is {jailer.said}: both have to be of one release"
            )
        seen = (engine.path, engine.stamp, jailer.path, jailer.stamp)
        if self._copied is None or self._copied[0] != seen:
            self._copied = seen, measured_copies(engine, jailer, self._folder / "programs")
        return self._copied[1]

    def _boot(self, measured: Measured, image: Sealed) -> Probe:
        place = Place(self._folder / "jails", self._owner, self._held_by(), self._mask)
        try:
            with _Machine(place, measured.programs, image, b"", _PROBE_MIB + _KERNEL_MIB, 1, 1.0) as machine:
                took = machine.boot(BOOT_S)
                machine.jail.filter_is_one(machine.process)
            probe = Probe(True, BOUNDARY, f"a kernel booted in {took:.2f} s", measured.said)
        except RuntimeRefusal as error:
            probe = Probe(False, BOUNDARY, str(error), measured.said)
        kept = {"probe": probe._asdict(), "seen_with": _seen_with(measured, image)}
        (self._folder / _KEPT).write_text(json.dumps(kept))
        return probe

    def _found(self, measured: Measured, image: Sealed) -> Probe:
        return self._kept(measured, image) or Probe(
            False, BOUNDARY, "none was booted since this host started: governance runtime doctor", measured.said
        )

    def _kept(self, measured: Measured, image: Sealed) -> Probe | None:
        # What another version of this adapter kept counts as nothing.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads((self._folder / _KEPT).read_text())
            if kept["seen_with"] == _seen_with(measured, image) and kept["probe"]["boundary"] == BOUNDARY:
                return Probe(**kept["probe"])
        return None


class Place(NamedTuple):
    """Where machines are jailed, in whose name, who holds their share of processor time, and what hides in their logs."""

    jails: Path
    owner: Owner
    control: cpu.Control
    mask: Mask


class Measured(NamedTuple):
    """The two programs, what they say they are, and their digests."""

    programs: Programs
    said: str
    digests: dict[str, str]


class PreparedFirecracker:
    """One app's file system, ready to boot under one plan."""

    def __init__(
        self, place: Place, measured: Measured, plan: RuntimePlan, artifact: Artifact, image: Sealed, app: bytes
    ) -> None:
        self._place, self._measured, self._plan, self._artifact, self._image, self._app = (
            place, measured, plan, artifact, image, app,
        )  # fmt: skip

    def start(self, broker: Broker) -> MicrovmInstance:
        """Boot and look at the jail. Raises NotAvailable where anything of it does not hold, or a cap cannot be."""
        caps: Caps = self._plan.caps
        memory_mib = caps.memory_mib + _KERNEL_MIB
        machine = _Machine(
            self._place, self._measured.programs, self._image, self._app, memory_mib, caps.storage_mib, caps.cpu
        )
        try:
            machine.boot(BOOT_S)
            machine.hold()
        except BaseException:
            machine.close()
            raise
        return MicrovmInstance(machine, self._plan, broker, GuestLog(self._place.mask))

    def attest(self) -> Attestation:
        """Both programs, kernel, base and app, each as it was measured before it was handed on."""
        plan = self._plan
        rootfs = f"sha256:{self._artifact.sha256.removeprefix('sha256:')}"
        digests = {**self._measured.digests, **self._image.digests, "rootfs": rootfs}
        return Attestation(
            "firecracker", BOUNDARY, self._measured.said, plan.decision_id, plan.app, plan.tenant,
            digests, dict(plan.caps._asdict()), plan.egress_allow, self._place.control.kind,
        )  # fmt: skip


class _Machine:
    """A jailed Firecracker; its standard input and output are the guest's serial line."""

    engine = jail.FIRECRACKER

    def __init__(
        self,
        place: Place,
        programs: Programs,
        image: Sealed,
        app: bytes,
        memory_mib: int,
        storage_mib: int,
        cores: float,
    ) -> None:
        self._memory_mib, self._storage_mib = memory_mib, storage_mib
        kernel = os.pread(image.kernel.fileno(), os.fstat(image.kernel.fileno()).st_size, 0)
        files = {"kernel": kernel, "initrd": image.base + app}
        # First what would have to be found by its name, were we killed here; no guest runs before `boot`.
        self.jail = jail.Jail(place.jails, jail.name_of(place.owner.new_name()), programs, files, memory_mib)
        try:
            self._group = place.control.group(self.jail.name, cores)
        except RuntimeRefusal:
            self.jail.remove()
            raise
        self.is_held = self._group is not None
        self.popen, self.to_guest, self.from_guest = self.jail.popen, self.jail.to_guest, self.jail.from_guest
        self.process = 0

    def boot(self, seconds: float) -> float:
        """Configure, start, wait for the guest's word, look at the jail; seconds from the start. Raises NotAvailable."""
        api = self.jail.api()
        try:
            self.process = self.jail.process()
            for path, body in _configuration(self._memory_mib, self._storage_mib).items():
                api.put(path, body)
            _compare(api.get("/vm/config"), self._memory_mib, self._storage_mib)
            started = time.monotonic()
            api.put("/actions", {"action_type": "InstanceStart"})
        finally:
            api.close()
        self.jail.drop("kernel", "initrd")
        self.jail.hold(self.process)
        wait_for(READY, self.from_guest, seconds - (time.monotonic() - started), self._ended)
        return time.monotonic() - started

    def hold(self) -> None:
        """From here on the machine runs at its share. Raises NotAvailable."""
        if self._group is not None:
            self._group.add(self.process)

    def kill(self) -> None:
        self.jail.kill()

    def close(self) -> None:
        self.jail.remove()
        if self._group is not None:
            self._group.remove()

    def _ended(self) -> str:
        return "" if self.popen.poll() is None else f"the guest did not come up, Firecracker ended: {self.jail.ended()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _configuration(memory_mib: int, storage_mib: int) -> dict[str, dict[str, object]]:
    """What is told to the engine, in this order: no drive, no network interface, no socket into the guest."""
    return {
        "/machine-config": {"vcpu_count": 1, "mem_size_mib": memory_mib, "smt": False, "track_dirty_pages": False},
        "/boot-source": {
            "kernel_image_path": "/kernel", "initrd_path": "/initrd",
            "boot_args": f"{_KERNEL_LINE} storage={storage_mib}m",
        },
        "/entropy": {},
        "/metrics": {"metrics_path": "/metrics"},
    }  # fmt: skip


def _compare(found: Mapping[str, object], memory_mib: int, storage_mib: int) -> None:
    """What the engine says it will run, against what it was told. Raises NotAvailable."""
    told = _configuration(memory_mib, storage_mib)
    for path, name in (("/machine-config", "machine-config"), ("/boot-source", "boot-source")):
        part = found.get(name)
        if not isinstance(part, dict) or any(part.get(key) != value for key, value in told[path].items()):
            raise NotAvailable(f"Firecracker took {name} for something else than it was told")
    if not isinstance(found.get("entropy"), dict):
        raise NotAvailable("Firecracker took no source of entropy")
    for name in ("drives", "network-interfaces", "vsock", "pmem", "mmds-config", "balloon", "memory-hotplug"):
        if found.get(name):
            raise NotAvailable(f"Firecracker has {name} that it was not told of")


def measured_copies(engine: Engine, jailer: Engine, folder: Path) -> Measured:
    """Copies of both programs, named by their digests, that only this account can write. Raises NotAvailable."""
    try:
        paths, digests = {}, {}
        for name, program in ((jail.FIRECRACKER, engine), (jail.JAILER, jailer)):
            raw = Path(program.path).read_bytes()
            digest = hashlib.sha256(raw).hexdigest()
            paths[name], digests[name] = _copy(raw, folder / digest, name), f"sha256:{digest}"
    except OSError as error:
        raise NotAvailable(f"the programs cannot be copied to {folder}: {error.strerror or error}") from error
    return Measured(jail.Programs(paths[jail.FIRECRACKER], paths[jail.JAILER]), engine.said, digests)


def _copy(raw: bytes, folder: Path, name: str) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / f".{os.getpid()}-{time.monotonic_ns()}"
    made.write_bytes(raw)
    made.chmod(0o555)
    return made.rename(folder / name)


def _seen_with(measured: Measured, image: Sealed) -> dict[str, object]:
    """Other programs, another image or another start of the host: what was seen then says nothing now."""
    return {"boot_id": boot_id(), "image": image.digests, "programs": measured.digests}
