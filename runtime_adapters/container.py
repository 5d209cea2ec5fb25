"""Containers behind gVisor: `runsc`, whose kernel is a process of its own, so that an app never speaks to the host's.

Rootless, no network, read-only root, all capabilities dropped, a small `/tmp` in memory. What the rootless form cannot
limit is watched from outside: wall clock and memory of the whole sandbox; who is over is killed, and its state removed.
An artifact is a tar archive of a root file system with the program `/app/run`.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime_adapters import gvisor
from runtime_adapters.pipe import Talk
from runtime_adapters.port import Artifact, Attestation, NotAvailable, Outcome, Probe, RuntimeRefusal, Usage
from runtime_adapters.rootfs import unpacked

if TYPE_CHECKING:
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Broker

COMMAND = "/app/run"
"""What a root file system has to have; it is started without arguments and speaks the protocol of `pipe`."""
_PROBE_S = 20.0
_LOOK_S = 0.05
_LONGEST_LOG = 16 << 10
# The sandbox's own kernel needs this much before the app has anything.
_KERNEL_MIB = 64


class ContainerAdapter:
    """Runs root file systems below gVisor. `folder` holds unpacked roots and the state of running sandboxes."""

    name = "container"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("roots", "state", "bundles"):
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._probed: Probe | None = None

    def probe(self) -> Probe:
        """Start a sandbox whose only program is missing: gVisor has to get as far as saying so."""
        if self._probed is None:
            self._probed = self._boot()
        return self._probed

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> PreparedRoot:
        """Compare the digest and unpack. Raises NotAvailable, NotWhatWasDecided, BadArtifact."""
        if plan.runtime_class != "container":
            raise RuntimeRefusal(
                f"the decision asks for the class {plan.runtime_class!r}; this adapter is container only"
            )
        probe = self.probe()
        if not probe.is_available:
            raise NotAvailable(f"gVisor does not start here: {probe.reason}")
        return PreparedRoot(self._folder, plan, artifact, unpacked(artifact, self._folder / "roots"), probe)

    def clean(self) -> int:
        """Remove what sandboxes of processes that are gone left behind; how many."""
        stale = [path for path in (self._folder / "bundles").iterdir() if not gvisor.is_alive(path.name)]
        for path in stale:
            gvisor.delete(self._folder, path.name)
        return len(stale)

    def _boot(self) -> Probe:
        if shutil.which(gvisor.RUNSC) is None:
            return Probe(False, "gvisor", f"there is no {gvisor.RUNSC} on the path (Debian: apt-get install runsc)", "")
        engine = subprocess.run([gvisor.RUNSC, "--version"], capture_output=True, text=True, check=False).stdout.split(
            "\n"
        )[0]
        with tempfile.TemporaryDirectory() as root:
            bundle = gvisor.bundle(self._folder, Path(root), ["/no-such-program"], memory_mib=64, storage_mib=1)
            try:
                done = subprocess.run(
                    gvisor.command(self._folder, bundle), capture_output=True, text=True, timeout=_PROBE_S, check=False
                )
            except subprocess.TimeoutExpired:
                return Probe(False, "gvisor", f"no answer within {_PROBE_S:g} s", engine)
            finally:
                gvisor.delete(self._folder, bundle.name)
        said = " ".join((done.stderr + done.stdout).split())
        is_there = "no-such-program" in said
        return Probe(is_there, "gvisor", "a sandbox was started" if is_there else said[-300:], engine)


class PreparedRoot:
    """One unpacked root file system under one plan."""

    def __init__(self, folder: Path, plan: RuntimePlan, artifact: Artifact, root: Path, probe: Probe) -> None:
        self._folder, self._plan, self._artifact, self._root, self._probe = folder, plan, artifact, root, probe

    def start(self, broker: Broker) -> ContainerInstance:
        """Start the sandbox; the app may take its time until the first call."""
        caps = self._plan.caps
        bundle = gvisor.bundle(
            self._folder, self._root, [COMMAND], memory_mib=caps.memory_mib, storage_mib=caps.storage_mib
        )
        return ContainerInstance(self._folder, bundle, self._plan, broker)

    def attest(self) -> Attestation:
        """The digest of the archive that was unpacked."""
        plan = self._plan
        return Attestation(
            "container", "gvisor", self._probe.engine, plan.decision_id, plan.app, plan.tenant,
            {"rootfs": f"sha256:{self._artifact.sha256}"}, dict(plan.caps._asdict()), plan.egress_allow,
        )  # fmt: skip


class ContainerInstance:
    """One running sandbox."""

    def __init__(self, folder: Path, bundle: Path, plan: RuntimePlan, broker: Broker) -> None:
        self._folder, self._bundle, self._plan = folder, bundle, plan
        self._over = ""
        self._peak_mib = 0.0
        self._log = bytearray()
        self._usage = Usage(0, 0, 0.0, 0.0, 0, 0)
        self._process = subprocess.Popen(
            gvisor.command(folder, bundle), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
        stdin, stdout, stderr = self._process.stdin, self._process.stdout, self._process.stderr
        if stdin is None or stdout is None or stderr is None:  # cannot be: all three are pipes
            raise RuntimeRefusal("the sandbox has no pipes")
        self._talk = Talk(stdin.fileno(), stdout.fileno(), broker, lambda: self._over)
        threading.Thread(target=self._watch, daemon=True).start()
        threading.Thread(target=self._read_log, args=(stderr,), daemon=True).start()

    def call(self, request: bytes) -> Outcome:
        """One call; an app that did not come to its end in time is gone, and the instance with it."""
        if self._over:
            return Outcome("exit", b"", self._logged(), self._over.partition(":")[2].strip())
        talked = self._talk.call(request, self._plan.caps.timeout_ms / 1000)
        used = self._usage
        self._usage = Usage(
            used.calls + 1, 0, self._cpu_ms(), self._peak_mib,
            used.egress_calls + talked.egress_calls, used.egress_bytes + talked.egress_bytes,
        )  # fmt: skip
        if talked.status != "done":
            self._over = self._over or "exit: it was stopped in an earlier call"
            self.stop()
        return Outcome(talked.status, talked.output, self._logged(), talked.detail)

    def observe(self) -> Usage:
        """Memory is the whole sandbox's, its kernel included."""
        return self._usage

    def stop(self) -> None:
        """Kill everything of this sandbox and remove its state."""
        self._over = self._over or "exit: the instance was stopped"
        gvisor.kill(self._bundle.name, self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        gvisor.delete(self._folder, self._bundle.name)

    def _watch(self) -> None:
        """The limit that rootless sandboxes do not have: memory of all its processes together."""
        limit = self._plan.caps.memory_mib + _KERNEL_MIB
        while self._process.poll() is None and not self._over:
            used = sum(gvisor.resident_mib(process) for process in gvisor.processes(self._bundle.name))
            self._peak_mib = max(self._peak_mib, used)
            if used > limit:
                self._over = f"memory: more than {self._plan.caps.memory_mib} MiB"
                gvisor.kill(self._bundle.name, self._process.pid)
                return
            time.sleep(_LOOK_S)

    def _read_log(self, stderr: Any) -> None:
        with contextlib.suppress(ValueError, OSError):
            while data := stderr.read(4096):
                self._log += data[: max(0, _LONGEST_LOG - len(self._log))]

    def _logged(self) -> str:
        return self._log.decode("utf-8", "replace")

    def _cpu_ms(self) -> float:
        used = sum(gvisor.cpu_ms(process) for process in gvisor.processes(self._bundle.name))
        return max(self._usage.cpu_ms, used)
