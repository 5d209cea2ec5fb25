"""The formats an export can be had in, each one module that is only imported when somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from audit.exports.plain_views import CSV_FILE, JSONL_FILE, PLAIN_VIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from audit.walk import Record

    Rows = Callable[[], Iterator[Record]]
    Write = Callable[[Rows, Path, "Context"], None]


class Context(NamedTuple):
    """What a view says beside the records."""

    verifier_key: str
    created: str
    filter: Mapping[str, Any]
    records: int
    sign: Callable[[bytes], bytes]
    """Signs under the log's key."""
    controls: Mapping[str, Sequence[str]]
    """Rule id to controls, for rules whose violations do not say it themselves."""


class View(NamedTuple):
    """One format."""

    file: str
    write: Write


def _plain(name: str) -> View:
    def write(rows: Rows, path: Path, _context: Context) -> None:
        rendered = PLAIN_VIEWS[name]()
        with path.open("wb") as file:
            file.write(rendered.head())
            file.writelines(rendered.row(record.raw, record.leaf, record.openings) for record in rows())

    return View(name, write)


def _zstd(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.zstd_view import write

    write(rows, path, context)


def _parquet(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.parquet_view import write

    write(rows, path, context)


def _xlsx(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.xlsx_view import write

    write(rows, path, context)


def _pdf(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.pdf_report import write

    write(rows, path, context)


def _ocsf(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.ocsf import write

    write(rows, path, context)


def _oscal(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.oscal import write

    write(rows, path, context)


def _vsa(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.vsa import write

    write(rows, path, context)


def _opa(rows: Rows, path: Path, context: Context) -> None:
    from audit.exports.opa_log import write

    write(rows, path, context)


VIEWS: dict[str, View] = {
    "jsonl": _plain(JSONL_FILE),
    "csv": _plain(CSV_FILE),
    "jsonl+zstd": View("view.jsonl.zst", _zstd),
    "parquet": View("records.parquet", _parquet),
    "xlsx": View("records.xlsx", _xlsx),
    "pdf": View("report.pdf", _pdf),
    "ocsf": View("ocsf.jsonl", _ocsf),
    "oscal": View("oscal-assessment-results.json", _oscal),
    "vsa": View("vsa.jsonl", _vsa),
    "opa": View("opa-decisions.jsonl", _opa),
}
