"""The bundle in force: compiled, proved, ready to answer; loaded in milliseconds from a private cache.

The cache is named by a digest over every input: the bundles' files, the compiler's own source and the engine's version.
It is only read from a folder that belongs to this account and that nobody else may write.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import BadBundle
from governance.policy.compiler.compiled import CompiledPolicy
from governance.policy.engine import Engine, engine_version
from governance.policy.locations import data_folder
from governance.policy.metadata import RuleMeta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json

_POLICY_FOLDER = os.path.dirname(os.path.abspath(__file__))


class Extra(NamedTuple):
    """Somebody's own bundle that serves beside ours."""

    path: str
    v0: bool = False


class Active(NamedTuple):
    """What decides right now."""

    engine: Engine
    revision: str
    rules: Mapping[str, RuleMeta]
    obligations: Mapping[str, RuleMeta]
    modes: Json
    compiled: CompiledPolicy

    def rules_for(self, kind: str) -> tuple[str, ...]:
        """Ids of the rules that are evaluated for a kind, sorted."""
        return tuple(sorted(meta.id for meta in self.rules.values() if kind in meta.applies_to))


def load_active(
    path: str = "", extras: Sequence[Extra] = (), *, cache: str | None = None, bundle_key: bytes = b""
) -> Active:
    """The rule pack (or the bundle at `path`) with `extras`, compiled or from the cache.

    `bundle_key`: public key in PEM that every named bundle has to be signed with; the pack that comes with this package is
    as good as its code. `cache`: folder for compiled bundles, empty for none; None picks the account's. Raises BadBundle or
    RuleError for what must not serve; the caller keeps what it had.
    """
    source = path or data_folder("rules")
    key = _key([source, *(extra.path for extra in extras)], [*(extra.v0 for extra in extras), bundle_key.hex()])
    folder = default_cache() if cache is None else cache
    cached = _read_cache(folder, key)
    if cached is not None:
        return _activated(cached)
    from governance.policy.build import build  # the compiler: only where nothing is cached

    built = build(source, extras, bundle_key, is_own=not path)
    _write_cache(folder, key, built)
    return _activated(built)


def _activated(raw: bytes) -> Active:
    head, _, rest = raw.partition(b"\n")
    meta = json.loads(head)
    compiled = CompiledPolicy.from_bytes(rest)
    rows = [_meta(row) for row in meta["rules"]]
    return Active(
        engine=engine_for(compiled),
        revision=meta["revision"],
        rules={row.id: row for row in rows if not row.obligation_type},
        obligations={row.id: row for row in rows if row.obligation_type},
        modes=meta["modes"],
        compiled=compiled,
    )


def engine_for(compiled: CompiledPolicy) -> Engine:
    """An engine with the Python builtins that the policy calls, and no others."""
    if compiled.needs:
        from governance.policy.builtins.registry import extensions

        return Engine(compiled, {name: extensions()[name] for name in compiled.needs})
    return Engine(compiled)


def _meta(row: Sequence[Json]) -> RuleMeta:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    return RuleMeta(*values)


def packed(revision: str, rules: Sequence[RuleMeta], modes: Json, compiled: CompiledPolicy) -> bytes:
    """A header line with the metadata, then the compiled policy: what the cache holds and `_activated` reads."""
    head = json.dumps({"revision": revision, "rules": rules, "modes": modes}, ensure_ascii=False)
    return head.encode() + b"\n" + compiled.to_bytes()


def default_cache() -> str:
    """The account's cache folder for compiled bundles; empty when there is no home to put it in."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "microapp-governance") if os.path.isabs(base) else ""


def _key(paths: Sequence[str], flags: Sequence[bool | str]) -> str:
    """Digest over everything that the compiled form depends on."""
    total = hashlib.sha256(json.dumps([engine_version(), list(flags)]).encode())
    for path in [_POLICY_FOLDER, *paths]:
        for file in _files(path):
            # Unbuffered: hundreds of small files, each read whole, at every start.
            with open(file, "rb", buffering=0) as stream:
                total.update(hashlib.sha256(file.encode()).digest() + hashlib.sha256(stream.readall()).digest())
    return total.hexdigest()


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise BadBundle("there is no such bundle", where=path)
        return [path]
    found: list[str] = []
    tests = os.path.join(path, "tests")
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if not name.startswith((".", "__pycache__"))]
        if folder == path and "extras" in names:
            names.remove("extras")
        if folder == tests:
            # A bundle is built without its tests, all but the cases, which the proof runs.
            names[:] = [name for name in names if name == "cases"]
            continue
        found += [os.path.join(folder, file) for file in files]
    return sorted(found)


def _read_cache(folder: str, key: str) -> bytes | None:
    """The cached bytes, or None. A folder or file that somebody else could have written is not read."""
    if not folder:
        return None
    try:
        if not _is_private(os.stat(folder)):
            return None
        with open(os.path.join(folder, key), "rb") as file:
            if not _is_private(os.fstat(file.fileno())):
                return None
            digest, _, raw = file.read().partition(b"\n")
    except OSError:
        return None
    # Over all of it: metadata and modes decide as much as the rules do.
    return raw if digest == hashlib.sha256(raw).hexdigest().encode() else None


def _write_cache(folder: str, key: str, raw: bytes) -> None:
    """Best effort: a cache that cannot be written costs time, nothing else."""
    if not folder:
        return
    temporary = os.path.join(folder, f".{key}.{os.getpid()}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _is_private(os.stat(folder)):
            return
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(hashlib.sha256(raw).hexdigest().encode() + b"\n" + raw)
        os.replace(temporary, os.path.join(folder, key))
    except OSError:
        return


def _is_private(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
