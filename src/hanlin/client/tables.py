"""A column of texts out of a table, answers into columns beside it: pandas, polars and pyarrow. Imports only what the caller has."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from hanlin.client.texts import is_of, iterate
from hanlin.errors import HanlinError, InvalidInput
from hanlin.types import shorten

T = TypeVar("T")
PACKAGES = ("pandas", "polars", "pyarrow")
_MISSING = ("nan", "<NA>", "NaT", "None")  # as pandas writes what is no value


class Column:
    """The texts of one column of a table; rows without a text are left out, and get no answer.

    Raises:
        InvalidInput: `table_unknown` or `column_missing`.
    """

    def __init__(self, table: object, name: str) -> None:
        self.package = next((package for package in PACKAGES if is_of(table, package)), "")
        self._table: Any = table  # of a package that may not be here
        names = self._names()
        if name not in names:
            raise InvalidInput("column_missing", name=shorten(name), choices=", ".join(map(shorten, names[:20])))
        self._name = name
        self.rows: list[int] = []

    def _names(self) -> list[str]:
        kind = type(self._table).__name__
        if not self.package or kind not in ("DataFrame", "GeoDataFrame", "Table", "RecordBatch"):
            raise InvalidInput("table_unknown", found=kind)
        names = self._table.schema.names if self.package == "pyarrow" else self._table.columns
        return [str(name) for name in names]

    @property
    def num_rows(self) -> int:
        """Of the table."""
        return int(self._table.num_rows) if self.package == "pyarrow" else len(self._table)

    def texts(self) -> Iterator[object]:
        """What there is to send; `rows` tells of each where it stands."""
        column = self._table.column(self._name) if self.package == "pyarrow" else self._table[self._name]
        for row, text in enumerate(iterate(column)):
            if isinstance(text, str) or repr(text) not in _MISSING:
                self.rows.append(row)
                yield text

    def check_free(self, names: Sequence[str]) -> None:
        """Raises InvalidInput (`column_exists`) when the table has a column of such a name."""
        if twice := sorted(set(names) & set(self._names())):
            raise InvalidInput("column_exists", name=shorten(twice[0]))

    def with_columns(self, columns: dict[str, list[Any]], prefix: str) -> object:
        """The table with these columns at its end."""
        named = {prefix + name: (name, values) for name, values in columns.items()}
        if self.package == "pandas":
            return self._table.assign(**{name: values for name, (_, values) in named.items()})
        if self.package == "polars":
            polars = importlib.import_module("polars")
            made = (polars.Series(name, values, _polars_type(polars, kind)) for name, (kind, values) in named.items())
            return self._table.with_columns(*made)
        arrow, table = importlib.import_module("pyarrow"), self._table
        for name, (kind, values) in named.items():
            table = table.append_column(name, arrow.array(values, _arrow_type(arrow, kind)))
        return table


def spread(answers: Sequence[T | HanlinError], rows: Sequence[int], num_rows: int) -> list[T | HanlinError | None]:
    """An answer for each row of the table, None where there was no text."""
    found: list[T | HanlinError | None] = [None] * num_rows
    for row, answer in zip(rows, answers, strict=True):
        found[row] = answer
    return found


def _arrow_type(arrow: Any, kind: str) -> Any:
    """Of a column that one of our questions makes; None lets pyarrow find out."""
    text, number, place = arrow.string(), arrow.float64(), arrow.int64()
    entity = [("label", text), ("score", number), ("word", text), ("start", place), ("end", place)]
    return {
        "label": arrow.string(), "score": arrow.float64(), "embedding": arrow.list_(arrow.float32()), "answer": arrow.string(),
        "error": arrow.string(), "entities": arrow.list_(arrow.struct(entity)),
    }.get(kind)  # fmt: skip


def _polars_type(polars: Any, kind: str) -> Any:
    """The same for polars."""
    entity = {"label": polars.String, "score": polars.Float64, "word": polars.String, "start": polars.Int64, "end": polars.Int64}
    return {
        "label": polars.String, "score": polars.Float64, "embedding": polars.List(polars.Float32), "answer": polars.String,
        "error": polars.String, "entities": polars.List(polars.Struct(entity)),
    }.get(kind)  # fmt: skip
