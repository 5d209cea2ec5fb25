"""Root file systems from OCI image layouts: a folder of blobs, an image named by the digest of its manifest or index.

Formats: OCI image specification 1.1, "Image Layout", "Image Manifest", "Image Index", "Layer Filesystem Changeset"; the same
documents under Docker's media types. Nothing here trusts a name in the layout: every blob is copied, compared with the digest
that led to it and only then read, so an image is what its digest says or is refused.

The layers become one tar archive (`image_layers`), which the adapters unpack as they do any other.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tempfile
import zlib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from runtime_adapters.image_layers import merged
from runtime_adapters.port import BadArtifact, NotWhatWasDecided
from runtime_adapters.rootfs import LARGEST_ARCHIVE, LARGEST_CONTENT, is_whole, regular, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime_adapters.port import Artifact

_DOCUMENT = 4 << 20
_MOST_LAYERS, _MOST_INDEXES = 128, 4
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OCI, _DOCKER = "application/vnd.oci.image.", "application/vnd.docker."
_INDEXES = {f"{_OCI}index.v1+json", f"{_DOCKER}distribution.manifest.list.v2+json"}
_MANIFESTS = {f"{_OCI}manifest.v1+json", f"{_DOCKER}distribution.manifest.v2+json"}
_LAYERS = {
    f"{_OCI}layer.v1.tar": "", f"{_OCI}layer.v1.tar+gzip": "gzip", f"{_OCI}layer.v1.tar+zstd": "zstd",
    f"{_DOCKER}image.rootfs.diff.tar.gzip": "gzip",
}  # fmt: skip
# Beyond it a zstd stream asks for memory before it has said anything.
_LARGEST_WINDOW = 128 << 20
_CHUNK = 1 << 20
_ANY = -1


def is_layout(path: str) -> bool:
    """Whether an artifact is an image layout rather than an archive: a folder that says so of itself."""
    return (Path(path) / "oci-layout").is_file()


def flattened(artifact: Artifact, scratch: Path) -> IO[bytes]:
    """The image's root file system as one tar archive, at its beginning; `scratch` is a folder for copies without a name.

    Raises NotWhatWasDecided, BadArtifact.
    """
    with ExitStack() as open_:
        layers, left = list[IO[bytes]](), LARGEST_CONTENT
        for blobs, layer in _checked(artifact, scratch):
            layers.append(open_.enter_context(_unpacked(blobs, layer, left)))
            left -= os.fstat(layers[-1].fileno()).st_size
        return merged(layers, scratch)


def unpacked_image(artifact: Artifact, folder: Path) -> Path:
    """The folder that holds the image's content, named by its digest. Raises NotWhatWasDecided, BadArtifact."""
    root = folder / artifact.sha256.removeprefix("sha256:")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_whole(root):
        for blobs, layer in _checked(artifact, folder):
            blobs.copied(layer, LARGEST_ARCHIVE).close()
        return root
    with flattened(artifact, folder) as tar:
        return unpack(tar, root, artifact.path)


class _Layer(NamedTuple):
    """One descriptor of a manifest, with what its config says the unpacked layer is."""

    digest: str
    size: int
    packing: str
    diff_id: str


class _Blobs:
    """The blobs of one layout."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch = folder, scratch

    def document(self, digest: str, size: int) -> dict[str, Any]:
        with self.copied(_Layer(digest, size, "", ""), _DOCUMENT) as file:
            try:
                value = json.load(file)
            except (ValueError, RecursionError) as error:
                raise BadArtifact(f"{self.folder}: {digest} is no JSON document") from error
        if not isinstance(value, dict):
            raise BadArtifact(f"{self.folder}: {digest} is no JSON object")
        return value

    def copied(self, layer: _Layer, most: int) -> IO[bytes]:
        """A copy of our own, as long and with the digest that was said."""
        path = self.folder / "blobs" / "sha256" / layer.digest.removeprefix("sha256:")
        try:
            with open(path, "rb", opener=regular) as file:
                return _poured(file, self.scratch, most, layer.digest, layer.digest, layer.size)
        except OSError as error:
            raise BadArtifact(f"{path}: {error.strerror or error}") from error


def _checked(artifact: Artifact, scratch: Path) -> Iterator[tuple[_Blobs, _Layer]]:
    """The image's layers, lowest first."""
    blobs = _Blobs(Path(artifact.path), scratch)
    wanted = f"sha256:{artifact.sha256.removeprefix('sha256:')}"
    if not _DIGEST.fullmatch(wanted):
        raise BadArtifact(f"{artifact.path}: {wanted[:100]!r} is no sha256 digest of a manifest or index")
    manifest = _manifest(blobs, {"digest": wanted, "mediaType": ""})
    config = blobs.document(*_descriptor(blobs, manifest.get("config")))
    if (config.get("os"), config.get("architecture")) != ("linux", "amd64"):
        raise BadArtifact(f"{blobs.folder}: the image is for {config.get('os')!r} on {config.get('architecture')!r}")
    rootfs, layers = config.get("rootfs"), manifest.get("layers")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(layers, list) or not isinstance(diff_ids, list) or len(layers) != len(diff_ids):
        raise BadArtifact(f"{blobs.folder}: manifest and config do not have the same layers")
    if not 0 < len(layers) <= _MOST_LAYERS:
        raise BadArtifact(f"{blobs.folder}: {len(layers)} layers; from 1 to {_MOST_LAYERS} are read")
    for layer, diff_id in zip(layers, diff_ids, strict=True):
        digest, size = _descriptor(blobs, layer)
        packing = _LAYERS.get(str(layer.get("mediaType")))
        if packing is None:
            raise BadArtifact(f"{blobs.folder}: a layer of the type {str(layer.get('mediaType'))[:100]!r} is not read")
        yield blobs, _Layer(digest, size, packing, str(diff_id))


