"""A `map` whose texts are a column of a table and whose answers become columns: what the two clients share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar, cast

from hanlin.client.mapping import MapOptions, OnError, with_row
from hanlin.client.questions import Question
from hanlin.client.tables import Column, spread
from hanlin.errors import HanlinError

Table = TypeVar("Table")


class TableMap(Generic[Table]):
    """One table on its way through `map`.

    Raises:
        InvalidInput: `table_unknown`, `column_missing`, or `column_exists` where an answer's column is there already.
    """

    def __init__(self, table: Table, column: str, question: Question[Any], on_error: OnError, prefix: str) -> None:
        self.column = Column(table, column)
        self.question = question
        self._is_returning = on_error == "return"
        self._prefix = prefix
        self.column.check_free([prefix + name for name in self._columns([])])

    def options(self, options: MapOptions) -> MapOptions:
        """The caller's options, with the number of rows."""
        found: MapOptions = {"total": self.column.num_rows, **options}
        return found

    @contextmanager
    def told(self) -> Iterator[None]:
        """An error inside names the row of the table."""
        try:
            yield
        except HanlinError as error:
            index = error.params.get("index")
            if isinstance(index, int) and index < len(self.column.rows):
                raise with_row(error, self.column.rows[index]) from error
            raise

    def made(self, answers: list[Any]) -> Table:
        """The table with the answers."""
        return cast("Table", self.column.with_columns(self._columns(spread(answers, self.column.rows, self.column.num_rows)), self._prefix))

    def _columns(self, rows: list[Any]) -> dict[str, list[object]]:
        columns = self.question.columns([None if isinstance(row, HanlinError) else row for row in rows])
        if self._is_returning:
            columns["error"] = [str(row) if isinstance(row, HanlinError) else None for row in rows]
        return columns
