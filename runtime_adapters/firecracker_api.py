"""Firecracker's API: HTTP over a Unix socket within the jail (its `firecracker.yaml`), each request with a deadline.

It is spoken to before the guest runs and never after: from then on what answers there is no longer only the engine's.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from runtime_adapters.port import NotAvailable

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKET = "api.sock"
# A thread that its own filter stopped may never answer: the engine's handler for that takes locks.
ANSWER_S = 5.0
UP_S = 10.0
_LONGEST_ANSWER = 1 << 16


class Api:
    """One engine's API; `root` is an open descriptor of the folder that the socket lies in."""

    def __init__(self, root: int, ended: Callable[[], str]) -> None:
        """Waits for the socket. `ended` says why the engine is gone, or nothing. Raises NotAvailable."""
        deadline = time.monotonic() + UP_S
        while True:
            try:
                self._line = _Line(root, ANSWER_S)
                self._line.connect()
            except OSError:
                if said := ended():
                    raise NotAvailable(f"Firecracker ended before it could be spoken to: {said}") from None
                if time.monotonic() > deadline:
                    raise NotAvailable(f"Firecracker opened no API socket within {UP_S:g} s") from None
                time.sleep(0.01)
            else:
                return

    def put(self, path: str, body: dict[str, Any]) -> None:
        """Raises NotAvailable with the engine's own words for anything but its "no content"."""
        self._asked("PUT", path, body, 204)

    def get(self, path: str) -> dict[str, Any]:
        """Raises NotAvailable."""
        answer = self._asked("GET", path, None, 200)
        if not isinstance(answer, dict):
            raise NotAvailable(f"Firecracker answered GET {path} with something else than an object")
        return answer

    def close(self) -> None:
        """The socket stays; nobody of ours speaks to it any more."""
        self._line.close()

    def _asked(self, method: str, path: str, body: dict[str, Any] | None, wanted: int) -> Any:
        raw = None if body is None else json.dumps(body)
        try:
            self._line.request(method, path, raw, {"Content-Type": "application/json"} if raw else {})
            answer = self._line.getresponse()
            text = answer.read(_LONGEST_ANSWER)
        except TimeoutError as error:
            raise NotAvailable(f"Firecracker did not answer {method} {path} within {ANSWER_S:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotAvailable(f"Firecracker did not answer {method} {path}: {error!r}") from error
        found = _parsed(text)
        if answer.status != wanted:
            said = found.get("fault_message", "") if isinstance(found, dict) else ""
            raise NotAvailable(f"Firecracker refused {method} {path} ({answer.status}): {str(said)[:300]}")
        return found


class _Line(http.client.HTTPConnection):
    """HTTP to a socket in an open folder, however long the folder's name is: a socket's own may have 107 bytes."""

    def __init__(self, root: int, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._root = root

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(f"/proc/{os.getpid()}/fd/{self._root}/{SOCKET}")
        except OSError:
            self.sock.close()
            raise


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None
