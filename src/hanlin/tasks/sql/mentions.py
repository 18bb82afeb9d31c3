"""What a question names: learned values and numbers that its query is to use. Schema linking as a rule of the grammar.

Whether the rule holds is learned: training keeps it when nearly every query of its rows uses all that its question names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hanlin.tasks.sql.query import MAX_CONDITIONS, Query, Value
from hanlin.tasks.sql.schema import ColumnRef, SqlSchema
from hanlin.tasks.sql.state import State
from hanlin.tasks.sql.words import column_word, numbers_of

_WHERE_PHASES = ("items", "conditions")


@dataclass(frozen=True, slots=True)
class Mentions:
    """Values by the columns that know them, and numbers."""

    values: tuple[tuple[str, frozenset[ColumnRef]], ...] = ()
    numbers: frozenset[int | float] = frozenset()

    @classmethod
    def of(cls, schema: SqlSchema, question: str, known: Mapping[str, Sequence[str]]) -> Mentions:
        """Learned words that stand in the question, the longest of those that overlap, and its numbers outside of them."""
        columns = {ref: known.get(column_word(ref), ()) for ref in schema.columns if schema.column(ref).kind == "text"}
        values = sorted({value for own in columns.values() for value in own}, key=lambda value: (-len(value), value))
        found: list[tuple[str, frozenset[ColumnRef]]] = []
        rest = question
        for value in values:
            place = _place(rest, value)
            if place >= 0:
                rest = rest[:place] + "\0" * len(value) + rest[place + len(value) :]
                found.append((value, frozenset(ref for ref, own in columns.items() if value in own)))
        return cls(tuple(found), frozenset(numbers_of(rest)))

    def missing(self, query: Query) -> tuple[list[frozenset[ColumnRef]], set[int | float]]:
        """Columns of each value that a query does not use, and the numbers."""
        used: set[Value] = {value for one in query.where for value in one.values}
        used |= set(query.having.values) if query.having else set()
        numbers = {one for one in self.numbers if one not in used and one != query.limit}
        return [columns for value, columns in self.values if value not in used], numbers

    def is_whole(self, query: Query) -> bool:
        """Whether a query uses all of it."""
        return not any(self.missing(query))

    def leaves_out(self, state: State, after: State | None) -> bool:
        """Whether to go from a state to another, or to the end, gives up something that could still be used."""
        if (not self.values and not self.numbers) or state.phase not in (*_WHERE_PHASES, "tables", "groups", "orders"):
            return False
        values, numbers = self.missing(state.query)
        if state.phase == "tables":  # tables come first: a value needs one of its own
            return after is not None and after.phase == "select" and any(not _is_near(columns, state.query) for columns in values)
        if state.phase in _WHERE_PHASES and (after is None or after.phase not in (*_WHERE_PHASES, "where", "column")):
            is_full = len(state.query.where) >= MAX_CONDITIONS
            if not is_full and any(_is_near(columns, state.query) for columns in values):
                return True
        if after is not None or not numbers:
            return False
        is_used_up = state.query.limit is not None or (state.phase == "groups" and state.query.having is not None)
        return not is_used_up and (state.phase != "conditions" or len(state.query.where) < MAX_CONDITIONS)


def _is_near(columns: frozenset[ColumnRef], query: Query) -> bool:
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
