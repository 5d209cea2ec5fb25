"""Names and keys of subjects are wrapped (`audit.subjects`): whoever writes next does that, having the key.

A program that does not know of it must not write any more.
"""

from __future__ import annotations

from audit.migrations import run

revision, down_revision = "0003", "0002"

SQLITE = """
"""
POSTGRES = """
COMMENT ON TABLE subjects IS 'names are tags, keys are wrapped under a secret of the log'
"""


def upgrade() -> None:
    """Called by Alembic."""
    run(SQLITE, POSTGRES)
