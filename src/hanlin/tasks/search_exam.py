"""The exam of vectors: do they find what belongs together among all texts of a split, or follow the scores that people gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from hanlin.errors import InvalidInput
from hanlin.tasks.base import Exam
from hanlin.tasks.ranking_metrics import ScalarMetrics, pair_metrics, search_metrics
from hanlin.tasks.related import Related
from hanlin.tasks.spec import ModelSpec
from hanlin.tasks.vectors import Role
from hanlin.types import JsonObject, JsonValue

MAX_EXAMPLES = 5_000  # evenly from the whole split
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Search:
    """Every different first text is a query; every different second and unrelated text is one of those searched in.

    Args:
        relevant: for each query the places of its texts.
    """

    queries: list[str]
    texts: list[str]
    relevant: list[list[int]]

    @classmethod
    def among(cls, examples: Sequence[Related]) -> Search:
        """The search that these examples make."""
        places: dict[str, int] = {}
        found: dict[str, dict[int, None]] = {}
        for example in examples:
            found.setdefault(example.first, {})[places.setdefault(example.second, len(places))] = None
            for text in example.negatives:
                places.setdefault(text, len(places))
        return cls([*found], [*places], [[*own] for own in found.values()])

    def metrics(self, queries: npt.NDArray[np.floating], texts: npt.NDArray[np.floating]) -> ScalarMetrics:
        """What vectors of both are worth, of any length."""
        return search_metrics(unit(queries), unit(texts), self.relevant)


def vector_exam(questions: Sequence[JsonValue], spec: ModelSpec, *, task: str) -> Exam:
    """Calls for the vector of every different text, and their quality. Raises InvalidInput (`not_judged`)."""
    examples = [Related.asked(question) for question in spread(questions, MAX_EXAMPLES)]
    if not examples or not all(example.second for example in examples) or (is_scored(examples) and len(examples) < 2):
        raise InvalidInput("not_judged", task=task)
    return _pairs(examples, spec) if is_scored(examples) else _search(examples, spec)


def is_scored(examples: Sequence[Related]) -> bool:
    """Whether all of them have scores."""
    return all(example.score is not None for example in examples)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, evenly from the whole list."""
    if len(items) <= count:
        return list(items)
    return [items[number * len(items) // count] for number in range(count)]


def unit(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Rows of length 1; a row of zeros stays."""
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))


def likenesses(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The cosine of each row with its partner, to six places: twins are ties, whatever the last bits say. (pairs, size) both → (pairs,)."""
    return np.asarray((unit(one) * unit(other)).sum(1).round(6))


def _search(examples: Sequence[Related], spec: ModelSpec) -> Exam:
    search = Search.among(examples)
    calls = [_call(text, spec, "query") for text in search.queries] + [_call(text, spec, "passage") for text in search.texts]

    def judge(answers: Sequence[JsonValue]) -> ScalarMetrics:
        vectors = np.array(answers, dtype=np.float32)
        return search.metrics(vectors[: len(search.queries)], vectors[len(search.queries) :])

    return Exam(calls, judge)


def _pairs(examples: Sequence[Related], spec: ModelSpec) -> Exam:
    """Both texts of a scored pair are of one kind and get the default prompt."""
    calls = [_call(text, spec) for example in examples for text in (example.first, example.second)]
    gold = np.array([example.score for example in examples], dtype=np.float64)

    def judge(answers: Sequence[JsonValue]) -> ScalarMetrics:
        vectors = np.array(answers, dtype=np.float32)
        return pair_metrics(likenesses(vectors[::2], vectors[1::2]), gold)

    return Exam(calls, judge)


def _call(text: str, spec: ModelSpec, role: Role | None = None) -> tuple[JsonValue, JsonObject]:
    name = spec.vectors.role(role) if spec.vectors and role else None
    return text, {"truncation": True, **({"prompt_name": name} if name else {})}
