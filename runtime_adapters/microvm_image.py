"""What a microVM boots: Debian's cloud kernel, unpacked for direct boot, and an initial RAM file system around an app.

Built from two Debian packages whose digests are pinned here, so that what is attested can be made again by anybody. The
kernel image is taken apart as its own header says (Linux x86 boot protocol, 2.08: `payload_offset`); archives for the
kernel are `newc` cpio (kernel documentation, "initramfs buffer format"), which may follow one another.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import io
import json
import os
import struct
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from runtime_adapters import microvm_guest
from runtime_adapters.image_layout import flattened, is_layout
from runtime_adapters.port import BadArtifact, NotAvailable, NotWhatWasDecided
from runtime_adapters.rootfs import BAD_TAR, members_of, regular, tar_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime_adapters.port import Artifact

KERNEL = "linux-image-6.1.0-56-cloud-amd64"
BUSYBOX = "busybox-static"
PINNED = {
    KERNEL: "e7d02b943971edcb8790e256c02cfab3bca6c3d37c1bf25392a57c71300615ee",
    BUSYBOX: "3d3fdbe91d4660c873e14b092c213fe81c1da6362daa236eb25d0171eb108744",
}
LARGEST_CONTENT = 512 << 20
"""Bytes of an app's file system; it lies in memory twice while a machine is made. Packed and sparse archives count unpacked."""
_LZ4_LEGACY = b"\x02\x21\x4c\x18"
_LZ4_BLOCK = 8 << 20
_PIECE = 64 << 10
_REGULAR, _FOLDER, _LINK = 0o100000, 0o040000, 0o120000


class Image(NamedTuple):
    """A kernel and the part of the initial RAM file system that is the same for every app."""

    kernel: Path
    base: Path

    def digests(self) -> dict[str, str]:
        """For the attestation."""
        return {name: f"sha256:{_digest(path)}" for name, path in (("kernel", self.kernel), ("initrd", self.base))}


class Sealed(NamedTuple):
    """An image in memory that nobody can change any more: what was measured is what boots, whatever the files become."""

    kernel: IO[bytes]
    base: bytes
    digests: dict[str, str]


def sealed_copy(name: str, raw: bytes) -> IO[bytes]:
    """A file in memory with `raw`, readable by every account that gets hold of it and writable by none."""
    file = os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b")
    file.write(raw)
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    return seal(file)


def seal(file: IO[bytes]) -> IO[bytes]:
    """The same file in memory, which nobody can change any more, whoever may open it."""
    fcntl.fcntl(
        file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    )
    return file


def sealed_in(folder: Path, known: Sealed | None) -> Sealed:
    """The image of `folder`: `known` where it still is that. Raises NotAvailable."""
    image, digests = _measured_in(folder)
    if known is not None and known.digests == digests:
        return known
    kernel, base = image.kernel.read_bytes(), image.base.read_bytes()
    found = {name: f"sha256:{hashlib.sha256(raw).hexdigest()}" for name, raw in (("kernel", kernel), ("initrd", base))}
    if found != digests:
        raise NotAvailable(f"the microVM image in {folder} was changed while it was read")
    return Sealed(sealed_copy("kernel", kernel), base, digests)


def image_in(folder: Path) -> Image:
    """The image that `build` made; raises NotAvailable where there is none, or its files are not what was written down."""
    return _measured_in(folder)[0]


def _measured_in(folder: Path) -> tuple[Image, dict[str, str]]:
    found = Image(folder / "vmlinux", folder / "base.cpio.gz")
    try:
        written = json.loads((folder / "image.json").read_text())
        measured = found.digests()
    except (OSError, ValueError) as error:
        raise NotAvailable(f"there is no microVM image in {folder}; governance runtime build-image") from error
    if measured != written:
        raise NotAvailable(f"the microVM image in {folder} was changed; governance runtime build-image makes it anew")
    return found, measured


def build(folder: Path) -> Image:
    """Fetch both packages with apt, compare them with the pins, take them apart. Needs no root. Raises NotAvailable."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        kernel = _payload(_package(KERNEL, Path(work)), f"./boot/vmlinuz-{KERNEL.removeprefix('linux-image-')}")
        busybox = _payload(_package(BUSYBOX, Path(work)), "./bin/busybox")
    (folder / "vmlinux").write_bytes(uncompressed_kernel(kernel))
    (folder / "base.cpio.gz").write_bytes(gzip.compress(_base(busybox), mtime=0))
    image = Image(folder / "vmlinux", folder / "base.cpio.gz")
    (folder / "image.json").write_text(json.dumps(image.digests()) + "\n")
    return image


def uncompressed_kernel(raw: bytes) -> bytes:
    """The ELF kernel inside a bzImage that was compressed with LZ4, as Debian's is. Raises BadArtifact."""
    import lz4.block  # only building an image needs it

    try:
        setup_sectors = raw[0x1F1] or 4
        offset, length = struct.unpack_from("<II", raw, 0x248)
        start = (setup_sectors + 1) * 512 + offset
        payload = raw[start : start + length]
        if not payload.startswith(_LZ4_LEGACY):
            raise BadArtifact("the kernel is not compressed with LZ4")
        kernel = b"".join(
            lz4.block.decompress(block, uncompressed_size=_LZ4_BLOCK) for block in _blocks(payload[len(_LZ4_LEGACY) :])
        )
    except (IndexError, struct.error, lz4.block.LZ4BlockError) as error:
        raise BadArtifact(f"not a bzImage: {error}") from error
    if not kernel.startswith(b"\x7fELF"):
        raise BadArtifact("what the kernel image holds is no ELF file")
    return kernel


