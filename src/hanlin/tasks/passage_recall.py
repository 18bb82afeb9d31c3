"""Whether the search by words that `documents` begin with finds the passage that holds an answer, among all contexts of a split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from hanlin.passages import cut_passages
from hanlin.tasks.lexical import order
from hanlin.tasks.search_exam import spread

MAX_EXAMPLES = 1_000  # evenly from the whole split: a few seconds
DEPTHS = (1, 5)


def passage_recall(contexts: Sequence[str], annotations: Sequence[str]) -> dict[str, float]:
    """The share of answered questions whose passage is among the first 1 and 5 of the passages of these contexts, by BM25.

    Args:
        contexts: of the examples, as often as they stand there.
        annotations: of the same, as `AnsweredQuestions` reads them; those without an answer add their context alone.

    Returns:
        `passage_recall_1` and `passage_recall_5`, 0 to 1; nothing where no question has an answer, or there is one passage alone.
    """
    rows = spread(list(zip(contexts, annotations, strict=True)), MAX_EXAMPLES)
    places = [(context, *place) for context in dict.fromkeys(context for context, _ in rows) for place in cut_passages(context)]
    texts = [context[start:end] for context, start, end in places]
    asked: list[tuple[str, dict[str, Any]]] = [(context, json.loads(annotation)) for context, annotation in rows]
    asked = [(context, gold) for context, gold in asked if gold["answers"]]
    if not asked or len(places) < 2:
        return {}
    by_context: dict[str, list[int]] = {}
    for number, (context, _, _) in enumerate(places):
        by_context.setdefault(context, []).append(number)
    hits = []
    for context, gold in asked:
        starts = [answer["start"] for answer in gold["answers"]]
        right = {number for number in by_context[context] if any(places[number][1] <= start < places[number][2] for start in starts)}
        best = order(gold["question"], texts)[: max(DEPTHS)]
        hits.append(next((place for place, number in enumerate(best) if number in right), len(texts)))
    return {f"passage_recall_{depth}": float(np.mean([hit < depth for hit in hits])) for depth in DEPTHS}
