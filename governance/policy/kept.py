"""Policies as they served, kept in the home: what a recorded decision is decided again with, long after it was replaced.

One JSON document a policy: `{format, revision, rules[], obligations[], modes, modules[[path, text]], guarded, data, strict,
needs}`. The modules are the compiled Rego that the interpreter runs, so nothing has to be compiled again, and somebody who
reads it reads what decided. Its name holds digests of revision and content: two contents under one revision stay apart.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from governance.errors import RuleError
from governance.policy.compiler.compiled import CompiledPolicy
from governance.policy.metadata import RuleMeta

if TYPE_CHECKING:
    from collections.abc import Iterable

    from governance.model.request import Json
    from governance.policy.active import Active

FORMAT = "governance-policy/1"
_FOLDER = "policies"


class PolicyKeeper:
    """Keeps what serves in `<home>/policies`; called before every record, so it does nothing most of the time."""

    def __init__(self, home: str) -> None:
        self._folder = os.path.join(home, _FOLDER)
        self._last: Active | None = None

    def keep(self, active: Active) -> None:
        """Return once the policy is on disk; raises OSError when that is not possible."""
        if active is self._last:
            return
        raw = document_of(active)
        path = os.path.join(self._folder, file_name(active.revision, raw))
        if not os.path.exists(path):
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            _write(path, raw)
        self._last = active


def kept(home: str, revisions: Iterable[str]) -> dict[str, bytes]:
    """The documents of some revisions by file name; a revision that was never kept is left out."""
    folder = os.path.join(home, _FOLDER)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    starts = tuple(_start(revision) for revision in revisions)
    found = {}
    for name in names:
        if starts and name.startswith(starts) and name.endswith(".json"):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found


def document_of(active: Active) -> bytes:
    """The document of a policy: the same policy always gives the same bytes."""
    compiled = active.compiled
    body = {
        "format": FORMAT,
        "revision": active.revision,
        "rules": [meta._asdict() for _, meta in sorted(active.rules.items())],
        "obligations": [meta._asdict() for _, meta in sorted(active.obligations.items())],
        "modes": active.modes,
        "modules": compiled.modules,
        "guarded": compiled.guarded,
        "data": json.loads(compiled.data),
        "strict": compiled.strict,
        "needs": compiled.needs,
    }
    return json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "surrogatepass")


def active_from(raw: bytes) -> Active:
    """A policy that decides again, on the interpreter. Raises RuleError for anything but such a document."""
    from governance.policy.active import Active, engine_for

    try:
        body = json.loads(raw)
        if body["format"] != FORMAT:
            raise RuleError(f"not a kept policy of format {FORMAT}")
        compiled = CompiledPolicy(
            modules=_texts(body["modules"]),
            guarded=_texts(body["guarded"]),
            data=json.dumps(body["data"], ensure_ascii=False),
            origins={},
            fast=(),
            program=b"",
            strict=bool(body["strict"]),
            needs=tuple(map(str, body["needs"])),
        )
        rules, obligations = ({row["id"]: _meta(row) for row in body[name]} for name in ("rules", "obligations"))
        return Active(engine_for(compiled), str(body["revision"]), rules, obligations, body["modes"], compiled)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RuleError(f"not a kept policy: {type(error).__name__}") from error


def file_name(revision: str, raw: bytes) -> str:
    """Where a document is found by its revision."""
    return f"{_start(revision)}{hashlib.sha256(raw).hexdigest()[:16]}.json"


def _start(revision: str) -> str:
    return f"policy-{hashlib.sha256(revision.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}-"


def _meta(row: dict[str, Json]) -> RuleMeta:
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return RuleMeta(**values)


def _texts(pairs: Json) -> tuple[tuple[str, str], ...]:
    return tuple((str(path), str(text)) for path, text in pairs)


def _write(path: str, raw: bytes) -> None:
    """Whole or not at all, and on disk when it returns."""
    unfinished = f"{path}.{os.getpid()}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
