"""Records as a table. A cell that a spreadsheet would run as a formula is written as text (OWASP, "CSV Injection")."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from audit.sealed_texts import Opening

COLUMNS = (
    "index", "time", "kind", "action", "app", "app_sequence", "tenant", "actor", "entry_point", "effect", "error",
    "rules", "waivers", "reason", "decision_id", "revision", "input_digest", "trace_id",
)  # fmt: skip
# The wide forms count as well where a spreadsheet runs in an East Asian language.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_OF_THE_LEAF = ("index", "time", "kind", "app_sequence")


class CsvRows:
    """The table as text, row by row."""

    def __init__(self) -> None:
        self._text = io.StringIO(newline="")
        # All quoted: where lists are cut at ";", an unquoted cell could end early and the next begin with a formula.
        self._writer = csv.writer(self._text, quoting=csv.QUOTE_ALL)

    def head(self) -> bytes:
        """The line of column names."""
        return self._line(list(COLUMNS))

    def row(self, _raw: bytes, leaf: dict[str, Any], openings: Mapping[str, Opening]) -> bytes:
        """One record."""
        return self._line([safe_cell(value) for value in cells(leaf, openings)])

    def _line(self, texts: list[str]) -> bytes:
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow(texts)
        # Half a surrogate pair in a sealed text must not end the export; records.jsonl holds it as it is.
        return self._text.getvalue().encode("utf-8", "backslashreplace")


def cells(leaf: dict[str, Any], openings: Mapping[str, Opening]) -> list[Any]:
    """The values of the columns, as they are."""
    public = leaf["public"]
    values = {**public, **{name: leaf.get(name) for name in _OF_THE_LEAF}, "reason": reason_of(openings)}
    return [values.get(column) for column in COLUMNS]


def reason_of(openings: Mapping[str, Opening]) -> str:
    """The decision's one sentence, where it may be read."""
    answer = openings.get("answer")
    value = json.loads(answer.raw) if answer is not None else None
    return str(value.get("reason", "")) if isinstance(value, dict) else ""


def plain_text(value: Any) -> str:
    """One cell as text."""
    if value is None:
        return ""
    return " ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def safe_cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe goes before one."""
    text = plain_text(value)
    return f"'{text}" if text.startswith(_STARTS_A_FORMULA) and not _is_number(value) else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
