"""Bundle archives: the same files always give the same bytes, so that a digest names a build."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.policy.bundle import Bundle


def packed_files(
    bundle: Bundle,
    revision: str,
    roots: Sequence[str],
    *,
    v0: bool = False,
    cases: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """The bundle as OPA packs it: its modules, all data in one document, and a manifest.

    `cases`: files of which those below `tests/cases/` go along: whoever compiles the bundle proves with them that the fast
    executor may serve it. OPA does not read them.
    """
    manifest = {
        "revision": revision or bundle.revision,
        "roots": list(roots or bundle.roots),
        "rego_version": 0 if v0 else 1,
    }
    files = {name: raw for name, raw in (cases or {}).items() if name.startswith("tests/cases/")}
    files |= {module.path: module.text.encode() for module in bundle.modules}
    files["data.json"] = json.dumps(bundle.data, ensure_ascii=False, sort_keys=True).encode()
    files[".manifest"] = json.dumps(manifest, sort_keys=True).encode()
    return files


def write_archive(path: str, files: Mapping[str, bytes]) -> None:
    """Write a .tar.gz, whole or not at all."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        file.write(gzip.compress(raw.getvalue(), mtime=0))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
