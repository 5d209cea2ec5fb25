"""How PostgreSQL is reached, and its schema as numbered migrations. The one door to psycopg, beside what takes its connections.

A password stands in a file (GOVERNANCE_DATABASE_PASSWORD_FILE, or libpq's passfile), never in the URL: a URL is logged, shown
by `governance settings`, and inherited by every process.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from audit.errors import BatchRefused, LogUnusable
from audit.log_store import CUSTODY_SQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection = psycopg.Connection[tuple[Any, ...]]

SCHEMA = "audit_log"
# A connection whose other end is gone without a word is noticed in about ten seconds, on both sides.
_ALIVE: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_SESSION = f"""
SET search_path = {SCHEMA};
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
SET idle_in_transaction_session_timeout = '15s';
"""
_MIGRATION_LOCK = 0x61756469

# Text sorts and compares by bytes, whatever the database's own collation is: times are compared as text.
_LOG = f"""
CREATE TABLE leaves (
    idx bigint PRIMARY KEY, leaf bytea NOT NULL, kind text COLLATE "C" NOT NULL, time text COLLATE "C" NOT NULL,
    decision_id text COLLATE "C" NOT NULL, app text COLLATE "C" NOT NULL, app_sequence bigint NOT NULL,
    tenant text COLLATE "C" NOT NULL, actor text COLLATE "C" NOT NULL, effect text COLLATE "C" NOT NULL,
    trace_id text COLLATE "C" NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX leaves_by_app ON leaves (app, app_sequence);
CREATE INDEX leaves_by_decision ON leaves (decision_id);
CREATE INDEX leaves_by_tenant ON leaves (tenant, idx);
CREATE INDEX leaves_by_kind ON leaves (kind, idx) WHERE kind IN {CUSTODY_SQL};
CREATE INDEX leaves_by_trace ON leaves (trace_id) WHERE trace_id <> '';
CREATE TABLE rules_hit (rule text COLLATE "C" NOT NULL, idx bigint NOT NULL, PRIMARY KEY (rule, idx));
CREATE TABLE connectors_hit (connector text COLLATE "C" NOT NULL, idx bigint NOT NULL, PRIMARY KEY (connector, idx));
CREATE TABLE tiles (level int NOT NULL, idx bigint NOT NULL, hashes bytea NOT NULL, PRIMARY KEY (level, idx));
ALTER TABLE tiles ALTER hashes SET STORAGE EXTERNAL;
CREATE TABLE sealed (idx bigint PRIMARY KEY, subject bigint NOT NULL, sealed bytea NOT NULL);
CREATE INDEX sealed_by_subject ON sealed (subject, idx);
CREATE TABLE emptied (idx bigint PRIMARY KEY, by bigint NOT NULL);
CREATE TABLE subjects (number bigint PRIMARY KEY, subject text COLLATE "C" NOT NULL UNIQUE, key bytea NOT NULL);
CREATE TABLE pruned_apps (app text COLLATE "C" PRIMARY KEY, app_sequence bigint NOT NULL);
CREATE TABLE head (one int PRIMARY KEY CHECK (one = 1), size bigint NOT NULL, note text NOT NULL);
"""
# What several replicas need: who writes, and what waits to be written. The inbox is not logged by PostgreSQL: nothing in it
# was acknowledged, and so what waits leaves no copy in the write-ahead log.
_SHARED = """
ALTER TABLE head ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
INSERT INTO head (one, size, note) VALUES (1, 0, '') ON CONFLICT DO NOTHING;
ALTER TABLE leaves ADD COLUMN entry_id uuid;
CREATE UNIQUE INDEX leaves_by_entry ON leaves (entry_id) WHERE entry_id IS NOT NULL;
CREATE TABLE sequencer (one int PRIMARY KEY CHECK (one = 1), beat timestamptz NOT NULL);
INSERT INTO sequencer VALUES (1, clock_timestamp());
CREATE UNLOGGED TABLE inbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id uuid NOT NULL UNIQUE, what text NOT NULL, body bytea NOT NULL);
CREATE UNLOGGED TABLE answers (id uuid PRIMARY KEY, body bytea NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
"""
# Whoever is elected next wraps what stands there in clear; a program that does not know of it must not write any more.
_WRAPPED = "COMMENT ON TABLE subjects IS 'names are tags, keys are wrapped under a secret of the log'"
MIGRATIONS = (_LOG, _SHARED, _WRAPPED)


class Database(NamedTuple):
    """Where the log's tables are."""

    url: str
    """`postgresql://user@host:port/name?sslmode=…`, without a password."""
    password_file: str = ""
    """File with nothing but the password; empty: libpq's own passfile, or none is needed."""

    def checked(self) -> Database:
        """Itself; raises LogUnusable for what is no such URL, without repeating it: it may hold a password."""
        if not self.url.startswith(("postgresql://", "postgres://")):
            raise LogUnusable("the database is named by a URL that begins with postgresql://")
        try:
            parts = conninfo_to_dict(self.url)
        except psycopg.Error:
            raise LogUnusable("the database's postgresql:// URL cannot be read") from None
        if not all(port.isdigit() for port in str(parts.get("port", "0")).split(",")):
            # A password with a slash in it ends up here, and libpq would repeat it.
            raise LogUnusable("the database's postgresql:// URL cannot be read: its port is no number")
        if "password" in parts:
            raise LogUnusable(
                "the database's URL holds a password: take it out, and name a file that holds it by "
                "GOVERNANCE_DATABASE_PASSWORD_FILE (or PGPASSFILE)"
            )
        return self

    def connect(self) -> Connection:
        """A connection of its own, each statement a transaction; raises LogUnusable saying why there is none."""
        with failing("cannot be reached"):
            password: dict[str, Any] = {"password": self._password()} if self.password_file else {}
            connection = psycopg.connect(
                self.checked().url, autocommit=True, connect_timeout=5, application_name="governance-audit",
                **_ALIVE, **password,
            )  # fmt: skip
            connection.execute(_SESSION)
            return connection

    def _password(self) -> str:
        try:
            with open(self.password_file, encoding="utf-8") as file:
                return file.read().rstrip("\r\n")
        except OSError as error:
            raise LogUnusable(
                f"{self.password_file}: the database's password cannot be read ({error.strerror})"
            ) from error


@contextmanager
def failing(what: str) -> Iterator[None]:
    """Psycopg's errors as this room's: BatchRefused where the statement was wrong, LogUnusable where the server failed."""
    try:
        yield
    except (psycopg.DataError, psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError) as error:
        raise BatchRefused(f"PostgreSQL refused it: {_said(error)}") from error
    except psycopg.Error as error:
        raise LogUnusable(f"PostgreSQL {what}: {_said(error)}") from error


def _said(error: psycopg.Error) -> str:
    """One line, without the values that a server's DETAIL repeats."""
    return (error.diag.message_primary or str(error)).strip().replace("\n", " ")[:300] or type(error).__name__


def version_of(connection: Connection) -> int:
    """How many migrations the schema has seen; 0 where there is none."""
    found = connection.execute("SELECT to_regclass(%s)", (f"{SCHEMA}.schema_version",)).fetchone()
    if found is None or found[0] is None:
        return 0
    row = connection.execute(f"SELECT version FROM {SCHEMA}.schema_version").fetchone()  # noqa: S608  our own name
    return int(row[0]) if row else 0


def migrate(connection: Connection, *, to: int = len(MIGRATIONS)) -> int:
    """Bring the schema up to a version in one transaction; returns the version that it had.

    Several replicas may start at once: one migrates, the others wait. Raises LogUnusable for a schema of a newer program.
    """
    with failing("cannot be migrated"):
        if version_of(connection) == to:
            return to
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            before = version_of(connection)
            if before > to:
                raise LogUnusable(f"the database's schema is of version {before}, this program knows {to}: update it")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for script in MIGRATIONS[before:to]:
                connection.execute(script.encode())
            connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)")
            connection.execute("DELETE FROM schema_version")
            connection.execute("INSERT INTO schema_version VALUES (%s)", (to,))
        return before
