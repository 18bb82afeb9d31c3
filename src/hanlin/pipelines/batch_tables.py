"""Results of a batch as CSV, TSV or Parquet, made of the lines of JSON in pieces."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hanlin.types import JsonObject, JsonValue

_PIECE_ROWS = 2048


def write_table(source: Path, target: Path, form: str, *, has_ids: bool) -> None:
    """Writes `source`, lines of `{"row", "id", "result"}`, to `target`.

    Labels make columns `label` and `score` of the best, with the whole answer in `result`; vectors make `embedding` where every row has
    one; all else is JSON.
    """
    if form == "parquet":
        _write_parquet(source, target, has_ids=has_ids)
        return
    with target.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t" if form == "tsv" else ",")
        for number, columns in enumerate(_columns(source, has_ids=has_ids)):
            if number == 0:
                writer.writerow(columns)
            writer.writerows(zip(*(map(_cell, values) for values in columns.values()), strict=True))


def _write_parquet(source: Path, target: Path, *, has_ids: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"row": pa.int64(), "score": pa.float64(), "embedding": pa.list_(pa.float32())}
    writer = None
    for columns in _columns(source, has_ids=has_ids):
        schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
        values = [
            columns[name] if name in types else [None if value is None else str(_cell(value)) for value in columns[name]]
            for name in columns
        ]
        writer = writer or pq.ParquetWriter(target, schema)
        writer.write_table(pa.Table.from_arrays([pa.array(of, kind.type) for of, kind in zip(values, schema, strict=True)], schema=schema))
    if writer is None:
        pq.write_table(pa.table({"row": pa.array([], pa.int64()), "result": pa.array([], pa.string())}), target)
    else:
        writer.close()


def _columns(source: Path, *, has_ids: bool) -> Iterator[dict[str, list[JsonValue]]]:
    """The columns of the next rows, the same ones each time."""
    shape = _shape(source)
    with source.open("rb") as stream:
        while lines := list(itertools.islice(stream, _PIECE_ROWS)):
            rows: list[JsonObject] = [msgspec.json.decode(line) for line in lines]
            columns: dict[str, list[JsonValue]] = {"row": [row["row"] for row in rows]}
            if has_ids:
                columns["id"] = [row.get("id") for row in rows]
            results = [row["result"] for row in rows]
            if shape == "labels":
                best = [_best(result) for result in results]
                columns |= {"label": [label for label, _ in best], "score": [score for _, score in best]}
            columns["embedding" if shape == "vector" else "result"] = results
            yield columns


class _Line(msgspec.Struct, gc=False):
    result: msgspec.Raw


_line = msgspec.json.Decoder(_Line)
_vector = msgspec.json.Decoder(list[float])


def _shape(source: Path) -> str:
    """What the results are: `labels` where the first is, `vector` where all are (a row may be a whole input, with an answer of its own)."""
    with source.open("rb") as stream:
        first: JsonValue = msgspec.json.decode(_line.decode(line).result) if (line := next(stream, b"")) else None
        best = first[0] if isinstance(first, list) and first else None
        if isinstance(best, dict) and "label" in best and "score" in best:
            return "labels"
        is_vector = isinstance(best, int | float) and all(_is_vector(_line.decode(line).result) for line in stream)
    return "vector" if is_vector else "json"


def _is_vector(result: msgspec.Raw) -> bool:
    try:
        _vector.decode(result)
    except msgspec.ValidationError:
        return False
    return True


def _best(result: JsonValue) -> tuple[JsonValue, JsonValue]:
    first = result[0] if isinstance(result, list) and result else None
    return (first.get("label"), first.get("score")) if isinstance(first, dict) else (None, None)


def _cell(value: JsonValue) -> JsonValue:
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value
