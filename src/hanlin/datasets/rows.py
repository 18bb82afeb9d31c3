"""Whether a row as read is an example: a text with something in it, a label that may be one. Knows no files."""

from __future__ import annotations

from typing import NamedTuple

from hanlin.datasets.values import MAX_TEXT_BYTES, BadRow, Row
from hanlin.errors import InvalidInput
from hanlin.tasks.spec import MAX_LABELS, normalize_label
from hanlin.tasks.text import is_blank


class Example(NamedTuple):
    """A checked row; `label` is a position in the checker's list."""

    line: int
    text: str
    label: int


class RowChecker:
    """Checks rows and gathers the labels in order of appearance."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self._numbers: dict[str, int] = {}  # also of spellings with spaces around

    def check(self, row: Row) -> Example | BadRow:
        """The example; its text stays as it came, to the last space. Raises InvalidInput (`too_many_classes`)."""
        text = row.text
        if not isinstance(text, str):
            return BadRow(row.line, "text_missing" if text is None else "text_type")
        if problem := _text_problem(text):
            return BadRow(row.line, problem)
        label = label_text(row.label)
        if label is None or not label.strip():
            return BadRow(row.line, "label_missing" if row.label is None or label is not None else "label")
        number = self._numbers.get(label)
        if number is None:
            number = self._new_label(label)
        return BadRow(row.line, "label") if number is None else Example(row.line, text, number)

    def _new_label(self, raw: str) -> int | None:
        try:
            label = normalize_label(raw)
        except InvalidInput:
            return None
        number = self._numbers.setdefault(label, len(self.labels))
        if number == len(self.labels):
            if number == MAX_LABELS:
                raise InvalidInput("too_many_classes", limit=MAX_LABELS)
            self.labels.append(label)
        if len(self._numbers) < 4 * MAX_LABELS:
            self._numbers[raw] = number
        return number


def _text_problem(text: str) -> str:
    if len(text) > MAX_TEXT_BYTES:
        return "text_too_long"
    try:
        if len(text.encode("utf-8")) > MAX_TEXT_BYTES:
            return "text_too_long"
    except UnicodeEncodeError:
        return "text_unicode"
    return "text_empty" if is_blank(text) else ""


def label_text(value: object) -> str | None:
    """A label as a string: strings as they are, whole numbers and booleans in words; None for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))  # a column of integers with gaps comes as floats
    return None
