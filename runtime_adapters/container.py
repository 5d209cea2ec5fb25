"""Containers behind gVisor: `runsc`, whose kernel is a process of its own, so that an app never speaks to the host's.

Rootless, no network, read-only root, all capabilities dropped, a small `/tmp` in memory. What the rootless form cannot
limit is held or watched from outside: processor time (`cpu`), wall clock and memory of the whole sandbox; who is over is
killed, and its state removed. What an adapter left behind that was killed itself is removed when the next one is made.
An artifact is a tar archive of a root file system, or an OCI image layout (`image_layout`), with the program `/app/run`.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime_adapters import cpu, engines, gvisor, processes
from runtime_adapters.engines import Program
from runtime_adapters.guest_log import GuestLog, withheld
from runtime_adapters.image_layout import is_layout, unpacked_image
from runtime_adapters.owners import Owner
from runtime_adapters.pipe import Talk
from runtime_adapters.port import Artifact, Attestation, NotAvailable, Outcome, Probe, RuntimeRefusal, Usage
from runtime_adapters.rootfs import unpacked

if TYPE_CHECKING:
    from runtime_adapters.engines import Engine
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker, Mask

COMMAND = "/app/run"
"""What a root file system has to have; it is started without arguments and speaks the protocol of `pipe`."""
_PROBE_S = 20.0
_LOOK_S = 0.05
# The sandbox's own kernel needs this much before the app has anything.
_KERNEL_MIB = 64
_KERNEL_START_S = 1.0
# The oldest that this adapter was tried on, by the day in its version.
_VERSION, _LEAST = r"version \D*(?:0\.0~)?(20\d{6})", (20221219,)


class ContainerAdapter:
    """Runs root file systems below gVisor. `folder` holds unpacked roots and the state of running sandboxes."""

    name = "container"

    def __init__(self, folder: Path, control: cpu.Control | None = None, mask: Mask = withheld) -> None:
        """`control` holds the cap on processor time; left out: the strongest that works here. `mask`: as for modules."""
        self._folder = folder
        for part in ("roots", "state", "bundles"):
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._control, self._mask = control, mask
        self._program = Program(gvisor.RUNSC, "runsc", _VERSION, _LEAST)
        self._probed: tuple[Engine, Probe] | None = None
        self._owner = Owner(folder / "owners")
        self.clean()

    def probe(self) -> Probe:
        """Start a sandbox whose only program is missing: gVisor has to get as far as saying so."""
        try:
            return self._probe(self._program.now())
        except RuntimeRefusal as error:
            return Probe(False, "gvisor", str(error), "")

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedRoot:
        """Compare the digest and unpack. Raises NotAvailable, WrongEngine, NotWhatWasDecided, BadArtifact."""
        if plan.runtime_class != "container":
            raise RuntimeRefusal(
                f"the decision asks for the class {plan.runtime_class!r}; this adapter is container only"
            )
        probe = self._probe(self._program.now())
        if not probe.is_available:
            raise NotAvailable(f"gVisor does not start here: {probe.reason}")
        root = (unpacked_image if is_layout(artifact.path) else unpacked)(artifact, self._folder / "roots")
        return PreparedRoot(Place(self._folder, self._owner, self._held_by(), self._mask), plan, artifact, root, probe)

    def clean(self) -> int:
        """Remove what sandboxes of adapters that are gone left behind; how many."""
        stale = [path for path in (self._folder / "bundles").iterdir() if self._owner.is_gone(path.name)]
        for path in stale:
            processes.kill(processes.with_descendants(processes.named(path.name)))
            self._held_by().remove(path.name)
            gvisor.delete(self._folder, path.name)
        self._owner.forget_the_gone()
        return len(stale)

    def _held_by(self) -> cpu.Control:
        return self._control or cpu.control()

    def _probe(self, engine: Engine) -> Probe:
        if self._probed is None or self._probed[0] != engine:
            self._probed = engine, self._boot(engine)
        return self._probed[1]

    def _boot(self, engine: Engine) -> Probe:
        with tempfile.TemporaryDirectory() as root:
            path = self._folder / "bundles" / self._owner.new_name()
            bundle = gvisor.bundle(path, Path(root), ["/no-such-program"], memory_mib=64, storage_mib=1)
            try:
                done = subprocess.run(
                    gvisor.command(self._folder, bundle), capture_output=True, text=True, timeout=_PROBE_S, check=False
                )
            except subprocess.TimeoutExpired:
                return Probe(False, "gvisor", f"no answer within {_PROBE_S:g} s", engine.said)
            finally:
                gvisor.delete(self._folder, bundle.name)
        said = " ".join((done.stderr + done.stdout).split())
        if "no-such-program" not in said:
            return Probe(False, "gvisor", said[-300:], engine.said)
        return Probe(True, "gvisor", f"a sandbox was started; cpu is held by {self._held_by().kind}", engine.said)


class Place(NamedTuple):
    """Where sandboxes are kept, in whose name, who holds their share of processor time, and what no log may show."""

    folder: Path
    owner: Owner
    control: cpu.Control
    mask: Mask


class PreparedRoot:
    """One unpacked root file system under one plan."""

    def __init__(self, place: Place, plan: RuntimePlan, artifact: Artifact, root: Path, probe: Probe) -> None:
        self._place, self._plan, self._artifact, self._root, self._probe = place, plan, artifact, root, probe

    def start(self, broker: Broker) -> ContainerInstance:
        """Start the sandbox; the app may take its time until the first call. Raises NotAvailable where a cap cannot be held."""
        return ContainerInstance(self._place, self._root, self._plan, broker)

    def attest(self) -> Attestation:
        """The digest of the archive or image that was unpacked."""
        plan = self._plan
        return Attestation(
            "container", "gvisor", self._probe.engine, plan.decision_id, plan.app, plan.tenant,
            {"rootfs": f"sha256:{self._artifact.sha256.removeprefix('sha256:')}"}, dict(plan.caps._asdict()), plan.egress_allow,
            self._place.control.kind,
        )  # fmt: skip


class ContainerInstance:
    """One running sandbox."""

    def __init__(self, place: Place, root: Path, plan: RuntimePlan, broker: Broker) -> None:
        self._folder, self._plan = place.folder, plan
        self._over = ""
        self._peak_mib = 0.0
        self._log = GuestLog(place.mask)
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        caps, self.name = plan.caps, place.owner.new_name()
        bundle = gvisor.bundle(
            place.folder / "bundles" / self.name, root, [COMMAND], memory_mib=caps.memory_mib, storage_mib=caps.storage_mib
        )  # fmt: skip
        try:
            self._group = place.control.group(self.name, caps.cpu)
        except NotAvailable:
            gvisor.delete(place.folder, self.name)
            raise
        self._budget = None if self._group else cpu.budget_of(caps, _KERNEL_START_S)
        before = [*(self._group.entering() if self._group else []), *processes.dying_with_us()]
        self._process = subprocess.Popen(
            [*before, *gvisor.command(place.folder, bundle)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, bufsize=0, start_new_session=True,
        )  # fmt: skip
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        if stdin is None or stdout is None or stderr is None:  # cannot be: all three are pipes
            raise RuntimeRefusal("the sandbox has no pipes")
        self._talk = Talk(stdin.fileno(), stdout.fileno(), broker, lambda: self._over, self._log)
        threading.Thread(target=self._watch, daemon=True).start()
        threading.Thread(target=self._read_log, args=(stderr,), daemon=True).start()

    def call(self, request: bytes) -> Outcome:
        """One call; an app that did not come to its end in time is gone, and the instance with it."""
        if self._over:
            return Outcome("exit", b"", self._log.taken(), self._over.partition(":")[2].strip())
        talked = self._talk.call(request, self._plan.caps.timeout_ms / 1000)
        if talked.status == "exit":
            talked = engines.killed_or(talked, self._process, gvisor.RUNSC)
        used = self._usage
        self._usage = Usage(
            used.calls + 1, 0, self._cpu_ms(), self._peak_mib,
            used.egress_calls + talked.egress_calls, used.egress_bytes + talked.egress_bytes,
        )  # fmt: skip
        if talked.status != "done":
            self._over = self._over or "exit: it was stopped in an earlier call"
            self.stop()
        return Outcome(talked.status, talked.output, self._log.taken(is_over=bool(self._over)), talked.detail)

    def observe(self) -> Usage:
        """Memory is the whole sandbox's, its kernel included."""
        return self._usage

    def stop(self) -> None:
        """Kill everything of this sandbox and remove its state."""
        self._over = self._over or "exit: the instance was stopped"
        processes.kill(self._processes(), self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        gvisor.delete(self._folder, self.name)
        if self._group is not None:
            self._group.remove()

    def _watch(self) -> None:
        """The limits that rootless sandboxes do not have, over all processes together."""
        while self._process.poll() is None and not self._over:
            over = self._too_much()
            if over and self._process.poll() is None:
                self._over = self._over or over
                processes.kill(self._processes(), self._process.pid)
                return
            time.sleep(_LOOK_S)

    def _too_much(self) -> str:
        used = sum(processes.resident_mib(process) for process in processes.named(self.name))
        self._peak_mib = max(self._peak_mib, used)
        if used > self._plan.caps.memory_mib + _KERNEL_MIB:
            return f"memory: more than {self._plan.caps.memory_mib} MiB"
        return cpu.overdrawn(self._budget, self._processes(), self._plan.caps) if self._budget else ""

    def _read_log(self, stderr: Any) -> None:
        with contextlib.suppress(ValueError, OSError):
            while data := stderr.read(4096):
                self._log.write(data)

    def _cpu_ms(self) -> float:
        return max(self._usage.cpu_ms, processes.cpu_ms(self._processes()))

    def _processes(self) -> list[int]:
        """Without the leader once it was waited for: its number may be somebody else's by then."""
        leader = [self._process.pid] if self._process.poll() is None else []
        return processes.with_descendants([*processes.named(self.name), *leader])
