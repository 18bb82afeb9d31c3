"""CoNLL's columns: a token a line, an empty line behind each sentence, the token first and its tag last (CoNLL-2002, CoNLL-2003 and kin).

CoNLL-U's ten columns are known: form and universal part of speech. Another column is chosen by its number: `columns: tags=2`. Which scheme
the tags follow is the task's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter
from hanlin.datasets.sentences import Sentence, read_sentences
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding

_UNIVERSAL = 10  # columns of CoNLL-U
_NO_TOKEN = re.compile(r"\d+[-.]\d+")  # CoNLL-U's lines of multiword tokens and empty nodes


@FIELD_FORMATS.register("conll")
class ConllFormat:
    """See `FieldFormat`. A row is a sentence: `tokens`, `tags`, and every column by its number from 1."""

    suffixes: tuple[str, ...] = (".conll", ".bio", ".iob", ".iob2", ".bioes", ".conllu")

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        for sentence in read_sentences(file, encoding, meter):
            yield sentence if isinstance(sentence, BadRow) else _row(sentence)


def _row(sentence: Sentence) -> Row:
    cells = [row for row in sentence.cells if not _NO_TOKEN.fullmatch(row[0])] or sentence.cells
    columns = [list(column) for column in zip(*cells, strict=True)]
    numbered = {str(number): column for number, column in enumerate(columns, start=1)}
    is_universal = len(columns) == _UNIVERSAL and columns[0] == [str(number) for number in range(1, len(cells) + 1)]
    tokens, tags = (columns[1], columns[3]) if is_universal else (columns[0], columns[-1])
    return Row(sentence.number, {"tokens": tokens, "tags": tags, **numbered})
