"""CoNLL's props: a word a line, its predicate or `-`, and for each predicate a column of bracketed spans (CoNLL-2005, CoNLL-2012).

Source: Carreras and Màrquez, Introduction to the CoNLL-2005 Shared Task, section 2.2: `(A0*`, `*`, `*)`; the predicate itself is `(V*)`.
Of CoNLL-2012's files the word is the fourth column, lemma and frameset the seventh and eighth, and the last (coreference) holds no roles.
CoNLL-2005 has no senses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hanlin.datasets.formats import FIELD_FORMATS
from hanlin.datasets.lines import Meter
from hanlin.datasets.sentences import Sentence, read_sentences
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding
from hanlin.types import JsonValue

_ONTONOTES = (".gold_conll", ".v4_gold_conll", ".conll12")
_BEFORE = 11  # columns of CoNLL-2012 before the roles
_OPEN = re.compile(r"\(([^()*\s]+)")
_VERB = "V"


@FIELD_FORMATS.register("props")
class PropsFormat:
    """See `FieldFormat`. A row is a sentence: `tokens` and `frames`."""

    suffixes: tuple[str, ...] = (".props", *_ONTONOTES)

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """See `FieldFormat.read`."""
        is_ontonotes = file.name.lower().endswith(_ONTONOTES)
        for sentence in read_sentences(file, encoding, meter):
            yield sentence if isinstance(sentence, BadRow) else _row(sentence, is_ontonotes=is_ontonotes)


def _row(sentence: Sentence, *, is_ontonotes: bool) -> Row | BadRow:
    columns = [list(column) for column in zip(*sentence.cells, strict=True)]
    if is_ontonotes and len(columns) <= _BEFORE:
        return BadRow(sentence.number, "roles_columns")
    words, roles = (columns[3], columns[_BEFORE:-1]) if is_ontonotes else (columns[0], columns[2:])
    frames: list[JsonValue] = []
    for column in roles:
        spans = _spans(column)
        if spans is None:
            return BadRow(sentence.number, "props_brackets")
        verbs = [start for start, _, role in spans if role == _VERB]
        if verbs:
            frames.append(
                {
                    "predicate": verbs[0],
                    "sense": _sense(sentence.cells[verbs[0]]) if is_ontonotes else "",
                    "arguments": [{"start": start, "end": end, "role": propbank_role(role)} for start, end, role in spans if role != _VERB],
                }
            )
    return Row(sentence.number, {"tokens": words, "frames": frames})


def _sense(cells: list[str]) -> str:
    """`write.01`, or an empty text where the frameset is not told."""
    lemma, frameset = cells[6:8]
    return "" if frameset == "-" else f"{lemma}.{frameset}"


def _spans(column: list[str]) -> list[tuple[int, int, str]] | None:
    """The spans of a column; None where its brackets do not close, or open inside each other."""
    found: list[tuple[int, int, str]] = []
    is_open = False
    for at, cell in enumerate(column):
        opened = _OPEN.findall(cell)
        if len(opened) > 1 or (opened and is_open):
            return None
        if opened:
            found.append((at, at, opened[0]))
            is_open = True
        if ")" in cell:
            if not is_open:
                return None
            found[-1] = (found[-1][0], at + 1, found[-1][2])
            is_open = False
    return None if is_open else found


def propbank_role(role: str) -> str:
    """PropBank's own names: `A0` is `ARG0`, `AM-TMP` is `ARGM-TMP`, also behind `C-` and `R-`, and of each of several roles `A0|A1`."""
    return "|".join(re.sub(r"^((?:[CR]-)*)A(M-|\d|A$)", r"\1ARG\2", part) for part in role.split("|"))
