"""ROUGE of written texts against gold ones: runs of words, and the longest common subsequence. Chinese counts by character.

Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries (2004); words as the reference script has them: lower case letters and
digits, without stemming. F1 of each pair, mean over the pairs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from hanlin.tasks.metrics import RESAMPLES, TAIL
from hanlin.tasks.ranking_metrics import ScalarMetrics

_WORD = re.compile(r"[㐀-䶿一-鿿豈-﫿]|[^\W_㐀-䶿一-鿿豈-﫿]+")


def rouge_metrics(written: Sequence[str], gold: Sequence[str]) -> ScalarMetrics:
    """`rouge_l`, `rouge_1`, `rouge_2`, each 0..1; the interval is of the first, from resamples of the pairs."""
    assert gold, "metrics of no rows mean nothing"
    pairs = [(words(one), words(other)) for one, other in zip(written, gold, strict=True)]
    by_row = np.array([_longest(*pair) for pair in pairs])
    values = {"rouge_l": float(by_row.mean()), "rouge_1": _mean(pairs, 1), "rouge_2": _mean(pairs, 2)}
    drawn = np.random.default_rng(0).choice(by_row, size=(RESAMPLES, len(by_row))).mean(axis=1)
    low, high = np.quantile(drawn, (TAIL, 1 - TAIL))
    return ScalarMetrics(len(gold), values, (float(low), float(high)))


def words(text: str) -> list[str]:
    """What is counted: words of letters and digits, each Chinese character by itself."""
    return _WORD.findall(text.casefold())


def _mean(pairs: Sequence[tuple[list[str], list[str]]], size: int) -> float:
    return float(np.mean([_runs(*pair, size) for pair in pairs]))


def _runs(found: list[str], gold: list[str], size: int) -> float:
    one, other = (Counter(tuple(row[at : at + size]) for at in range(len(row) - size + 1)) for row in (found, gold))
    return _f1((one & other).total(), one.total(), other.total())


def _longest(found: list[str], gold: list[str]) -> float:
    """F1 of the longest common subsequence."""
    before = [0] * (len(gold) + 1)
    for word in found:
        row = [0]
        for place, other in enumerate(gold):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[-1]))
        before = row
    return _f1(before[-1], len(found), len(gold))


def _f1(right: int, found: int, gold: int) -> float:
    return 2 * right / (found + gold) if found and gold else 0.0
