"""Quality of queries: the same query, and a query that finds the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hanlin.tasks.examples import BadExample
from hanlin.tasks.metrics import wilson_interval
from hanlin.tasks.ranking_metrics import ScalarMetrics
from hanlin.tasks.sql.examples import read_annotation
from hanlin.tasks.sql.reading import read_query
from hanlin.tasks.sql.suite import finds_the_same


def query_metrics(found: Sequence[str], gold: Sequence[str]) -> ScalarMetrics:
    """`execution_accuracy`: the share that finds the same rows; `exact_match`: that is the same query but for its spelling.

    Args:
        found: SQL.
        gold: annotations, each with its schema.
    """
    assert gold, "metrics of no rows mean nothing"
    pairs = [_compared(sql, annotation) for sql, annotation in zip(found, gold, strict=True)]
    exact, same = ([bool(pair[place]) for pair in pairs] for place in (0, 1))
    values = {"execution_accuracy": float(np.mean(same)), "exact_match": float(np.mean(exact))}
    return ScalarMetrics(len(gold), values, wilson_interval(sum(same), len(same)))


def _compared(sql: str, annotation: str) -> tuple[bool, bool]:
    schema, right = read_annotation(annotation)
    try:
        mine = read_query(sql, schema)
    except BadExample:
        return False, False
    return mine == right, finds_the_same(mine, right, schema)
