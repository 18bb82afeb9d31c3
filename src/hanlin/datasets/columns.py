"""Which column of a file is the text and which the label. Knows headers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hanlin.datasets.values import ReadOptions
from hanlin.errors import InvalidInput
from hanlin.tasks import Column, Task


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Positions of the chosen columns in a header, and the names found there."""

    text: int
    label: int
    names: tuple[str, ...]

    @property
    def text_name(self) -> str:
        """Header of the text column."""
        return self.names[self.text]

    @property
    def label_name(self) -> str:
        """Header of the label column."""
        return self.names[self.label]


def choose_columns(header: Sequence[str], task: Task, options: ReadOptions, *, file: str) -> ColumnChoice:
    """The text and label column: as named in the options, else the one called so, else the only one with an alias.

    Raises:
        InvalidInput: `column_not_found` or `column_ambiguous`, listing the columns found.
    """
    names = tuple(name.strip().lstrip("\ufeff") for name in header)
    wanted = {column.kind: column for column in task.columns}
    text = _find(names, wanted["text"], options.text, file)
    label = _find(names, wanted["label"], options.label, file)
    if text == label:
        raise InvalidInput("column_ambiguous", file=file, column="label", columns=_listing(names), candidates=_quote(names[text]))
    return ColumnChoice(text, label, names)


def find_column(header: Sequence[str], column: Column, asked: str, *, file: str) -> int:
    """The place of one column: as asked for, else the one called so, else the only one with an alias. Raises as `choose_columns`."""
    return _find(tuple(name.strip().lstrip("\ufeff") for name in header), column, asked, file)


def _find(names: tuple[str, ...], column: Column, asked: str, file: str) -> int:
    folded = [name.casefold() for name in names]
    if asked:
        candidates = [index for index, name in enumerate(names) if name == asked.strip()]
        candidates = candidates or [index for index, name in enumerate(folded) if name == asked.strip().casefold()]
    else:
        candidates = [index for index, name in enumerate(folded) if name == column.name]
        candidates = candidates or [index for index, name in enumerate(folded) if name in column.aliases]
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise InvalidInput("column_not_found", file=file, column=asked or column.name, kind=column.name, columns=_listing(names))
    choices = ", ".join(_quote(names[index]) for index in candidates)
    raise InvalidInput("column_ambiguous", file=file, column=column.name, columns=_listing(names), candidates=choices)


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(_quote(name) for name in names[:20])
    return shown + (f", … ({len(names)} in all)" if len(names) > 20 else "")


def _quote(name: str) -> str:
    printable = "".join(character if character.isprintable() else "?" for character in name[:40])
    return f"“{printable}”"
