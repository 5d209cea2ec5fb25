"""QEMU's monitor, as far as snapshots need it: one JSON object a line (QEMU documentation, "QMP protocol specification").

The other end is a QEMU whose guest has not run an app yet; the line is closed before one does.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any

from runtime_adapters.port import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Sequence

_ANSWER_S = 20.0
_LOOK_S = 0.002


class Monitor:
    """One end of a QEMU's monitor."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._line.settimeout(_ANSWER_S)
        self._heard = line.makefile("rb")
        self._is_greeted = False

    def say(self, command: str, files: Sequence[int] = (), **arguments: Any) -> Any:
        """What a command came to; `files` go along with it. Raises NotAvailable."""
        if not self._is_greeted:
            self._is_greeted = True
            self._next()
            self.say("qmp_capabilities")
        raw = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        try:
            if files:
                socket.send_fds(self._line, [raw], list(files))
            else:
                self._line.sendall(raw)
        except OSError as error:
            raise NotAvailable(f"QEMU's monitor is gone: {error}") from error
        while "event" in (answer := self._next()):
            continue
        if "return" not in answer:
            raise NotAvailable(f"QEMU refused {command}: {str(answer.get('error', {}).get('desc'))[:200]}")
        return answer["return"]

    def wait_for_migration(self) -> None:
        """Until state was written, or read. Raises NotAvailable."""
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            found = self.say("query-migrate")
            if found.get("status") == "completed":
                return
            if found.get("status") in {"failed", "cancelled"}:
                raise NotAvailable(
                    f"QEMU did not move the machine's state: {str(found.get('error-desc', 'failed'))[:200]}"
                )
            time.sleep(_LOOK_S)
        raise NotAvailable(f"QEMU did not move the machine's state within {_ANSWER_S:g} s")

    def close(self) -> None:
        """Nobody speaks to this QEMU any more."""
        with contextlib.suppress(OSError):
            self._heard.close()
            self._line.close()

    def _next(self) -> dict[str, Any]:
        try:
            answer = json.loads(self._heard.readline())
        except (OSError, ValueError) as error:
            raise NotAvailable(f"QEMU's monitor says nothing: {error}") from error
        if not isinstance(answer, dict):
            raise NotAvailable("QEMU's monitor says what is no object")
        return answer
