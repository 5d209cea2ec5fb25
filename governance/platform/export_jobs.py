"""Exports as jobs: what was asked, how far it came, where the package lies. One folder a job below `<home>/exports`.

A job is made once for a caller and an idempotency key, by whichever worker process comes first. It is carried out by a
process of its own (`governance.entrypoints.export_main`), which holds the job's lock while it runs: a job that says it runs
and whose lock is free was interrupted, and goes on where it stopped when somebody asks for it again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from governance.errors import CallerError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from governance.model.request import Json

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
PACKAGE = "export.zip"
# Packages that nobody fetches any more do not stay for good.
_KEPT_S = 7 * 86_400
_KEPT = "they are kept for a week, and no longer than everybody in them"
_ID = re.compile(r"[0-9a-f]{32}")


class Conflict(CallerError):
    """The same idempotency key was used for another question."""

    code = "idempotency_conflict"
    status = 409


class Job(NamedTuple):
    """One export that was asked for."""

    id: str
    actor: str
    tenant: str
    """Of the key that asked; empty for one that is not bound to a tenant."""
    asked: Json
    created: str


class Gone(NamedTuple):
    """What can no longer be read in the log, and so no longer in a package."""

    is_gone: Callable[[int], bool]
    """Whether what was sealed in a record went."""
    minimum: int = 0
    """Leaves below it went as well."""
    is_named: bool = True
    """A person was erased: packages that were asked for by a name go too."""


class Jobs:
    """The jobs of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "exports"

    def make(self, job: Job) -> bool:
        """Whether the job is new. Raises Conflict where there is one of this id for another question."""
        self._forget_old()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._folder / job.id
        made = self._folder / f".{job.id}.{os.getpid()}.{time.monotonic_ns()}"
        made.mkdir(mode=0o700)
        write_json(made / "job.json", job._asdict())
        write_json(made / "state.json", {"state": QUEUED})
        try:
            made.rename(folder)  # whole or not at all, and by one of those who try only
        except OSError:
            shutil.rmtree(made)
            if self.find(job.id).asked != job.asked:
                raise Conflict(
                    "this Idempotency-Key was used for another export", hint="use a new one for a new question"
                ) from None
            return False
        return True

    def find(self, job_id: str) -> Job:
        """Raises NotFound."""
        path = self._folder / job_id / "job.json"
        if not _ID.fullmatch(job_id) or not path.exists():
            raise NotFound(f"there is no export {job_id[:40]!r}", hint=_KEPT)
        return Job(**json.loads(path.read_bytes()))

    def state(self, job_id: str) -> Json:
        """`{state, stage?, done?, of?, records?, bytes?, error?}`; `queued` also where it was interrupted."""
        state = json.loads((self._folder / job_id / "state.json").read_bytes())
        if state["state"] == RUNNING and not self._is_held(job_id):
            return {**state, "state": QUEUED}
        return state

    def tell(self, job_id: str, state: Json) -> None:
        """Say how far a job came."""
        write_json(self._folder / job_id / "state.json", state)

    def package(self, job_id: str) -> Path:
        """Where its package lies once it is done."""
        return self._folder / job_id / PACKAGE

    @contextmanager
    def held(self, job_id: str) -> Iterator[bool]:
        """Whether this process is the one that carries the job out; nobody is where it was removed in the meantime."""
        try:
            lock = (self._folder / job_id / "lock").open("ab")
        except FileNotFoundError:
            yield False
            return
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One export of a home at a time: they are long, and decisions need the disk."""
        with (self._folder / "turn").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def about(self, gone: Gone) -> list[str]:
        """Jobs whose package holds what was sealed in one of the records that went, or that may name the person."""
        folders = list(self._folder.iterdir()) if self._folder.is_dir() else []
        return [folder.name for folder in folders if _ID.fullmatch(folder.name) and _is_about(folder, gone)]

    def remove(self, job_id: str) -> None:
        """Whoever removes a job holds it."""
        shutil.rmtree(self._folder / job_id)

    def _is_held(self, job_id: str) -> bool:
        with self.held(job_id) as is_free:
            return not is_free

    def _forget_old(self) -> None:
        if not self._folder.is_dir():
            return
        for folder in self._folder.iterdir():
            is_old = time.time() - folder.stat().st_mtime > _KEPT_S
            if is_old and _ID.fullmatch(folder.name) and not self._is_held(folder.name):
                shutil.rmtree(folder)


def _is_about(folder: Path, gone: Gone) -> bool:
    from audit.exports.contents import indexes, opened_indexes

    packages = (folder / PACKAGE, folder / f".{PACKAGE}.unfinished")
    if any(gone.is_gone(index) for package in packages for index in opened_indexes(package)):
        return True
    if gone.minimum and any(index < gone.minimum for package in packages for index in indexes(package)):
        return True
    if not gone.is_named:
        return False
    asked = json.loads((folder / "job.json").read_bytes())["asked"]["filter"]
    if not {"subject", "text"} & asked.keys():
        return False
    # It names somebody: the erased one where it holds their records, and nobody can say whom where it holds none.
    found = [index for package in packages for index in indexes(package)]
    return not found or any(map(gone.is_gone, found))


def job_id(actor: str, idempotency_key: str) -> str:
    """The same caller and key give the same job; without a key every question is a new one."""
    secret = json.dumps([actor, idempotency_key]).encode() if idempotency_key else os.urandom(32)
    return hashlib.sha256(secret).hexdigest()[:32]


def write_json(path: Path, value: Json) -> None:
    """Whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(value), encoding="utf-8")
    unfinished.replace(path)
