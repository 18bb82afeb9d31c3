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
    """Every row of the two chosen columns, numbered from 1. Class labels that a `datasets` schema names come as their names.

    Raises:
        InvalidInput: `parquet_unreadable`, or what `choose` raises.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as table:
            choice = choose(table.schema_arrow.names)
            names = _class_names(table, choice.label_name)
            _check_size(table, choice, file)
            number = 0
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=[choice.text_name, choice.label_name]):
                texts, labels = batch.column(choice.text_name).to_pylist(), batch.column(choice.label_name).to_pylist()
                for text, label in zip(texts, labels, strict=True):
                    number += 1
                    is_named = names and type(label) is int and 0 <= label < len(names)
                    yield Row(number, text, names[label] if is_named else label)
                meter.show(0)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput("parquet_unreadable", file=file.name[:200], details=str(error)[:500]) from error


def _check_size(table: pq.ParquetFile, choice: ColumnChoice, file: SourceFile) -> None:
    metadata = table.metadata
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema in {choice.text_name, choice.label_name} and column.total_uncompressed_size > _MAX_COLUMN_BYTES:
                raise InvalidInput("parquet_unreadable", file=file.name[:200], details="row group larger than 2 GiB")


def _class_names(table: pq.ParquetFile, label: str) -> list[str]:
    """Names of a `ClassLabel` feature, which Hugging Face's `datasets` writes into the schema's metadata."""
    raw = (table.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(raw)["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return []
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
