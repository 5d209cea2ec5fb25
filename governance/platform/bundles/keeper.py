"""The keeper: fetches every source, has the set compiled and proved, records the change, and puts it in force.

It works beside the workers, never in them. One thread waits on each remote source, so that a server that hangs holds up
nobody else; everything else happens in the keeper's own thread. Whatever goes wrong, the release in force stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from governance.errors import BadBundle, GovernanceError
from governance.model.moment import utc_now
from governance.platform.bundles.git_source import fetch_git
from governance.platform.bundles.http_source import Fetched, fetch_http
from governance.platform.bundles.releases import Part, Release, Shelf
from governance.platform.bundles.sources import FetchFailed, Source, Terms, config_digest
from governance.state.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LOOK_S = 0.2
_LONGEST_PAUSE_S = 300.0
ACTOR = "service:bundle-keeper"


class Plan(NamedTuple):
    """What the settings ask for."""

    sources: tuple[Source, ...]
    terms: Terms
    key: bytes
    build_timeout_s: int

    @property
    def config(self) -> str:
        """Digest of what releases are made for."""
        return config_digest(self.sources, self.key)

    @property
    def has_remote(self) -> bool:
        """Whether anything has to be fetched."""
        return any(source.is_remote for source in self.sources)


class _News(NamedTuple):
    source: Source
    fetched: Fetched | None
    error: FetchFailed | None


class Keeper:
    """One per service. `record` makes a change of policy durable in the audit log, or raises; `say` tells an operator."""

    def __init__(
        self, plan: Plan, home: Path, record: Callable[[dict[str, Any]], None], say: Callable[[str], None]
    ) -> None:
        self.plan = plan
        self.shelf = Shelf(home)
        self._record = record
        self._say = say
        self._news: queue.Queue[_News] = queue.Queue()
        self._rows: dict[str, dict[str, Any]] = {}
        self._good = {source.name: self._remembered(source) for source in plan.sources if source.is_remote}
        self._refused: dict[str, tuple[str, str]] = {}
        # A release that could not be recorded yet, and when to try again.
        self._waiting: tuple[Release, str] | None = None
        # Somebody may have asked while no keeper ran: the first turn looks again, which costs little where nothing changed.
        self._asked = 0
        self._saved = ""
        for source in plan.sources:
            self._rows[source.name] = self._first_row(source)

    # -- at start ----------------------------------------------------------------------------------------------------

    def first(self) -> Release | None:
        """Fetch everything once and compile it; None where a source has never been reached.

        Raises BadBundle (RuleError) where only folders here are named and they must not serve.
        """
        self.shelf.prepare()
        for source in self.plan.sources:
            if source.is_remote:
                self._take(_News(source, *self._asked_once(source, wait=False)))
        try:
            return self._built()
        except GovernanceError as error:
            if not self.plan.has_remote:
                raise
            self._failed(error)
            return None
        finally:
            self._save()

    def put_in_force(self, release: Release, why: str) -> None:
        """Record and activate, unless it is in force already or somebody has pinned another."""
        standing = self.shelf.standing()
        same = standing is not None and standing.release.id == release.id and standing.release.config == release.config
        if same:
            self._activated(release)
            return
        if standing is not None and standing.is_pinned and standing.release.config == release.config:
            self._say(f"{release.revision} is ready and not in force: {standing.release.revision} is pinned")
            return
        self.shelf.activate(release, ACTOR, self._record, pin=False, why=why)
        self._activated(release)
        self._say(f"in force: {release.revision}")

    # -- afterwards --------------------------------------------------------------------------------------------------

    def run(self, stopped: threading.Event) -> None:
        """Until stopped: follow the sources."""
        for source in self.plan.sources:
            if source.is_remote:
                threading.Thread(target=self._follow, args=(source, stopped), daemon=True).start()
        while not stopped.is_set():
            self._turn()
            self._save()

    def rebuild(self) -> None:
        """Compile anew from what there is now: folders here may have changed."""
        self._refused.clear()
        self._renew("asked to look again")

    def _turn(self) -> None:
        try:
            news = self._news.get(timeout=_LOOK_S)
        except queue.Empty:
            news = None
        if news is not None and self._take(news):
            self._renew("a source changed")
        if self._asked != (now := self._asked_stamp()):
            self._asked = now
            self.rebuild()
        if self._waiting is not None:
            self._try_to_activate(*self._waiting)

    def _renew(self, why: str) -> None:
        try:
            release = self._built()
        except GovernanceError as error:
            self._failed(error)
            return
        if release is not None:
            self._try_to_activate(release, why)

    def _try_to_activate(self, release: Release, why: str) -> None:
        try:
            self.put_in_force(release, why)
        except Exception as error:  # noqa: BLE001  whatever the log or the disk said: not recorded, not in force, tried again
            if self._waiting is None:
                self._say(f"{release.revision} waits: {error}")
            self._waiting = (release, why)
            time.sleep(_LOOK_S)
            return
        self._waiting = None

    def _follow(self, source: Source, stopped: threading.Event) -> None:
        """One thread per source. Errors lengthen the pause; every pause is jittered, so that a fleet does not ask at once."""
        pause, is_long_poll = float(self.plan.terms.poll_s), False
        while not stopped.wait(0 if is_long_poll else pause * random.uniform(0.8, 1.2)):  # noqa: S311  a pause, no secret
            fetched, error = self._asked_once(source, wait=True)
            is_long_poll = fetched is not None and fetched.is_long_poll and self.plan.terms.wait_s > 0
            failing = min(max(pause, 1.0) * 2, max(_LONGEST_PAUSE_S, self.plan.terms.poll_s))
            pause = failing if error is not None else float(self.plan.terms.poll_s)
            self._news.put(_News(source, fetched, error))

    def _asked_once(self, source: Source, *, wait: bool) -> tuple[Fetched | None, FetchFailed | None]:
        etag = self._good[source.name].get("etag", "")
        try:
            if source.kind == "git":
                return fetch_git(source.location, etag, self.plan.terms, self._folder(source)), None
            return fetch_http(source.location, etag, self.plan.terms, wait=wait), None
        except FetchFailed as error:
            return None, error
        except Exception as error:  # noqa: BLE001  a thread that ended would leave its source unasked for good
            return None, FetchFailed(f"unexpected {type(error).__name__}", where=source.location)

    # -- what came in ------------------------------------------------------------------------------------------------

    def _take(self, news: _News) -> bool:
        """Note what a source said; whether there is something new to compile."""
        row, now = self._rows[news.source.name], utc_now()
        row["last_request"] = now
        if news.error is not None:
            row |= {"code": news.error.code, "message": str(news.error), "http_code": news.error.http_code}
            return False
        fetched = news.fetched
        if fetched is None:
            return False
        row |= {"last_successful_request": now, "http_code": fetched.http_code}
        if fetched.content is None:  # what is there is what passed before
            row |= {"code": "", "message": ""}
            return False
        digest = hashlib.sha256(fetched.content).hexdigest()
        if digest in self._refused:
            code, reason = self._refused[digest]
            row |= {"code": code, "message": reason}
            return False
        good = self._good[news.source.name]
        if good.get("digest") == digest and good["revision"] == fetched.revision:
            self._remember(news.source, {**good, "etag": fetched.etag})
            row |= {"code": "", "message": ""}
            return False
        self._folder(news.source).mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder(news.source) / f"{digest}.tar.gz"
        write_whole(str(path), fetched.content)
        row |= {"last_successful_download": now, "size": len(fetched.content)}
        good["next"] = {"digest": digest, "etag": fetched.etag, "revision": fetched.revision}
        return True

    def _built(self) -> Release | None:
        """The release of all sources as they are now. Raises GovernanceError; None where one was never reached."""
        rows: list[tuple[str, bool, str]] = []
        for source in self.plan.sources:
            if not source.is_remote:
                rows.append((source.location, source.v0, ""))
                continue
            held = self._good[source.name].get("next") or self._good[source.name]
            if not held.get("digest"):
                return None
            rows.append((str(self._folder(source) / f"{held['digest']}.tar.gz"), source.v0, held["revision"]))
        packed = build_apart(rows, self.plan.key, self.plan.build_timeout_s)
        revisions = revisions_of(packed, len(rows))
        parts = [Part(s.name, s.location, r) for s, r in zip(self.plan.sources, revisions, strict=True)]
        release = self.shelf.add(packed, self.plan.config, parts)
        for source in self.plan.sources:
            if source.is_remote and "next" in self._good[source.name]:
                self._remember(source, self._good[source.name]["next"])
        return release

    def _failed(self, error: GovernanceError) -> None:
        """What was new is refused: the same archive is not tried again, and what passed before stays."""
        reason = str(error)[:2000]
        for source in self.plan.sources:
            if "next" in self._good.get(source.name, {}):
                path = self._folder(source) / f"{self._good[source.name]['next']['digest']}.tar.gz"
                reason = reason.replace(str(path), source.location)
        has_new = any("next" in held for held in self._good.values())
        for source in self.plan.sources:
            held = self._good.get(source.name, {})
            if "next" in held or not (has_new or source.is_remote):
                self._rows[source.name] |= {"code": error.code, "message": reason}
            if "next" in held:
                self._refused[held.pop("next")["digest"]] = (error.code, reason)
        standing = self.shelf.standing()
        self._say(f"keeps {standing.release.revision if standing else 'nothing'}: {reason}")

    def _activated(self, release: Release) -> None:
        now = utc_now()
        for part in release.parts:
            row = self._rows[part.name]
            row |= {"active_revision": part.revision, "code": "", "message": ""}
            row["last_successful_activation"] = row["last_successful_activation"] or now
            if row.get("activated") != release.id:
                row |= {"last_successful_activation": now, "activated": release.id}
        self._save()

    # -- on disk -----------------------------------------------------------------------------------------------------

    def _folder(self, source: Source) -> Path:
        return self.shelf.folder / "sources" / source.slug

    def _remembered(self, source: Source) -> dict[str, Any]:
        try:
            held = json.loads((self._folder(source) / "state.json").read_bytes())
            content = (self._folder(source) / f"{held['digest']}.tar.gz").read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return dict(held) if hashlib.sha256(content).hexdigest() == held["digest"] else {}

    def _remember(self, source: Source, held: dict[str, Any]) -> None:
        held = {name: held[name] for name in ("digest", "etag", "revision")}
        folder = self._folder(source)
        write_whole(str(folder / "state.json"), json.dumps(held).encode())
        self._good[source.name] = held
        for path in folder.glob("*.tar.gz"):
            if path.stem != f"{held['digest']}.tar":
                path.unlink(missing_ok=True)

    def _first_row(self, source: Source) -> dict[str, Any]:
        before = self.shelf.status().get("bundles", {}).get(source.name, {})
        if before.get("location") == source.location:
            return dict(before)
        return {
            "name": source.name, "location": source.location, "type": "snapshot", "active_revision": "", "size": 0,
            "last_request": "", "last_successful_request": "", "last_successful_download": "",
            "last_successful_activation": "", "code": "", "message": "", "http_code": 0,
        }  # fmt: skip

    def _asked_stamp(self) -> int:
        try:
            return os.stat(self.shelf.folder / "rebuild").st_mtime_ns
        except OSError:
            return 0

    def _save(self) -> None:
        status = {"config": self.plan.config, "bundles": self._rows}
        text = json.dumps(status)
        if text != self._saved:
            self.shelf.write_status(status)
            self._saved = text


def build_apart(rows: Sequence[tuple[str, bool, str]], key: bytes, timeout_s: int) -> bytes:
    """The packed policy of (path, is v0, revision) rows, the first being the main one; raises BadBundle with the reason."""
    wanted = json.dumps({"main": rows[0], "extras": rows[1:], "key": key.hex()})
    with tempfile.TemporaryDirectory(prefix="governance-build-") as folder:
        output = Path(folder) / "packed"
        argv = [sys.executable, "-P", "-m", "governance.platform.bundles.build_main", str(output)]
        try:
            done = subprocess.run(  # noqa: S603  a module of ours
                argv, input=wanted.encode(), capture_output=True, check=False, timeout=timeout_s
            )
        except subprocess.TimeoutExpired as error:
            raise BadBundle(f"took more than {timeout_s} s to compile", where=rows[0][0]) from error
        if done.returncode == 0:
            return output.read_bytes()
        reason = done.stdout.decode("utf-8", "replace") or f"the compiler ended with {done.returncode}"
        raise BadBundle(reason)


def revisions_of(packed: bytes, count: int) -> list[str]:
    """The revision of each of the `count` bundles that a release was made of."""
    names = str(json.loads(packed.partition(b"\n")[0])["revision"]).split("+")
    # A manifest may have a "+" in its revision: then the parts cannot be told apart, and each gets the whole.
    return names if len(names) == count else ["+".join(names)] * count
