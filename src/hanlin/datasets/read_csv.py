"""Rows of CSV and TSV files; line numbers stay right across quoted line ends, and one bad quote costs one row."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

from hanlin.datasets.lines import Line, Meter, read_lines
from hanlin.datasets.values import MAX_ROW_CHARACTERS, BadRow, SourceFile
from hanlin.encodings import Encoding
from hanlin.errors import InvalidInput

_MAX_ROW_LINES = 5000
_MAX_REWINDS = 1000  # each may look at a whole row limit again
_DELIMITERS = ",;\t|"


class _BadRecord(Exception):
    """The record being fed cannot be finished; `problem` is a key of `PROBLEMS`."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class _Feed:
    """Hands lines to `csv.reader` and remembers those of the current record, so that reading can start over after it."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._again: deque[Line] = deque()
        self.record: list[Line] = []
        self._size = 0

    def begin(self) -> None:
        """A new record starts with the next line."""
        self.record.clear()
        self._size = 0

    def rewind(self) -> None:
        """Give the lines after the first of this record out again."""
        self._again.extendleft(reversed(self.record[1:]))

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines, None)
        if line is None:
            if self.record:
                raise _BadRecord("quotes")  # the file ends inside quotation marks
            raise StopIteration
        self.record.append(line)
        self._size += len(line.text)
        if not line.is_whole:
            raise _BadRecord("row_too_long" if len(self.record) == 1 else "quotes")
        if self._size > MAX_ROW_CHARACTERS or len(self.record) > _MAX_ROW_LINES:
            raise _BadRecord("quotes")
        return line.text


def read_records(file: SourceFile, encoding: Encoding, meter: Meter, *, is_tsv: bool) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Header first, then every record with the number of its first line; blank lines are left out.

    Raises:
        InvalidInput: `csv_unreadable` when more than a thousand records have broken quotes.
    """
    csv.field_size_limit(2 * MAX_ROW_CHARACTERS)  # the library's own limit is for the whole process; ours is in `_Feed`
    head = _head(file, encoding)
    delimiter = "\t" if is_tsv else _delimiter(head)
    is_quoted = not is_tsv or _is_quoted(head)
    feed = _Feed(read_lines(file.path, encoding, meter))
    reader = csv.reader(feed, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE, strict=True)
    rewinds = 0
    while True:
        feed.begin()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except (csv.Error, _BadRecord) as error:
            line = feed.record[0].number
            rewinds += len(feed.record) > 1
            if rewinds > _MAX_REWINDS:
                raise InvalidInput("csv_unreadable", file=file.name[:200], line=line) from error
            feed.rewind()
            yield BadRow(line, error.problem if isinstance(error, _BadRecord) else "quotes")
            continue
        if marked := next((line.number for line in feed.record if line.problem == "bytes"), 0):
            yield BadRow(marked, "bytes")
        elif fields:
            yield feed.record[0].number, fields


def _head(file: SourceFile, encoding: Encoding) -> list[str]:
    lines: list[str] = []
    size = 0
    for line in read_lines(file.path, encoding, Meter(0, None), limit=65_536):
        lines.append(line.text)
        size += len(line.text)
        if len(lines) >= 1000 or size > 2**20:
            break
    return lines


def _delimiter(head: list[str]) -> str:
    """The sign that occurs most in the header, quoted parts left out; a comma when there is none."""
    header = "".join(head[0].split('"')[0::2]) if head else ""
    return max(_DELIMITERS, key=header.count)


def _is_quoted(head: list[str]) -> bool:
    """Whether quotation marks in a TSV frame fields: then all the beginning reads cleanly, in equally wide rows."""
    try:
        widths = {len(fields) for fields in csv.reader(head, delimiter="\t", strict=True) if fields}
    except csv.Error:
        return False
    return len(widths) <= 1
