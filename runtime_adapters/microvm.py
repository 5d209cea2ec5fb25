"""MicroVMs: QEMU's `microvm` machine without a network card, one serial line to the broker, everything in memory.

With KVM where a guest really boots on it, by emulation elsewhere; the boundary says which (`vm-kvm`, `vm-tcg`). That
`/dev/kvm` is there proves nothing: on some hosts a kernel hangs on it, so the probe boots one and waits for its word.

A machine boots, parks before it knows of any app, and is kept as a snapshot; from then on machines of its shape come back
from that, where the probe saw one come back (`microvm_snapshots`). Elsewhere each boots. Either way it is handed fresh
randomness, the time, a name and its app, and says that it took them, before the app runs (`microvm_guest`).

The artifact is the same archive that the container adapter takes. It is unpacked into the guest's memory; nothing of the
host's disk is attached, and nothing the guest writes outlives it. From its first word on a guest runs at its share of
processor time (`cpu`). A machine ends with the thread that booted it; one that did not is ended by the next adapter.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import IO, TYPE_CHECKING, NamedTuple

from runtime_adapters import cpu, engines, microvm_guest, processes
from runtime_adapters.engines import Program
from runtime_adapters.microvm_image import NO_FILES, Sealed, app_archive, boot_id, image_in, sealed_in
from runtime_adapters.microvm_machine import Machine, Place, Shape, memory_for
from runtime_adapters.microvm_snapshots import BOOT_S, Snapshots
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
    from runtime_adapters.microvm_snapshots import Snapshot
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker

QEMU = "qemu-system-x86_64"
_KVM_BOOT_S = 15.0
_COME_BACK_S = 30.0
_LOOK_S = 0.05
# The oldest that this adapter was tried on.
_VERSION, _LEAST = r"version (\d+)\.(\d+)", (7, 2)
_PROBED_MIB = 64


class _Seen(NamedTuple):
    """What a probe found."""

    probe: Probe
    comes_back: bool
    """Whether a machine came back from a snapshot here."""


class MicrovmAdapter:
    """Boots apps as virtual machines. `folder` holds the image that `governance runtime build-image` made."""

    name = "microvm"

    def __init__(self, folder: Path, control: cpu.Control | None = None, *, uses_snapshots: bool = True) -> None:
        """`control` holds the cap on processor time; left out: the strongest that works here."""
        self._folder = folder
        self._running = folder / "running"
        self._running.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._control, self._uses_snapshots = control, uses_snapshots
        self._program = Program(QEMU, "qemu-system-x86", _VERSION, _LEAST)
        self._seen: tuple[Engine, _Seen] | None = None
        self._sealed: Sealed | None = None
        self._snapshots = Snapshots(folder / "snapshots")
        self._owner = Owner(folder / "owners")
        self.clean()

    def probe(self) -> Probe:
        """Boot the image without an app, with KVM and then without; what was found is kept until the host restarts."""
        try:
            return self._probe(self._program.now()).probe
        except RuntimeRefusal as error:
            return Probe(False, "vm", str(error), "")

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedMachine:
        """Compare the digest and make the app's part of the file system. Raises RuntimeRefusal."""
        if plan.runtime_class != "microvm":
            raise RuntimeRefusal(
                f"the decision asks for the class {plan.runtime_class!r}; this adapter is microvm only"
            )
        engine = self._program.now()
        seen = self._probe(engine)
        if not seen.probe.is_available:
            raise NotAvailable(f"no virtual machine starts here: {seen.probe.reason}")
        image = self._sealed = sealed_in(self._folder, self._sealed)
        archive, place = app_archive(artifact, self._folder), self._place(engine)
        shape = Shape(
            seen.probe.boundary.removeprefix("vm-"), plan.caps.memory_mib, microvm_guest.region_for(len(archive))
        )
        snapshot = self._snapshots.of(place, engine, image, shape) if seen.comes_back and self._uses_snapshots else None
        memory = self._snapshots.with_app(snapshot, artifact.sha256, archive) if snapshot is not None else None
        parts = _Parts(place, shape, image, archive, snapshot, memory)
        return PreparedMachine(parts, plan, artifact, seen.probe)

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
        return Place(engine.path, self._running, self._owner, self._held_by())

    def _probe(self, engine: Engine) -> _Seen:
        if self._seen is None or self._seen[0] != engine:
            self._seen = engine, self._kept(engine) or self._boot(engine)
        seen = self._seen[1]
        if not seen.probe.is_available:
            return seen
        return seen._replace(
            probe=seen.probe._replace(reason=f"{seen.probe.reason}; cpu is held by {self._held_by().kind}")
        )

    def _boot(self, engine: Engine) -> _Seen:
        try:
            image = self._sealed = sealed_in(self._folder, self._sealed)
        except NotAvailable as error:
            return _Seen(Probe(False, "vm", str(error), engine.said), comes_back=False)
        reasons = []
        for accelerator, seconds in (("kvm", _KVM_BOOT_S), ("tcg", BOOT_S)):
            shape = Shape(accelerator, _PROBED_MIB, microvm_guest.region_for(0))
            parts = _Parts(self._place(engine), shape, image, NO_FILES, None, None)
            try:
                took = self._booted(parts, seconds)
            except RuntimeRefusal as error:
                reasons.append(f"{accelerator}: {error}")
                continue
            comes_back, said = self._comes_back(parts, engine)
            reason = f"a kernel booted in {took:.1f} s{said}"
            seen = _Seen(Probe(True, f"vm-{accelerator}", reason, engine.said), comes_back)
            self._keep(seen, engine)
            return seen
        return _Seen(Probe(False, "vm", "; ".join(reasons), engine.said), comes_back=False)

    def _booted(self, parts: _Parts, seconds: float) -> float:
        with memory_for(parts.shape, parts.archive) as memory, parts.machine(memory, cores=1.0) as machine:
            return machine.park(seconds) + machine.hand_over(1, len(parts.archive), seconds)

    def _comes_back(self, parts: _Parts, engine: Engine) -> tuple[bool, str]:
        """Whether a machine comes back from a snapshot, by having one come back; and what to tell."""
        try:
            snapshot = self._snapshots.of(parts.place, engine, parts.image, parts.shape)
            memory = self._snapshots.with_app(snapshot, "", parts.archive)
            started = time.monotonic()
            with parts._replace(snapshot=snapshot, memory=memory).started(1, 1.0):
                return True, f", came back from its snapshot in {time.monotonic() - started:.2f} s"
        except RuntimeRefusal as error:
            return False, f"; each machine boots, none came back from a snapshot: {error}"

    def _kept(self, engine: Engine) -> _Seen | None:
        # What another version of this adapter kept counts as nothing.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            kept = json.loads((self._folder / "probe.json").read_text())
            if kept["seen_with"] == self._seen_with(engine):
                return _Seen(Probe(**kept["probe"]), bool(kept["comes_back"]))
        return None

    def _keep(self, seen: _Seen, engine: Engine) -> None:
        about = {"probe": seen.probe._asdict(), "comes_back": seen.comes_back, "seen_with": self._seen_with(engine)}
        (self._folder / "probe.json").write_text(json.dumps(about))

    def _seen_with(self, engine: Engine) -> dict[str, object]:
        """Another program, another image or another start of the host: what was seen then says nothing now."""
        return {"boot_id": boot_id(), "image": image_in(self._folder).digests(), "engine": [engine.path, engine.stamp]}


