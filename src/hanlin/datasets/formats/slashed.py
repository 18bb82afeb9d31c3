"""Words with their tag behind a slash, a sentence a line: `希望/n  的/u  新/a`, as Brown's corpus and Peking University's newspapers."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter, read_lines
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding


@FIELD_FORMATS.register("slashed")
class SlashedFormat:
    """See `FieldFormat`. The last slash of a word counts, so that `1/2/CD` is the word `1/2`."""

    suffixes: tuple[str, ...] = (".tagged", ".pos")

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        for line in read_lines(file.path, encoding, meter):
            parts = [word.rpartition("/") for word in line.text.split()]
            if line.problem:
                yield BadRow(line.number, line.problem)
            elif not all(word and tag for word, _, tag in parts):
                yield BadRow(line.number, "tags_number")
            elif parts:
                yield Row(line.number, {"tokens": [word for word, _, _ in parts], "tags": [tag for _, _, tag in parts]})
