"""Reads `CREATE TABLE` statements as SQLite understands them. Nothing is run."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hanlin.errors import InvalidInput
from hanlin.tasks.examples import BadExample
from hanlin.tasks.sql.schema import Column, ColumnRef, Link, SqlSchema, Table

if TYPE_CHECKING:
    from sqlglot import exp


MAX_SCHEMA = 200_000  # characters
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it would quote what rows say in our log


_NUMBERS = ("INT", "REAL", "NUM", "DEC", "FLOAT", "DOUBLE", "BOOL")


@functools.lru_cache(maxsize=256)
def read_schema(ddl: str) -> SqlSchema:
    """The tables of `CREATE TABLE` statements; other statements are passed over. Raises BadExample (`sql_schema`)."""
    if len(ddl) > MAX_SCHEMA:
        raise BadExample("sql_schema")
    from sqlglot import exp

    made = (one for one in parsed(ddl, "sql_schema") if isinstance(one, exp.Create) and one.kind == "TABLE")
    found = [one for one in made if isinstance(one.this, exp.Schema)]
    tables = [Table(one.this.this.name, tuple(_column(each) for each in one.this.find_all(exp.ColumnDef))) for one in found]
    try:
        plain = SqlSchema(tuple(tables))
        names = {table.name.casefold(): table for table in tables}
        return SqlSchema(plain.tables, tuple(link for one in found for link in _links(one, names)))
    except InvalidInput as error:
        raise BadExample("sql_schema") from error


def parsed(text: str, problem: str) -> list[Any]:
    """Statements as sqlglot has them. Raises BadExample (`problem`)."""
    import sqlglot

    try:
        return [one for one in sqlglot.parse(text, read="sqlite") if one is not None]
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError, TypeError, AttributeError, LookupError) as error:  # it stumbles, too
        raise BadExample(problem) from error


def _column(told: exp.ColumnDef) -> Column:
    from sqlglot import exp

    if not all(isinstance(each, exp.ColumnConstraint) for each in told.constraints):
        raise BadExample("sql_schema")
    kind = told.kind.sql("sqlite").upper() if told.kind else "TEXT"
    rules = {type(each.kind).__name__: each.kind for each in told.constraints}
    is_required = "NotNullColumnConstraint" in rules and not rules["NotNullColumnConstraint"].args.get("allow_null")
    return Column(
        told.name, "number" if any(word in kind for word in _NUMBERS) else "text",
        may_be_null=not is_required, is_key="PrimaryKeyColumnConstraint" in rules,
    )  # fmt: skip


def _links(told: exp.Create, tables: dict[str, Table]) -> Iterator[Link]:
    """References of its columns, beside them or below."""
    from sqlglot import exp

    own = tables[told.this.this.name.casefold()]
    for column in told.this.find_all(exp.ColumnDef):
        for each in column.constraints:
            if isinstance(each.kind, exp.Reference):
                yield _link(own, [column.name], each.kind, tables)
    for key in told.this.find_all(exp.ForeignKey):
        if len(key.expressions) == 1:
            yield _link(own, [key.expressions[0].name], key.args.get("reference"), tables)


def _link(own: Table, names: Sequence[str], told: exp.Expression | None, tables: dict[str, Table]) -> Link:
    from sqlglot import exp

    if not isinstance(told, exp.Reference):
        raise BadExample("sql_schema")
    there = told.this.this if isinstance(told.this, exp.Schema) else told.this
    table = tables.get(there.name.casefold())
    if table is None:
        raise BadExample("sql_schema")
    is_named = isinstance(told.this, exp.Schema)
    keys = [one.name for one in told.this.expressions] if is_named else [each.name for each in table.columns if each.is_key]
    if len(keys) != 1:
        raise BadExample("sql_schema")
    return Link(_named(own, names[0]), _named(table, keys[0]))


def _named(table: Table, name: str) -> ColumnRef:
    for column in table.columns:
        if column.name.casefold() == name.casefold():
            return ColumnRef(table.name, column.name)
    raise BadExample("sql_schema")
