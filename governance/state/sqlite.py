"""SQLite files that several threads and processes write to."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PAUSE_S = 0.005


def connected(path: Path, patience_s: float) -> sqlite3.Connection:
    """A connection to a file in WAL mode, for this account only; transactions are begun by hand, from any thread.

    `patience_s`: how long a statement waits for another writer. Raises sqlite3.Error and OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=patience_s, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        _write_ahead(database, time.monotonic() + patience_s)
    except BaseException:
        database.close()
        raise
    return database


def _write_ahead(database: sqlite3.Connection, until: float) -> None:
    """Of several that turn a new file to WAL, SQLite tells some at once that it is locked, instead of having them wait."""
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        else:
            return
        time.sleep(_PAUSE_S)
