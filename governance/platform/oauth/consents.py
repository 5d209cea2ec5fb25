"""Consents: which person lets which app do what for them at which connector, until when; and open questions to vendors.

Here one SQLite file of a home, one transaction a change, read anew at every call: what was withdrawn is withdrawn for every
process at once. `shared_consents` keeps them for several replicas.
A consent begins as `asked`, is `given` once the vendor gave a token for it, and ends as `withdrawn`; nothing leads back. No
token lies here: the store of secrets holds it under `Consent.handle`.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from governance.errors import DependencyError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from governance.model.request import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS consents (id TEXT PRIMARY KEY, app TEXT, tenant TEXT, connector TEXT, person TEXT, scopes TEXT,
  purpose TEXT, expires_at TEXT, state TEXT, given_at TEXT, ended_at TEXT, ended_by TEXT, leased_until REAL DEFAULT 0);
CREATE INDEX IF NOT EXISTS consents_of ON consents (tenant, person);
CREATE TABLE IF NOT EXISTS questions (state TEXT PRIMARY KEY, consent TEXT, ends REAL);
"""
# A person who looks up a password at the vendor's takes minutes; a question that hangs about for longer is a risk.
QUESTION_LIVES_S = 600.0
NO_CONSENT = "governance consent list"


class Consent(NamedTuple):
    """One consent."""

    id: str
    """UUIDv7; what an app names in its calls."""
    app: str
    tenant: str
    connector: str
    person: str
    """Who gave it, as records name them."""
    scopes: tuple[str, ...]
    purpose: str
    """The manifest's words at that time."""
    expires_at: str
    """RFC 3339, UTC."""
    state: str = "asked"
    """`asked`, `given` or `withdrawn`."""
    given_at: str = ""
    ended_at: str = ""
    ended_by: str = ""
    """Who withdrew it; `vendor` where the vendor no longer honours it."""

    @property
    def handle(self) -> str:
        """Name of the secret that holds its tokens."""
        return f"{self.tenant}/consent-{self.id}"

    @property
    def fact(self) -> Json:
        """Fact `consent`."""
        return {"known": True, **self._asdict(), "scopes": list(self.scopes)}


class Consents(Protocol):
    """Where consents are kept. Every method may raise DependencyError."""

    def ask(self, consent: Consent, state_digest: str) -> None:
        """Keep a consent that waits for the vendor's answer to a question."""

    def answered(self, state_digest: str) -> Consent | None:
        """The consent that a question was about, once: the question is gone then. None where there is none, or it is old."""

    def get(self, consent_id: str) -> Consent | None:
        """One consent."""

    def give(self, consent: Consent) -> bool:
        """Put an asked consent in force, with `scopes` and `given_at` as they are here. False where it was not waiting."""

    def withdraw(self, consent_id: str, by: str, now: str) -> Consent:
        """End a consent; one that has ended stays as it ended. Raises NotFound."""

    def remove(self, consent_id: str) -> None:
        """Forget a consent, so that nothing says who gave it; nothing where there is none. Copies end with `scrub`."""

    def scrub(self) -> None:
        """Leave no byte of what was removed, by whoever, in the store's files."""

    def all(self, tenant: str = "", person: str = "") -> list[Consent]:
        """Consents, newest first; of one tenant, of one person."""

    def lease(self, consent_id: str, seconds: float) -> bool:
        """Be the only one who renews this consent's token, for so long. False where somebody else is at it."""

    def release(self, consent_id: str) -> None:
        """Let the next one renew."""


