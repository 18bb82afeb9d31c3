"""Checked rows on disk between the two passes of `ingest`, in Arrow's stream format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa


class SpilledRow(NamedTuple):
    """A checked row; `labels` and `file` are positions in lists kept elsewhere."""

    text: str
    annotation: str
    labels: list[int]
    file: int
    line: int


class Spill:
    """Written once, then read once, batch by batch in the same order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self.rows = 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Within this, `add` may be called."""
        import pyarrow as pa

        self._schema = pa.schema(
            [
                ("text", pa.string()),
                ("annotation", pa.string()),
                ("labels", pa.list_(pa.int32())),
                ("file", pa.int32()),
                ("line", pa.int64()),
            ]
        )
        with pa.OSFile(str(self._path), "wb") as sink, pa.ipc.new_stream(sink, self._schema) as writer:
            self._writer = writer
            yield
        self._writer = None

    def add(self, batch: list[SpilledRow]) -> None:
        """Append rows."""
        import pyarrow as pa

        assert self._writer is not None, "add() outside of writing()"
        columns = [list(column) for column in zip(*batch, strict=True)]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self.rows += len(batch)

    def read(self) -> Iterator[SpilledRow]:
        """All rows in order."""
        import pyarrow as pa

        with pa.OSFile(str(self._path), "rb") as source, pa.ipc.open_stream(source) as reader:
            for batch in reader:
                columns = [batch.column(index).to_pylist() for index in range(len(SpilledRow._fields))]
                yield from map(SpilledRow, *columns)
