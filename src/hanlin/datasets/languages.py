"""Objects that hold their texts by language, as the examples of transformers do: `{"translation": {"en": "…", "zh": "…"}}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hanlin.datasets.values import BadRow
from hanlin.tasks import ExampleForm

if TYPE_CHECKING:
    import pyarrow as pa

Record = tuple[int, dict[str, object]] | BadRow


def lift_languages(records: Iterator[Record], form: ExampleForm) -> Iterator[Record]:
    """The objects with their texts by language as keys of their own; the first two languages of a file are the task's first two columns."""
    holder = str(getattr(form, "holder", ""))
    names = [column.name for column in form.columns[:2]]
    languages: list[str] = []
    for record in records:
        held = None if isinstance(record, BadRow) else record[1].get(holder)
        if isinstance(record, BadRow) or not isinstance(held, dict):
            yield record
            continue
        line, value = record
        languages = languages or list(held)[:2]
        pair = {name: held.get(language) for name, language in zip(names, languages, strict=False)}
        yield line, pair | {key: item for key, item in value.items() if key != holder} | held


def lifted_structs(schema: pa.Schema, form: ExampleForm) -> dict[str, tuple[str, str]]:
    """The same of a table: by header, the column of structs and the field that holds its texts."""
    from pyarrow import types

    holder = str(getattr(form, "holder", ""))
    if holder not in schema.names or not types.is_struct(schema.field(holder).type):
        return {}
    languages = [field.name for field in schema.field(holder).type]
    pair = {column.name: (holder, language) for column, language in zip(form.columns[:2], languages, strict=False)}
    return pair | {language: (holder, language) for language in languages}
