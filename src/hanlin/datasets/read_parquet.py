"""Rows of Parquet files, in batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from hanlin.datasets.columns import ColumnChoice
from hanlin.datasets.lines import Meter
from hanlin.datasets.values import Row, SourceFile
from hanlin.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_BATCH_ROWS = 2048
_MAX_COLUMN_BYTES = 2 * 2**30  # of one row group, unpacked: what reading a batch may cost


def read_parquet(file: SourceFile, choose: Callable[[Sequence[str]], ColumnChoice], meter: Meter) -> Iterator[Row]:
    """Every row of the chosen columns, numbered from 1. Class labels that a `datasets` schema names come as their names.

    Raises:
        InvalidInput: `parquet_unreadable`, or what `choose` raises.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as table:
            choice = choose(table.schema_arrow.names)
            headers = choice.wanted
            names = {header: _class_names(table, header) for header in headers}
            _check_size(table, set(headers), file)
            number = 0
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=headers):
                values = {header: _named(batch.column(header).to_pylist(), names[header]) for header in headers}
                for row in zip(*values.values(), strict=True):
                    number += 1
                    yield Row(number, choice.fields(dict(zip(values, row, strict=True))))
                meter.show(0)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput("parquet_unreadable", file=file.name[:200], details=str(error)[:500]) from error


def _named(values: list[object], names: list[str]) -> list[object]:
    """Class numbers as their names, where there are names."""
    if not names:
        return values
    return [names[value] if type(value) is int and 0 <= value < len(names) else value for value in values]


def _check_size(table: pq.ParquetFile, wanted: set[str], file: SourceFile) -> None:
    metadata = table.metadata
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema in wanted and column.total_uncompressed_size > _MAX_COLUMN_BYTES:
                raise InvalidInput("parquet_unreadable", file=file.name[:200], details="row group larger than 2 GiB")


def _class_names(table: pq.ParquetFile, label: str) -> list[str]:
    """Names of a `ClassLabel` feature, which Hugging Face's `datasets` writes into the schema's metadata."""
    raw = (table.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(raw)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
