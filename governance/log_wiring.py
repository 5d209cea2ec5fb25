"""Which log this home writes and reads: SQLite here or PostgreSQL elsewhere, its writer, its witnesses; the state beside it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from governance.errors import CallerError, DependencyError
from governance.state.files import FileState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from audit.errors import AuditError
    from audit.keys import SigningKey
    from audit.log import AuditLog
    from audit.postgres import Database
    from audit.reader import LogReader
    from audit.record import Entry, Receipt
    from audit.shared import SharedLog
    from governance.errors import GovernanceError
    from governance.pipeline import Recorder
    from governance.settings import Settings
    from governance.state.port import State
    from governance.state.shared import SharedState


# What a home remembers, for whoever moves it.
_DOCUMENTS = ("keys.json", "app-tokens.json", "connector-approvals.json")
_FOLDERS = ("apps", "apps/kept", "templates", "waivers", "waivers/proposed", "reviews/done", "reviews/spent")


class LogRecorder:
    """The log of this process as the line's recorder."""

    def __init__(self, log: AuditLog | SharedLog, timeout_s: float) -> None:
        self.log = log
        self._timeout_s = timeout_s

    def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable."""
        return self.log.append(entry, self._timeout_s)

    async def aappend(self, entry: Entry) -> Receipt:
        """The same without blocking the event loop."""
        import asyncio

        async with asyncio.timeout(self._timeout_s):
            return await asyncio.wrap_future(self.log.submit(entry))


class SharedRecorder:
    """The running service's writer as the line's recorder, for a command that decides one thing and ends."""

    def __init__(self, home: Path, timeout_s: float) -> None:
        self._home = home
        self._timeout_s = timeout_s

    def append(self, entry: Entry) -> Receipt:
        """Return once the entry is durable."""
        import asyncio

        return asyncio.run(self.aappend(entry))

    async def aappend(self, entry: Entry) -> Receipt:
        """The same without blocking the event loop."""
        from audit.client import Client

        client = Client(self._home, f"cli-{os.getpid()}", self._timeout_s)
        try:
            return await client.aappend(entry)
        finally:
            await client.close()


def database_of(settings: Settings) -> Database | None:
    """Where the audit log stands; None for SQLite in the home. Raises CallerError for a URL that is none."""
    if not settings.text("database"):
        return None
    try:
        from audit.postgres import Database
    except ImportError as error:
        raise CallerError(
            f"PostgreSQL's driver is missing ({error})",
            where="GOVERNANCE_DATABASE",
            hint="pip install 'microapp-governance[postgres]'",
        ) from error
    from audit.errors import AuditError

    try:
        return Database(settings.text("database"), settings.text("database_password_file")).checked()
    except AuditError as error:
        raise CallerError(str(error), where="GOVERNANCE_DATABASE") from error


def refusal_of(error: AuditError, hint: str = "") -> GovernanceError:
    """What whoever asked hears of an error of the log: that they have to ask differently, or that it failed, with `hint`."""
    text = f"{error.code}: {error}"
    return CallerError(text) if error.is_wrong_use else DependencyError(text, hint=hint)


def state_of(settings: Settings) -> State:
    """What is remembered beside the log: files of this home, or in the database that all replicas share.

    Raises CallerError for a URL that is none; where the database is not reached, using the state does.
    """
    database = database_of(settings)
    if database is None:
        return FileState(settings.text("home"))
    return _shared_state(database, _key_file(settings), settings.text("log_origin"))


def seeds_of(settings: Settings) -> tuple[bytes, ...]:
    """The secrets of the log's signing keys, for deriving others from them; the newest first. Raises DependencyError."""
    return signing_key_of(settings).seeds


def signing_key_of(settings: Settings) -> SigningKey:
    """The log's signing key, for notes of this home. Raises DependencyError."""
    from audit.errors import AuditError
    from audit.keys import load_or_make

    try:
        return load_or_make(_key_file(settings), settings.text("log_origin"), may_make=False)
    except (AuditError, OSError) as error:
        raise DependencyError(f"the log's key cannot be had: {error}") from error


