"""Quality of similarities and rankings: Spearman's and Pearson's correlation for pairs, nDCG and reciprocal rank for queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hanlin.tasks.few_rows import few_test_rows, stored
from hanlin.tasks.metrics import RESAMPLES, TAIL
from hanlin.tasks.useless import no_answer_right
from hanlin.types import JsonObject

Values = npt.NDArray[np.float64]
DEPTH = 10
RECALL_DEPTHS = (1, 10)
_BLOCK = 256  # queries whose similarities are held at once
_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class ScalarMetrics:
    """Named figures over `rows` rows, and the 95 % interval of the first of them from 1,000 resamples of the rows.

    Attributes:
        signatures: how figures were counted, in the words of the library that counts them.
    """

    rows: int
    values: Mapping[str, float]
    interval: tuple[float, float]
    signatures: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> float:
        """One metric by name. Raises KeyError."""
        return self.values[name]

    def to_json(self) -> JsonObject:
        """The stored form."""
        found: JsonObject = {
            "rows": self.rows,
            **self.values,
            "interval": list(self.interval),
            "warnings": stored(few_test_rows(self.rows), no_answer_right(self.rows, self.values)),
        }
        return found | ({"signatures": dict(self.signatures)} if self.signatures else {})


def pair_metrics(similarity: Values, gold: Values) -> ScalarMetrics:
    """How the similarities of pairs `(pairs,)` follow the given ones."""
    assert len(similarity) > 1, "a correlation needs two pairs"
    values = {"spearman": correlation(ranks(similarity), ranks(gold)), "pearson": correlation(similarity, gold)}
    interval = resampled(len(gold), lambda drawn: correlation(ranks(similarity[drawn]), ranks(gold[drawn])))
    return ScalarMetrics(len(gold), values, interval)


def ranking_metrics(scores: Values, relevance: Values) -> ScalarMetrics:
    """How well scores `(queries, texts)` put relevant texts first; NaN in `relevance` where a query has fewer texts.

    Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation (2002), with gains 2^relevance - 1 and a log2 discount.
    """
    rows = [(found[~np.isnan(true)], true[~np.isnan(true)]) for found, true in zip(scores, relevance, strict=True)]
    ndcg = np.array([_ndcg(found, true) for found, true in rows])
    rank = np.array([_reciprocal_rank(found, true) for found, true in rows])
    values = {"ndcg": float(ndcg.mean()), "mrr": float(rank.mean())}
    values |= {f"recall_{depth}": float(np.mean([_recall(found, true, depth) for found, true in rows])) for depth in RECALL_DEPTHS}
    return ScalarMetrics(len(rows), values, resampled(len(rows), lambda drawn: float(ndcg[drawn].mean())))


def search_metrics(queries: Values, texts: Values, relevant: Sequence[Sequence[int]]) -> ScalarMetrics:
    """How well vectors `(queries, size)` find their relevant ones among all `(texts, size)`, both of length 1.

    Of texts that are equally near, those that are not relevant count as found first: vectors that are all alike find nothing.
    """
    ndcg, reciprocal = np.empty(len(queries)), np.empty(len(queries))
    recall = {depth: np.empty(len(queries)) for depth in RECALL_DEPTHS}
    for start in range(0, len(queries), _BLOCK):
        for row, scores in enumerate(queries[start : start + _BLOCK] @ texts.T, start):
            own = np.sort(scores[list(relevant[row])])[::-1]
            others = np.delete(scores, list(relevant[row]))
            places = (others[None, :] >= own[:, None] - _TIE).sum(1) + np.arange(len(own))  # from 0, best first
            gains = 1 / np.log2(np.arange(2, DEPTH + 2))
            ndcg[row] = gains[places[places < DEPTH]].sum() / gains[: len(own)].sum()
            reciprocal[row] = 1 / (places[0] + 1)
            for depth, found in recall.items():
                found[row] = (places < depth).sum() / len(own)
    values = {"ndcg": float(ndcg.mean()), "mrr": float(reciprocal.mean())}
    values |= {f"recall_{depth}": float(found.mean()) for depth, found in recall.items()}
    return ScalarMetrics(len(queries), values, resampled(len(queries), lambda drawn: float(ndcg[drawn].mean())))


def ranks(values: Values) -> Values:
    """Places in order of size; equal values share the mean of their places."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return np.asarray((ends - (counts - 1) / 2)[where], dtype=np.float64)


def correlation(one: Values, other: Values) -> float:
    """Pearson's; 0 where either side does not vary."""
    first, second = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / scale) if scale > 0 else 0.0


def _ndcg(scores: Values, relevance: Values) -> float:
    discount = 1 / np.log2(np.arange(2, min(len(scores), DEPTH) + 2))

    def gain(order: npt.NDArray[np.intp]) -> float:
        return float(((2.0 ** relevance[order[:DEPTH]] - 1) * discount).sum())

    best = gain(np.argsort(-relevance, kind="stable"))
    return gain(np.argsort(-scores, kind="stable")) / best if best > 0 else 0.0


def _reciprocal_rank(scores: Values, relevance: Values) -> float:
    right = np.flatnonzero(relevance[np.argsort(-scores, kind="stable")] > 0)
    return float(1 / (right[0] + 1)) if len(right) else 0.0


def _recall(scores: Values, relevance: Values, depth: int) -> float:
    right = relevance[np.argsort(-scores, kind="stable")] > 0
    return float(right[:depth].sum() / right.sum()) if right.any() else 0.0


def resampled(rows: int, figure: Callable[[npt.NDArray[np.int64]], float], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of a figure of rows drawn by their numbers, from 1,000 resamples with a fixed seed."""
    chance = np.random.default_rng(seed)
    found = [figure(chance.integers(0, rows, rows)) for _ in range(RESAMPLES)]
    low, high = np.quantile(found, (TAIL, 1 - TAIL))
    return float(low), float(high)
