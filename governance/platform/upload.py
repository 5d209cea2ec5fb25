"""Uploading decisions to a collector, from the durable log: every one at least once, in order, whatever happens in between.

The log is the queue. What was taken (2xx) moves a cursor that is on disk before the next batch is read, so a process that is
killed sends at most its last batch twice. Nothing is dropped: while the collector is away, the cursor waits.
"""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from governance.errors import CallerError, DependencyError
from governance.model.moment import utc_now
from governance.platform.bundles.http_source import bearer
from governance.platform.bundles.sources import LOOPBACK
from governance.platform.decision_events import event_of, without_contents
from governance.state.files import write_whole

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from audit.reader import LogReader
    from governance.model.request import Json

_LOOK_S = 0.5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 60.0
_TIMEOUT_S = 30


class UploadFailed(DependencyError):
    """The collector did not take a batch; it is sent again."""

    code = "upload_failed"

    def __init__(self, message: str, *, http_code: int = 0) -> None:
        """`http_code`: what the collector answered, 0 where it did not."""
        super().__init__(message)
        self.http_code = http_code


class Collector(NamedTuple):
    """Where decisions go."""

    url: str
    token_file: str
    batch: int

    def check(self) -> None:
        """Raise CallerError for an address that decisions must not be sent to."""
        parts = urlsplit(self.url)
        is_here = parts.hostname in LOOPBACK
        if parts.scheme not in {"https", "http"} or not parts.hostname or (parts.scheme == "http" and not is_here):
            raise CallerError("has to be an https address", where="GOVERNANCE_DECISION_LOG_URL")
        if parts.username or parts.password:
            raise CallerError("holds a credential", where="GOVERNANCE_DECISION_LOG_URL", hint="name a token file")


class Uploader:
    """One per service. `labels` stand in every event."""

    def __init__(
        self, reader: LogReader, collector: Collector, home: Path, labels: dict[str, str], say: Callable[[str], None]
    ) -> None:
        collector.check()
        self._reader = reader
        self._collector = collector
        self._labels = labels
        self._say = say
        self._folder = home / "upload"
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._next = self._remembered()
        self._batch = collector.batch

    def run(self, stopped: threading.Event) -> None:
        """Until stopped: send what is new; after a failure wait, twice as long each time."""
        pause = _FIRST_PAUSE_S
        while not stopped.is_set():
            try:
                sent = self.step()
            except UploadFailed as error:
                self._tell(str(error))
                self._say(f"{error}; again in {pause:.0f} s")
                stopped.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311  a pause, no secret
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            pause = _FIRST_PAUSE_S
            if not sent:
                stopped.wait(_LOOK_S)

    def step(self) -> int:
        """Send one batch and move the cursor; how many records were passed. Raises UploadFailed."""
        size = self._reader.size()
        end = min(self._next + self._batch, size)
        if end <= self._next:
            return 0
        records = [self._reader.record(index) for index in range(self._next, end)]
        events = [event for record in records if (event := event_of(record, self._labels)) is not None]
        if events and not self._sent(events):
            return 1
        passed, self._next = end - self._next, end
        self._batch = min(self._batch * 2, self._collector.batch)
        self._remember()
        self._tell("")
        return passed

    def _sent(self, events: list[dict[str, Json]]) -> bool:
        """False where the batch was too large and is tried again in smaller ones."""
        try:
            self._post(events)
        except UploadFailed as error:
            if error.http_code != 413:
                raise
            if self._batch > 1:
                self._batch = max(1, self._batch // 2)
                return False
            self._post([without_contents(event) for event in events])
        return True

    def _post(self, events: list[dict[str, Json]]) -> None:
        import httpx  # only where something is sent

        body = gzip.compress(json.dumps(events, ensure_ascii=False).encode("utf-8", "replace"), 5)
        try:
            headers = {
                "content-type": "application/json",
                "content-encoding": "gzip",
                **bearer(self._collector.token_file),
            }
            answer = httpx.post(self._collector.url, content=body, headers=headers, timeout=_TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UploadFailed(f"the collector does not answer: {type(error).__name__}") from error
        except DependencyError as error:
            raise UploadFailed(str(error)) from error
        if not answer.is_success:
            raise UploadFailed(f"the collector answered {answer.status_code}", http_code=answer.status_code)

    def _remembered(self) -> int:
        try:
            held = json.loads((self._folder / "cursor.json").read_bytes())
        except (OSError, ValueError):
            return 0
        # Another log's cursor says nothing about this one.
        is_ours = isinstance(held, dict) and held.get("log") == self._reader.verifier_key
        number: Any = held.get("next") if is_ours else 0
        return number if isinstance(number, int) and 0 <= number <= self._reader.size() else 0

    def _remember(self) -> None:
        held = {"next": self._next, "log": self._reader.verifier_key}
        write_whole(str(self._folder / "cursor.json"), json.dumps(held).encode())

    def _tell(self, message: str) -> None:
        status = {"next": self._next, "at": utc_now(), "message": message, "code": "upload_failed" if message else ""}
        try:
            write_whole(str(self._folder / "status.json"), json.dumps(status).encode())
        except OSError:
            self._say("its status cannot be written")


def upload_status(home: Path) -> dict[str, Any]:
    """How far the upload is and what went wrong last, as OPA shows a plugin: `{state, next, at, code, message}`."""
    try:
        held = json.loads((home / "upload" / "status.json").read_bytes())
    except (OSError, ValueError):
        return {"state": "NOT_READY"}
    return {"state": "ERROR" if held.get("code") else "OK", **held}
