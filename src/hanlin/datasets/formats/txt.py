"""Raw text. A text a line; where empty lines stand between the lines, a text is what stands between two of them, its lines kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise, takewhile

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Line, Meter, read_lines
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding

NAME = "txt"
LOOKED_AT = 10_000  # lines that tell which of the two it is
MAX_CHARACTERS = 100_000  # a longer text goes on in the next, at the end of a line


@FIELD_FORMATS.register(NAME)
class TxtFormat:
    """See `FieldFormat`. Files of other tasks end in `.txt` too: `find_format` knows which tasks take raw text."""

    suffixes: tuple[str, ...] = ()

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        held: list[Line] = []
        size = 0
        is_blocks = _has_empty_lines(file, encoding)
        for line in read_lines(file.path, encoding, meter):
            is_text = not line.problem and bool(line.text.strip())
            if held and (not is_text or not is_blocks or size + len(line.text) > MAX_CHARACTERS):
                yield _row(held)
                held, size = [], 0
            if line.problem:
                yield BadRow(line.number, line.problem)
            elif is_text:
                held.append(line)
                size += len(line.text)
        if held:
            yield _row(held)


def _row(lines: list[Line]) -> Row:
    return Row(lines[0].number, {"text": "\n".join(line.text.strip() for line in lines)})


def _has_empty_lines(file: SourceFile, encoding: Encoding) -> bool:
    """Whether a line with text, an empty one and another with text follow each other somewhere at the beginning."""
    lines = read_lines(file.path, encoding, Meter(0, None))
    shown = [not line.text.strip() for line in takewhile(lambda line: line.number <= LOOKED_AT, lines)]
    while shown and shown[-1]:
        shown.pop()
    return any(before < after for before, after in pairwise(shown))
