"""Segmented text: one sentence a line, its words apart by spaces, as the corpora of Chinese word segmentation come."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding


@FIELD_FORMATS.register("segmented")
class SegmentedFormat:
    """See `FieldFormat`."""

    suffixes: tuple[str, ...] = (".seg",)

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        for line in read_lines(file.path, encoding, meter):
            if line.problem:
                yield BadRow(line.number, line.problem)
            elif line.text.strip():
                yield Row(line.number, {"segmented": line.text.strip()})
