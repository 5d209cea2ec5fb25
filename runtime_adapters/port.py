"""The port that every adapter stands behind, and the words it uses.

Order of events for one app: `probe` (does this boundary really work here?), `prepare` (what runs is what was decided on:
digests are compared, code is compiled), `start`, any number of `call`, `observe`, `stop`. `attest` says what was started.

An adapter carries out a `RuntimePlan` and decides nothing. What it cannot enforce it refuses; a boundary that the host
lacks is never replaced by a weaker one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime_adapters.plan import RuntimePlan

    Broker = Callable[[bytes, float], bytes]
    """The only way out: a JSON request and the seconds left in, a JSON answer out. It keeps to its time by itself."""

    Mask = Callable[[str], Iterable[tuple[int, int, str]]]
    """Where in a log is what must not be seen, and what it is: (start, end, word). What it raises withholds the log."""


class RuntimeRefusal(Exception):
    """Nothing was started; `code` is stable, the text says what to do."""

    code = "runtime_refused"


class NotAvailable(RuntimeRefusal):
    """This host does not have the boundary that the plan asks for."""

    code = "runtime_not_available"


class WrongEngine(NotAvailable):
    """The engine is there in a version that the adapter was never tried on."""

    code = "runtime_wrong_version"


class NotWhatWasDecided(RuntimeRefusal):
    """A digest differs from the one the decision was about."""

    code = "digest_mismatch"


class BadArtifact(RuntimeRefusal):
    """The artifact is not something that this adapter may run."""

    code = "artifact_refused"


class Probe(NamedTuple):
    """What a host can do, found out by booting."""

    is_available: bool
    boundary: str
    """How strong it is, in one word of the platform: wasm, gvisor, vm-kvm, vm-tcg."""
    reason: str
    """Why not, or what was seen."""
    engine: str
    """Name and version of the engine."""


class Usage(NamedTuple):
    """What an instance has used so far; the unit of billing."""

    calls: int
    fuel: int
    """Instructions of the engine's own counting; 0 where it counts none."""
    cpu_ms: float
    memory_peak_mib: float
    egress_calls: int
    egress_bytes: int
    memory_mib_s: float = 0.0
    """MiB times seconds, where the adapter can tell them."""


class Outcome(NamedTuple):
    """What one call came to. Everything but `done` means that the guest was stopped, and `output` is empty."""

    status: str
    """done | timeout | fuel | memory | output | trap | exit | broker | killed (a SIGKILL that was none of ours)"""
    output: bytes
    """What the guest answered, at most the plan's output cap."""
    log: str
    """What it wrote to its log, masked and cut to a few KiB (`guest_log`)."""
    detail: str
    """For a person: what stopped it."""


class Artifact(NamedTuple):
    """Code to run, with the digest that Git and the decision name."""

    path: str
    sha256: str
    """Hex, without a prefix."""


class Attestation(NamedTuple):
    """What was started, measured by this host. It is not remote attestation: whoever owns the host can lie."""

    adapter: str
    boundary: str
    engine: str
    decision_id: str
    app: str
    tenant: str
    digests: dict[str, str]
    """Name of a part (module, kernel, initrd, rootfs) to `sha256:…`."""
    caps: dict[str, float]
    egress_allow: tuple[str, ...]
    cpu_held_by: str
    """fuel | cgroup-v2 | cgroup-v1 | watchdog: who keeps the cap on processor time."""
    clock: str = "real"
    """What the app sees of time, in the plan's words; a machine and a container have clocks of their own."""
    randomness: str = "real"
    why: str = ""
    """Why this engine, where a class has more than one."""


class Instance(Protocol):
    """One running app; belongs to the thread that started it."""

    def call(self, request: bytes) -> Outcome:
        """Hand `request` to the app and wait, at most the plan's time cap."""

    def observe(self) -> Usage:
        """What was used so far."""

    def stop(self) -> None:
        """End it and leave nothing behind; may be called twice."""


class Adapter(Protocol):
    """One engine."""

    name: str

    def probe(self) -> Probe:
        """Boot something small and see; never by looking for a device or a file. The answer may be kept per boot."""

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> Prepared:
        """Check the digest and get the code ready. Raises RuntimeRefusal."""


class Prepared(Protocol):
    """Code that was checked and is ready to start under one plan."""

    def start(self, broker: Broker) -> Instance:
        """An instance. Raises RuntimeRefusal."""

    def attest(self) -> Attestation:
        """What `start` starts."""