class SqliteConsents:
    """`consents.db` in a home folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / "consents.db"
        self._clock = clock

    def ask(self, consent: Consent, state_digest: str) -> None:
        """As the port says."""
        row = {**consent._asdict(), "scopes": json.dumps(consent.scopes)}
        columns, marks = ", ".join(row), ", ".join("?" * len(row))
        self._change(f"INSERT INTO consents ({columns}) VALUES ({marks})", *row.values())  # noqa: S608  names of our own
        self._change("DELETE FROM questions WHERE ends <= ?", self._clock())
        if state_digest:
            self._change(
                "INSERT INTO questions VALUES (?, ?, ?)", state_digest, consent.id, self._clock() + QUESTION_LIVES_S
            )

    def answered(self, state_digest: str) -> Consent | None:
        """As the port says."""
        rows = list(self._rows("DELETE FROM questions WHERE state = ? RETURNING consent, ends", state_digest))
        if not rows or rows[0][1] <= self._clock():
            return None
        return self.get(rows[0][0])

    def get(self, consent_id: str) -> Consent | None:
        """As the port says."""
        rows = list(self._rows(f"SELECT {_COLUMNS} FROM consents WHERE id = ?", consent_id))  # noqa: S608  as above
        return _consent(rows[0]) if rows else None

    def give(self, consent: Consent) -> bool:
        """As the port says."""
        changed = self._change(
            "UPDATE consents SET state = 'given', scopes = ?, given_at = ? WHERE id = ? AND state = 'asked'",
            json.dumps(consent.scopes), consent.given_at, consent.id,
        )  # fmt: skip
        return changed == 1

    def withdraw(self, consent_id: str, by: str, now: str) -> Consent:
        """As the port says."""
        self._change(
            "UPDATE consents SET state = 'withdrawn', ended_at = ?, ended_by = ? WHERE id = ? AND state <> 'withdrawn'",
            now, by, consent_id,
        )  # fmt: skip
        found = self.get(consent_id)
        if found is None:
            raise NotFound(f"there is no consent {consent_id[:64]!r}", hint=NO_CONSENT)
        return found

    def remove(self, consent_id: str) -> None:
        """As the port says."""
        self._change("DELETE FROM questions WHERE consent = ?", consent_id)
        self._change("DELETE FROM consents WHERE id = ?", consent_id)

    def scrub(self) -> None:
        """Make the file anew, since pages keep shreds of rows that moved, and empty a write-ahead log.

        There is one where somebody turned the file to it, as programs that copy databases do; that stays in the file.
        """
        if not self._path.exists():
            return
        list(self._rows("VACUUM"))
        ((is_read, *_),) = self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
        if is_read:
            raise DependencyError(
                "a reader keeps the write-ahead log from being emptied", where=str(self._path), hint="run this again"
            )

    def all(self, tenant: str = "", person: str = "") -> list[Consent]:
        """As the port says."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM consents WHERE (? = '' OR tenant = ?) AND (? = '' OR person = ?) ORDER BY id DESC",  # noqa: S608
            tenant, tenant, person, person,
        )  # fmt: skip
        return [_consent(row) for row in rows]

    def lease(self, consent_id: str, seconds: float) -> bool:
        """As the port says."""
        now = self._clock()
        statement = "UPDATE consents SET leased_until = ? WHERE id = ? AND leased_until <= ?"
        return self._change(statement, now + seconds, consent_id, now) == 1

    def release(self, consent_id: str) -> None:
        """As the port says."""
        self._change("UPDATE consents SET leased_until = 0 WHERE id = ?", consent_id)

    def _change(self, statement: str, *values: object) -> int:
        """How many rows a statement changed."""
        return len(list(self._rows(f"{statement} RETURNING 1", *values)))

    def _rows(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            try:
                self._path.chmod(0o600)
                # A withdrawal that a power cut takes back would let calls out again.
                database.execute("PRAGMA synchronous = FULL")
                database.execute("PRAGMA secure_delete = ON")
                database.executescript(_SCHEMA)
                yield from database.execute(statement, values).fetchall()
            finally:
                database.close()
        except (sqlite3.Error, OSError) as error:
            raise DependencyError(f"the store of consents: {error}", where=str(self._path)) from error


_COLUMNS = ", ".join(Consent._fields)


def _consent(row: tuple[Any, ...]) -> Consent:
    found = Consent(*row)
    return found._replace(scopes=tuple(json.loads(str(found.scopes))))
