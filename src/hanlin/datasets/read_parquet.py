"""Rows of Parquet files, in batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hanlin.datasets.columns import ColumnChoice
from hanlin.datasets.lines import Meter
from hanlin.datasets.values import Row, SourceFile
from hanlin.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

Lifted = Mapping[str, tuple[str, str]]  # by header: the column of structs, and which of its fields

_BATCH_ROWS = 2048
_MAX_COLUMN_BYTES = 2 * 2**30  # of one row group, unpacked: what reading a batch may cost


def read_parquet(
    file: SourceFile, choose: Callable[[Sequence[str]], ColumnChoice], meter: Meter, lift: Callable[[pa.Schema], Lifted] = lambda schema: {}
) -> Iterator[Row]:
    """Every row of the chosen columns, numbered from 1. Class labels that a `datasets` schema names come as their names.

    Args:
        lift: which fields of structs are columns of their own.

    Raises:
        InvalidInput: `parquet_unreadable`, or what `choose` raises.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as table:
            lifted = lift(table.schema_arrow)
            choice = choose([*lifted, *(name for name in table.schema_arrow.names if all(name != column for column, _ in lifted.values()))])
            headers = choice.wanted
            names = {header: _class_names(table, header) for header in headers}
            columns = list(dict.fromkeys(lifted.get(header, (header, ""))[0] for header in headers))
            _check_size(table, {".".join(lifted.get(header, (header,))) for header in headers}, file)
            number = 0
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                values = {header: _named(_values(batch, header, lifted), names[header]) for header in headers}
                for row in zip(*values.values(), strict=True):
                    number += 1
                    yield Row(number, choice.fields(dict(zip(values, row, strict=True))))
                meter.show(0)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput("parquet_unreadable", file=file.name[:200], details=str(error)[:500]) from error


def _values(batch: pa.RecordBatch, header: str, lifted: Lifted) -> list[object]:
    if header not in lifted:
        return list(batch.column(header).to_pylist())
    column, field = lifted[header]
    return [None if value is None else value[field] for value in batch.column(column).to_pylist()]


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
