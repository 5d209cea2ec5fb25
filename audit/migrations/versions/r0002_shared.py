"""What several replicas need: who writes, and what waits to be written.

The inbox is not logged by PostgreSQL: nothing in it was acknowledged, and so what waits leaves no copy in the write-ahead log.
"""

from __future__ import annotations

from audit.migrations import run

revision, down_revision = "0002", "0001"

SQLITE = """
"""
POSTGRES = """
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


def upgrade() -> None:
    """Called by Alembic."""
    run(SQLITE, POSTGRES)
