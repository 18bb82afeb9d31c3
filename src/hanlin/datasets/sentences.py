"""Sentences of files in columns: a token a line, an empty line behind each sentence. Knows no column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hanlin.datasets.lines import Line, Meter, read_lines
from hanlin.datasets.values import BadRow, SourceFile
from hanlin.encodings import Encoding

DOCUMENT = "-DOCSTART-"


class Sentence(NamedTuple):
    """The cells of a sentence, a row a token, all with as many columns; `number` is its first line."""

    number: int
    cells: list[list[str]]


def read_sentences(file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Sentence | BadRow]:
    """Every sentence, in order; comments and marks of documents left out, ragged ones as bad rows."""
    lines: list[Line] = []
    for line in read_lines(file.path, encoding, meter):
        if line.text.strip():
            lines.append(line)
        elif lines:
            yield from _sentence(lines)
            lines = []
    if lines:
        yield from _sentence(lines)


def _sentence(lines: list[Line]) -> Iterator[Sentence | BadRow]:
    cells: list[list[str]] = []
    for line in lines:
        if line.problem:
            yield BadRow(line.number, line.problem)
            return
        parts = [part.strip() for part in (line.text.strip("\r\n").split("\t") if "\t" in line.text else line.text.split())]
        if parts[0] == DOCUMENT or _is_comment(line.text, parts, cells):
            continue
        cells.append(parts)
        if len(parts) != len(cells[0]):
            yield BadRow(line.number, "conll_columns")
            return
    if cells:
        yield Sentence(lines[0].number, cells)


def _is_comment(text: str, parts: list[str], cells: list[list[str]]) -> bool:
    """Whether a line is none of a token: `# text = …`, `#begin document`, but not the token `#` beside others."""
    if text.startswith(("#begin ", "#end ")):
        return True
    return text.startswith("# ") and "\t" not in text and (not cells or len(parts) != len(cells[0]))