class _Parts(NamedTuple):
    """What a machine is made of."""

    place: Place
    shape: Shape
    image: Sealed
    archive: bytes
    snapshot: Snapshot | None
    """None: it boots."""
    memory: IO[bytes] | None
    """The snapshot's, with the archive in it."""

    def machine(self, memory: IO[bytes], *, cores: float, is_copy: bool = False) -> Machine:
        """Not yet handed its app."""
        return Machine(self.place, self.shape, memory, self.image, cores=cores, is_copy=is_copy)

    def started(self, storage_mib: int, cores: float) -> Machine:
        """A machine whose app may be called. Raises NotAvailable."""
        if self.snapshot is None or self.memory is None:
            with memory_for(self.shape, self.archive) as memory:  # QEMU has its own descriptor of it
                machine = self.machine(memory, cores=cores)
        else:
            machine = self.machine(self.memory, cores=cores, is_copy=True)
        try:
            if self.snapshot is None:
                machine.park(BOOT_S)
            else:
                machine.come_back(self.snapshot.state)
            machine.hand_over(storage_mib, len(self.archive), BOOT_S if self.snapshot is None else _COME_BACK_S)
            machine.hold()
        except RuntimeRefusal:
            machine.close()
            raise
        return machine


class PreparedMachine:
    """One app's file system, ready to start under one plan."""

    def __init__(self, parts: _Parts, plan: RuntimePlan, artifact: Artifact, probe: Probe) -> None:
        self._parts, self._plan, self._artifact, self._probe = parts, plan, artifact, probe

    def start(self, broker: Broker) -> MicrovmInstance:
        """Come back from the attested snapshot, or boot where none is used; neither is tried in the other's place.

        Raises NotAvailable, also where a cap cannot be held.
        """
        caps = self._plan.caps
        return MicrovmInstance(self._parts.started(caps.storage_mib, caps.cpu), self._plan, broker)

    def attest(self) -> Attestation:
        """Kernel, base, app, and the snapshot where one is used, each as it was measured before a machine got it."""
        plan, snapshot = self._plan, self._parts.snapshot
        digests = {**self._parts.image.digests, "rootfs": f"sha256:{self._artifact.sha256.removeprefix('sha256:')}"}
        digests |= snapshot.digests if snapshot is not None else {}
        return Attestation(
            "microvm", self._probe.boundary, self._probe.engine, plan.decision_id, plan.app, plan.tenant,
            digests, dict(plan.caps._asdict()), plan.egress_allow, self._parts.place.control.kind,
        )  # fmt: skip


class MicrovmInstance:
    """One running machine."""

    def __init__(self, machine: Machine, plan: RuntimePlan, broker: Broker) -> None:
        self._machine, self._plan = machine, plan
        self._over = ""
        self._talk = Talk(machine.to_guest, machine.from_guest, broker, lambda: self._over)
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        if not machine.is_held:
            # What the boot took is not the app's.
            booted_s = max(0.0, processes.cpu_ms([machine.process])) / 1000
            self._budget = cpu.budget_of(plan.caps, booted_s)
            threading.Thread(target=self._watch, daemon=True).start()

    def call(self, request: bytes) -> Outcome:
        """One call; a guest that did not come to its end in time is gone, and the machine with it."""
        if self._over:
            return Outcome("exit", b"", "", self._over.partition(":")[2].strip())
        talked = self._talk.call(request, self._plan.caps.timeout_ms / 1000)
        if talked.status == "exit":
            talked = engines.killed_or(talked, self._machine.popen, QEMU)
        used, process = self._usage, self._machine.process
        self._usage = Usage(
            used.calls + 1, 0, max(used.cpu_ms, processes.cpu_ms([process])),
            max(used.memory_peak_mib, processes.resident_mib(process)),
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
