"""Records as a table. A cell that a spreadsheet would run as a formula is written as text (OWASP, "CSV Injection")."""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "index", "time", "kind", "action", "app", "app_sequence", "tenant", "actor", "entry_point", "effect", "error",
    "rules", "waivers", "reason", "decision_id", "revision", "input_digest", "trace_id",
)  # fmt: skip
# The wide forms count as well where a spreadsheet runs in an East Asian language.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class CsvView:
    """Writes rows as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Half a surrogate pair in a sealed text must not end the export; records.jsonl holds it as it is.
        self._file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        # All quoted: where lists are cut at ";", an unquoted cell could end early and the next begin with a formula.
        self._writer = csv.writer(self._file, quoting=csv.QUOTE_ALL)
        self._writer.writerow(COLUMNS)

    def add(self, leaf: dict[str, Any], openings: dict[str, Any]) -> None:
        """One record."""
        answer = openings.get("answer", {}).get("value", {})
        values = {**leaf["public"], **{k: leaf[k] for k in ("index", "time", "kind", "app_sequence")}}
        values["reason"] = answer.get("reason", "") if isinstance(answer, dict) else ""
        self._writer.writerow([safe_cell(values.get(column)) for column in COLUMNS])

    def close(self) -> str:
        """Close the file; returns its SHA-256, hex."""
        self._file.close()
        with self._path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def safe_cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula: an apostrophe goes before one."""
    if value is None:
        return ""
    text = " ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_STARTS_A_FORMULA) and not _is_number(value) else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
