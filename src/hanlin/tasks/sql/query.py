"""`Query`: a question to tables as a value, in a form that is the same for queries that differ in spelling only.

Tables are joined by the schema's references; a query has no other joins, no query inside it and no brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from hanlin.tasks.sql.schema import ColumnRef, SqlSchema, quoted

Aggregate = Literal["", "count", "sum", "avg", "min", "max"]
AGGREGATES: tuple[Aggregate, ...] = ("count", "sum", "avg", "min", "max")
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
OPERATORS = (*COMPARISONS, "like", "not like", "between", "is null", "is not null")
MAX_JOINS, MAX_ITEMS, MAX_CONDITIONS, MAX_KEYS = 5, 8, 8, 3
MAX_NUMBER, MAX_LIMIT = 10**15, 10**9  # numbers and limits are below: whole ones that every database takes
ESCAPE = "\\"
Value = str | int | float


@dataclass(frozen=True, slots=True)
class Expression:
    """A column, or what is counted or computed over one; no column: all of a row."""

    column: ColumnRef | None
    aggregate: Aggregate = ""
    is_distinct: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold: two values for `between`, none for `is null`, one else; `like` finds its value anywhere in a text."""

    expression: Expression
    operator: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    """A table that is joined; `is_left` keeps rows that it has nothing for."""

    table: str
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class Ordering:
    """A key of the order."""

    expression: Expression
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One query. `links` are `and` or `or`, one between each two conditions."""

    table: str
    joins: tuple[Join, ...]
    items: tuple[Expression, ...]
    is_distinct: bool = False
    where: tuple[Condition, ...] = ()
    links: tuple[str, ...] = ()
    group: tuple[ColumnRef, ...] = ()
    having: Condition | None = None
    order: tuple[Ordering, ...] = ()
    limit: int | None = None

    @property
    def tables(self) -> tuple[str, ...]:
        """Those that are read, in order."""
        return (self.table, *(join.table for join in self.joins))


def canonical(query: Query, schema: SqlSchema) -> Query:
    """The same query in its usual form: joined tables in the schema's order, conditions that must all hold in that of their columns."""
    if not any(join.is_left for join in query.joins):
        query = replace(query, table=(tables := _arranged(query.tables, schema))[0], joins=tuple(map(Join, tables[1:])))
    if "or" not in query.links:
        places = {ref: place for place, ref in enumerate(schema.columns)}

        def key(condition: Condition) -> tuple[int, str, str]:
            return places[condition.expression.column or schema.columns[0]], condition.operator, repr(condition.values)

        query = replace(query, where=tuple(sorted(query.where, key=key)))
    return query


def _arranged(tables: Sequence[str], schema: SqlSchema) -> list[str]:
    """In the schema's order as far as each can be joined to those before it."""
    order = [table.name for table in schema.tables if table.name in tables]
    placed = [order.pop(0)]
    while order:
        following = next((name for name in order if schema.link(name, placed)), None)
        if following is None:
            return list(tables)
        order.remove(following)
        placed.append(following)
    return placed


def render(query: Query, schema: SqlSchema) -> str:
    """As SQL that SQLite reads. Every name is the schema's, every value a literal: nothing else comes into it."""
    is_alone = not query.joins

    def column(ref: ColumnRef) -> str:
        return quoted(ref.column) if is_alone else f"{quoted(ref.table)}.{quoted(ref.column)}"

    def expression(one: Expression) -> str:
        inner = "*" if one.column is None else column(one.column)
        return f"{one.aggregate.upper()}({'DISTINCT ' if one.is_distinct else ''}{inner})" if one.aggregate else inner

    def condition(one: Condition) -> str:
        operator = one.operator.upper()
        if "LIKE" in operator:
            return f"{expression(one.expression)} {operator} {_pattern(str(one.values[0]))}"
        return " ".join([expression(one.expression), operator, *([" AND ".join(map(literal, one.values))] if one.values else [])])

    parts = ["SELECT DISTINCT" if query.is_distinct else "SELECT", ", ".join(map(expression, query.items)), "FROM", quoted(query.table)]
    placed = [query.table]
    for join in query.joins:
        link = schema.link(join.table, placed)
        assert link is not None, "tables of a query are joined by the schema's references"
        parts.append(f"{'LEFT JOIN' if join.is_left else 'JOIN'} {quoted(join.table)} ON {column(link.source)} = {column(link.target)}")
        placed.append(join.table)
    for place, one in enumerate(query.where):
        parts += [query.links[place - 1].upper() if place else "WHERE", condition(one)]
    if query.group:
        parts += ["GROUP BY", ", ".join(map(column, query.group))]
    if query.having:
        parts += ["HAVING", condition(query.having)]
    if query.order:
        keys = (f"{expression(key.expression)}{' DESC' if key.is_descending else ''}" for key in query.order)
        parts += ["ORDER BY", ", ".join(keys)]
    if query.limit is not None:
        parts += ["LIMIT", str(query.limit)]
    return " ".join(parts)


def literal(value: Value) -> str:
    """A value as SQL has it."""
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def like_words(pattern: str, *, has_signs: bool) -> str | None:
    """The words within a pattern; None for one that has blanks of its own."""
    if not has_signs:
        return None if {"%", "_"} & set(pattern) else pattern
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL) if re.fullmatch(r"(?:[^%_\\]|\\.)*", pattern, re.DOTALL) else None


def _pattern(words: str) -> str:
    """Words anywhere in a text; signs that mean something to LIKE stand for themselves."""
    plain = re.sub(r"([%_\\])", r"\\\1", words)
    return literal(f"%{plain}%") + (f" ESCAPE '{ESCAPE}'" if plain != words else "")
