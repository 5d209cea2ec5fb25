"""Small things that apps keep between their calls, in a file of this home: each app its own, up to its storage cap.

What an app has is counted as what it takes on the disk, in a sum that is kept beside the rows and changes with them: SQLite
writes a row's key twice, tells its own things beside each, and gives a large value whole pages.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from governance.model.request import Json
    from governance.platform.broker.tokens import Caller

LONGEST_KEY, LONGEST_VALUE = 256, 65_536
MOST_KEYS = 100_000
# Headers of a row and of its entry in the index, and what pages keep free between rows that come in any order.
_BESIDE_A_ROW, _FILLED = 24, 1.25
_PAGE = 4096
_TABLES = """
CREATE TABLE IF NOT EXISTS kept (tenant TEXT, app TEXT, key TEXT, value TEXT, PRIMARY KEY (tenant, app, key));
CREATE TABLE IF NOT EXISTS taken (tenant TEXT, app TEXT, bytes INTEGER, keys INTEGER, PRIMARY KEY (tenant, app));
"""


# SQLite lets those who wait try again by chance; calls of this process have turns.
_WRITING = threading.Lock()


class Store:
    """What one app keeps; for any thread, since each use opens the file anew."""

    def __init__(self, folder: Path, caller: Caller, most_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / "app-storage.db"
        self._owner = (caller.tenant, caller.app)
        self._most_bytes = most_bytes

    def get(self, key: str) -> Json:
        """What was put; None where nothing was."""
        with closing(self._open()) as database:
            text = self._value(database, key)
        return None if text is None else json.loads(text)

    def put(self, key: str, value: Json) -> bool:
        """Keep a value; False where the app's storage is full, or the value too large."""
        text = json.dumps(value)
        if len(text) > LONGEST_VALUE:
            return False
        with _WRITING, closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            taken, keys = self._taken(database)
            before = self._value(database, key)
            if before is not None:
                taken, keys = taken - self._size(key, before), keys - 1
            taken, keys = taken + self._size(key, text), keys + 1
            if taken > self._most_bytes or keys > MOST_KEYS:
                return False
            database.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (*self._owner, key, text))
            database.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?, ?)", (*self._owner, taken, keys))
            database.execute("COMMIT")
        return True

    def _value(self, database: sqlite3.Connection, key: str) -> str | None:
        row = database.execute(
            "SELECT value FROM kept WHERE tenant = ? AND app = ? AND key = ?", (*self._owner, key)
        ).fetchone()
        return None if row is None else str(row[0])

    def _taken(self, database: sqlite3.Connection) -> tuple[int, int]:
        """(bytes, keys). A file that was written before sums were kept is summed once."""
        row = database.execute("SELECT bytes, keys FROM taken WHERE tenant = ? AND app = ?", self._owner).fetchone()
        if row is not None:
            return int(row[0]), int(row[1])
        rows = database.execute("SELECT key, value FROM kept WHERE tenant = ? AND app = ?", self._owner)
        sizes = [self._size(key, value) for key, value in rows]
        return sum(sizes), len(sizes)

    def _size(self, key: str, text: str) -> int:
        """Bytes that a row takes on the disk, at the most."""
        names = sum(len(name.encode()) for name in (*self._owner, key))
        row = names + len(text) + _BESIDE_A_ROW
        # Of rows that are a good part of a page there is room for one less than fits, and what is over has pages of its own.
        row = -(-row // _PAGE) * _PAGE if row > _PAGE // 4 else int(row * _FILLED)
        return row + int((names + _BESIDE_A_ROW) * _FILLED)

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=1, isolation_level=None)
        try:
            self._path.chmod(0o600)
            database.executescript(_TABLES)
        except BaseException:
            database.close()
            raise
        return database
