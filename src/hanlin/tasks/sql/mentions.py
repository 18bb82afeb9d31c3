"""What a question names: learned values and numbers. They are marked for the network (schema linking), and its query is to use them.

Whether a query uses all that its question names is learned: training keeps the rule when nearly every query of its rows does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hanlin.tasks.sql.query import MAX_CONDITIONS, Query, Value
from hanlin.tasks.sql.schema import ColumnRef, SqlSchema
from hanlin.tasks.sql.state import State
from hanlin.tasks.sql.words import MAX_NUMBERS, MAX_VALUES, column_word, numbers_in

_WHERE_PHASES = ("items", "conditions")
_SHOWN = 3  # columns that a value is marked with


class Mention(NamedTuple):
    """A learned value in a question, and the columns that know it."""

    value: str
    columns: tuple[ColumnRef, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what it names.

    Args:
        mentions: values in order, at most `MAX_VALUES`.
        numbers: each once, in order, at most `MAX_NUMBERS`; places: (start, end, which of them).
    """

    text: str
    mentions: tuple[Mention, ...] = ()
    numbers: tuple[int | float, ...] = ()
    places: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of(cls, schema: SqlSchema, text: str, known: Mapping[str, Sequence[str]]) -> Question:
        """Learned words that stand in the text, the longest of those that overlap, and its numbers outside of them."""
        columns = {ref: frozenset(known.get(column_word(ref), ())) for ref in schema.columns if schema.column(ref).kind == "text"}
        found: list[Mention] = []
        rest = text
        for value in sorted({value for own in columns.values() for value in own if value in text}, key=lambda one: (-len(one), one)):
            start = _place(rest, value)
            if start >= 0:
                end = start + len(value)
                rest = rest[:start] + "\0" * len(value) + rest[end:]
                found.append(Mention(value, tuple(ref for ref, own in columns.items() if value in own), start, end))
        numbers: list[int | float] = []
        places: list[tuple[int, int, int]] = []
        for number, start, end in numbers_in(rest):
            if number not in numbers:
                numbers.append(number)
            places.append((start, end, numbers.index(number)))
        kept = tuple(place for place in places if place[2] < MAX_NUMBERS)
        return cls(text, tuple(sorted(found, key=lambda one: one.start)[:MAX_VALUES]), tuple(numbers[:MAX_NUMBERS]), kept)

    def source(self, encode: Callable[[str], Sequence[int]], ids: Mapping[str, int]) -> list[int]:
        """The tokens that the network reads: a value as a pointer and its columns, a number as a pointer, the words between as they are."""
        marks = [(one.start, one.end, [f"@{place}", *map(column_word, one.columns[:_SHOWN])]) for place, one in enumerate(self.mentions)]
        marks += [(start, end, [f"#{place}"]) for start, end, place in self.places]
        found: list[int] = []
        done = 0
        for start, end, words in sorted(marks):
            found += encode(self.text[done:start]) if start > done else []
            found += [ids[word] for word in words]
            done = end
        return [*found, *(encode(self.text[done:]) if done < len(self.text) else ())]

    def missing(self, query: Query) -> tuple[list[tuple[ColumnRef, ...]], list[int | float]]:
        """Columns of each value that a query does not use, and the numbers."""
        used: set[Value] = {value for one in query.where for value in one.values}
        used |= set(query.having.values) if query.having else set()
        numbers = [one for one in self.numbers if one not in used and one != query.limit]
        return [one.columns for one in self.mentions if one.value not in used], numbers

    def is_whole(self, query: Query) -> bool:
        """Whether a query uses all of it, and no other words."""
        words = {value for one in query.where for value in one.values if isinstance(value, str)}
        return not any(self.missing(query)) and words <= {one.value for one in self.mentions}

    def leaves_out(self, state: State, after: State | None) -> bool:
        """Whether to go from a state to another, or to the end, gives up something that could still be used."""
        if (not self.mentions and not self.numbers) or state.phase not in (*_WHERE_PHASES, "tables", "groups", "orders"):
            return False
        values, numbers = self.missing(state.query)
        if state.phase == "tables":  # tables come first: a value needs one of its own
            return after is not None and after.phase == "select" and any(not _is_near(columns, state.query) for columns in values)
        is_full = len(state.query.where) >= MAX_CONDITIONS
        goes_on = after is not None and after.phase in (*_WHERE_PHASES, "where", "column")
        if state.phase in _WHERE_PHASES and not is_full and not goes_on and any(_is_near(columns, state.query) for columns in values):
            return True
        if after is not None or not numbers:
            return False
        is_used_up = state.query.limit is not None or (state.phase == "groups" and state.query.having is not None)
        return not is_used_up and (state.phase != "conditions" or not is_full)


def _is_near(columns: Sequence[ColumnRef], query: Query) -> bool:
    return any(ref.table in query.tables for ref in columns)


def _place(text: str, value: str) -> int:
    """Where the words of a value stand, whole; -1: nowhere."""
    start = text.find(value)
    while start >= 0:
        before, after = text[start - 1 : start], text[start + len(value) : start + len(value) + 1]
        if not (_is_word(before) and _is_word(value[0])) and not (_is_word(after) and _is_word(value[-1])):
            return start
        start = text.find(value, start + 1)
    return -1


def _is_word(sign: str) -> bool:
    return sign.isascii() and (sign.isalnum() or sign == "_")
