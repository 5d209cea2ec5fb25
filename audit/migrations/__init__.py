"""The schema of the log's database by Alembic revisions: one chain, with the statements for SQLite and for PostgreSQL."""

from __future__ import annotations


def statements(script: str) -> list[str]:
    """The statements of a script; none of them holds a semicolon."""
    return [one.strip() for one in script.split(";") if one.strip()]


def run(sqlite: str, postgres: str) -> None:
    """Run one of two scripts on the database that Alembic upgrades now."""
    from alembic import op  # SQLAlchemy with it: only where a schema is changed

    bound = op.get_bind()
    for statement in statements(sqlite if bound.dialect.name == "sqlite" else postgres):
        bound.exec_driver_sql(statement)
