"""CoNLL-2009: fourteen columns a word, and one a predicate with the roles of single words: an argument is its head.

Source: Hajič et al., The CoNLL-2009 Shared Task, section 3.1: FORM is column 2, FILLPRED 13, PRED 14 (its sense), APREDs behind them.
"""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.formats.props import propbank_role
from hanlin.datasets.lines import Meter
from hanlin.datasets.sentences import read_sentences
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding
from hanlin.types import JsonValue

_FORM, _PREDICATE, _BEFORE = 1, 13, 14
_NOTHING = frozenset("_-")  # the Chinese files write a dash


@FIELD_FORMATS.register("conll2009")
class Conll2009Format:
    """See `FieldFormat`. A row is a sentence: `tokens` and `frames`."""

    suffixes: tuple[str, ...] = (".conll09", ".conll2009")

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        for sentence in read_sentences(file, encoding, meter):
            if isinstance(sentence, BadRow):
                yield sentence
                continue
            cells = sentence.cells
            predicates = [at for at, row in enumerate(cells) if len(row) > _PREDICATE and row[_PREDICATE] not in _NOTHING]
            if len(cells[0]) != _BEFORE + len(predicates):
                yield BadRow(sentence.number, "roles_columns")
                continue
            frames: list[JsonValue] = [
                {"predicate": at, "sense": cells[at][_PREDICATE], "arguments": _arguments([row[_BEFORE + number] for row in cells])}
                for number, at in enumerate(predicates)
            ]
            yield Row(sentence.number, {"tokens": [row[_FORM] for row in cells], "frames": frames})


def _arguments(column: list[str]) -> list[JsonValue]:
    return [{"start": at, "end": at + 1, "role": propbank_role(role)} for at, role in enumerate(column) if role not in _NOTHING]
