"""JSON objects that hold their texts by language, as the examples of transformers do: `{"translation": {"en": "…", "zh": "…"}}`."""

from __future__ import annotations

from collections.abc import Iterator

from hanlin.datasets.values import BadRow
from hanlin.tasks import ExampleForm

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
