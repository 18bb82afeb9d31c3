"""`SqlSettings`: what a version knows of the tables that it asks, a part of `hanlin.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from hanlin.errors import InvalidInput
from hanlin.tasks.sql.grammar import HAVING, LIMIT, number_in
from hanlin.tasks.sql.mentions import Question
from hanlin.tasks.sql.query import MAX_LIMIT, MAX_NUMBER
from hanlin.tasks.sql.schema import ColumnRef, SqlSchema, fields_of
from hanlin.tasks.sql.words import Lexicon, column_word
from hanlin.types import JsonObject, JsonValue

MAX_KNOWN = 1_000  # values of a column
MAX_VALUE = 200  # characters


@dataclass(frozen=True, slots=True)
class SqlSettings:
    """The schema and what training rows showed of it.

    Args:
        first, end: see `Lexicon`.
        known: values by column, in `table` → `column` → values; numbers as text too.
        limits, counts: numbers that limit rows, and that groups are compared with.
        is_whole: see `SqlGrammar`.

    Raises:
        InvalidInput: `invalid_model_spec`.
    """

    schema: SqlSchema
    first: int
    end: int
    known: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    is_whole: bool = False

    def __post_init__(self) -> None:
        columns = set(self.schema.columns)
        for table, values in self.known.items():
            for name, own in values.items():
                ref = ColumnRef(table, name)
                _check(ref in columns and len(own) <= MAX_KNOWN, "values of a column that is not there, or too many")
                _check(all(0 < len(one) <= MAX_VALUE for one in own), "a value that is empty or too long")
                _check(self.schema.column(ref).kind == "text" or all(map(_is_number, own)), "a value that is no number")
        _check(all(map(_is_limit, self.limits)) and all(map(_is_number, self.counts)), "a limit that is no number")
        _check(self.first > 0 and 0 <= self.end < self.first, "ids that cannot be")

    @property
    def lexicon(self) -> Lexicon:
        """The words of the schema."""
        return Lexicon(self.schema, self.first, self.end)

    def values(self) -> dict[str, tuple[str, ...]]:
        """What is known, by the words of columns, as a grammar takes it."""
        found = {column_word(ref): self.known.get(ref.table, {}).get(ref.column, ()) for ref in self.schema.columns}
        return found | {LIMIT: self.limits, HAVING: self.counts}

    def question(self, text: str) -> Question:
        """A question with the values and numbers that it names."""
        return Question.of(self.schema, text, self.values())

    def to_json(self) -> JsonObject:
        """The stored form."""
        known: JsonObject = {table: {name: list(own) for name, own in values.items()} for table, values in self.known.items()}
        return {
            "schema": self.schema.to_json(), "first": self.first, "end": self.end, "known": known, "limits": list(self.limits),
            "counts": list(self.counts), "is_whole": self.is_whole,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: JsonValue) -> SqlSettings:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        stored = fields_of(value, {"schema", "first", "end", "known", "limits", "counts", "is_whole"})
        _check(all(type(stored[name]) is int for name in ("first", "end")) and isinstance(stored["known"], dict), "fields of other types")
        known = {
            table: {name: _strings(own) for name, own in _object(values).items()} for table, values in _object(stored["known"]).items()
        }
        return cls(
            SqlSchema.from_json(stored["schema"]), cast("int", stored["first"]), cast("int", stored["end"]), known,
            _strings(stored["limits"]), _strings(stored["counts"]), stored["is_whole"] is True,
        )  # fmt: skip


def _is_number(text: str) -> bool:
    try:
        return text.isascii() and abs(number_in(text)) < MAX_NUMBER  # not so of what is no number
    except ValueError:
        return False


def _is_limit(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < len(str(MAX_LIMIT))


def _object(value: JsonValue) -> JsonObject:
    _check(isinstance(value, dict), "not an object")
    return cast("JsonObject", value)


def _strings(value: JsonValue) -> tuple[str, ...]:
    _check(isinstance(value, list) and all(isinstance(item, str) for item in value), "not a list of strings")
    return tuple(cast("list[str]", value))


def _check(is_right: bool, problem: str) -> None:
    if not is_right:
        raise InvalidInput("invalid_model_spec", field="queries", problem=problem)
