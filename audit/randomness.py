"""Salts and nonces from the operating system's generator, drawn a page at a time: a call for each costs more than sealing.

Each thread has its own page, and a child process starts with none: no two pieces are ever the same bytes twice.
"""

from __future__ import annotations

import os
import threading

_PAGE = 4096


class _Page(threading.local):
    raw = b""
    at = 0


_page = _Page()


def random_bytes(count: int) -> bytes:
    """`count` (at most 4,096) fresh bytes."""
    at = _page.at
    if at + count > len(_page.raw):
        _page.raw, at = os.urandom(_PAGE), 0
    _page.at = at + count
    return _page.raw[at : at + count]


def _forget() -> None:
    """In a child process only the forking thread lives on; the others' pages went with them."""
    _page.raw, _page.at = b"", 0


os.register_at_fork(after_in_child=_forget)
