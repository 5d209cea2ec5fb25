"""Ports of this machine for servers that have to be told theirs before they start."""

from __future__ import annotations

import socket

_HELD: list[socket.socket] = []


def free_port() -> int:
    """One on loopback that nobody else is given while this process lives, however long a server takes to start there.

    It stays bound here, which keeps the kernel from handing it out (to `bind` with port 0 as to a connection on its way
    out), and does not listen: who connects before the server is there is refused, and a server that sets SO_REUSEADDR, as
    all do that are started here, listens beside it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    _HELD.append(held)
    return held.getsockname()[1]
