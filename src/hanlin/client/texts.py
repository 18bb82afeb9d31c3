"""Texts out of anything that holds them: lists, generators, columns of pandas, polars and pyarrow. Imports none of these."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Protocol, TypeGuard

from hanlin.errors import InvalidInput

ROWS_AT_ONCE = 1024
MAX_GROUP_CHARACTERS = 2**18


class Column(Protocol):
    """A pyarrow Array or ChunkedArray, of which the items are no Python values."""

    def __len__(self) -> int: ...
    def slice(self, offset: int, length: int) -> Column:
        """A part, not copied."""
        ...

    def to_pylist(self) -> list[object]:
        """Python values."""
        ...


def is_of(value: object, package: str) -> bool:
    """Whether `value` is a thing of `package`; needs no import, for who has one has imported it."""
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def _is_arrow_column(value: object) -> TypeGuard[Column]:
    return is_of(value, "pyarrow") and hasattr(value, "to_pylist") and hasattr(value, "slice")


def check_source(source: object) -> None:
    """Raises InvalidInput (`texts_not_iterable`) for one string, a table, a dictionary, bytes, or what cannot be gone through."""
    is_table = hasattr(source, "columns") or hasattr(source, "column_names")
    if isinstance(source, str | bytes | Mapping) or is_table or not isinstance(source, Iterable | AsyncIterable):
        raise InvalidInput("texts_not_iterable", found=type(source).__name__)


def iterate(source: Iterable[object]) -> Iterator[object]:
    """The texts in order, a few in memory at a time."""
    if not _is_arrow_column(source):
        yield from source
        return
    for start in range(0, len(source), ROWS_AT_ONCE):
        yield from source.slice(start, ROWS_AT_ONCE).to_pylist()


async def aiterate(source: Iterable[object] | AsyncIterable[object]) -> AsyncIterator[object]:
    """The same of a source that may be asynchronous."""
    if isinstance(source, AsyncIterable):
        async for text in source:
            yield text
    else:
        for text in iterate(source):
            yield text


def length_of(source: object) -> int | None:
    """How many texts, where the source knows."""
    try:
        return len(source)  # type: ignore[arg-type]
    except TypeError:
        return None


class Grouper:
    """Gathers texts for one request: so many, or so many characters."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._texts: list[object] = []
        self._characters = 0

    def add(self, text: object) -> list[object] | None:
        """The group that `text` completes."""
        self._texts.append(text)
        self._characters += len(text) if isinstance(text, str) else 0
        return self.rest() if len(self._texts) >= self.size or self._characters >= MAX_GROUP_CHARACTERS else None

    def rest(self) -> list[object]:
        """What was gathered so far; begins anew."""
        texts, self._texts, self._characters = self._texts, [], 0
        return texts
