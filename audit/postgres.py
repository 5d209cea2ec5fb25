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
from audit.schema import HEAD, bound, from_nothing, upgrade

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


def revision_of(connection: Connection) -> str:
    """The revision of the schema; empty where there is none."""
    found = connection.execute(
        "SELECT to_regclass(%s), to_regclass(%s)", (f"{SCHEMA}.alembic_version", f"{SCHEMA}.schema_version")
    ).fetchone()
    for table, is_there in zip(("alembic_version", "schema_version"), found or (), strict=True):
        row = connection.execute(f"SELECT * FROM {SCHEMA}.{table}".encode()).fetchone() if is_there else None  # noqa: S608  our own names
        if row:
            return str(row[0]).rjust(4, "0")  # before Alembic it was a number
    return ""


def migrate(connection: Connection, *, to: str = HEAD) -> str:
    """Bring the schema up to a revision in one transaction; returns the one that it had.

    Several replicas may start at once: one migrates, the others wait. Raises LogUnusable for a schema of a newer program.
    """
    with failing("cannot be migrated"):
        if (before := revision_of(connection)) == to:
            return before
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
            if not revision_of(connection):
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
                for statement in from_nothing("postgresql", to):
                    connection.execute(statement.encode())
        if revision_of(connection) != to:
            _upgrade(connection, to)
        return before


def _upgrade(connection: Connection, to: str) -> None:
    """Alembic wants the transaction to be its own."""
    connection.autocommit = False
    try:
        with bound("postgresql+psycopg", connection) as alembic:
            alembic.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            if (before := revision_of(connection)) != to:
                upgrade(alembic, before, to, "the database", schema=SCHEMA)
                alembic.exec_driver_sql("DROP TABLE IF EXISTS schema_version")
    finally:
        connection.autocommit = True
