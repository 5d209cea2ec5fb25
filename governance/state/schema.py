"""The tables of the shared state, beside those of the audit log in the same schema, and the key that seals its documents.

The documents are API keys' hashes, waivers, apps, and the private keys of app tokens. Whoever can write the database must
not be able to make one up, so each is sealed under a key that only the replicas can open: it stands in a table, wrapped for
each key of the log that the replicas' file holds (`wrapping`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.postgres import SCHEMA
from governance.errors import Damaged, DependencyError
from governance.state.wrapping import Wrapping, opened_with, sealed_with

if TYPE_CHECKING:
    from audit.keys import SigningKey
    from audit.postgres import Connection

_FIRST = """
CREATE TABLE state_clock (one int PRIMARY KEY CHECK (one = 1), version bigint NOT NULL);
INSERT INTO state_clock VALUES (1, 0);
CREATE TABLE state_documents (name text COLLATE "C" PRIMARY KEY, version bigint NOT NULL UNIQUE, body bytea);
CREATE TABLE state_keys (id bytea PRIMARY KEY, wrapped bytea NOT NULL);
CREATE TABLE usage_calls (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at double precision NOT NULL, app text NOT NULL,
    connector text NOT NULL);
CREATE INDEX usage_calls_of ON usage_calls (app, connector, at);
CREATE TABLE usage_days (day text, sort text, name text, n bigint NOT NULL, PRIMARY KEY (day, sort, name));
CREATE TABLE usage_requests (
    period text, sort text, name text, n bigint NOT NULL, PRIMARY KEY (period, sort, name));
CREATE TABLE usage_costs (
    month text, sort text, name text, microeur bigint NOT NULL, PRIMARY KEY (month, sort, name));
"""
_RUNTIME_USAGE = """
CREATE TABLE usage_runtime (
    day text COLLATE "C", tenant text, app text, calls bigint NOT NULL, fuel bigint NOT NULL, cpu_ms double precision NOT NULL,
    memory_mib_s double precision NOT NULL, egress_calls bigint NOT NULL, egress_bytes bigint NOT NULL,
    PRIMARY KEY (day, tenant, app));
CREATE TABLE usage_writers (writer text PRIMARY KEY, number bigint NOT NULL, at double precision NOT NULL);
"""
MIGRATIONS = (_FIRST, _RUNTIME_USAGE)
_LOCK = 0x73746174
_INFO = b"microapp-governance/state/v1"


def migrate(connection: Connection) -> None:
    """Bring the tables to this version, in one transaction; several replicas may start at once. Raises DependencyError."""
    if _version(connection) == len(MIGRATIONS):
        return
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        connection.execute("CREATE TABLE IF NOT EXISTS state_schema (version int NOT NULL)")
        before = _version(connection)
        if before > len(MIGRATIONS):
            raise DependencyError(
                f"the database's state is of version {before}, this program knows {len(MIGRATIONS)}", hint="update it"
            )
        for script in MIGRATIONS[before:]:
            connection.execute(script.encode())
        connection.execute("DELETE FROM state_schema")
        connection.execute("INSERT INTO state_schema VALUES (%s)", (len(MIGRATIONS),))


def _version(connection: Connection) -> int:
    found = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.state_schema",)).fetchone()
    row = connection.execute("SELECT version FROM state_schema").fetchone() if found and found[0] else None
    return int(row[0]) if row else 0


class Seal:
    """Seals documents under a key of 32 bytes, each bound to its name and version: no row can take another's place."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def sealed(self, content: bytes, name: str, version: int) -> bytes:
        """What stands in the table."""
        return sealed_with(self._cipher, content, f"{name}\n{version}".encode())

    def opened(self, body: bytes, name: str, version: int) -> bytes:
        """The inverse; raises Damaged for what somebody else wrote."""
        try:
            return opened_with(self._cipher, body, f"{name}\n{version}".encode())
        except (InvalidTag, ValueError) as error:
            raise Damaged("was not written by a replica of this installation", where=name) from error


def seal_of(connection: Connection, key: SigningKey) -> Seal:
    """The seal of this installation, made on first use; wrapped for every key of the replica's file.

    Raises DependencyError for a replica whose file holds none of the keys that it was wrapped for.
    """
    wrapping = Wrapping(key.seeds, _INFO)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        rows = connection.execute("SELECT id, wrapped FROM state_keys").fetchall()
        held = {bytes(row[0]): bytes(row[1]) for row in rows}
        secret = wrapping.opened(held)
        if secret is None and held:
            raise DependencyError(
                "this replica's key opens nothing of the others' state", hint="all need the same <home>/audit/key"
            )
        secret = secret or AESGCM.generate_key(256)
        for key_id, wrapped in wrapping.wrapped(secret).items():
            if key_id not in held:
                connection.execute("INSERT INTO state_keys VALUES (%s, %s)", (key_id, wrapped))
    return Seal(secret)
