"""The tokens that queries are written with: words of SQL, tables, columns, and pieces of text for values.

A query begins with its tables, so that only their columns can follow: `books join authors select books.title where authors.name = ' … '`.
Ids of the words lie behind those of the model's tokenizer: no text can hold them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hanlin.tasks.meanings import number_of
from hanlin.tasks.sql.query import AGGREGATES, MAX_NUMBER, OPERATORS, Condition, Expression, Query, Value
from hanlin.tasks.sql.schema import ColumnRef, SqlSchema
from hanlin.tasks.text import fold_width

MAX_NUMBERS = MAX_VALUES = 10  # of a question that can be pointed at
OPEN, CLOSE = "'", "’"
FIXED = (
    "join", "left", "select", "distinct", "unique", "*", "where", "and", "or", "group", "having", "order", "desc", "limit", OPEN, CLOSE,
    *AGGREGATES, *OPERATORS, *(f"#{place}" for place in range(MAX_NUMBERS)),
    *(f"@{place}" for place in range(MAX_VALUES)),
)  # fmt: skip
_SAID = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12,
}  # fmt: skip
_NUMBER = re.compile(
    rf"(?<![A-Za-z_\d])[-+]?\d+(?:\.\d+)?|[零〇一二两三四五六七八九十百千万]+|\b(?:{'|'.join(_SAID)})\b", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Ids of the words of one schema.

    Args:
        first: id of the first of them: how many tokens the tokenizer has.
        end: id of the token that ends a query.
    """

    schema: SqlSchema
    first: int
    end: int

    @property
    def words(self) -> tuple[str, ...]:
        """All of them in order of their ids."""
        return (*FIXED, *map(table_word, (table.name for table in self.schema.tables)), *map(column_word, self.schema.columns))

    def ids(self) -> dict[str, int]:
        """Id of each word."""
        return {word: self.first + place for place, word in enumerate(self.words)}


def table_word(name: str) -> str:
    """The word of a table."""
    return f"t:{name}"


def column_word(ref: ColumnRef) -> str:
    """The word of a column."""
    return f"c:{ref.table}\0{ref.column}"


def numbers_in(question: str) -> list[tuple[int | float, int, int]]:
    """The numbers that a question says, each with its place: digits, Chinese numerals, English words up to twelve.

    Those too large for a query are none.
    """
    found: list[tuple[int | float, int, int]] = []
    for match in _NUMBER.finditer(_narrow(question)):
        said = match.group().casefold()
        number = _SAID[said] if said in _SAID else number_of(said)
        if number is not None and abs(number) < MAX_NUMBER:
            found.append((number, match.start(), match.end()))
    return found


def _narrow(text: str) -> str:
    """Wide signs as narrow ones where no place shifts."""
    folded = fold_width(text)
    return folded if len(folded) == len(text) else text


def spoken(query: Query, point: Callable[[Value], str | None], spell: Callable[[str], Sequence[int]], ids: Mapping[str, int]) -> list[int]:
    """The tokens of a query, without the one that ends it.

    Args:
        point: the word that stands for a value which the question names; None for another.
        spell: tokens of any other value.
        ids: of the words.
    """
    return [ids[token] if isinstance(token, str) else token for token in _tokens(query, point, spell)]


def pointer(values: Sequence[str], numbers: Sequence[int | float]) -> Callable[[Value], str | None]:
    """Words for the values and numbers that a question names."""

    def point(value: Value) -> str | None:
        if isinstance(value, str):
            return f"@{values.index(value)}" if value in values else None
        return f"#{numbers.index(value)}" if value in numbers else None

    return point


def _tokens(query: Query, point: Callable[[Value], str | None], spell: Callable[[str], Sequence[int]]) -> Iterator[str | int]:
    def value(one: Value) -> Iterator[str | int]:
        if (word := point(one)) is not None:
            yield word
        else:
            yield OPEN
            yield from spell(str(one))
            yield CLOSE

    def condition(one: Condition) -> Iterator[str | int]:
        yield from _expression(one.expression)
        yield one.operator
        for each in one.values:
            yield from value(each)

    yield table_word(query.table)
    for join in query.joins:
        yield from ("left" if join.is_left else "join", table_word(join.table))
    yield "select"
    if query.is_distinct:
        yield "distinct"
    for item in query.items:
        yield from _expression(item)
    for place, one in enumerate(query.where):
        yield query.links[place - 1] if place else "where"
        yield from condition(one)
    for place, ref in enumerate(query.group):
        yield from ("group", column_word(ref)) if not place else (column_word(ref),)
    if query.having:
        yield "having"
        yield from condition(query.having)
    for place, key in enumerate(query.order):
        if not place:
            yield "order"
        yield from _expression(key.expression)
        if key.is_descending:
            yield "desc"
    if query.limit is not None:
        yield "limit"
        yield from value(query.limit)


def _expression(one: Expression) -> Iterator[str]:
    if one.aggregate:
        yield one.aggregate
    if one.is_distinct:
        yield "unique"
    yield "*" if one.column is None else column_word(one.column)
