"""Servers of the standard library that live in a thread of the test's own process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from socketserver import BaseServer


def serve(server: BaseServer) -> None:
    """Serve until `shutdown`, which waits for the server to look up: left to itself it does so twice a second."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
