"""Which schema a log's database has, and how it comes to have this program's: Alembic revisions, stamped in `alembic_version`.

A new database gets the statements of every revision and the stamp of the newest, which needs no SQLAlchemy; one of an older
revision is upgraded by Alembic in one transaction, on SQLite after a copy of it was put beside it. There is no way back but
that copy: whoever was served by the new schema has records that the old one does not know.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.errors import LogUnusable
from audit.migrations import statements
from audit.migrations.versions import r0001_log, r0002_shared, r0003_wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_VERSIONS = (r0001_log, r0002_shared, r0003_wrapped)
KNOWN: tuple[str, ...] = tuple(str(version.revision) for version in _VERSIONS)
HEAD: str = KNOWN[-1]
_STAMP = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)"
# What marked a schema on SQLite before Alembic did; below it the tables were others.
_FIRST_NUMBERED = 2


def is_older(revision: str, where: str) -> bool:
    """Whether a revision comes before this program's; raises LogUnusable for one that it does not know."""
    if revision not in KNOWN:
        raise LogUnusable(
            f"{where}: its schema is revision {revision[:40]!r}, this program knows those up to {HEAD!r}: update it"
        )
    return revision != HEAD


def from_nothing(dialect: str, to: str = HEAD) -> list[str]:
    """The statements that make the schema of a revision, its stamp included."""
    made = [version for version in _VERSIONS if version.revision <= to]
    scripts = [version.SQLITE if dialect == "sqlite" else version.POSTGRES for version in made]
    return [one for script in scripts for one in statements(script)] + [_STAMP, _stamped(to)]


def upgrade(connection: Connection, before: str, to: str, where: str, *, schema: str | None = None) -> None:
    """Have Alembic upgrade in the transaction of a connection, which has to hold the database alone."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import inspect

    is_older(before, where)
    if not inspect(connection).has_table("alembic_version", schema=schema):
        for statement in (_STAMP, _stamped(before)):
            connection.exec_driver_sql(statement)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes.update(connection=connection, schema=schema)
    command.upgrade(config, to)


@contextmanager
def bound(driver: str, connection: Any) -> Iterator[Connection]:
    """A driver's connection as SQLAlchemy's, in a transaction that is committed unless something is raised."""
    from sqlalchemy import StaticPool, create_engine

    engine = create_engine(f"{driver}://", creator=lambda: connection, poolclass=StaticPool)
    with engine.begin() as begun:
        yield begun


def revision_of_sqlite(database: sqlite3.Connection) -> str:
    """The revision of a database; empty for one without tables. Raises LogUnusable for tables from before revision 0001."""
    names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "alembic_version" in names:
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
        return str(row[0]) if row else ""
    if "leaves" not in names:
        return ""
    if database.execute("PRAGMA user_version").fetchone()[0] < _FIRST_NUMBERED:
        raise LogUnusable(
            "log.db: written by a version before the first schema that can be migrated: export it with that one"
        )
    return KNOWN[0]


def migrate_sqlite(database: sqlite3.Connection, path: Path) -> None:
    """Bring a database up to this program's schema. The one who writes the log calls it, and holds the log's lock."""
    before = revision_of_sqlite(database)
    if not before:
        database.execute("BEGIN IMMEDIATE")
        for statement in from_nothing("sqlite"):
            database.execute(statement)
        database.execute("COMMIT")
    elif is_older(before, str(path)):
        _copy(database, path.with_name(f"{path.name}.before-{HEAD}"))
        with bound("sqlite", database) as alembic:
            alembic.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(alembic, before, HEAD, str(path))


def _stamped(revision: str) -> str:
    return f"INSERT INTO alembic_version (version_num) VALUES ('{revision}')"  # noqa: S608  one of KNOWN


def _copy(database: sqlite3.Connection, path: Path) -> None:
    """The database as it is, whole at its place or not there."""
    unfinished = path.with_name(f"{path.name}-new")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as copy:
        database.backup(copy)
    unfinished.chmod(0o600)
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.rename(path)