def attestor_of(settings: Settings) -> Callable[[dict[str, Any]], list[dict[str, str]]]:
    """Signs statements with the log's key as it is at the time. What it gives raises DependencyError without that key."""
    from audit.envelopes import signatures_of
    from audit.errors import AuditError
    from audit.keys import load_or_make

    path, origin = _key_file(settings), settings.text("log_origin")

    def sign(statement: dict[str, Any]) -> list[dict[str, str]]:
        try:
            return signatures_of(statement, load_or_make(path, origin, may_make=False))
        except (AuditError, OSError) as error:
            raise DependencyError(f"the log's key cannot be had: {error}") from error

    return sign


def _key_file(settings: Settings) -> Path:
    key = settings.home.absolute() / "audit" / "key"
    if not key.exists():
        with open_recorder(settings):  # makes the log's key, where the database holds no log of another
            pass
    return key


@cache
def _shared_state(database: Database, key_file: Path, origin: str) -> SharedState:
    """One connection a process, whoever asks."""
    from governance.state.shared import SharedState

    return SharedState(database, key_file, origin)


def move_state(here: Settings, there: Settings) -> int:
    """Copy what this home remembers to where replicas share it; what is there stays. Gives how many documents there were."""
    from governance.state.shared import SharedState

    database, source = database_of(there), FileState(here.text("home"))
    if database is None:
        return 0
    target = SharedState(database, here.home / "audit" / "key", here.text("log_origin"))
    names = [*_DOCUMENTS, *(name for folder in _FOLDERS for name in source.names(folder))]
    found = {name: raw for name in names if (raw := source.read(name)) is not None}
    for name, raw in found.items():
        target.change(name, partial(_first, raw))
    return len(found)


def _first(raw: bytes, held: bytes | None) -> bytes:
    return raw if held is None else held


def open_log(settings: Settings) -> AuditLog | SharedLog:
    """The log for writing, which takes the home's lock; raises AuditError or OSError where it cannot be trusted or reached."""
    import sys

    database, origin = database_of(settings), settings.text("log_origin")
    if database is None:
        from audit.log import AuditLog

        return AuditLog(settings.home, origin=origin)
    from audit.shared import SharedLog

    return SharedLog(settings.home, origin=origin, database=database, complain=sys.stderr.write)


def open_reader(settings: Settings) -> LogReader:
    """The audit log of this home for reading; may run beside a service. Raises CallerError where there is none."""
    from audit.reader import LogReader

    try:
        return LogReader(settings.home, origin=settings.text("log_origin"), database=database_of(settings))
    except FileNotFoundError as error:
        raise CallerError(str(error)) from error


@contextmanager
def open_recorder(settings: Settings) -> Iterator[Recorder]:
    """Write access for one process: the log itself, or the running service's writer where that holds it."""
    from audit.errors import AuditError, LogInUse

    timeout_s = settings.number("record_timeout_ms") / 1000
    try:
        log = open_log(settings)
    except LogInUse:
        yield SharedRecorder(settings.home, timeout_s)
        return
    except (AuditError, OSError) as error:
        raise DependencyError(f"the audit log cannot be opened: {error}") from error
    try:
        _ask_witnesses(settings, log)
        yield LogRecorder(log, timeout_s)
    finally:
        log.close()


def _ask_witnesses(settings: Settings, log: AuditLog | SharedLog) -> None:
    """Raises DependencyError for a log that its witnesses disown."""
    from audit.errors import AuditError
    from governance.platform.witnesses import log_witnesses

    try:
        witnesses = log_witnesses(settings)
        if witnesses is not None:
            witnesses.check_start(log.reader)
    except AuditError as error:
        raise DependencyError(f"the audit log cannot be opened: {error}") from error


@contextmanager
def open_custody(settings: Settings) -> Iterator[Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """The verbs of `audit.custody` on this home's log: on the log itself, or through the running service's writer."""
    import asyncio

    from audit.client import Client
    from audit.custody import Custody
    from audit.log import AuditLog

    with open_recorder(settings) as recorder:
        if isinstance(recorder, LogRecorder):
            log = recorder.log
            yield Custody(log).act if isinstance(log, AuditLog) else log.act
            return

        async def act(verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
            client = Client(settings.home, f"cli-{os.getpid()}", settings.number("record_timeout_ms") / 1000)
            try:
                return await client.act(verb, arguments)
            finally:
                await client.close()

        yield lambda verb, arguments: asyncio.run(act(verb, arguments))
