"""What a log that is served does beside taking records: has its checkpoints cosigned, and hashes itself again, part by part.

Either can find out that the log is not what it was. Then nothing is taken any more, and so nothing is permitted.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from audit.errors import AuditError, LogRolledBack, LogTorn
from audit.reader import LogReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from audit.log import AuditLog
    from audit.postgres import Database
    from audit.shared import SharedLog
    from audit.witnessing import Witnesses

_TICK_S = 1.0
_ASK_AGAIN_S = 10.0
# A quarter of a second of work at most, on a busy machine.
PART = 1024


class Care:
    """A thread beside the writer's."""

    def __init__(
        self, log: AuditLog | SharedLog, home: Path, *, origin: str, witnesses: Witnesses | None, self_audit_s: float,
        complain: Callable[[str], object], database: Database | None = None, follow: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """Raises what `Witnesses.check_start` raises: a log that its witnesses disown is not served at all.

        `follow` is called every second: what has to happen elsewhere because of what the log says.
        """
        self._log, self._witnesses, self._complain = log, witnesses, complain
        self._self_audit_s, self._follow = self_audit_s, follow
        self._reader = LogReader(home, origin=origin, is_checked=True, database=database)
        self._at = self._round_ends = 0
        self._submitted, self._again_at, self._said = -1, 0.0, ""
        self._stopped = threading.Event()
        if witnesses is not None:
            witnesses.check_start(self._reader)
        self._thread = threading.Thread(target=self._run, name="audit-care", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End in good order: the last checkpoint is submitted still."""
        self._stopped.set()
        self._thread.join()
        self._reader.close()

    def _run(self) -> None:
        audited = time.monotonic()
        while not self._log.distrusted:
            is_last = self._stopped.wait(_TICK_S)
            self._carefully(self._submit)
            if self._follow is not None:
                self._carefully(self._follow)
            if time.monotonic() - audited >= self._self_audit_s and not is_last:
                audited = time.monotonic()
                self._carefully(self.audit_part)
            if is_last:
                return

    def _carefully(self, work: Callable[[], object]) -> None:
        """One of the things that are done here; what fails in it does not keep the others from being done."""
        try:
            work()
        except (LogTorn, LogRolledBack) as error:
            self._end(str(error))
        except (AuditError, OSError, sqlite3.OperationalError) as error:
            self._say(str(error))
        except sqlite3.DatabaseError as error:  # its pages are no longer a database's
            self._end(f"the database cannot be read: {error}")
        except Exception as error:  # noqa: BLE001  the outermost edge of this thread, which must not end unheard
            self._say(f"unexpected {type(error).__name__}: {error}")

    def _end(self, why: str) -> None:
        self._log.distrust(why)
        self._complain(f"audit: {why}; nothing is recorded, and so nothing allowed, any more\n")

    def _say(self, what: str) -> None:
        if what != self._said:  # not every second the same
            self._said = what
            self._complain(f"audit: {what}\n")

    def audit_part(self) -> None:
        """Hash the next part again; at the end of a round, begin anew. Raises LogTorn.

        A round goes as far as the log went when it began: one that followed the log's growth would never come back to
        what was written first.
        """
        if self._at >= self._round_ends:
            self._round_ends, self._at = self._reader.size(), self._reader.minimum()
            size = self._round_ends
            if size and self._reader.root(size) != self._reader.newest().root and self._reader.size() == size:
                raise LogTorn("the stored hashes do not lead to the log's root: restore the database")
        end = min(self._at + PART, self._round_ends)
        if self._at < end:
            self._reader.verify_part(self._at, end)
        self._at = end

    def _submit(self) -> None:
        if self._witnesses is None:
            return
        size, now = self._reader.size(), time.monotonic()
        if size == self._submitted and now < self._again_at:
            return
        self._submitted = size
        # One that did not answer is asked again, sooner where there is something new.
        is_complete = self._witnesses.submit(self._reader) == self._witnesses.count
        self._again_at = math.inf if is_complete else now + _ASK_AGAIN_S
