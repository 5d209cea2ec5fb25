"""The walk over a package's records: each is the one that was signed, at its place, with its openings and none missing.

Standard library only: auditors run this.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from audit.errors import BadPackage
from audit.packages import LEAVES, OPENINGS, RECORDS, Checked, Manifest, Package
from audit.sealed_texts import Opening, split

if TYPE_CHECKING:
    from collections.abc import Iterator

_DECODER = json.JSONDecoder()
LEAF_ROW = 40
"""Bytes of a row of leaves.bin: the index (8, big-endian), the leaf hash (32)."""


_INDEX, _TEXT = b'{"index":', b',"openings":'


class Record(NamedTuple):
    """One record of a package."""

    raw: bytes
    leaf: dict[str, Any]
    openings: dict[str, Opening]


def records_of(package: Package, manifest: Manifest) -> Iterator[Record]:
    """Every record, checked against its signed leaf hash, its place, its app's sequence and its commitments."""
    sequences = _Sequences(manifest)
    with (
        Checked(package, LEAVES, manifest.files[LEAVES]) as leaves,
        Checked(package, RECORDS, manifest.files[RECORDS]) as records,
        Checked(package, OPENINGS, manifest.files[OPENINGS]) as openings,
    ):
        texts = _Openings(openings)
        lines = records.lines()
        for number, row in enumerate(leaves.pieces(LEAF_ROW), 1):
            line = next(lines, b"")
            index = int.from_bytes(row[:8], "big")
            raw = line[:-1] if line.endswith(b"\n") else line
            leaf = _leaf(raw, row, number, is_whole=raw != line)
            sequences.check(leaf, index, number)
            yield Record(raw, leaf, texts.of(index, leaf, number))
        if next(lines, b""):
            raise BadPackage(f"{RECORDS}: goes on after the last record that was signed")
        texts.finish()
        for file in (leaves, records, openings):
            file.finish()


def _leaf(raw: bytes, row: bytes, number: int, *, is_whole: bool) -> dict[str, Any]:
    index = int.from_bytes(row[:8], "big")
    if not is_whole or hashlib.sha256(b"\x00" + raw).digest() != row[8:]:
        raise BadPackage(f"{RECORDS}:{number}: {_unlike(raw, index)}")
    try:
        leaf: dict[str, Any] = _DECODER.decode(raw.decode("utf-8", "surrogatepass"))
        if leaf["index"] != index or not isinstance(leaf["public"], dict) or not isinstance(leaf["commitments"], dict):
            raise BadPackage(f"{RECORDS}:{number}: record {leaf['index']} stands at the place of {index}")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadPackage(f"{RECORDS}:{number}: record {index} is not of the form a record has") from error
    return leaf


def _unlike(raw: bytes, index: int) -> str:
    """What is wrong with a line that is not the record it has to be, as far as the line itself tells."""
    try:
        leaf = json.loads(raw)
        said, decision = leaf["index"], str(leaf["public"].get("decision_id", "?"))[:60]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return f"record {index} is missing or was changed"
    if said == index:
        return f"record {index} (decision {decision}) was changed"
    return f"record {index} is missing or out of order: here stands one that says it is {str(said)[:20]} (decision {decision})"


class _Sequences:
    """Where the export promises everything of an app, no number of its sequence may be missing, the first included."""

    def __init__(self, manifest: Manifest) -> None:
        self._promises_everything = promises_all(manifest.filter)
        self._last: dict[str, int] = dict(manifest.pruned)

    def check(self, leaf: dict[str, Any], index: int, number: int) -> None:
        if not self._promises_everything:
            return
        app, sequence = str(leaf["public"].get("app", "")), leaf.get("app_sequence")
        last = self._last.get(app, 0)
        if sequence != last + 1:
            raise BadPackage(
                f"{RECORDS}:{number}: record {index}: app {app!r} goes from its record {last} to {sequence}; "
                "those between are missing"
            )
        self._last[app] = last + 1


class _Openings:
    """The openings file beside the records: a line for each record that has something to open."""

    def __init__(self, file: Checked) -> None:
        self._lines = file.lines()
        self._number = 0
        self._index, self._text = -1, b""
        self._advance()

    def of(self, index: int, leaf: dict[str, Any], number: int) -> dict[str, Opening]:
        if self._index != index:
            return {}
        try:
            found = split(self._text, leaf["commitments"])
        except ValueError as error:
            decision = leaf["public"].get("decision_id", "?")
            raise BadPackage(
                f"{OPENINGS}:{self._number}: record {index} ({RECORDS}:{number}, decision {decision}): {error}"
            ) from error
        self._advance()
        return found

    def finish(self) -> None:
        if self._text:
            raise BadPackage(f"{OPENINGS}:{self._number}: belongs to no record, or stands out of order")

    def _advance(self) -> None:
        line = next(self._lines, b"")
        self._number += 1
        if not line:
            self._index, self._text = -1, b""
            return
        end = line.find(b",", len(_INDEX), len(_INDEX) + 16)
        digits = line[len(_INDEX) : end]
        is_line = line.startswith(_INDEX) and line.startswith(_TEXT, end) and line.endswith(b"}\n")
        if not is_line or not digits.isdigit():
            raise BadPackage(f"{OPENINGS}:{self._number}: not a line of openings")
        self._index, self._text = int(digits), line[end + len(_TEXT) : -2]


def promises_all(wanted: Any) -> bool:
    """Whether nothing but the app narrows the export.

    Not where time does: records are numbered in the order they reach the log, and their times are not quite in that order.
    """
    return not set(wanted) - {"app", "before"}
