"""OCI image layouts for tests, good ones and others: blobs by digest, a config, a manifest, an index."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

from runtime_adapters.port import Artifact

if TYPE_CHECKING:
    from pathlib import Path

OCI = "application/vnd.oci.image."
LINUX = {"os": "linux", "architecture": "amd64"}


def tar(*members, **more) -> bytes:
    """A layer: `(name, content)`, or a dict with `name` and what else a `TarInfo` has."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", **more) as archive:
        for member in members:
            about = dict(zip(("name", "content"), member, strict=True)) if isinstance(member, tuple) else dict(member)
            info, content = tarfile.TarInfo(about.pop("name")), about.pop("content", b"")
            info.size = len(content)
            for name, value in about.items():
                setattr(info, name, value)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


class Layout:
    """A layout below `folder`, built blob by blob."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, raw: bytes, media: str = "", **more) -> dict[str, object]:
        """Its descriptor."""
        digest = hashlib.sha256(raw).hexdigest()
        (self.folder / "blobs" / "sha256" / digest).write_bytes(raw)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(raw), **more}

    def document(self, value, media: str = "", **more) -> dict[str, object]:
        """The descriptor of a JSON document."""
        return self.blob(json.dumps(value).encode(), f"{OCI}{media}", **more)

    def image(self, *layers: bytes, packing="gzip", config=None, manifest=None) -> dict[str, object]:
        """The descriptor of a manifest; `config` and `manifest` replace what would be said."""
        pack = {"": bytes, "gzip": gzip.compress, "zstd": zstd}[packing]
        media = f"{OCI}layer.v1.tar{'+' if packing else ''}{packing}"
        digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        about = {**LINUX, "rootfs": {"type": "layers", "diff_ids": digests}, **(config or {})}
        said = {
            "schemaVersion": 2, "mediaType": f"{OCI}manifest.v1+json",
            "config": self.document(about, "config.v1+json"), "layers": [self.blob(pack(layer), media) for layer in layers],
            **(manifest or {}),
        }  # fmt: skip
        found = self.document(said, "manifest.v1+json", platform=LINUX)
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [found]}))
        return found

    def index(self, *descriptors) -> dict[str, object]:
        """The descriptor of an index."""
        said = {"schemaVersion": 2, "mediaType": f"{OCI}index.v1+json", "manifests": list(descriptors)}
        return self.document(said, "index.v1+json", platform=LINUX)

    def artifact(self, descriptor) -> Artifact:
        """As a manifest of ours names it."""
        return Artifact(str(self.folder), str(descriptor["digest"]).removeprefix("sha256:"))


def zstd(raw: bytes) -> bytes:
    """Packed by zstd."""
    import zstandard

    return zstandard.compress(raw)
