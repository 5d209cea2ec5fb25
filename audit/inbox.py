"""Entries on their way from a replica to the sequencer, and its answers: sealed under a key that only the replicas hold.

What waits in the database is neither readable there (it is what records later seal) nor forgeable: without the log's key
nobody can put a record into the log by writing into a table.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.errors import NotDurable
from audit.record import Canonical, Entry, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.keys import SigningKey
    from audit.postgres import Connection

WAITING = "audit_waiting"
"""Channel on which it is said that something waits."""
ENTRY, ACT = "entry", "act"
_NONCE = 12
_INFO = b"microapp-governance/audit-inbox/v1"


class Waiting(NamedTuple):
    """One row of the inbox."""

    entry_id: bytes
    what: str
    """`entry` or `act`."""
    body: bytes
    is_known: bool
    """Whether the log has a record of this id: somebody put an old row back."""

    @property
    def bound(self) -> bytes:
        """What the body is bound to."""
        return self.entry_id + self.what.encode()


def new_entry_id() -> bytes:
    """16 bytes that begin with the time, so that the index over them grows at its end (RFC 9562, version 7)."""
    raw = bytearray(int(time.time() * 1000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    return bytes(raw)


class Seal:
    """Seals and opens bodies: with the newest key, and with any that the file holds while one takes over from another."""

    def __init__(self, key: SigningKey) -> None:
        secrets = [HKDF(SHA256(), 32, None, _INFO).derive(seed) for seed in key.seeds]
        self._ciphers = [AESGCM(secret) for secret in secrets]

    def sealed(self, value: Any, bound: bytes) -> bytes:
        """JSON of a value, bound to an id and what it is."""
        return _sealed(self._ciphers[0], value, bound)

    def opened(self, body: bytes, bound: bytes) -> Any:
        """The value; raises NotDurable for what no key of ours sealed."""
        return self._found(body, bound)[0]

    def answered(self, asked: bytes, asked_bound: bytes, value: Any, bound: bytes) -> bytes:
        """The same as `sealed`, under the key of what was asked: who asked may not have the newest yet."""
        try:
            cipher = self._found(asked, asked_bound)[1]
        except NotDurable:
            cipher = self._ciphers[0]
        return _sealed(cipher, value, bound)

    def _found(self, body: bytes, bound: bytes) -> tuple[Any, AESGCM]:
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(body[:_NONCE], body[_NONCE:], bound)
            except (InvalidTag, ValueError):
                continue
            return json.loads(plain.decode("utf-8", "surrogatepass")), cipher
        raise NotDurable("it is not sealed with this log's key: all replicas need the same <home>/audit/key")


def _sealed(cipher: AESGCM, value: Any, bound: bytes) -> bytes:
    plain = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, plain, bound)


def entry_value(entry: Entry) -> list[Any]:
    """An entry as JSON; raises NotDurable where it is none."""
    try:
        texts = {name: text_of(value) for name, value in entry.sealed.items()}
        json.dumps(entry.public)
    except (ValueError, TypeError, RecursionError) as error:
        raise NotDurable(f"not JSON: {error}") from error
    return [entry.kind, entry.time, entry.public, texts, entry.subject]


def value_entry(value: list[Any]) -> Entry:
    """The inverse."""
    kind, moment, public, texts, subject = value
    return Entry(kind, moment, public, {name: Canonical(text) for name, text in texts.items()}, subject)


def put(connection: Connection, rows: Sequence[tuple[bytes, str, bytes]]) -> None:
    """Put (id, what, body) into the inbox, and wake the sequencer."""
    with connection.transaction():
        # Nothing is promised by it: that is the record's own commit.
        connection.execute("SET LOCAL synchronous_commit = off")
        with connection.cursor() as cursor, cursor.copy("COPY inbox (id, what, body) FROM STDIN") as copy:
            for entry_id, what, body in rows:
                copy.write_row((UUID(bytes=entry_id), what, body))
        connection.execute(f"NOTIFY {WAITING}")


def waiting(connection: Connection, most: int) -> list[Waiting]:
    """What waits, the oldest first."""
    known = "EXISTS (SELECT 1 FROM leaves WHERE leaves.entry_id = inbox.id)"
    sql = f"SELECT id, what, body, {known} FROM inbox ORDER BY number LIMIT %s"  # noqa: S608  our own words
    return [Waiting(row[0].bytes, *row[1:]) for row in connection.execute(sql.encode(), (most,)).fetchall()]


def withdraw(connection: Connection, ids: Sequence[bytes]) -> set[bytes]:
    """Take rows out of the inbox; returns those that were still there."""
    uuids = [UUID(bytes=entry_id) for entry_id in ids]
    rows = connection.execute("DELETE FROM inbox WHERE id = ANY(%s) RETURNING id", (uuids,)).fetchall()
    return {row[0].bytes for row in rows}


def answer(connection: Connection, seal: Seal, row: Waiting, value: Any, channel: str) -> None:
    """Say what became of a row that is no record: a verb's result, or why not. Old answers that nobody fetched go."""
    entry_id = UUID(bytes=row.entry_id)
    body = seal.answered(row.body, row.bound, value, row.entry_id + b"answer")
    with connection.transaction():
        connection.execute("DELETE FROM inbox WHERE id = %s", (entry_id,))
        connection.execute("DELETE FROM answers WHERE at < clock_timestamp() - interval '10 minutes'")
        connection.execute("INSERT INTO answers (id, body) VALUES (%s, %s) ON CONFLICT DO NOTHING", (entry_id, body))
        connection.execute(f"NOTIFY {channel}".encode())
