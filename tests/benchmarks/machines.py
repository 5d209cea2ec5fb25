"""What the microVM adapter costs: a governed start against QEMU started by hand, booted and back from a snapshot.

    python tests/benchmarks/machines.py [--rounds 7]

By hand is QEMU's `microvm` with the same kernel, base and app and no more than what it takes to hear the guest's first word.
Governed is `prepare` and `start` of the adapter: digests, seals, account, share of processor time, fresh randomness, the app
handed over. All three start by turns; a row is the median of the rounds' ratios, with the smallest and the largest. Needs
Debian's qemu-system-x86 and, for the image, its archive.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from runtime_adapters.microvm import MicrovmAdapter  # noqa: E402
from runtime_adapters.microvm_image import app_archive, build, image_in  # noqa: E402
from runtime_adapters.microvm_machine import QEMU  # noqa: E402
from runtime_adapters.plan import Caps, RuntimePlan  # noqa: E402
from runtime_adapters.port import Artifact, RuntimeRefusal  # noqa: E402
from tests.contract.roots import ECHO, archive  # noqa: E402

CAPS = Caps(cpu=1.0, memory_mib=64, timeout_ms=20_000, storage_mib=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            build(folder)
        except RuntimeRefusal as error:
            print(f"microVMs: not measured, {error}")
            return
        probe = MicrovmAdapter(folder).probe()
        if probe.is_available:
            measure(folder, probe.boundary.removeprefix("vm-"), rounds)
        else:
            print(f"microVMs: not measured, {probe.reason}")


def measure(folder: Path, accelerator: str, rounds: int) -> None:
    path = folder / "rootfs.tar"
    path.write_bytes(archive(ECHO))
    artifact = Artifact(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    initrd = folder / "by-hand.cpio.gz"
    initrd.write_bytes(image_in(folder).base.read_bytes() + gzip.compress(app_archive(artifact, folder)))
    booting, returning = MicrovmAdapter(folder, uses_snapshots=False), MicrovmAdapter(folder)
    governed(returning, artifact)  # the first start of a shape takes the snapshot
    ratios: dict[str, list[float]] = {"booted": [], "back from a snapshot": []}
    for _ in range(rounds):
        plain = by_hand(folder, accelerator, initrd)
        for row, adapter in zip(ratios, (booting, returning), strict=True):
            ratios[row].append(governed(adapter, artifact) / plain)
    print(f"microVM start ({accelerator}) / QEMU by hand, wall")
    for row, found in ratios.items():
        print(f"  {row:<21} {statistics.median(found):.2f} ({min(found):.2f}-{max(found):.2f})")


def governed(adapter: MicrovmAdapter, artifact: Artifact) -> float:
    """Seconds until the app may be called."""
    started = time.perf_counter()
    plan = RuntimePlan("lunch", "marketing", "id-1", "microvm", CAPS, ())
    instance = adapter.prepare(plan, artifact).start(lambda _raw, _left: b"{}")
    took = time.perf_counter() - started
    try:
        if instance.call(b"one").output != b"one":
            raise SystemExit("a governed machine does not answer")
    finally:
        instance.stop()
    return took


def by_hand(folder: Path, accelerator: str, initrd: Path) -> float:
    """Seconds until the guest's first word."""
    started = time.perf_counter()
    command = [
        QEMU, "-M", "microvm,isa-serial=on,pit=on,pic=on,rtc=off,acpi=off,x-option-roms=off", "-accel", accelerator,
        "-cpu", "host" if accelerator == "kvm" else "max", "-m", "176", "-kernel", str(image_in(folder).kernel),
        "-initrd", str(initrd), "-append", "quiet loglevel=0 no_timer_check tsc=reliable reboot=t panic=-1 storage=4m",
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as machine:
        try:
            for line in machine.stdout or ():
                if line.strip().endswith(b"READY"):
                    return time.perf_counter() - started
        finally:
            machine.kill()
    raise SystemExit("QEMU by hand did not come up")


if __name__ == "__main__":
    main()
