"""The class `microvm`: Firecracker where one was booted on this start of the host, else QEMU, and always the reason.

Nothing is booted to find that out when an app starts: `probe` (`governance runtime doctor`) boots, and what it saw counts
until the host starts again, or a program or the image changes. Once Firecracker was chosen and does not start, the start is
refused; QEMU does not take over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime_adapters.firecracker import FirecrackerAdapter
from runtime_adapters.guest_log import withheld
from runtime_adapters.microvm import MicrovmAdapter

if TYPE_CHECKING:
    from pathlib import Path

    from runtime_adapters.cpu import Control
    from runtime_adapters.plan import RuntimePlan
    from runtime_adapters.port import Artifact, Attestation, Broker, Instance, Mask, Prepared, Probe


class MachinesAdapter:
    """Both engines on one folder, which holds the image that both boot."""

    name = "microvm"

    def __init__(self, folder: Path, control: Control | None = None, mask: Mask = withheld) -> None:
        """`control` holds the cap on processor time; left out: the strongest that works here. `mask`: as for modules."""
        self._firecracker = FirecrackerAdapter(folder, control, mask)
        self._qemu = MicrovmAdapter(folder, control, mask)

    def probe(self) -> Probe:
        """Boot Firecracker, and QEMU where that does not come up."""
        found = self._firecracker.probe()
        if found.is_available:
            return found
        instead = self._qemu.probe()
        return instead._replace(reason=f"{instead.reason}; not Firecracker: {found.reason}")

    def prepare(self, plan: RuntimePlan, artifact: Artifact) -> Chosen:
        """With the engine that the last `probe` chose. Raises RuntimeRefusal."""
        found = self._firecracker.booted()
        if found.is_available:
            return Chosen(self._firecracker.prepare(plan, artifact), f"Firecracker: {found.reason}")
        return Chosen(self._qemu.prepare(plan, artifact), f"QEMU, not Firecracker: {found.reason}")


class Chosen:
    """What one engine prepared, and why it was this one."""

    def __init__(self, prepared: Prepared, why: str) -> None:
        self._prepared, self._why = prepared, why

    def start(self, broker: Broker) -> Instance:
        """As the engine does."""
        return self._prepared.start(broker)

    def attest(self) -> Attestation:
        """As the engine does, with the reason."""
        return self._prepared.attest()._replace(why=self._why)
