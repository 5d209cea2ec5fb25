"""The table as Parquet: columns of the CSV with their types, row groups of a few thousand records, Zstandard inside."""

from __future__ import annotations

from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

from audit.exports.csv_view import COLUMNS, cells, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from audit.exports.views import Context, Rows

_BATCH = 4096
_NUMBERS = frozenset({"index", "app_sequence"})
_LISTS = frozenset({"rules", "waivers"})


def write(rows: Rows, path: Path, context: Context) -> None:
    """Lists stay lists, numbers numbers, everything else is text; what a record does not have is null."""
    from arro3.core import DataType, Field, RecordBatchReader, Schema
    from arro3.io import write_parquet

    text = DataType.utf8()

    def kind(column: str) -> Any:
        return (
            DataType.int64() if column in _NUMBERS else DataType.list(Field("item", text)) if column in _LISTS else text
        )

    schema = Schema([Field(column, kind(column)) for column in COLUMNS])
    write_parquet(
        RecordBatchReader.from_batches(schema, _batches(rows, schema)),
        str(path),
        compression="zstd(3)",
        max_row_group_size=16 * _BATCH,
        key_value_metadata={"verifier_key": context.verifier_key},
    )


def _batches(rows: Rows, schema: Any) -> Iterator[Any]:
    from arro3.core import RecordBatch

    records = iter(rows())
    while chunk := list(islice(records, _BATCH)):
        columns = zip(*(cells(record.leaf, record.openings) for record in chunk), strict=True)
        arrays = [_array(name, values, schema.field(name).type) for name, values in zip(COLUMNS, columns, strict=True)]
        yield RecordBatch.from_arrays(arrays, schema=schema)


def _array(column: str, values: tuple[Any, ...], kind: Any) -> Any:
    from arro3.core import Array, DataType, list_array

    if column in _NUMBERS:
        return Array([value if isinstance(value, int) else None for value in values], DataType.int64())
    if column not in _LISTS:
        return Array([None if value is None else _text(value) for value in values], DataType.utf8())
    lists = [[_text(item) for item in value] if isinstance(value, list) else [] for value in values]
    ends = list(accumulate(map(len, lists), initial=0))
    items = Array([item for one in lists for item in one], DataType.utf8())
    return list_array(Array(ends, DataType.int32()), items, type=kind)


def _text(value: Any) -> str:
    """Half a surrogate pair is no UTF-8."""
    return plain_text(value).encode("utf-8", "backslashreplace").decode()
