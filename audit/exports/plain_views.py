"""The views that the verifier makes again and compares byte for byte: JSON lines and CSV. Standard library only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from audit.exports.csv_view import CsvRows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from audit.sealed_texts import Opening


class PlainView(Protocol):
    """Text that follows from the records alone."""

    def head(self) -> bytes:
        """What stands before the first record."""

    def row(self, raw: bytes, leaf: dict[str, Any], openings: Mapping[str, Opening]) -> bytes:
        """One record: its leaf's bytes, the same parsed, what is readable of it."""


class JsonLines:
    """Each record as one JSON object a line, the readable sealed fields as its member `opened`."""

    def head(self) -> bytes:
        """Nothing."""
        return b""

    def row(self, raw: bytes, _leaf: dict[str, Any], openings: Mapping[str, Opening]) -> bytes:
        """The leaf with one member more."""
        members = b",".join(b'"%s":%s' % (name.encode(), opening.raw) for name, opening in openings.items())
        return b'%s,"opened":{%s}}\n' % (raw[:-1], members)


CSV_FILE, JSONL_FILE = "records.csv", "view.jsonl"
PLAIN_VIEWS: dict[str, Callable[[], PlainView]] = {CSV_FILE: CsvRows, JSONL_FILE: JsonLines}
