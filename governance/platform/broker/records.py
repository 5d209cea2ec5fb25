"""Cutting a streamed answer into records, each of which can be decided on by itself.

Three formats, as whoever registered the operation says: NDJSON (a JSON value a line), server-sent events (WHATWG HTML 9.2,
the JSON in `data`), CSV (RFC 4180, the first row names the columns). What is no whole record yet is kept, up to a limit.
"""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Protocol

from governance.errors import CallerError
from governance.normalise.documents import decoded, read_json
from governance.platform.broker.sending import AnswerTooLarge, SendFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

TYPES = {
    "ndjson": frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"}),
    "sse": frozenset({"text/event-stream"}),
    "csv": frozenset({"text/csv"}),
}
# How OpenAI's interface, and those made after it, say that no more events come.
_LAST_EVENT = "[DONE]"
_LINE_END = re.compile(rb"\r\n|\n|\r")


class Cutter(Protocol):
    """Takes bytes as they come, gives records as they are whole."""

    def feed(self, piece: bytes) -> list[Json]:
        """The records that are whole now. Raises SendFailed for what is no record, AnswerTooLarge for one without end."""

    def end(self) -> list[Json]:
        """What was left; raises SendFailed where that is a part of a record."""


def cutter(stream: str, longest: int) -> Cutter:
    """For one of the formats that a registry entry names; `longest`: bytes of one record."""
    return {"ndjson": _Ndjson, "sse": _Events, "csv": _Csv}[stream](longest)


class _Lines:
    """Lines of a stream, without their ends."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._was_return = False

    def feed(self, piece: bytes) -> list[Json]:
        """What whole lines say; only the new piece is looked through, however long the line is already."""
        if self._was_return:
            # The second half of a line end.
            piece = piece.removeprefix(b"\n")
        self._was_return = piece.endswith(b"\r")
        first, *others = _LINE_END.split(piece)
        self._keep(first)
        found: list[Json] = []
        for following in others:
            found += self._read(self._taken())
            self._keep(following)
        return found

    def end(self) -> list[Json]:
        """The last line may do without an end."""
        return list(self._read(self._taken())) if self._kept_size else []

    def _keep(self, part: bytes) -> None:
        self._kept_size += len(part)
        self._check(self._kept_size)
        self._kept.append(part)

    def _taken(self) -> bytes:
        line = b"".join(self._kept)
        self._kept, self._kept_size = [], 0
        return line

    def _check(self, size: int) -> None:
        if size > self._longest:
            raise AnswerTooLarge(f"a record of the answer has more than {self._longest} bytes")

    def _read(self, line: bytes) -> Iterator[Json]:
        raise NotImplementedError


class _Ndjson(_Lines):
    def _read(self, line: bytes) -> Iterator[Json]:
        if line.strip():
            yield _json(_text(line))


class _Events(_Lines):
    def __init__(self, longest: int) -> None:
        super().__init__(longest)
        self._data: list[str] = []
        self._size = 0

    def end(self) -> list[Json]:
        found = super().end()
        if self._data:
            raise SendFailed("the answer ends within an event")
        return found

    def _read(self, line: bytes) -> Iterator[Json]:
        """Names and ids of events, and comments, do not pass: nobody would look into them."""
        if line:
            name, _, value = _text(line).partition(":")
            if name == "data":
                self._size += len(line)
                self._check(self._size)
                self._data.append(value.removeprefix(" "))
            return
        data, self._data, self._size = "\n".join(self._data), [], 0
        if data and data.strip() != _LAST_EVENT:
            yield _json(data)


class _Csv(_Lines):
    def __init__(self, longest: int) -> None:
        super().__init__(longest)
        self._row: list[str] = []
        self._size = self._quotes = 0
        self._columns: list[str] = []

    def end(self) -> list[Json]:
        found = super().end()
        if self._row:
            raise SendFailed("the answer ends within a quoted field")
        return found

    def _read(self, line: bytes) -> Iterator[Json]:
        self._size += len(line) + 1
        self._check(self._size)
        self._row.append(_text(line))
        self._quotes += line.count(b'"')
        if self._quotes % 2:
            # Within a quoted field, whose line ends are its own.
            return
        text = "\n".join(self._row)
        self._row, self._size, self._quotes = [], 0, 0
        if not text:
            return
        try:
            (cells,) = csv.reader(io.StringIO(text, newline=""), strict=True)
        except (csv.Error, ValueError) as error:
            raise SendFailed(f"the answer is not CSV: {error}") from error
        if not self._columns:
            self._columns = _columns(cells)
        elif len(cells) != len(self._columns):
            raise SendFailed(f"a row of the answer has {len(cells)} cells; {len(self._columns)} columns are named")
        else:
            yield dict(zip(self._columns, cells, strict=True))


def _columns(cells: list[str]) -> list[str]:
    if len(set(cells)) != len(cells) or not all(cells):
        raise SendFailed("the answer's first row does not name each column once")
    return cells


def _text(line: bytes) -> str:
    try:
        return decoded(line, "answer", len(line) + 1)
    except CallerError as error:
        raise SendFailed(f"the answer cannot be read: {error.message}") from error


def _json(text: str) -> Json:
    """A record that is an object: of loose texts, two could say together what neither says alone."""
    try:
        value = read_json(text, "answer")
    except CallerError as error:
        raise SendFailed(f"the answer cannot be read: {error.message}") from error
    if not isinstance(value, dict):
        raise SendFailed("a record of the answer is no JSON object, so it cannot be decided on alone")
    return value
