"""Whether two queries find the same, tried on small databases made up for them.

Source: Zhong, Yu and Klein, Semantic Evaluation for Text-to-SQL with Distilled Test Suites (2020): one database may hide a difference,
several whose values stand near those of the queries seldom do. Nobody's own rows are needed.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from hanlin.tasks.sql.query import Condition, Query, Value, render
from hanlin.tasks.sql.schema import Column, ColumnRef, SqlSchema, Table, quoted

DATABASES, ROWS = 4, 40
_NEAR = 0.5  # share of values that stand near those of the queries
_NONE = 0.1  # share of values that are missing where they may be
_WORDS = ("amber", "birch", "cedar", "delta", "ember")
Rows = list[tuple[object, ...]]


def finds_the_same(found: Query, gold: Query, schema: SqlSchema) -> bool:
    """Whether both find equal rows in every database: in any order, or in the same one where `gold` asks for one."""
    if found == gold:
        return True
    near = _near(found) + _near(gold)
    return all(_is_same(found, gold, schema, near, random.Random(seed)) for seed in range(DATABASES))  # noqa: S311  # rows to try


def _is_same(found: Query, gold: Query, schema: SqlSchema, near: list[tuple[ColumnRef, Value]], chance: random.Random) -> bool:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(schema.ddl())
        fill = _Filling(schema, near, chance)
        for table in schema.tables:
            rows = [tuple(fill.value(table, column, place) for column in table.columns) for place in range(1, ROWS + 1)]
            chance.shuffle(rows)
            blanks = ", ".join("?" * len(table.columns))
            database.executemany(f"INSERT INTO {quoted(table.name)} VALUES ({blanks})", rows)  # noqa: S608  # a name of the schema
        try:
            mine, right = (database.execute(render(query, schema)).fetchall() for query in (found, gold))
        except sqlite3.Error:
            return False
    return mine == right if gold.order else Counter(mine) == Counter(right)


@dataclass(frozen=True, slots=True)
class _Filling:
    """Values of one database."""

    schema: SqlSchema
    near: list[tuple[ColumnRef, Value]]
    chance: random.Random

    def value(self, table: Table, column: Column, place: int) -> Value | None:
        """Of row `place`: keys count, references lead to rows that are there."""
        ref, is_text, chance = ColumnRef(table.name, column.name), column.kind == "text", self.chance
        if column.is_key or any(link.target == ref for link in self.schema.links):
            return f"k{place}" if is_text else place
        if column.may_be_null and chance.random() < _NONE:
            return None
        if any(link.source == ref for link in self.schema.links):
            there = chance.randint(1, ROWS)
            return f"k{there}" if is_text else there
        own = [value for each, value in self.near if each == ref]
        if own and chance.random() < _NEAR:
            return chance.choice(own)
        return chance.choice(_WORDS) if is_text else chance.randint(0, 60)


def _near(query: Query) -> list[tuple[ColumnRef, Value]]:
    """Values at and beside those that each column is compared with."""
    return [(one.expression.column, value) for one in query.where if one.expression.column for value in _beside(one)]


def _beside(condition: Condition) -> Iterator[Value]:
    for value in condition.values:
        if isinstance(value, str):
            yield from (f"x {value} y", value) if "like" in condition.operator else (value,)
        else:
            yield from (value - 1, value, value + 1)
