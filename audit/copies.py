"""Copies of the database that this program put beside it: one moved to PostgreSQL, one from before its schema was changed.

What an erasure takes out of the log it takes out of them as well. They are found by name, and the erasure's records say by
index what goes: no name of a person is needed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from audit.errors import LogUnusable
from audit.rows import bounds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BESIDE = ("-wal", "-shm", "-journal")


def copies(folder: Path) -> list[Path]:
    """The copies in a log's folder."""
    return [path for path in sorted(folder.glob("log.db.*")) if not path.name.endswith(_BESIDE)]


def forget_in_copies(folder: Path, texts: Sequence[str]) -> int:
    """Take the openings at the indexes of texts like `0-5,9` out of every copy, and keys that open nothing any more.

    Returns how many openings went. Raises LogUnusable for a copy that cannot be changed: it has to be removed by hand.
    """
    gone = 0
    for path in copies(folder):
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                gone += _forget(database, texts)
        except sqlite3.DatabaseError as error:
            raise LogUnusable(
                f"{path}: what was erased cannot be taken out of this copy ({error}): remove it"
            ) from error
    return gone


def _forget(database: sqlite3.Connection, texts: Sequence[str]) -> int:
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'sealed'").fetchone() is None:
        return 0
    # Pages that are freed or vacuumed away are overwritten, and no write-ahead log keeps what they held.
    database.execute("PRAGMA secure_delete=ON")
    database.execute("PRAGMA journal_mode=DELETE")
    database.execute("BEGIN IMMEDIATE")
    gone = 0
    for text in texts:
        for first, last in zip(*bounds(text), strict=True):
            gone += database.execute("DELETE FROM sealed WHERE idx BETWEEN ? AND ?", (first, last)).rowcount
    database.execute("DELETE FROM subjects WHERE number NOT IN (SELECT subject FROM sealed)")
    database.execute("COMMIT")
    if gone:
        database.execute("VACUUM")
    return gone
