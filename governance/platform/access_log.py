"""The gateway's access log into the audit log: a record a call, joined to its decisions by decision id and trace.

The gateway writes lines; this follows them and remembers how far it came only once a record of each is durable. So a crash
records a line twice at worst, and an audit log that is away loses none. Caller, path and address are
sealed under the caller, whose erasure takes them along.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from audit.record import Entry
from governance.enrich.scan import without_findings
from governance.model.moment import new_decision_id, utc_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from governance.model.request import Json

    Append = Callable[[Entry], Awaitable[object]]

_MOST_AT_ONCE = 256
_LONGEST_READ = 1 << 20
_LONGEST_TEXT, _LONGEST_WORD = 2000, 200
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_SEALED = ("caller", "path", "host", "peer")
_PLAIN = ("method", "status", "why", "flags", "ms", "bytes_in", "bytes_out", "upstream", "caller_tenant", "deploy_decision",
          "request_id")  # fmt: skip


class _Piece(NamedTuple):
    """Whole lines from the file, and where they end."""

    lines: list[bytes]
    end: int


class AccessLog:
    """One file of lines, followed; `<file>.read` says how far."""

    def __init__(self, path: Path, append: Append) -> None:
        self._path = path
        self._mark = path.with_name(path.name + ".read")
        self._append = append
        self._inode, self._end = self._remembered()

    async def record_new(self) -> int:
        """Record the lines that came since; how many. Raises AuditError where they cannot be: they are tried again."""
        piece = self._piece()
        entries = [entry for line in piece.lines for entry in [entry_of_line(line)] if entry is not None]
        for at in range(0, len(entries), _MOST_AT_ONCE):
            await asyncio.gather(*(self._append(entry) for entry in entries[at : at + _MOST_AT_ONCE]))
        if piece.end != self._end:
            self._end = piece.end
            self._remember()
        return len(entries)

    def _piece(self) -> _Piece:
        try:
            with self._path.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._end:  # somebody put a new file there
                    self._inode, self._end = found.st_ino, 0
                file.seek(self._end)
                raw = file.read(_LONGEST_READ)
        except FileNotFoundError:
            return _Piece([], self._end)
        whole = raw[: raw.rfind(b"\n") + 1]
        return _Piece(whole.splitlines(), self._end + len(whole))

    def _remembered(self) -> tuple[int, int]:
        try:
            inode, _, end = self._mark.read_text("ascii").partition(" ")
            return int(inode), int(end)
        except (OSError, ValueError):
            return 0, 0

    def _remember(self) -> None:
        temporary = self._mark.with_name(self._mark.name + ".tmp")
        temporary.write_text(f"{self._inode} {self._end}", "ascii")
        temporary.replace(self._mark)


def entry_of_line(line: bytes) -> Entry | None:
    """The record of one line as `runtime_adapters/gateway/listeners.py` has them written; None for what is no such line."""
    try:
        told = json.loads(line)
    except ValueError:
        return None
    if not isinstance(told, dict):
        return None
    status = told.get("status")
    is_answered = isinstance(status, int) and 0 < status < 400
    caller = _text(told, "caller")
    public: dict[str, Json] = {
        "decision_id": new_decision_id(), "decision": _text(told, "decision") or _text(told, "refusal"),
        "actor": "gateway", "entry_point": "gateway", "effect": "allow" if is_answered else "deny",
        "app": _text(told, "app"), "tenant": _text(told, "tenant"), "rules": [],
        "trace_id": _trace(_text(told, "traceparent")), **{name: _short(told.get(name)) for name in _PLAIN},
    }  # fmt: skip
    sealed = {name: _text(told, name)[:_LONGEST_TEXT] for name in _SEALED}
    # A path may hold anybody's values; who called and from where is what the record is for.
    sealed["path"] = without_findings(sealed["path"])
    return Entry("gateway_call", _moment(_text(told, "at")), public, {"call": sealed}, caller)


def _text(told: dict[str, Json], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def _short(value: Json) -> Json:
    """A caller writes some of it; a record that is too large would hold up every one after it."""
    return value[:_LONGEST_WORD] if isinstance(value, str) else value if isinstance(value, int) else None


def _trace(traceparent: str) -> str:
    parts = traceparent[:_LONGEST_WORD].split("-")
    return parts[1] if len(parts) > 1 else ""


def _moment(at: str) -> str:
    """Envoy writes milliseconds, the log microseconds."""
    return f"{at[:-1]}000Z" if _MOMENT.fullmatch(at) else utc_now()
