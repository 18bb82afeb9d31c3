"""Rows of a file that an endpoint shall answer: a text each, or in JSON whole inputs. Without labels, unlike `readers.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from hanlin.datasets.columns import find_column
from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.read_csv import read_records
from hanlin.datasets.read_json import has_key_twice, read_json_values
from hanlin.datasets.values import BadRow, ReadProgress, SourceFile
from hanlin.encodings import detect
from hanlin.errors import InvalidInput
from hanlin.tasks import Column

_BATCH_ROWS = 1024
_MAX_COLUMN_BYTES = 2 * 2**30  # of one row group, unpacked
TEXT = Column(
    "text", "text", aliases=("input", "sentence", "review", "content", "comment", "message", "document", "body", "prompt", "query",
                             "文本", "内容", "评论", "句子", "正文"),
)  # fmt: skip


class InputRow(NamedTuple):
    """One row: `inputs` is a text, or any JSON value where the row says `inputs` itself; `line` counts from 1 (rows in Parquet)."""

    line: int
    inputs: object
    parameters: object = None
    id: object = None


@dataclass(frozen=True, slots=True)
class InputColumns:
    """Headers of the text and, where it is wanted, of a column that is repeated beside each result; empty: found out, none."""

    text: str = ""
    id: str = ""


def read_inputs(
    file: SourceFile, kind: str, columns: InputColumns, progress: ReadProgress | None = None
) -> Iterator[InputRow | BadRow]:  # fmt: skip
    """Every row of a file of form `kind`, in order.

    Raises:
        InvalidInput: what makes the whole file unreadable: encoding, columns, syntax, format.
    """
    meter = Meter(file.path.stat().st_size, progress)
    if kind == "parquet":
        yield from _read_parquet(file, columns, meter)
    elif kind in {"csv", "tsv"}:
        yield from _read_table(file, columns, meter, is_tsv=kind == "tsv")
    elif kind == "jsonl":
        yield from _read_lines(file, columns, meter)
    elif kind == "json":
        objects = _Objects(columns, file)
        for found in read_json_values(file, detect(file.path, name=file.name), meter):
            yield found if isinstance(found, BadRow) else objects.row(*found)
    else:
        raise InvalidInput("unknown_format", file=file.name[:200])


def _read_table(file: SourceFile, columns: InputColumns, meter: Meter, *, is_tsv: bool) -> Iterator[InputRow | BadRow]:
    records = read_records(file, detect(file.path, name=file.name), meter, is_tsv=is_tsv)
    header = next(records, None)
    if header is None:
        return
    if isinstance(header, BadRow):
        raise InvalidInput("csv_unreadable", file=file.name[:200], line=header.line)
    names = header[1]
    text, mark = _places(names, columns, file)
    for record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        line, fields = record
        if len(fields) != len(names) and (len(fields) < len(names) or any(fields[len(names) :])):
            yield BadRow(line, "columns")
        else:
            yield InputRow(line, fields[text], None, None if mark is None else fields[mark])


def _read_lines(file: SourceFile, columns: InputColumns, meter: Meter) -> Iterator[InputRow | BadRow]:
    objects = _Objects(columns, file)
    for line in read_lines(file.path, detect(file.path, name=file.name), meter):
        text = line.text.strip()
        if line.problem:
            yield BadRow(line.number, line.problem)
        elif text:
            try:
                value = orjson.loads(text)
            except ValueError:
                yield BadRow(line.number, "json")
                continue
            yield BadRow(line.number, "json_twice") if has_key_twice(text) else objects.row(line.number, _exact(value, columns.id, text))


def _exact(value: object, mark: str, text: str) -> object:
    """`value` with all digits of what the caller calls the row: orjson makes floats of whole numbers beyond 64 bits."""
    return json.loads(text) if mark and isinstance(value, dict) and isinstance(value.get(mark), float) else value


class _Objects:
    """Rows of JSON: texts and objects; of those that are no whole input, the first one's keys stand for all."""

    def __init__(self, columns: InputColumns, file: SourceFile) -> None:
        self._columns = columns
        self._file = file
        self._text = ""

    def row(self, line: int, value: object) -> InputRow | BadRow:
        """A string is a text; an object with `inputs` (and perhaps `parameters`) is a whole input; of any other the text is taken.

        Raises:
            InvalidInput: `input_column_not_found` or `input_column_ambiguous` at the first.
        """
        if isinstance(value, str):
            return InputRow(line, value)
        if not isinstance(value, dict):
            return BadRow(line, "json")
        mark = value.get(self._columns.id) if self._columns.id else None
        if not self._columns.text and "inputs" in value:
            return InputRow(line, value["inputs"], value.get("parameters"), mark)
        if not self._text:
            names = list(value)
            self._text = names[_text_place(names, self._columns.text, self._file)]
        text = value.get(self._text)
        return InputRow(line, text, None, mark) if isinstance(text, str) else BadRow(line, "text_missing" if text is None else "text_type")


def _read_parquet(file: SourceFile, columns: InputColumns, meter: Meter) -> Iterator[InputRow | BadRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as table:
            names = table.schema_arrow.names
            text, mark = _places(names, columns, file)
            wanted = [names[text]] + ([] if mark is None else [names[mark]])
            _check_size(table, set(wanted), file)
            number = 0
            for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                texts = batch.column(wanted[0]).to_pylist()
                marks = batch.column(wanted[-1]).to_pylist() if mark is not None else [None] * len(texts)
                for value, of_row in zip(texts, marks, strict=True):
                    number += 1
                    bad = BadRow(number, "text_missing" if value is None else "text_type")
                    yield InputRow(number, value, None, of_row) if isinstance(value, str) else bad
                meter.show(0)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InvalidInput("parquet_unreadable", file=file.name[:200], details=str(error)[:500]) from error


def _check_size(table: object, wanted: set[str], file: SourceFile) -> None:
    metadata = table.metadata  # type: ignore[attr-defined]  # pyarrow has no types
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if column.path_in_schema in wanted and column.total_uncompressed_size > _MAX_COLUMN_BYTES:
                raise InvalidInput("parquet_unreadable", file=file.name[:200], details="row group larger than 2 GiB")


def _places(names: Sequence[str], columns: InputColumns, file: SourceFile) -> tuple[int, int | None]:
    """Of the text, and of the column to repeat."""
    mark = _place(names, Column("id", "text"), columns.id, file) if columns.id else None
    return _text_place(names, columns.text, file), mark


def _text_place(names: Sequence[str], asked: str, file: SourceFile) -> int:
    if len(names) == 1 and not asked:
        return 0
    return _place(names, TEXT, asked, file)


def _place(names: Sequence[str], column: Column, asked: str, file: SourceFile) -> int:
    """As `find_column`, which advises on the options of datasets; these files have others."""
    try:
        return find_column(names, column, asked, file=file.name[:200])
    except InvalidInput as error:
        code = "input_column_not_found" if error.code == "column_not_found" else "input_column_ambiguous"
        raise InvalidInput.of(code, {**error.params, "option": column.name}) from error