def _manifest(blobs: _Blobs, found: dict[str, Any]) -> dict[str, Any]:
    """The manifest behind a digest, through indexes by the platform that this adapter runs."""
    size = _ANY
    for _ in range(_MOST_INDEXES):
        document = blobs.document(found["digest"], size)
        said = str(document.get("mediaType", found["mediaType"]))
        if said in _MANIFESTS or (not said and "layers" in document):
            return document
        if (said and said not in _INDEXES) or not isinstance(document.get("manifests"), list):
            raise BadArtifact(f"{blobs.folder}: {found['digest']} is neither a manifest nor an index of images")
        ours = [one for one in document["manifests"] if isinstance(one, dict) and _is_ours(one.get("platform"))]
        if len(ours) != 1:
            raise BadArtifact(
                f"{blobs.folder}: {len(ours)} images for linux/amd64 behind {found['digest']}; one is needed"
            )
        digest, size = _descriptor(blobs, ours[0])
        found = {"digest": digest, "mediaType": str(ours[0].get("mediaType", ""))}
    raise BadArtifact(f"{blobs.folder}: more than {_MOST_INDEXES} indexes before an image")


def _is_ours(platform: Any) -> bool:
    """An index of one image may leave the platform out; its config says it."""
    if platform is None:
        return True
    return isinstance(platform, dict) and (platform.get("os"), platform.get("architecture")) == ("linux", "amd64")


def _descriptor(blobs: _Blobs, value: Any) -> tuple[str, int]:
    digest, size = (value.get("digest"), value.get("size")) if isinstance(value, dict) else (None, None)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BadArtifact(f"{blobs.folder}: {str(digest)[:100]!r} is no sha256 digest")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise BadArtifact(f"{blobs.folder}: the size of {digest} is {str(size)[:40]!r}")
    return digest, size


def _unpacked(blobs: _Blobs, layer: _Layer, most: int) -> IO[bytes]:
    """A layer as the tar archive that its diff id names."""
    with blobs.copied(layer, LARGEST_ARCHIVE) as packed:
        try:
            with _unpacking(packed, layer.packing) as plain:
                return _poured(plain, blobs.scratch, most, layer.digest, layer.diff_id, _ANY)
        except (OSError, EOFError, zlib.error) as error:
            raise BadArtifact(f"{layer.digest}: not packed as its type says: {error}") from error


def _poured(source: IO[bytes], scratch: Path, most: int, named: str, wanted: str, length: int) -> IO[bytes]:
    """A copy without a name, at its beginning, of `length` bytes with the digest `wanted`."""
    with ExitStack() as undone:
        copy = undone.enter_context(tempfile.TemporaryFile(dir=scratch))
        summed = hashlib.sha256()
        while chunk := source.read(_CHUNK):
            if copy.tell() + len(chunk) > most:
                raise BadArtifact(f"{named}: unpacks to more bytes than an image may have, or is longer than {most}")
            summed.update(chunk)
            copy.write(chunk)
        found = f"sha256:{summed.hexdigest()}"
        if found != wanted or length not in {_ANY, copy.tell()}:
            raise NotWhatWasDecided(f"{named}: {copy.tell()} bytes of {found}, and {wanted} was named")
        copy.seek(0)
        undone.pop_all()
        return copy


@contextmanager
def _unpacking(packed: IO[bytes], packing: str) -> Iterator[IO[bytes]]:
    if packing == "gzip":
        with gzip.GzipFile(fileobj=packed) as plain:
            yield plain  # type: ignore[misc]  # typeshed: it is no IO[bytes]
    elif packing == "zstd":
        import zstandard  # only such layers need it

        reader = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
        try:
            with reader.stream_reader(packed, read_across_frames=True, closefd=False) as stream:
                yield stream
        except zstandard.ZstdError as error:
            raise EOFError(str(error)) from error
    else:
        yield packed
