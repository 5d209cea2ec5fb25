"""Snapshots of parked machines: made here, kept for this account alone, measured before a machine comes back from one.

One belongs to one start of this host, one QEMU, one image and one shape of machine; anything else has a snapshot of its
own. It was taken before the machine knew of any app, so it holds no code and no data of anybody's. What is measured is a
copy in sealed memory, and copies of the machine come from that: whatever the files become, it stays what was measured.

A file that is not what was written down is a refusal with its name. One that cannot be written (a full disk) costs the next
process a boot.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, TypeVar

from runtime_adapters.microvm_image import boot_id, seal
from runtime_adapters.microvm_machine import Machine, lay, memory_for, write_at
from runtime_adapters.port import NotWhatWasDecided

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime_adapters.engines import Engine
    from runtime_adapters.microvm_image import Sealed
    from runtime_adapters.microvm_machine import Place, Shape

BOOT_S = 60.0
_BLOCK = 64 << 10
_LARGEST_STATE = 64 << 20
# Each holds the memory that a kernel took while it booted, about 80 MiB, on disk and again where it is in use.
_MOST_KEPT = 4


_K = TypeVar("_K")
_V = TypeVar("_V")


class Snapshot(NamedTuple):
    """A parked machine in sealed memory."""

    memory: IO[bytes]
    state: IO[bytes]
    digests: dict[str, str]
    """For the attestation."""


class Snapshots:
    """The snapshots of one adapter; `folder` is common to all that share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Snapshot] = OrderedDict()
        self._laid: OrderedDict[tuple[str, str], IO[bytes]] = OrderedDict()

    def of(self, place: Place, engine: Engine, image: Sealed, shape: Shape) -> Snapshot:
        """The snapshot for a machine like this, made now where there is none. Raises NotAvailable, NotWhatWasDecided."""
        made_with = {
            "boot_id": boot_id(), "engine": [engine.path, engine.stamp, engine.said], "image": image.digests,
            "machine": [*shape.options(), shape.kernel_line()],
        }  # fmt: skip
        name = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()
        with self._lock:
            if name not in self._held:
                kept = self._folder / name
                self._held[name] = _read(kept, shape) if kept.exists() else self._made(kept, place, image, shape)
            return _latest(self._held, name)

    def with_app(self, snapshot: Snapshot, app: str, archive: bytes) -> IO[bytes]:
        """The snapshot's memory with an app's archive where its guest will look for it, sealed; `app` is a digest."""
        key = (snapshot.digests["snapshot-memory"], app)
        with self._lock:
            if key not in self._laid:
                memory = _copy(snapshot.memory)
                lay(memory, archive)
                self._laid[key] = seal(memory)
            return _latest(self._laid, key)

    def _made(self, kept: Path, place: Place, image: Sealed, shape: Shape) -> Snapshot:
        memory, state = memory_for(shape), _empty()
        with Machine(place, shape, memory, image) as machine:
            machine.park(BOOT_S)
            machine.save(state)
        made = _sealed(memory, state)
        self._keep(kept, made)
        return made

    def _keep(self, kept: Path, made: Snapshot) -> None:
        """Without room, or where another process was faster, this one has what it needs."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", dir=self._folder, ignore_cleanup_errors=True) as name:
                work = Path(name)
                _write(work / "memory", made.memory)
                _write(work / "state", made.state)
                _private(work / "snapshot.json").write_text(json.dumps(_about(kept, made)) + "\n")
                work.rename(kept)
        with contextlib.suppress(OSError):
            for old in sorted(self._folder.iterdir(), key=_age, reverse=True)[_MOST_KEPT:]:
                shutil.rmtree(old, ignore_errors=True)


def _read(kept: Path, shape: Shape) -> Snapshot:
    try:
        written = json.loads((kept / "snapshot.json").read_text())
        with _own(kept / "memory", shape.total_mib << 20) as memory, _own(kept / "state", _LARGEST_STATE) as state:
            found = _sealed(_copy(memory), _copy(state))
    except (OSError, ValueError) as error:
        raise NotWhatWasDecided(
            f"the snapshot {kept} cannot be read: {error}; remove it and one is made anew"
        ) from error
    if written != _about(kept, found):
        raise NotWhatWasDecided(f"the snapshot {kept} was changed; remove it and one is made anew")
    return found


def _about(kept: Path, snapshot: Snapshot) -> dict[str, str]:
    """What is written down; the name stands for what the snapshot was made with."""
    return {**snapshot.digests, "name": kept.name}


@contextlib.contextmanager
def _own(path: Path, most: int) -> Iterator[IO[bytes]]:
    """A plain file of this account that nobody else may write or read. Raises ValueError, OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not about.st_mode & 0o077
        if not is_ours or about.st_size > most:
            raise ValueError(f"{path.name} is not a plain file of this account alone")
        yield file


def _sealed(memory: IO[bytes], state: IO[bytes]) -> Snapshot:
    digests = {"snapshot-memory": _digest(seal(memory)), "snapshot-state": _digest(seal(state))}
    return Snapshot(memory, state, digests)


def _digest(file: IO[bytes]) -> str:
    """sha256 over the length, then place and content of each 64 KiB that are not all zero: holes cost nothing."""
    summed = hashlib.sha256(os.fstat(file.fileno()).st_size.to_bytes(8))
    for at, block in _blocks(file):
        summed.update(at.to_bytes(8) + block)
    return f"sha256:{summed.hexdigest()}"


def _blocks(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    number, zeros, at = file.fileno(), bytes(_BLOCK), 0
    while True:
        try:
            at = os.lseek(number, at, os.SEEK_DATA) // _BLOCK * _BLOCK
        except OSError:  # nothing but a hole up to the end
            return
        block = os.pread(number, _BLOCK, at)
        if block != zeros[: len(block)]:
            yield at, block
        at += _BLOCK


def _copy(file: IO[bytes]) -> IO[bytes]:
    made = _empty()
    _pour(file, made)
    return made


def _write(path: Path, content: IO[bytes]) -> None:
    with open(_private(path), "r+b") as file:
        _pour(content, file)
        os.fsync(file.fileno())


def _private(path: Path) -> Path:
    path.touch(mode=0o600, exist_ok=False)
    return path


def _pour(source: IO[bytes], target: IO[bytes]) -> None:
    os.ftruncate(target.fileno(), os.fstat(source.fileno()).st_size)
    for at, block in _blocks(source):
        write_at(target, block, at)


def _empty() -> IO[bytes]:
    return os.fdopen(os.memfd_create("snapshot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b", buffering=0)


def _latest(held: OrderedDict[_K, _V], key: _K) -> _V:
    held.move_to_end(key)
    while len(held) > _MOST_KEPT:
        held.popitem(last=False)  # its file goes with the last machine that came from it
    return held[key]


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
