"""The table as an Excel workbook, row by row; a new sheet where one is full."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from audit.exports.csv_view import COLUMNS, cells, plain_text, safe_cell

if TYPE_CHECKING:
    from pathlib import Path

    from audit.exports.views import Context, Rows

# A sheet holds 1,048,576 rows, the head is one of them.
ROWS_A_SHEET = 1_048_575
_LONGEST_CELL = 32_767


def write(rows: Rows, path: Path, _context: Context, rows_a_sheet: int = ROWS_A_SHEET) -> None:
    """Every cell is a number or a text, never a formula or a link; one that looks like a formula is marked as text for good."""
    from xlsxwriter import Workbook

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # the rows of a sheet wait there, not in memory
        options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": folder}
        book = Workbook(str(path), options)
        # What Excel itself sets when somebody types an apostrophe first: the cell stays text when it is edited.
        quoted = book.add_format({"quote_prefix": True})
        head = book.add_format({"bold": True})
        sheet: Any = None
        for number, record in enumerate(rows()):
            row = number % rows_a_sheet + 1
            if row == 1:
                sheet = _new_sheet(book, head, number // rows_a_sheet + 1)
            for column, value in enumerate(cells(record.leaf, record.openings)):
                if isinstance(value, int) and not isinstance(value, bool):
                    sheet.write_number(row, column, value)
                elif text := _text(value):
                    is_suspect = safe_cell(value) != plain_text(value)
                    sheet.write_string(row, column, text, quoted if is_suspect else None)
        if sheet is None:
            _new_sheet(book, head, 1)
        book.close()


def _new_sheet(book: Any, head: Any, number: int) -> Any:
    sheet = book.add_worksheet(f"records {number}")
    sheet.freeze_panes(1, 0)
    for column, name in enumerate(COLUMNS):
        sheet.write_string(0, column, name, head)
    return sheet


def _text(value: Any) -> str:
    text = plain_text(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 1] + "\u2026"
