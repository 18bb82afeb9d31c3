"""`SqlSchema`: tables, columns, and which column refers to which. A part of `hanlin.json`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from hanlin.errors import InvalidInput
from hanlin.types import JsonObject, JsonValue, shorten

MAX_TABLES, MAX_COLUMNS = 64, 1_000
MAX_NAME = 100  # characters
Kind = Literal["text", "number"]
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)
_RESERVED = frozenset((
    "add", "all", "alter", "and", "as", "asc", "between", "by", "case", "check", "collate", "column", "create", "cross", "default",
    "delete", "desc", "distinct", "drop", "else", "end", "except", "exists", "for", "foreign", "from", "full", "group", "having",
    "if", "in", "index", "inner", "insert", "intersect", "into", "is", "join", "key", "left", "like", "limit", "match", "natural",
    "not", "null", "on", "or", "order", "outer", "primary", "references", "right", "row", "select", "set", "table", "then", "to",
    "union", "unique", "update", "using", "values", "when", "where", "with",
    "autoincrement", "cast", "commit", "constraint", "current_date", "current_time", "current_timestamp", "deferrable", "escape",
    "exclude", "false", "glob", "isnull", "nothing", "notnull", "offset", "raise", "regexp", "returning", "rollback", "transaction",
    "true", "window",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column of a table."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Args:
        kind: what its values are.
        may_be_null: whether a row may have none.
        is_key: whether it tells the rows of its table apart.
    """

    name: str
    kind: Kind
    may_be_null: bool = True
    is_key: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns in order."""

    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Link:
    """A column that holds keys of another table."""

    source: ColumnRef
    target: ColumnRef


@dataclass(frozen=True, slots=True)
class SqlSchema:
    """All tables that queries may read.

    Raises:
        InvalidInput: `invalid_model_spec`.
    """

    tables: tuple[Table, ...]
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        names = [table.name for table in self.tables]
        is_each = len({name.casefold() for name in names}) == len(names)
        _check(is_each and 1 <= len(names) <= MAX_TABLES, "no tables, too many, or one twice")
        _check(1 <= len(self.columns) <= MAX_COLUMNS, f"not 1 to {MAX_COLUMNS:,} columns")
        for table in self.tables:
            folded = [column.name.casefold() for column in table.columns]
            _check(bool(folded) and len(set(folded)) == len(folded), f"{shorten(table.name)} has no columns, or one twice")
            _check(sum(column.is_key for column in table.columns) <= 1, f"{shorten(table.name)} has two columns of keys")
            _check(not table.name.casefold().startswith("sqlite_"), f"{shorten(table.name)} is a name of SQLite's own")
        for name in (*names, *(ref.column for ref in self.columns)):
            _check(0 < len(name) <= MAX_NAME and name.isprintable(), f"{shorten(name)!r} is no name")
        known = set(self.columns)
        _check(all(link.source in known and link.target in known for link in self.links), "a reference to a column that is not there")

    @property
    def columns(self) -> tuple[ColumnRef, ...]:
        """All columns in order."""
        return tuple(ColumnRef(table.name, column.name) for table in self.tables for column in table.columns)

    def column(self, ref: ColumnRef) -> Column:
        """What is said of a column."""
        return next(column for column in self.table(ref.table).columns if column.name == ref.column)

    def table(self, name: str) -> Table:
        """The table of a name."""
        return next(table for table in self.tables if table.name == name)

    def link(self, table: str, placed: Sequence[str]) -> Link | None:
        """How a table is joined to those before it: by the first reference between it and the earliest of them."""
        for other in placed:
            for link in self.links:
                if {link.source.table, link.target.table} == {table, other} and table != other:
                    return link
        return None

    def ddl(self) -> str:
        """As SQLite's `CREATE TABLE` statements, the same for equal schemas."""
        return "\n".join(self._create(table) for table in self.tables)

    def _create(self, table: Table) -> str:
        parts = [
            f"{quoted(column.name)} {'INTEGER' if column.kind == 'number' else 'TEXT'}"
            f"{' PRIMARY KEY' if column.is_key else ''}{'' if column.may_be_null or column.is_key else ' NOT NULL'}"
            for column in table.columns
        ]
        parts += [
            f"FOREIGN KEY ({quoted(link.source.column)}) REFERENCES {quoted(link.target.table)} ({quoted(link.target.column)})"
            for link in self.links
            if link.source.table == table.name
        ]
        return f"CREATE TABLE {quoted(table.name)} ({', '.join(parts)});"

    def to_json(self) -> JsonObject:
        """The stored form."""
        return {
            "tables": [
                {
                    "name": table.name,
                    "columns": [
                        {"name": each.name, "kind": each.kind, "may_be_null": each.may_be_null, "is_key": each.is_key}
                        for each in table.columns
                    ],
                }
                for table in self.tables
            ],
            "links": [[link.source.table, link.source.column, link.target.table, link.target.column] for link in self.links],
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: JsonValue) -> SqlSchema:
        """What `to_json` wrote. Raises InvalidInput (`invalid_model_spec`)."""
        stored = fields_of(value, {"tables", "links"})
        tables = []
        for item in _list(stored["tables"]):
            table = fields_of(item, {"name", "columns"})
            columns = [fields_of(each, {"name", "kind", "may_be_null", "is_key"}) for each in _list(table["columns"])]
            _check(
                all(isinstance(each["name"], str) and each["kind"] in ("text", "number") for each in columns), "a column with other fields"
            )
            made = (
                Column(str(each["name"]), cast("Kind", each["kind"]), each["may_be_null"] is True, each["is_key"] is True)
                for each in columns
            )
            _check(isinstance(table["name"], str), "a table without a name")
            tables.append(Table(str(table["name"]), tuple(made)))
        links = [_list(link) for link in _list(stored["links"])]
        _check(all(len(link) == 4 and all(isinstance(name, str) for name in link) for link in links), "a link that is not of four names")
        names = [[str(name) for name in link] for link in links]
        return cls(tuple(tables), tuple(Link(ColumnRef(one, two), ColumnRef(three, four)) for one, two, three, four in names))


def quoted(name: str) -> str:
    """A name as SQL has it: in quotation marks where it would be read as something else."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def fields_of(value: JsonValue, names: set[str]) -> JsonObject:
    """An object with these fields and no others. Raises InvalidInput (`invalid_model_spec`)."""
    _check(isinstance(value, dict) and set(value) == names, f"not an object of {', '.join(sorted(names))}")
    return cast("JsonObject", value)


def _list(value: JsonValue) -> list[JsonValue]:
    _check(isinstance(value, list), "not a list")
    return cast("list[JsonValue]", value)


def _check(is_right: bool, problem: str) -> None:
    if not is_right:
        raise InvalidInput("invalid_model_spec", field="queries", problem=problem)
