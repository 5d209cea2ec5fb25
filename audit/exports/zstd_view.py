"""The JSON lines, compressed with Zstandard while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit.exports.plain_views import JsonLines

if TYPE_CHECKING:
    from pathlib import Path

    from audit.exports.views import Context, Rows


def write(rows: Rows, path: Path, _context: Context) -> None:
    """One frame; any `zstd -d` reads it."""
    import zstandard

    rendered = JsonLines()
    with path.open("wb") as file, zstandard.ZstdCompressor(level=3).stream_writer(file) as packed:
        for record in rows():
            packed.write(rendered.row(record.raw, record.leaf, record.openings))