def app_archive(artifact: Artifact, scratch: Path) -> bytes:
    """An app's files as a `newc` archive; `scratch`: a folder for nameless copies. Raises NotWhatWasDecided, BadArtifact."""
    if is_layout(artifact.path):
        with flattened(artifact, scratch) as tar:
            return archive_of(tar)
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
    return archive_of(io.BytesIO(raw))


def archive_of(tar: IO[bytes]) -> bytes:
    """A root file system's tar as a `newc` archive, everything owned by root and nothing set-uid. Raises BadArtifact."""
    out, links = _Archive(), set[str]()
    try:
        with tar_of(tar) as members:
            for member in members_of(members):
                name = _place_of(member, links)
                if name in {"", "init"}:
                    continue  # the first program is ours
                _add_member(out, members, member, name)
                (links.add if member.issym() else links.discard)(name)
    except (*BAD_TAR, KeyError, OSError) as error:
        raise BadArtifact(f"not a tar archive: {error}") from error
    return out.finished()


def _place_of(member: tarfile.TarInfo, links: set[str]) -> str:
    """Where the kernel puts a member: one spelling a file, for it reads `.//init` and `init` as the same."""
    parts = [part for part in member.name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in member.name:
        raise BadArtifact(f"{member.name[:100]!r} leaves the root file system")
    if any("/".join(parts[:depth]) in links for depth in range(1, len(parts))):
        # The kernel would follow the link, to wherever it leads: the first program included.
        raise BadArtifact(f"{member.name[:100]!r} lies below a link of the archive; name the folder that it leads to")
    return "/".join(parts)


def _add_member(out: _Archive, members: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> None:
    mode = member.mode & 0o755
    if member.isdir():
        out.add(name, _FOLDER | mode)
    elif member.issym():
        out.add(name, _LINK | 0o777, os.fsencode(member.linkname))
    elif member.isreg() or member.islnk():
        content = members.extractfile(member)
        raw = bytearray()
        # What a member says of its size comes first: a sparse one may say anything and hold nothing.
        while len(out) + max(len(raw), member.size) <= LARGEST_CONTENT:
            piece = content.read(_PIECE) if content is not None else b""
            raw += piece
            if not piece:
                break
        else:
            raise BadArtifact(f"unpacks to more than {LARGEST_CONTENT} bytes")
        out.add(name, _REGULAR | mode, bytes(raw))
    else:
        raise BadArtifact(f"{member.name[:100]!r} is a device or pipe")


def _base(busybox: bytes) -> bytes:
    out = _Archive()
    for folder in ("bin", "dev", "proc", "app", "tmp"):
        out.add(folder, _FOLDER | 0o755)
    out.add("bin/busybox", _REGULAR | 0o755, busybox)
    for applet in microvm_guest.APPLETS:
        out.add(f"bin/{applet}", _LINK | 0o777, b"busybox")
    out.add("bin/renew", _REGULAR | 0o755, microvm_guest.renew_program())
    out.add("init", _REGULAR | 0o755, microvm_guest.INIT.encode())
    return out.finished()


class _Archive:
    """A `newc` archive that is being written."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._number = 0

    def add(self, name: str, mode: int, content: bytes = b"") -> None:
        self._number += 1
        raw = os.fsencode(name) + b"\0"
        fields = (self._number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
        self._out += b"070701" + b"".join(b"%08x" % field for field in fields) + raw
        self._pad()
        self._out += content
        self._pad()

    def __len__(self) -> int:
        return len(self._out)

    def finished(self) -> bytes:
        self.add("TRAILER!!!", 0)
        return bytes(self._out)

    def _pad(self) -> None:
        self._out += bytes(-len(self._out) % 4)


NO_FILES = _Archive().finished()
"""The archive of an app that has no file."""


def _blocks(payload: bytes) -> Iterator[bytes]:
    position = 0
    while position + 4 <= len(payload):
        (length,) = struct.unpack_from("<I", payload, position)
        if not 0 < length <= len(payload) - position - 4:
            return  # behind the last block stands the size of the kernel
        yield payload[position + 4 : position + 4 + length]
        position += 4 + length


def _package(name: str, work: Path) -> Path:
    """Fetch a Debian package by name and hold it to its pin."""
    try:
        done = subprocess.run(
            ["apt-get", "download", "-qq", name], cwd=work, capture_output=True, text=True, check=False, timeout=300
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAvailable(f"{name}: apt-get did not fetch it: {error}") from error
    found = sorted(work.glob(f"{name}_*.deb"))
    if done.returncode != 0 or not found:
        raise NotAvailable(f"{name}: apt-get did not fetch it: {' '.join(done.stderr.split())[-200:]}")
    digest = _digest(found[0])
    if digest != PINNED[name]:
        raise NotAvailable(
            f"{name} is sha256:{digest} and not the one that is pinned; Debian has a newer one: review it, then move the pin"
        )
    return found[0]


def _payload(package: Path, member: str) -> bytes:
    """One file of a package; `dpkg-deb` knows the formats."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as process:
        if process.stdout is None:  # cannot be: it is a pipe
            raise NotAvailable("dpkg-deb has no output")
        with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            for entry in archive:
                content: Any = archive.extractfile(entry) if entry.name == member else None
                if content is not None:
                    found = bytes(content.read())
                    process.kill()
                    return found
    raise BadArtifact(f"{package.name} has no {member}")


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def boot_id() -> str:
    """What changes when the host starts again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"pid-{os.getpid()}"
