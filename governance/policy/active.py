"""The bundle in force: compiled, proved, ready to answer; loaded in milliseconds from a private cache.

The cache is named by a digest over every input: the bundles' files, the compiler's own source and the engine's version; a copy
of a bundle elsewhere is the same bundle, unless a signature has to be looked at.
It is only read from a folder that belongs to this account and that nobody else may write.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import BadBundle
from governance.policy.compiler.compiled import CompiledPolicy
from governance.policy.engine import Engine, engine_version
from governance.policy.locations import data_folder
from governance.policy.metadata import RuleMeta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from governance.model.request import Json

_KEPT = 32
_POLICY_FOLDER = os.path.dirname(os.path.abspath(__file__))


class Extra(NamedTuple):
    """Somebody's own bundle that serves beside ours."""

    path: str
    v0: bool = False
    revision: str = ""
    """What it is called instead of the name it gives itself: the commit it was fetched at."""


class Active(NamedTuple):
    """What decides right now."""

    engine: Engine
    revision: str
    rules: Mapping[str, RuleMeta]
    obligations: Mapping[str, RuleMeta]
    modes: Json
    compiled: CompiledPolicy
    prints: str = "{}"
    """JSON text: what each rule and obligation depends on (`governance.policy.fingerprints`); impact analysis reads it."""

    def rules_for(self, kind: str) -> tuple[str, ...]:
        """Ids of the rules that are evaluated for a kind, sorted."""
        return tuple(sorted(meta.id for meta in self.rules.values() if kind in meta.applies_to))


def load_active(
    path: str = "", extras: Sequence[Extra] = (), *, cache: str | None = None, bundle_key: bytes = b""
) -> Active:
    """The rule pack (or the bundle at `path`) with `extras`, compiled or from the cache; see `compiled_bytes`."""
    return activated(compiled_bytes(path, extras, cache=cache, bundle_key=bundle_key))


def compiled_bytes(
    path: str = "",
    extras: Sequence[Extra] = (),
    *,
    cache: str | None = None,
    bundle_key: bytes = b"",
    revision: str = "",
) -> bytes:
    """What `activated` reads: the rule pack (or the bundle at `path`) with `extras`, compiled or from the cache.

    `bundle_key`: public key in PEM, or a secret, that every named bundle has to be signed with; the pack that comes with this
    package is as good as its code. `cache`: folder for compiled bundles, empty for none; None picks the account's.
    `revision`: as for `Extra`. Raises BadBundle or RuleError for what must not serve; the caller keeps what it had.
    """
    source = path or data_folder("rules")
    sources = [source, *(extra.path for extra in extras)]
    flags: list[bool | str] = [
        *(extra.v0 for extra in extras),
        *(extra.revision for extra in extras),
        bundle_key.hex(),
        revision,
        # Another installation may differ in what lies outside of the compiler's own folder.
        _POLICY_FOLDER,
    ]
    if bundle_key:
        # A signature is over more than what serves, so one that holds here says nothing about a copy elsewhere.
        flags += [not path, *sources]
    key = _key(sources, flags)
    folder = default_cache() if cache is None else cache
    cached = _read_cache(folder, key)
    if cached is not None:
        return cached
    from governance.policy.build import build  # the compiler: only where nothing is cached

    built = build(source, extras, bundle_key, is_own=not path, revision=revision)
    _write_cache(folder, key, built)
    return built


def activated(raw: bytes) -> Active:
    """An engine and its metadata from the packed form; raises RuleError for bytes that are something else."""
    head, _, rest = raw.partition(b"\n")
    meta = json.loads(head)
    compiled = CompiledPolicy.from_bytes(rest)
    rows = metadata_in(raw)
    return Active(
        engine=engine_for(compiled),
        revision=meta["revision"],
        rules={row.id: row for row in rows if not row.obligation_type},
        obligations={row.id: row for row in rows if row.obligation_type},
        modes=meta["modes"],
        compiled=compiled,
        prints=meta["prints"],
    )


def metadata_in(raw: bytes) -> list[RuleMeta]:
    """The metadata of rules and obligations in the packed form, without making an engine of it."""
    return [_meta(row) for row in json.loads(raw.partition(b"\n")[0])["rules"]]


def rules_in(raw: bytes) -> list[RuleMeta]:
    """The same of the rules alone."""
    return [meta for meta in metadata_in(raw) if not meta.obligation_type]


def engine_for(compiled: CompiledPolicy) -> Engine:
    """An engine with the Python builtins that the policy calls, and no others."""
    if compiled.needs:
        from governance.policy.builtins.registry import extensions

        return Engine(compiled, {name: extensions()[name] for name in compiled.needs})
    return Engine(compiled)


def _meta(row: Sequence[Json]) -> RuleMeta:
    values: list[Any] = [tuple(value) if isinstance(value, list) else value for value in row]
    return RuleMeta(*values)


def packed(revision: str, rules: Sequence[RuleMeta], modes: Json, compiled: CompiledPolicy, prints: str) -> bytes:
    """A header line with the metadata, then the compiled policy: what the cache holds and `activated` reads."""
    head = json.dumps({"revision": revision, "rules": rules, "modes": modes, "prints": prints}, ensure_ascii=False)
    return head.encode() + b"\n" + compiled.to_bytes()


def default_cache() -> str:
    """The account's cache folder for compiled bundles; empty when there is no home to put it in."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "microapp-governance") if os.path.isabs(base) else ""


def _key(paths: Sequence[str], flags: Sequence[bool | str]) -> str:
    """Digest over everything that the compiled form depends on."""
    total = hashlib.sha256(json.dumps([engine_version(), list(flags)]).encode())
    for path in [_POLICY_FOLDER, *paths]:
        files = _files(path)
        kept = len(os.path.dirname(path) if files == [path] else path)
        total.update(b"%d;" % len(files))
        for file in files:
            # Unbuffered: hundreds of small files, each read whole, at every start.
            with open(file, "rb", buffering=0) as stream:
                name = file[kept:].encode()
                total.update(hashlib.sha256(name).digest() + hashlib.sha256(stream.readall()).digest())
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
        if not is_private(os.stat(folder)):
            return None
        with open(os.path.join(folder, key), "rb") as file:
            if not is_private(os.fstat(file.fileno())):
                return None
            digest, _, raw = file.read().partition(b"\n")
            # When it was used last, for whoever tidies up; a cache that came with an image may be read-only.
            with suppress(OSError):
                os.utime(file.fileno())
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
        if not is_private(os.stat(folder)):
            return
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(hashlib.sha256(raw).hexdigest().encode() + b"\n" + raw)
        os.replace(temporary, os.path.join(folder, key))
        _prune(folder)
    except OSError:
        return


def _prune(folder: str) -> None:
    """Let go of what was used longest ago: every edit of a rule leaves a compiled pack behind, of a megabyte and more."""
    with os.scandir(folder) as entries:
        by_use = sorted(entries, key=lambda entry: entry.stat().st_mtime_ns)
    for entry in by_use[:-_KEPT]:
        os.unlink(entry.path)


def is_private(status: os.stat_result) -> bool:
    """Whether a file or folder belongs to this account and nobody else may write it."""
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
