"""What a model that writes queries learns of its schema from the queries of its training rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tokenizers import Tokenizer

from hanlin.tasks.sql.query import Condition, Query
from hanlin.tasks.sql.schema import SqlSchema
from hanlin.tasks.sql.settings import MAX_KNOWN, MAX_VALUE, SqlSettings

WHOLE = 0.98  # share of queries that must use all that their questions name, for the rule to be kept


def learn_settings(schema: SqlSchema, questions: Sequence[str], queries: Sequence[Query], *, first: int, end: int) -> SqlSettings:
    """The schema with the values that queries compare its columns with, the most frequent of each.

    A text column with more values than `MAX_KNOWN` keeps the most frequent: others are spelled from the question.

    Args:
        questions: of the queries.
        first, end: see `SqlSettings`.
    """
    seen: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for query in queries:
        for condition in query.where:
            if condition.expression.column is not None:
                ref = condition.expression.column
                seen[ref.table][ref.column].update(_spelled(condition))
    limits = Counter(str(query.limit) for query in queries if query.limit)
    counts = Counter(value for query in queries if query.having for value in _spelled(query.having))
    known = {table: {name: _most(values) for name, values in columns.items()} for table, columns in seen.items()}
    found = SqlSettings(schema, first, end, known, _most(limits), _most(counts))
    whole = sum(found.question(text).is_whole(query) for text, query in zip(questions, queries, strict=True))
    return replace(found, is_whole=whole >= WHOLE * len(queries))


def speller(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    """How values become tokens: as they stand within a text, where a word brings the space before it."""
    space = tokenizer.encode(" ", add_special_tokens=False).ids

    def spell(value: str) -> list[int]:
        word = f" {value}" if value[0].isascii() and value[0].isalnum() else value
        ids = list(tokenizer.encode(word, add_special_tokens=False).ids)
        return ids[1:] if ids[:1] == space else ids

    return spell


def values_of(query: Query) -> Iterator[str]:
    """Every value as text."""
    return (value for condition in query.where for value in _spelled(condition))


def _spelled(condition: Condition) -> Iterator[str]:
    return (str(value) for value in condition.values)


def _most(values: Counter[str]) -> tuple[str, ...]:
    return tuple(value for value, _ in values.most_common(MAX_KNOWN) if 0 < len(value) <= MAX_VALUE)
