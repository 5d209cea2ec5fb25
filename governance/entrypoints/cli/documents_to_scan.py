"""Files as values for the scanner, in parts of bounded size, each of which knows where its members stand.

Nothing is refused for its form or size: what is too large or malformed to be read as a document is read as lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from governance.errors import CallerError
from governance.model.pointer import to_segments
from governance.normalise.documents import MAX_BYTES, Document, decoded, read_documents, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from governance.model.request import Json

# Lines that are looked at together, and how much of a very long line.
_LINES = 500
_LONGEST = 1 << 16
# What a long line's next piece has of the one before, so that no value is cut in two.
_OVERLAP = 4096
_SETTING = re.compile(r"\s*(?:export\s+|-\s+)?[\"']?([A-Za-z_][\w.-]{0,99})[\"']?\s*(?:=|:\s)\s*(\S.*)")


class Part(NamedTuple):
    """Something to look at."""

    value: Json
    lines: tuple[int, ...]
    """For lines: the line of each item of `value`."""
    document: Document | None = None
    """For documents: what `value` was read from."""

    @property
    def is_document(self) -> bool:
        """Whether pointers into it mean something to a reader."""
        return self.document is not None

    def place(self, pointer: str) -> tuple[int, int]:
        """Line and column of a pointer into `value`."""
        if self.document is None:
            segments = to_segments(pointer)
            return (self.lines[int(segments[0])] if segments else 1), 1
        from governance.normalise.positions import position_of

        return position_of(self.document, pointer)


def parts_of(stream: BinaryIO, file: str) -> Iterator[Part] | None:
    """Every part of a file; None for a binary one."""
    head = stream.read(MAX_BYTES + 1)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = (head + stream.read()).decode("utf-16", "replace").encode()
    elif b"\0" in head[:8192]:
        return None
    is_whole = len(head) <= MAX_BYTES
    documents = _documents(head, file) if is_whole else None
    if documents is not None:
        return iter(documents)
    return _line_parts(head, stream, file)


def _documents(raw: bytes, file: str) -> list[Part] | None:
    """The documents of a file that is called one, and can be read as one."""
    if not file.endswith((".json", ".yaml", ".yml")) and raw.lstrip()[:1] not in {b"{", b"["}:
        return None
    try:
        return [Part(document.value, (), document) for document in read_documents(raw, file)]
    except CallerError:
        return None


def _line_parts(head: bytes, stream: BinaryIO, file: str) -> Iterator[Part]:
    values: list[Json] = []
    numbers: list[int] = []
    names: list[str] | None = None
    for number, text in _lines(head, stream):
        if file.endswith(".csv") and names is None:
            names = _cells(text)
            values.append(text)
        else:
            values.append(_of_line(text, file, names))
        numbers.append(number)
        if len(values) == _LINES:
            yield Part(values, tuple(numbers))
            values, numbers = [], []
    if values:
        yield Part(values, tuple(numbers))


def _of_line(text: str, file: str, names: list[str] | None) -> Json:
    """A line as its named cells, as a document of its own, as a setting, or as it is."""
    if names is not None:
        cells = _cells(text)
        return dict(zip(names, cells, strict=False)) if len(cells) == len(set(names)) == len(names) else text
    if file.endswith((".jsonl", ".ndjson")):
        try:
            return read_json(decoded(text.encode(), file), file)
        except CallerError:
            return text
    setting = _SETTING.fullmatch(text)
    # With the whole line beside it: what looks like a name may be the first half of a value.
    return text if setting is None else [text, {setting[1]: setting[2].strip("\"',; ")}]


def _cells(text: str) -> list[str]:
    import csv

    return next(csv.reader([text], delimiter=";" if text.count(";") > text.count(",") else ","), [])


def _lines(head: bytes, stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """(line, text) of every line; a very long one in pieces that overlap."""
    number, rest = 1, head
    while True:
        *whole, rest = rest.split(b"\n")
        for line in whole:
            yield from ((number, piece) for piece in _pieces(line))
            number += 1
        while len(rest) > _LONGEST:  # a line whose end is not read yet
            yield number, _plain(rest[:_LONGEST])
            rest = rest[_LONGEST - _OVERLAP :]
        more = stream.read(MAX_BYTES)
        if not more:
            break
        rest += more
    if rest:
        yield from ((number, piece) for piece in _pieces(rest))


def _pieces(line: bytes) -> Iterator[str]:
    while len(line) > _LONGEST:
        yield _plain(line[:_LONGEST])
        line = line[_LONGEST - _OVERLAP :]
    yield _plain(line)


def _plain(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\r").replace("\0", "")
