"""Bundles in OPA's format: a folder or a .tar.gz of Rego, data and a manifest.

Data files are `data.json` or `data.yaml`, merged at the path of their folder; PolicyMode documents below `modes/` become
rows of `data.platform.modes`. In our own rule pack, which is a plain folder, every YAML file below `data/` is merged at its
own path, and `tests/` and `extras/` are left out.
"""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from governance.documents.files import read_whole
from governance.documents.leaves import json_of
from governance.errors import BadBundle
from governance.policy.compiler.compile import Module
from governance.policy.metadata import package_of
from governance.policy.modes import KIND, row_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json

MOST_FILES = 20_000
MOST_BYTES = 256 << 20
_LEFT_OUT = ("tests/", "extras/")
_MODES = ("platform", "modes", "rules")
_DATA_FILES = frozenset({"data.json", "data.yaml", "data.yml"})


class Bundle(NamedTuple):
    """Rules and data that serve together."""

    name: str
    revision: str
    """The manifest's, or `sha256:<hex>` over every file where it names none."""
    roots: tuple[str, ...]
    """Paths this bundle owns, slash-separated; `""` owns everything."""
    modules: tuple[Module, ...]
    data: Json


def load_bundle(path: str, *, v0: bool = False, key: bytes = b"") -> Bundle:
    """Read a bundle from a folder, a single .rego file or a .tar.gz. Raises BadBundle naming the file.

    `key`: public key in PEM that its signature has to verify with; empty accepts an unsigned one.
    """
    name = os.path.basename(path.rstrip("/")) or path
    if key:
        from governance.policy.signing import verify  # cryptography is slow to load

        verify(files_of(path), key, name)
    return bundle_of({file: raw for file, raw in files_of(path).items() if _serves(file)}, name, v0=v0)


def files_of(path: str) -> dict[str, bytes]:
    """Every file of a bundle by its name in it, hidden folders left out. Raises BadBundle."""
    if os.path.isdir(path):
        return _folder(path)
    if path.endswith(".rego"):
        return {os.path.basename(path): read_whole(path, BadBundle)}
    return archive_files(path)


def bundle_of(files: Mapping[str, bytes], name: str, *, v0: bool = False) -> Bundle:
    """A bundle from file names and contents; refuses data and packages outside its roots."""
    manifest = _manifest(files, name)
    roots = tuple(manifest.get("roots", [""]))
    is_v0 = v0 or manifest.get("rego_version", 1) == 0
    modules = tuple(
        Module(file, _text(raw, f"{name}/{file}"), is_v0)
        for file, raw in sorted(files.items())
        if file.endswith(".rego")
    )
    data: Json = {}
    is_pack = ".manifest" not in files and any(file.startswith("data/platform/") for file in files)
    for file, raw in sorted(files.items()):
        place = _data_place(file, is_pack=is_pack)
        if place is not None:
            data = _merged(data, place, _document(file, raw, name), f"{name}/{file}")
        elif _is_mode(file) and (is_pack or KIND.encode() in raw):
            data = _with_mode(data, _document(file, raw, name), f"{name}/{file}")
    bundle = Bundle(name, manifest.get("revision") or digest_of(files), roots, modules, data)
    _check_roots(bundle)
    return bundle


def united_data(bundles: Sequence[Bundle]) -> Json:
    """The data of all bundles side by side, member by member: what one adds must not hide what another holds."""
    data: Json = {}
    for bundle in bundles:
        data = _union(data, bundle.data if isinstance(bundle.data, dict) else {}, bundle.name)
    return data


def digest_of(files: Mapping[str, bytes]) -> str:
    """`sha256:<hex>` over names and contents, independent of order."""
    total = hashlib.sha256()
    for file, raw in sorted(files.items()):
        total.update(hashlib.sha256(file.encode()).digest() + hashlib.sha256(raw).digest())
    return "sha256:" + total.hexdigest()


def refuse_overlap(bundles: Sequence[Bundle]) -> None:
    """Two bundles must not own the same path: one would silently overwrite the other's data."""
    for index, left in enumerate(bundles):
        for right in bundles[index + 1 :]:
            for a in left.roots:
                for b in right.roots:
                    if _owns(a, b) or _owns(b, a):
                        raise BadBundle(
                            f"bundles {left.name!r} and {right.name!r} both own {b if _owns(a, b) else a or 'everything'!r}",
                            hint="give each a manifest with roots of its own",
                        )


def owned_roots(bundle: Bundle) -> Bundle:
    """The bundle with its roots narrowed to what it holds: somebody's plain folder has no manifest to say it."""
    if bundle.roots != ("",):
        return bundle
    held = {package_of(module.text, module.path).replace(".", "/") for module in bundle.modules}
    for name, part in (bundle.data if isinstance(bundle.data, dict) else {}).items():
        # One level down where there is one: data under `platform/…` must not claim every package of that name.
        held |= {f"{name}/{below}" for below in part} if isinstance(part, dict) and part else {name}
    return bundle._replace(roots=tuple(sorted(held)) or ("",))


class _Unfolded:
    """A gzip stream that ends in an error where it unfolds to more than a bundle may hold."""

    def __init__(self, raw: IO[bytes]) -> None:
        import gzip

        self._stream = gzip.GzipFile(fileobj=raw, mode="rb")
        self._left = MOST_BYTES + (MOST_FILES << 10)

    def read(self, size: int) -> bytes:
        """As a file's."""
        piece = self._stream.read(min(size, self._left + 1))
        self._left -= len(piece)
        if self._left < 0:
            raise OSError("more than a bundle may hold")
        return piece


