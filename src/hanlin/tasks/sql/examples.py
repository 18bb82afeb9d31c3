"""Examples of questions over tables: a question, the `CREATE TABLE` statements, the query that answers it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from hanlin.tasks.examples import BadExample, Column, Example, canonical, check_text
from hanlin.tasks.sql.query import Query, render
from hanlin.tasks.sql.reading import read_query
from hanlin.tasks.sql.schema import SqlSchema
from hanlin.tasks.sql.schema_reading import read_schema
from hanlin.types import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class QueryExamples:
    """See `ExampleForm`. Queries are stored in their usual form, so that equal ones are equal strings."""

    columns: tuple[Column, ...] = (
        Column("text", "text", aliases=("question", "utterance", "文本", "问题")),
        Column("sql", "text", aliases=("query", "answer", "sql_query", "查询")),
        Column("schema", "text", aliases=("context", "ddl", "create_table", "表结构")),
        Column("group", "text", aliases=("template", "模板"), is_optional=True),
    )
    formats: tuple[str, ...] = ()
    is_classified: bool = False
    has_answers: bool = True

    def read(self, fields: Mapping[str, object]) -> Example:
        """See `ExampleForm.read`."""
        text = check_text(fields.get("text"))
        sql, ddl = fields.get("sql"), fields.get("schema")
        if not isinstance(sql, str) or not sql.strip():
            raise BadExample("sql")
        if not isinstance(ddl, str):
            raise BadExample("sql_schema")
        check_text(sql)
        check_text(ddl or " ")
        schema = read_schema(ddl)
        query = render(read_query(sql, schema), schema)
        group = fields.get("group")
        return Example(text, canonical({"sql": query, "schema": schema.ddl()}), group=group if isinstance(group, str) else "")

    def question(self, text: str, annotation: str) -> JsonValue:
        """See `ExampleForm.question`: the text alone."""
        return text


def read_annotation(annotation: str) -> tuple[SqlSchema, Query]:
    """The schema and the query of a stored example."""
    stored = cast("JsonObject", json.loads(annotation))
    schema = read_schema(str(stored["schema"]))
    return schema, read_query(str(stored["sql"]), schema)
