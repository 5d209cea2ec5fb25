"""Folders with the image that virtual machines boot: made and probed once a run, as one host's folder is.

A probe tries KVM first and gives a kernel its time to speak: on hosts where none does, every folder of its own would wait for
that again. What it found lies beside the image and says which image, engine and start of the host it was found with; the
adapter compares that itself, here as anywhere.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from runtime_adapters import jail
from runtime_adapters.firecracker import FirecrackerAdapter
from runtime_adapters.microvm import QEMU, MicrovmAdapter
from runtime_adapters.microvm_image import build
from runtime_adapters.port import NotAvailable

NEEDS_QEMU = pytest.mark.skipif(
    shutil.which(QEMU) is None or shutil.which("apt-get") is None,
    reason="needs Debian's qemu-system-x86 and apt-get: apt-get install qemu-system-x86 busybox-static",
)
NEEDS_FIRECRACKER = pytest.mark.skipif(
    any(shutil.which(program) is None for program in (jail.FIRECRACKER, jail.JAILER))
    or shutil.which("apt-get") is None
    or os.geteuid() != 0,
    reason="needs firecracker and jailer of one release on the path, root, and apt-get",
)


def machine_folder(tmp_path_factory, into: Path | None = None) -> Path:
    """A folder, a new one where none is given, with the image and what a probe found. Skips where there can be no image."""
    folder = into or tmp_path_factory.mktemp("microvm")
    folder.mkdir(exist_ok=True)
    for path in _shared(tmp_path_factory).iterdir():
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    return folder


def firecracker_folder(tmp_path_factory, into: Path | None = None) -> Path:
    """The same where Firecracker boots the image; skips where it does not, saying what the probe saw."""
    folder = machine_folder(tmp_path_factory, into)
    probe = FirecrackerAdapter(folder).probe()
    if not probe.is_available:
        pytest.skip(f"Firecracker boots nothing here: {probe.reason}")
    return folder


def _shared(tmp_path_factory) -> Path:
    """One of this run's, whichever worker comes first."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    shared, unfinished = root / "image-of-this-run", root / "image-of-this-run.unfinished"
    with (root / "image-of-this-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                build(unfinished)
            except NotAvailable as error:
                pytest.skip(f"no image: {error}")
            if shutil.which(QEMU) is not None:
                MicrovmAdapter(unfinished).probe()
            unfinished.rename(shared)
    return shared
