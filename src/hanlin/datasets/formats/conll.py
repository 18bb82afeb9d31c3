"""CoNLL's columns: a token a line, an empty line behind each sentence, the token first and its tag last (CoNLL-2002, CoNLL-2003 and kin).

CoNLL-U's ten columns are known: form and universal part of speech. Another column is chosen by its number: `columns: tags=2`. Which scheme
the tags follow is the task's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Line, Meter, read_lines
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding

_DOCUMENT = "-DOCSTART-"
_UNIVERSAL = 10  # columns of CoNLL-U
_NO_TOKEN = re.compile(r"\d+[-.]\d+")  # CoNLL-U's lines of multiword tokens and empty nodes


@FIELD_FORMATS.register("conll")
class ConllFormat:
    """See `FieldFormat`. A row is a sentence: `tokens`, `tags`, and every column by its number from 1."""

    suffixes: tuple[str, ...] = (".conll", ".bio", ".iob", ".iob2", ".bioes", ".conllu")

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        sentence: list[Line] = []
        for line in read_lines(file.path, encoding, meter):
            if line.text.strip():
                sentence.append(line)
            elif sentence:
                yield from _rows(sentence)
                sentence = []
        if sentence:
            yield from _rows(sentence)


def _rows(sentence: list[Line]) -> Iterator[Row | BadRow]:
    """The row that lines make; none for the mark of a document, or comments alone."""
    cells: list[list[str]] = []
    for line in sentence:
        if line.problem:
            yield BadRow(line.number, line.problem)
            return
        parts = line.text.strip("\r\n").split("\t") if "\t" in line.text else line.text.split()
        is_comment = line.text.startswith("# ") and "\t" not in line.text and (not cells or len(parts) != len(cells[0]))
        if is_comment or parts[0] == _DOCUMENT or _NO_TOKEN.fullmatch(parts[0]):
            continue
        cells.append([part.strip() for part in parts])
        if len(parts) != len(cells[0]):
            yield BadRow(line.number, "conll_columns")
            return
    if cells:
        columns = [list(column) for column in zip(*cells, strict=True)]
        numbered = {str(number): column for number, column in enumerate(columns, start=1)}
        is_universal = len(columns) == _UNIVERSAL and columns[0] == [str(number) for number in range(1, len(cells) + 1)]
        tokens, tags = (columns[1], columns[3]) if is_universal else (columns[0], columns[-1])
        yield Row(sentence[0].number, {"tokens": tokens, "tags": tags, **numbered})
