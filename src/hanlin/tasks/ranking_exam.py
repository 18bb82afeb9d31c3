"""The exam of rankings: does a query put its own texts before the others."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Exam
from hanlin.tasks.ranking_metrics import ScalarMetrics, ranking_metrics
from hanlin.tasks.related import Related
from hanlin.tasks.search_exam import spread
from hanlin.tasks.word_index import WordIndex
from hanlin.types import JsonObject, JsonValue

MAX_QUERIES = 1_000  # evenly from the whole split
CANDIDATES = 20  # wrong texts beside the right ones of a query that brings no wrong ones
MAX_GAIN = 10.0  # scores on a longer scale are brought down to it, for a gain is two to their power
_OPTIONS: JsonObject = {"truncation": True, "raw_scores": True}


@dataclass(frozen=True, slots=True)
class Group:
    """A query with its texts, and how much each belongs to it: 0 is not at all."""

    query: str
    texts: tuple[str, ...]
    relevance: tuple[float, ...]


def groups_of(examples: Sequence[Related], *, mined: int, drawn: int = 0) -> list[Group]:
    """The texts of each query together; of equal gain the wrong ones stand first.

    Args:
        mined: wrong texts beside those of a query that brings none: the nearest to it by BM25 among the texts of all other queries, and
            any texts, the same ones each time, where too few share a word with it.
        drawn: of these, how many are any texts.
    """
    gains: dict[str, dict[str, float]] = {}
    for example in examples:
        own = gains.setdefault(example.first, {})
        own[example.second] = 1.0 if example.score is None else max(example.score, 0.0)
        for text in example.negatives:
            own.setdefault(text, 0.0)
    lacking = [query for query, own in gains.items() if min(own.values()) > 0]
    if lacking and mined:
        texts = list(dict.fromkeys(text for own in gains.values() for text in own))
        places, index = {text: place for place, text in enumerate(texts)}, WordIndex(texts)
        added = {}
        for query in lacking:
            taken = {places[text] for text in gains[query]}
            near = index.nearest(query, mined - drawn, besides=taken)
            added[query] = near + _any(query, len(texts), mined - len(near), taken.union(near))
        gains |= {query: {**{texts[place]: 0.0 for place in found}, **gains[query]} for query, found in added.items()}
    ordered = ((query, sorted(own.items(), key=lambda item: item[1])) for query, own in gains.items())
    return [Group(query, tuple(text for text, _ in own), tuple(gain for _, gain in own)) for query, own in ordered]


def _any(query: str, num_texts: int, count: int, taken: Collection[int]) -> list[int]:
    """At most `count` places drawn by the query itself, none of those taken."""
    chance = random.Random(query)  # noqa: S311  # a sample, no secret
    found = [place for place in chance.sample(range(num_texts), min(count + len(taken), num_texts)) if place not in taken]
    return found[:count]


def ranking_exam(questions: Sequence[JsonValue], *, task: str) -> Exam:
    """A call for each query with all its texts. Raises InvalidInput (`not_judged`)."""
    examples = [Related.asked(question) for question in questions]
    if not examples or not all(example.second for example in examples):
        raise InvalidInput("not_judged", task=task)
    groups = spread(groups_of(examples, mined=CANDIDATES), MAX_QUERIES)
    calls: list[tuple[JsonValue, JsonObject]] = [({"query": group.query, "texts": [*group.texts]}, _OPTIONS) for group in groups]

    def judge(answers: Sequence[JsonValue]) -> ScalarMetrics:
        ranked = [cast("list[dict[str, Any]]", answer) for answer in answers]
        scores = [[item["score"] for item in sorted(answer, key=lambda item: int(item["index"]))] for answer in ranked]
        return judge_groups(groups, scores)

    return Exam(calls, judge)


def judge_groups(groups: Sequence[Group], scores: Sequence[Sequence[float]]) -> ScalarMetrics:
    """Figures of scores, one list a group in the order of its texts."""
    width = max(len(group.texts) for group in groups)
    found, gains = np.zeros((len(groups), width)), np.full((len(groups), width), np.nan)
    for row, (group, values) in enumerate(zip(groups, scores, strict=True)):
        found[row, : len(values)] = values
        gains[row, : len(values)] = group.relevance
    return ranking_metrics(found, gains * min(1.0, MAX_GAIN / max(float(np.nanmax(gains)), 1.0)))
