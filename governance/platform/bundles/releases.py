"""Releases on disk: what was compiled and proved, which one is in force, and what the sources gave last.

    <home>/bundles/compiled/<id>       a release: digest line, then the packed policy; the id is its SHA-256
    <home>/bundles/compiled/<id>.json  what it was made of
    <home>/bundles/active.json         the release in force, since when, by whom; the last good one by construction
    <home>/bundles/sources/<slug>/     the archive a source gave last and passed, with its ETag or commit
    <home>/bundles/status.json         how each source fares

Only a release that compiled becomes the active one, so a start without any network has something to serve.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import NotFound
from governance.model.moment import utc_now
from governance.policy.active import is_private, rules_in
from governance.state.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_KEPT = 20
_SHORTEST_ID = 8


class Part(NamedTuple):
    """One bundle of a release."""

    name: str
    location: str
    revision: str


class Release(NamedTuple):
    """One compiled set of bundles."""

    id: str
    revision: str
    made_at: str
    config: str
    """What it was made for (`sources.config_digest`)."""
    parts: tuple[Part, ...]
    rules: int


class Standing(NamedTuple):
    """The release in force."""

    release: Release
    since: str
    by: str
    is_pinned: bool
    """Somebody chose it: new releases wait until `bundle activate latest`."""


class Shelf:
    """The releases of one home."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "bundles"
        self._compiled = self.folder / "compiled"

    def prepare(self) -> None:
        """Make the folders; for this account alone, since what lies there is served."""
        for folder in (self.folder, self._compiled, self.folder / "sources"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def add(self, packed: bytes, config: str, parts: Sequence[Part]) -> Release:
        """Keep a release; the same bytes are the same release."""
        head = json.loads(packed.partition(b"\n")[0])
        release_id = hashlib.sha256(packed).hexdigest()
        rules = len(rules_in(packed))
        release = Release(release_id, head["revision"], utc_now(), config, tuple(parts), rules)
        if not (self._compiled / f"{release_id}.json").exists() or self.packed(release_id) is None:
            self.prepare()
            write_whole(str(self._compiled / release_id), packed)
        write_whole(str(self._compiled / f"{release_id}.json"), _text(_row(release)))
        self._drop_old(keep={release_id})
        return release

    def all(self) -> list[Release]:
        """Every release that is kept, newest first."""
        found = [release for path in self._compiled.glob("*.json") if (release := _release(_json(path))) is not None]
        return sorted(found, key=lambda release: release.made_at, reverse=True)

    def find(self, wanted: str) -> Release:
        """By revision, or by at least eight characters of the id; raises NotFound."""
        for release in self.all():
            by_id = len(wanted) >= _SHORTEST_ID and release.id.startswith(wanted)
            if release.revision == wanted or by_id or release.revision.removeprefix("sha256:") == wanted:
                return release
        raise NotFound(f"there is no release {wanted[:80]!r} here", hint="`governance bundle list` shows what there is")

    def packed(self, release_id: str) -> bytes | None:
        """The packed policy; None where it is missing, was changed, or could have been written by somebody else."""
        try:
            with open(self._compiled / release_id, "rb") as file:
                is_ours = is_private(os.fstat(file.fileno())) and is_private(os.stat(self._compiled))
                raw = file.read() if is_ours else b""
        except OSError:
            return None
        return raw if hashlib.sha256(raw).hexdigest() == release_id else None

    def standing(self) -> Standing | None:
        """The release in force; None before the first."""
        row = _json(self.folder / "active.json")
        release = _release(row.get("release", {}))
        if release is None:
            return None
        return Standing(release, str(row.get("since", "")), str(row.get("by", "")), bool(row.get("pinned")))

    def stamp(self) -> tuple[int, int, int]:
        """Changes whenever another release is in force."""
        try:
            status = os.stat(self.folder / "active.json")
        except OSError:
            return (0, 0, 0)
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def activate(
        self, release: Release, by: str, record: Callable[[dict[str, Any]], None], *, pin: bool, why: str
    ) -> None:
        """Put a release in force: first the record, then the pointer that workers read."""
        with self._alone():
            before = self.standing()
            record(
                {
                    "from": before.release.revision if before else "", "to": release.revision,
                    "from_release": before.release.id if before else "", "to_release": release.id,
                    "bundles": [part._asdict() for part in release.parts], "why": why, "pinned": pin, "actor": by,
                }
            )  # fmt: skip
            row = {"release": _row(release), "since": utc_now(), "by": by, "pinned": pin}
            write_whole(str(self.folder / "active.json"), _text(row))

    def status(self) -> dict[str, Any]:
        """How each source fares, as the keeper said last: `{"bundles": {name: {…}}, "at": time}`."""
        return _json(self.folder / "status.json")

    def write_status(self, status: dict[str, Any]) -> None:
        """Best effort: a status that cannot be written must not stop anything."""
        with contextlib.suppress(OSError):
            write_whole(str(self.folder / "status.json"), _text(status))

    def ask_to_rebuild(self) -> None:
        """Have the keeper look at every source now."""
        self.prepare()
        write_whole(str(self.folder / "rebuild"), utc_now().encode())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        self.prepare()
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _drop_old(self, keep: set[str]) -> None:
        standing = self.standing()
        kept = keep | ({standing.release.id} if standing else set())
        for release in self.all()[_KEPT:]:
            if release.id not in kept:
                (self._compiled / release.id).unlink(missing_ok=True)
                (self._compiled / f"{release.id}.json").unlink(missing_ok=True)


def _row(release: Release) -> dict[str, Any]:
    return release._asdict() | {"parts": [part._asdict() for part in release.parts]}


def _release(row: dict[str, Any]) -> Release | None:
    try:
        return Release(**(row | {"parts": tuple(Part(**part) for part in row["parts"])}))
    except (TypeError, KeyError):
        return None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8", "replace")