def archive_files(path: str) -> dict[str, bytes]:
    """Contents of a .tar.gz by name; refuses links, absolute names, `..`, and more than a bundle may hold."""
    import tarfile
    import zlib

    files: dict[str, bytes] = {}
    total = 0
    try:
        # As a stream, and of bounded length: what is skipped, and headers as well, would otherwise unfold without limit.
        with open(path, "rb") as raw, tarfile.open(fileobj=cast("IO[bytes]", _Unfolded(raw)), mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    continue
                file = member.name.removeprefix("./").removeprefix("/")
                total += member.size
                if not member.isfile() or ".." in file.split("/") or len(files) >= MOST_FILES or total > MOST_BYTES:
                    raise BadBundle(f"member {member.name!r} may not be in a bundle", where=path)
                content = archive.extractfile(member)
                if file in files:
                    raise BadBundle(f"member {file!r} is there twice", where=path)
                files[file] = content.read() if content is not None else b""
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        raise BadBundle(f"not a bundle: {error}", where=path) from error
    return files


def _folder(path: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for folder, names, found in os.walk(path):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for file in sorted(found):
            full = os.path.join(folder, file)
            files[os.path.relpath(full, path).replace(os.sep, "/")] = read_whole(full, BadBundle)
    return files


def _serves(file: str) -> bool:
    base = file.rsplit("/", 1)[-1]
    is_named = file.endswith(".rego") or base in {".manifest", *_DATA_FILES} or _is_pack_data(file) or _is_mode(file)
    return is_named and not file.startswith(_LEFT_OUT)


def _is_mode(file: str) -> bool:
    return (
        file.startswith("modes/") and file.endswith((".yaml", ".json")) and file.rpartition("/")[2] not in _DATA_FILES
    )


def _is_pack_data(file: str) -> bool:
    return file.startswith("data/") and file.endswith((".yaml", ".json"))


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadBundle(f"not UTF-8 at byte {error.start}", where=where) from error


def _manifest(files: Mapping[str, bytes], name: str) -> dict[str, Json]:
    raw = files.get(".manifest")
    if raw is None:
        return {}
    try:
        manifest = json_of(_text(raw, f"{name}/.manifest"))
    except (ValueError, RecursionError) as error:
        raise BadBundle(f"not JSON: {error}", where=f"{name}/.manifest") from error
    roots = manifest.get("roots", [""]) if isinstance(manifest, dict) else None
    if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
        raise BadBundle("the manifest is not an object with a list of roots", where=f"{name}/.manifest")
    return dict(manifest)


def _data_place(file: str, *, is_pack: bool) -> list[str] | None:
    folder, _, base = file.rpartition("/")
    if base in _DATA_FILES:
        return folder.split("/") if folder else []
    if is_pack and _is_pack_data(file):
        return file.removeprefix("data/").rsplit(".", 1)[0].split("/")
    return None


def _document(file: str, raw: bytes, name: str) -> Json:
    import yaml  # only when a bundle is compiled anew

    from governance.policy.bundle_yaml import load_data

    try:
        return json_of(_text(raw, f"{name}/{file}")) if file.endswith(".json") else load_data(raw)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise BadBundle(f"not readable: {error}", where=f"{name}/{file}") from error


def _merged(data: Json, place: Sequence[str], document: Json, where: str) -> Json:
    if not place and not isinstance(document, dict):
        raise BadBundle("data at the root must be an object", where=where)
    for name in reversed(place):
        document = {name: document}
    return _union(data, document, where)


def _with_mode(data: Json, document: Json, where: str) -> Json:
    """The data with one PolicyMode in its table; refuses a second say about a rule, so that neither hides the other."""
    rule, row = row_of(document, where)
    table = data
    for name in _MODES:
        table = table.get(name, {}) if isinstance(table, dict) else {}
    if isinstance(table, dict) and rule in table:
        raise BadBundle(
            f"the mode of {rule} is said twice", where=where, hint="keep one PolicyMode, or the row in modes.yaml"
        )
    return _merged(data, [*_MODES, rule], row, where)


def _union(left: Json, right: Json, where: str) -> Json:
    if not (isinstance(left, dict) and isinstance(right, dict)):
        raise BadBundle("two files give the same data", where=where)
    result = dict(left)
    for key, value in right.items():
        result[key] = _union(result[key], value, where) if key in result else value
    return result


def _check_roots(bundle: Bundle) -> None:
    if bundle.roots == ("",):
        return
    for module in bundle.modules:
        package = package_of(module.text, module.path).replace(".", "/")
        if not any(_owns(root, package) for root in bundle.roots):
            raise BadBundle(f"package {package!r} is outside the roots {list(bundle.roots)}", where=module.path)
    for path in _leaf_paths(bundle.data):
        if not any(_owns(root, path) for root in bundle.roots):
            raise BadBundle(f"data {path!r} is outside the roots {list(bundle.roots)}", where=bundle.name)


def _leaf_paths(data: Json, prefix: str = "") -> list[str]:
    if not isinstance(data, dict) or not data:
        return [prefix] if prefix else []
    return [path for key, value in data.items() for path in _leaf_paths(value, f"{prefix}/{key}".lstrip("/"))]


def _owns(root: str, path: str) -> bool:
    """Whether `root` covers `path`; both slash-separated without a leading slash."""
    root, path = root.strip("/"), path.strip("/")
    return root in {"", path} or path.startswith(root + "/")
