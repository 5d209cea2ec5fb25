"""Counts of several replicas in PostgreSQL: one transaction at a time over all of them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from audit.errors import AuditError
from audit.postgres import failing
from governance.errors import DependencyError
from governance.state.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from audit.postgres import Connection, Database

# Among this service's advisory locks: whoever counts.
_LOCK = 0x75736167


class SharedCounters:
    """One connection; threads take turns. As for `governance.platform.broker.limits.Counters`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def alone(self) -> Iterator[Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]]:
        """One transaction; what is lost with the machine is at most the last moments' counts, which no commit waits for."""
        with self._turn:
            try:
                with failing("does not count"):
                    connection = self._connected()
                    with connection.transaction():
                        connection.execute("SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '5s'")
                        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
                        yield lambda sql, values: _answered(connection, sql, values)
            except AuditError as error:
                self._drop()
                raise DependencyError(
                    f"calls cannot be counted: {error}", hint="nothing is called meanwhile"
                ) from error
            except BaseException:
                self._drop()
                raise

    def close(self) -> None:
        """Let go of the connection."""
        with self._turn:
            self._drop()

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = self._database.connect()
            migrate(self._connection)
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _answered(connection: Connection, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    cursor = connection.execute(sql.replace("?", "%s").encode(), values)
    return cursor.fetchall() if cursor.description is not None else []
