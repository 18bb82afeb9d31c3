"""Reads SELECT queries as SQLite understands them. Nothing is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from hanlin.tasks.examples import BadExample
from hanlin.tasks.sql.query import (
    AGGREGATES,
    ESCAPE,
    MAX_CONDITIONS,
    MAX_ITEMS,
    MAX_JOINS,
    MAX_KEYS,
    MAX_LIMIT,
    MAX_NUMBER,
    Condition,
    Expression,
    Join,
    Ordering,
    Query,
    Value,
    canonical,
    like_words,
)  # fmt: skip
from hanlin.tasks.sql.schema import ColumnRef, SqlSchema
from hanlin.tasks.sql.schema_reading import parsed

if TYPE_CHECKING:
    from sqlglot import exp

MAX_QUERY = 4_000  # characters
_COMPARED = {"EQ": "=", "NEQ": "!=", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">="}
_PARTS = {"expressions", "from_", "joins", "where", "group", "having", "order", "limit", "distinct", "kind", "hint", "operation_modifiers"}


def read_query(sql: str, schema: SqlSchema) -> Query:
    """The query in its usual form.

    Raises:
        BadExample: `sql` for what is no query over these tables, `sql_not_supported` for one that `Query` has no place for.
    """
    if len(sql) > MAX_QUERY:
        raise BadExample("sql")
    from sqlglot import exp

    found = parsed(sql, "sql")
    if len(found) != 1:
        raise BadExample("sql")
    if not isinstance(found[0], exp.Select) or any(value for name, value in found[0].args.items() if name not in _PARTS):
        raise BadExample("sql_not_supported")
    try:
        return _Reader(schema, found[0]).query()
    except RecursionError as error:
        raise BadExample("sql_not_supported") from error


class _Reader:
    """One query of sqlglot's as one of ours."""

    def __init__(self, schema: SqlSchema, told: exp.Select) -> None:
        self._schema, self._told = schema, told
        self._tables: dict[str, str] = {}  # by alias, folded

    def query(self) -> Query:
        told = self._told
        main, joins = self._tables_of()
        where, links = self._conditions(told.args.get("where"))
        having, more = self._conditions(told.args.get("having"))
        group, order = told.args.get("group"), told.args.get("order")
        items = tuple(self._expression(one) for one in told.expressions)
        keys = tuple(self._ordering(one) for one in order.expressions) if order else ()
        groups = tuple(self._column(one) for one in group.expressions) if group else ()
        _keep(1 <= len(items) <= MAX_ITEMS and len(where) <= MAX_CONDITIONS and len(keys) <= MAX_KEYS and len(groups) <= MAX_KEYS)
        _keep(not more and (not having or bool(groups)))
        _keep(all(one.column or one.aggregate == "count" for one in (*items, *(key.expression for key in keys))))
        _keep(not any(one.expression.aggregate for one in where) and all(one.expression.aggregate for one in having))
        _keep(not any(isinstance(value, str) for one in having for value in one.values))
        _keep(bool(groups) or not any(key.expression.aggregate for key in keys))
        is_distinct, only = bool(told.args.get("distinct")), next(iter(having), None)
        return canonical(Query(main, joins, items, is_distinct, where, links, groups, only, keys, self._limit()), self._schema)

    def _tables_of(self) -> tuple[str, tuple[Join, ...]]:
        from sqlglot import exp

        start = self._told.args.get("from_") or self._told.args.get("from")
        _keep(start is not None)
        main = self._table(cast("exp.From", start).this)
        placed, joins, pairs = [main], [], []
        for each in self._told.args.get("joins") or ():
            _keep(each.side in ("", "LEFT") and each.kind in ("", "INNER", "OUTER") and isinstance(each.args.get("on"), exp.EQ))
            table = self._table(each.this)
            _keep(table not in placed)
            placed.append(table)
            joins.append(Join(table, each.side == "LEFT"))
            pairs.append({self._column(each.args["on"].this), self._column(each.args["on"].expression)})
        _keep(len(joins) <= MAX_JOINS)
        own = [self._schema.link(table, placed[:place]) for place, table in enumerate(placed) if place]
        _keep(all(link is not None and {link.source, link.target} == pair for link, pair in zip(own, pairs, strict=True)))
        return main, tuple(joins)

    def _table(self, told: exp.Expression) -> str:
        from sqlglot import exp

        _keep(isinstance(told, exp.Table))
        for table in self._schema.tables:
            if table.name.casefold() == told.name.casefold():
                self._tables[(told.alias or told.name).casefold()] = table.name
                return table.name
        raise BadExample("sql")

    def _column(self, told: exp.Expression) -> ColumnRef:
        from sqlglot import exp

        if not isinstance(told, exp.Column):
            raise BadExample("sql_not_supported")
        if told.table and told.table.casefold() not in self._tables:
            raise BadExample("sql")
        near = [self._tables[told.table.casefold()]] if told.table else list(self._tables.values())
        found = [
            ColumnRef(name, column.name)
            for name in near for column in self._schema.table(name).columns if column.name.casefold() == told.name.casefold()
        ]  # fmt: skip
        if len(found) != 1:
            raise BadExample("sql")
        return found[0]

    def _expression(self, told: exp.Expression) -> Expression:
        from sqlglot import exp

        told = cast("exp.Expression", told.unalias())
        name = type(told).__name__.casefold()
        if name not in AGGREGATES:
            return Expression(self._column(told))
        inner, is_distinct = told.this, isinstance(told.this, exp.Distinct)
        if is_distinct:
            _keep(len(inner.expressions) == 1 and name == "count")
            inner = inner.expressions[0]
        if isinstance(inner, exp.Star):
            _keep(name == "count" and not is_distinct)
            return Expression(None, "count")
        return Expression(self._column(inner), name, is_distinct)

    def _conditions(self, told: exp.Expression | None) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
        from sqlglot import exp

        if told is None:
            return (), ()
        found: list[Condition] = []
        links: list[str] = []

        def walk(one: exp.Expression) -> None:
            """As it is written: `and` binds closer, so that a row of conditions without brackets means the same again."""
            if isinstance(one, exp.And | exp.Or):
                _keep(not isinstance(one, exp.And) or not (isinstance(one.this, exp.Or) or isinstance(one.expression, exp.Or)))
                walk(one.this)
                links.append("and" if isinstance(one, exp.And) else "or")
                walk(one.expression)
            else:
                found.append(self._condition(one))

        walk(told.this)
        return tuple(found), tuple(links)

    def _condition(self, told: exp.Expression) -> Condition:
        from sqlglot import exp

        is_not = isinstance(told, exp.Not)
        inner = told.this if is_not else told
        if inner.args.get("negate"):  # `x NOT BETWEEN`, where `NOT x BETWEEN` is a Not
            is_not = not is_not
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return Condition(self._expression(inner.this), "is not null" if is_not else "is null")
        if isinstance(inner, exp.Like | exp.Escape):
            return self._like(inner, is_not=is_not)
        if isinstance(inner, exp.Between) and not is_not:
            return self._compared(inner.this, "between", (inner.args["low"], inner.args["high"]))
        operator = _COMPARED.get(type(inner).__name__)
        _keep(operator is not None and not is_not)
        return self._compared(inner.this, str(operator), (inner.expression,))

    def _like(self, told: exp.Expression, *, is_not: bool) -> Condition:
        """Words anywhere in a text."""
        from sqlglot import exp

        has_signs = isinstance(told, exp.Escape)
        _keep(not has_signs or told.expression.name == ESCAPE)
        inner = told.this if has_signs else told
        if has_signs and inner.args.get("negate"):
            is_not = not is_not
        _keep(isinstance(inner, exp.Like))
        pattern = str(_value(inner.expression))
        _keep(len(pattern) > 2 and pattern[0] == pattern[-1] == "%")
        words = like_words(pattern[1:-1], has_signs=has_signs)
        _keep(words is not None and bool(words.strip()))
        return Condition(self._expression(inner.this), "not like" if is_not else "like", (str(words),))

    def _compared(self, told: exp.Expression, operator: str, values: Sequence[exp.Expression]) -> Condition:
        """Values become what the column holds: `'40'` beside a number is 40."""
        one = self._expression(told)
        is_text = one.column is not None and one.aggregate in ("", "min", "max") and self._schema.column(one.column).kind == "text"
        found = tuple(str(value) if is_text else _number(value) for value in map(_value, values))
        return Condition(one, operator, found)

    def _ordering(self, told: exp.Expression) -> Ordering:
        from sqlglot import exp

        _keep(isinstance(told, exp.Ordered))
        return Ordering(self._expression(told.this), bool(told.args.get("desc")))

    def _limit(self) -> int | None:
        told = self._told.args.get("limit")
        if told is None:
            return None
        value = _value(told.expression)
        _keep(isinstance(value, int) and 0 <= value < MAX_LIMIT)
        return cast("int", value)


def _value(told: exp.Expression) -> Value:
    from sqlglot import exp

    is_negative = isinstance(told, exp.Neg)
    inner = told.this if is_negative else told
    _keep(isinstance(inner, exp.Literal))
    if inner.is_string:
        _keep(not is_negative and bool(inner.name.strip()))
        return str(inner.name)
    number = _number(inner.name)
    return -number if is_negative else number


def _number(value: Value) -> int | float:
    if not isinstance(value, str):
        return value
    try:
        number: int | float = int(value) if value.isdigit() else float(value)
    except ValueError as error:
        raise BadExample("sql_not_supported") from error
    _keep(abs(number) < MAX_NUMBER)
    return number


def _keep(is_right: bool) -> None:
    if not is_right:
        raise BadExample("sql_not_supported")
