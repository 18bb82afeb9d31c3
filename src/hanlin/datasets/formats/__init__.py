"""Forms of files that the examples of one task or another come in: CoNLL columns, SQuAD, TMX. One file each, found by folder.

A form gives rows of fields by the task's column names; whether they make an example is the task's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hanlin.datasets.lines import Meter
from hanlin.datasets.values import BadRow, Row, SourceFile
from hanlin.encodings import Encoding
from hanlin.plugins import PluginRegistry


class FieldFormat(Protocol):
    """One form of file. One whose files come in pairs has `companion`, the ending of the second: `read` finds it at `file.beside`.
    One whose files are named `.json`, as plain lists of objects are too, has `signs`: a pattern of bytes that only it begins with.

    Attributes:
        suffixes: endings of file names that mean it, such as `.conll`, lower case.
    """

    suffixes: tuple[str, ...]

    def read(self, file: SourceFile, encoding: Encoding, meter: Meter) -> Iterator[Row | BadRow]:
        """Every row, in order.

        Raises:
            InvalidInput: what makes the whole file unreadable.
        """
        ...


def companion_of(name: str) -> str:
    """The ending of the files that stand beside those of a form; empty for most."""
    return str(getattr(FIELD_FORMATS.get(name), "companion", "")) if name in FIELD_FORMATS.names() else ""


FIELD_FORMATS: PluginRegistry[FieldFormat] = PluginRegistry("format", package="hanlin.datasets.formats", group="hanlin.formats")
